"""What a user can do, one file each; their functions are the Python API."""
