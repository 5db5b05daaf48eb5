"""Check COCO's compressed run lengths for pycocotools, which trusts its input: masks from run lengths that are too
short contain uninitialised memory.
"""

from __future__ import annotations

from typing import Any, no_type_check

import numpy as np

from wsol.geometry.numba_cache import compiled

MOST_PIXELS = 178_956_970
"""The largest image that wsol reads (Pillow's limit)."""


def check_run_lengths(rle: Any, image_hw: tuple[int, int]) -> None:
    """Make sure that `rle` is a mask as pycocotools writes it, with `size` and `counts`.

    Args:
        rle: a JSON value.
        image_hw: (height, width) of the image.

    Raises:
        ValueError: it is not a mask of this size.
    """
    height, width = image_hw
    if not isinstance(rle, dict) or rle.keys() != {"size", "counts"}:
        raise ValueError(f"expected run lengths with size and counts, got {rle!s:.60}")
    size, counts = rle["size"], rle["counts"]
    if not isinstance(size, list) or any(type(value) is not int for value in size) or size != [height, width]:
        raise ValueError(f"expected run lengths of size [{height}, {width}] (height, width), got size {size!s:.60}")
    if height * width > MOST_PIXELS:
        raise ValueError(f"expected at most {MOST_PIXELS} pixels, got {height} x {width}")
    if not isinstance(counts, str) or not cover(counts, height * width):
        raise ValueError(f"expected run lengths of {height * width} pixels together, got others")


def cover(counts: str, pixels: int) -> bool:
    """Whether compressed run lengths are complete and have this number of pixels in total.

    Each character holds five bits, low bits first; from the fourth run on, differences to the last but one are stored.
    """
    if not counts.isascii():
        return False
    return bool(_cover(np.frombuffer(counts.encode("ascii"), dtype=np.uint8), pixels))


@no_type_check  # numba compiles the bare function
@compiled
def _cover(characters, pixels):
    total = value = shift = number = 0
    last = last_but_one = 0
    for character in characters:
        bits = np.int64(character) - 48
        # Seven characters can hold any run. With more, pycocotools shifts bits out of the word and misreads it.
        if bits < 0 or bits >= 64 or shift > 30:
            return False
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        run = value + last_but_one if number > 2 else value
        if run < 0 or run > pixels:
            return False
        total += run
        last_but_one, last = last, run
        number += 1
        value = shift = 0
    return shift == 0 and total == pixels
