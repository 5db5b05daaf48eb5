"""Every choice of a run: options, recipes, methods, and messages about wrong values."""
