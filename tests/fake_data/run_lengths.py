"""COCO's compressed run lengths without pycocotools, which crashes for very large masks."""

from __future__ import annotations

from typing import Any


def written(runs: list[int]) -> str:
    """`rleToString`, as loops."""
    text = ""
    for number, run in enumerate(runs):
        value, more = run - runs[number - 2] if number > 2 else run, True
        while more:
            code = value & 31
            value >>= 5
            more = value != -1 if code & 16 else value != 0
            text += chr((code | 32 if more else code) + 48)
    return text


def no_mask(image_hw: tuple[int, int]) -> dict[str, Any]:
    """A mask without a pixel."""
    height, width = image_hw
    return {"size": [height, width], "counts": written([height * width])}
