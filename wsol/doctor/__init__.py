"""`wsol doctor`: small tests of everything that a run needs, with a remedy for each failure."""
