"""What any system found, read from files: heatmaps, boxes, ranked classes, each matched to an image of the ground truth."""
