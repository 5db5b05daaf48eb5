"""`wsol doctor`: what a run needs, tried in small, each with what mends it."""
