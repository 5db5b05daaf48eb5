"""Generate images of textured surfaces, with and without defects, and exact masks of the defects."""

from wsol.demo.surfaces.defects import DEFECTS
from wsol.demo.surfaces.write import GOOD, write_surface_set

__all__ = ["DEFECTS", "GOOD", "write_surface_set"]
