"""Localization in new images with a trained run."""
