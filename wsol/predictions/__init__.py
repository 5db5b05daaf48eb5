"""What `wsol predict` wrote, and what people decided about it."""
