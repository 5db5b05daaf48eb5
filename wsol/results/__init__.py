"""Results of any system, read from files: heatmaps, boxes and ranked classes, matched to ground-truth images."""
