"""Folders and files that are either complete or absent."""
