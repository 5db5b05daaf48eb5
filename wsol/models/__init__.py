"""Networks, their pretrained weights, and their files on disk."""
