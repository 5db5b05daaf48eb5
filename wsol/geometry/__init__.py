"""Boxes, masks and maps as arrays: how a map becomes boxes, thresholds and scores."""
