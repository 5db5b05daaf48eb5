"""Label Studio's run lengths of a brush: bits of the four channels of every pixel, row by row.

32 bits for the number of values, 5 for the word size less 1, four times 4 for the sizes of lengths less 1. Then blocks:
a bit whether one value is repeated, two bits that select one of the four sizes, the length less 1, and the value or the
values.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

CHANNELS = 4
HEADER_BITS = 32 + 5 + 4 * 4


def brush_mask(values: object, image_hw: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
    """Decode the bytes of a brush; a pixel is object if its opacity is not 0.

    Args:
        values: a JSON value, the bytes as a list of integers.
        image_hw: (height, width) of the image.

    Raises:
        ValueError: not run lengths of this image.
    """
    height, width = image_hw
    expected = CHANNELS * height * width
    if not isinstance(values, list) or not all(type(value) is int and 0 <= value <= 255 for value in values):
        raise ValueError("expected the run lengths of a brush as a list of bytes, got something else")
    bits = _Bits(bytes(values))
    count, word_bits = bits.number(32), bits.number(5) + 1
    if count != expected:
        raise ValueError(f"expected run lengths of {expected} values (4 x {width} x {height}), got {count}")
    length_bits = [bits.number(4) + 1 for _ in range(4)]
    decoded = np.zeros(expected, dtype=bool)
    done = 0
    while done < expected:
        is_run, size = bits.number(1), length_bits[bits.number(2)]
        length = min(bits.number(size) + 1, expected - done)
        if is_run:
            decoded[done : done + length] = bits.number(word_bits) != 0
        else:
            decoded[done : done + length] = [bits.number(word_bits) != 0 for _ in range(length)]
        done += length
    return decoded.reshape(height, width, CHANNELS)[..., CHANNELS - 1]


class _Bits:
    """Numbers from bits, high ones first."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._position = 0

    def number(self, bits: int) -> int:
        first, last = self._position, self._position + bits
        if last > 8 * len(self._raw):
            raise ValueError("expected more run lengths of a brush, got too few")
        self._position = last
        word = int.from_bytes(self._raw[first // 8 : (last + 7) // 8], "big")
        return (word >> (-last % 8)) & ((1 << bits) - 1)
