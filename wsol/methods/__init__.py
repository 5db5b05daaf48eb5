"""Systems that learn to localize from class labels, one file each, behind the same two functions: train into a run,
load from it.
"""
