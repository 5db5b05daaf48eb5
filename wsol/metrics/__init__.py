"""Counts first, formulas over counts second."""
