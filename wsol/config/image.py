"""How image files become pixels: the same for training, prediction and the pages that show images."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, PositiveInt
from pydantic_core import PydanticCustomError

from wsol.config.base import Config

AUTO = "auto"
"""Value of `image.window`: the rule that needs no numbers."""


class Range(NamedTuple):
    """The values that become black and white."""

    low: float
    high: float
    is_percentile: bool
    """Whether both are percentiles of an image's values, 0 to 100, instead of values."""


def range_of(window: str) -> Range | None:
    """Convert the text of a window.

    Args:
        window: `auto`, two percentiles such as `1%,99%`, or two values such as `0,4095`.

    Returns:
        The range; None for `auto`.

    Raises:
        ValueError: another text, the second number is not above the first, or a percentile is not in 0 to 100.
    """
    if window == AUTO:
        return None
    parts = [part.strip() for part in window.split(",")]
    is_percentile = all(part.endswith("%") for part in parts)
    low, high = (float(part.removesuffix("%") if is_percentile else part) for part in parts)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError("the first must be below the second")
    if is_percentile and not (low >= 0 and high <= 100):
        raise ValueError("percentiles are 0 to 100")
    return Range(low, high, is_percentile)


def _window(text: str) -> str:
    try:
        range_of(text)
    except ValueError:
        raise PydanticCustomError(
            "window",
            "Input should be auto, two percentiles such as 1%,99%, or two values such as 0,4095, the lower one first",
        ) from None
    return text


Window = Annotated[str, AfterValidator(_window)]


class Decoding(Config):
    """How image files become pixels."""

    window: Window = AUTO
    """How values of more than 8 bits become 8 bits (TIFF, PNG and PGM of 16 or 32 bits, integers or floats; images of 8
    bits are never changed). `auto`: grey by the bits that its brightest pixel needs, floats by their maximum, and of
    16-bit colours the upper 8 bits. Two percentiles, such as `1%,99%`: from black to white between these percentiles of
    the image's own finite values. Two values, such as `0,4095`: from black to white between these, the same for all
    images (CT, thermal and other calibrated images). NaN is black."""
    page: PositiveInt | None = None
    """Page of TIFF files with several, counted from 1 as in ImageJ; an image without this page is broken. The default
    is the first."""

    @property
    def range(self) -> Range | None:
        """The range of the window; None for `auto`."""
        return range_of(self.window)

    def changes(self) -> dict[str, object]:
        """The options that are not the default, for the settings of what was made with them; older ones have none."""
        return {name: value for name, value in self.model_dump().items() if value != getattr(type(self)(), name)}


DEFAULT_DECODING = Decoding()
"""How files are decoded unless the user says otherwise."""
