"""Uncompressed TIFF files of any kind of values, which Pillow cannot write."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

KINDS = {"u": 1, "i": 2, "f": 3}


def write_tiff(
    path: Path, pages: Sequence[NDArray[Any]], *, order: str = "<", is_planar: bool = False, orientation: int = 1
) -> Path:
    """Write arrays (height, width) or (height, width, channels) as the pages of a TIFF file, and return its path.

    `order` is the byte order, as for `struct`; planar means one channel after another.
    """
    content = bytearray((b"II*\0" if order == "<" else b"MM\0*") + bytes(4))
    link = 4  # where the position of the next page is written

    def put(data: bytes) -> int:
        content.extend(data + bytes(len(data) % 2))
        return len(content) - len(data) - len(data) % 2

    for page in pages:
        values = page.reshape(*page.shape[:2], -1)
        height, width, channels = values.shape
        planes = values.transpose(2, 0, 1) if is_planar else values
        start = put(planes.astype(planes.dtype.newbyteorder(order)).tobytes())
        strips = channels if is_planar else 1
        size = values.nbytes // strips

        def tag(number: int, kind: str, *numbers: int) -> bytes:
            data = struct.pack(f"{order}{len(numbers)}{kind}", *numbers)
            value = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(f"{order}I", put(data))
            return struct.pack(f"{order}HHI", number, {"H": 3, "I": 4}[kind], len(numbers)) + value

        tags = [
            tag(256, "I", width),
            tag(257, "I", height),
            tag(258, "H", *[8 * values.itemsize] * channels),
            tag(259, "H", 1),
            tag(262, "H", 2 if channels in (3, 4) else 1),
            tag(273, "I", *[start + size * i for i in range(strips)]),
            tag(274, "H", orientation),
            tag(277, "H", channels),
            tag(278, "I", height),
            tag(279, "I", *[size] * strips),
            tag(284, "H", 2 if is_planar else 1),
            tag(339, "H", *[KINDS[values.dtype.kind]] * channels),
        ]
        content[link : link + 4] = struct.pack(f"{order}I", len(content))
        link = put(struct.pack(f"{order}H", len(tags)) + b"".join(tags)) + 2 + 12 * len(tags)
        put(bytes(4))
    path.write_bytes(content)
    return path


def ramp(dtype: str, low: float, high: float, image_hw: tuple[int, int] = (8, 16)) -> NDArray[Any]:
    """Values that rise evenly from the first pixel to the last."""
    values = np.linspace(low, high, image_hw[0] * image_hw[1]).reshape(image_hw)
    return values.round().astype(dtype) if np.dtype(dtype).kind in "ui" else values.astype(dtype)
