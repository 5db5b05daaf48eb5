"""Annotation formats, one file each: checked predictions in, the files of that format out."""
