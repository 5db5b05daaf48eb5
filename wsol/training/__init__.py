"""The one training loop, and the folder that a training leaves."""
