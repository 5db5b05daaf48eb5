"""Data sets as they are published, and the pixels of their images."""
