"""Readers of data sets, one file per published layout."""
