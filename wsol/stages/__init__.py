"""The stages: each reads folders and writes one folder that is complete or absent."""
