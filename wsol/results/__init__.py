"""What any system found, read from files: heatmaps, boxes, ranked classes, each matched to a picture of the truth."""
