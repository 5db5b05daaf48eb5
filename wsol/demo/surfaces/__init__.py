"""Generate images of textured surfaces, with and without defects, and exact masks of the defects."""

from wsol.demo.surfaces.write import DEFECTS, GOOD, write_surface_set

__all__ = ["DEFECTS", "GOOD", "write_surface_set"]
