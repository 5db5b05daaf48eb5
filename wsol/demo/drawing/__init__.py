"""Synthetic photographs: articulated creatures on cluttered ground, with exact masks and boxes.

The clutter of all classes comes from one distribution, so that the background does not reveal the class.
"""

from wsol.demo.drawing.creatures import CREATURES
from wsol.demo.drawing.image import draw
from wsol.demo.drawing.write import write_demo_set

__all__ = ["CREATURES", "draw", "write_demo_set"]
