"""Predictions on disk, and the decisions of their reviewers."""
