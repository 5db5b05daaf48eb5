"""Folders and files that are complete or absent."""
