"""Configuration of a run: options, recipes, methods, and errors about wrong values."""
