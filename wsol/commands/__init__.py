"""The commands, one file each; their functions are also the Python API."""
