"""A trained run on new images."""
