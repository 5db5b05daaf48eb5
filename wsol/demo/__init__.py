"""`wsol demo`: generate a small data set, run everything on it, show the result."""
