"""Boxes, masks and maps as arrays; boxes, thresholds and scores from a map."""
