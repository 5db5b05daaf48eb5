"""Localization methods, one file each with the same two functions: `fit` trains into a run, `load` reads from it."""
