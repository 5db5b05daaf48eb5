"""A run folder as one object."""
