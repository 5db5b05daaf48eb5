"""The images as a browser wants them: upright, of about the size they are shown at, as JPEG."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from pathlib import Path

from PIL import Image

from wsol.data.images import read_fitting
from wsol.errors import BrokenImage

LONGEST_PX = (480, 960, 1440, 1920, 2560)
"""The sizes there are; a window takes the next larger one."""
CACHE_BYTES = 64 * 2**20
DECODERS = 2
JPEG_QUALITY = 88


class Thumbnails:
    """JPEGs by image and size, the latest kept in memory."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Path, int], bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._decoders = threading.Semaphore(DECODERS)  # a hundred requests at once must not decode a hundred images

    def jpeg(self, path: Path, image_hw: tuple[int, int], longest_px: int) -> bytes:
        """The image, at most `longest_px` long.

        Raises:
            BrokenImage: not decodable, or no longer of the (height, width) that was predicted on.
        """
        with self._lock:
            kept = self._kept.get((path, longest_px))
            if kept is not None:
                self._kept.move_to_end((path, longest_px))
                return kept
        with self._decoders:
            made = _encoded(path, image_hw, longest_px)
        with self._lock:
            if (path, longest_px) not in self._kept:
                self._kept[path, longest_px] = made
                self._bytes += len(made)
            while self._bytes > CACHE_BYTES and len(self._kept) > 1:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return made


def _encoded(path: Path, image_hw: tuple[int, int], longest_px: int) -> bytes:
    pixels, found_hw = read_fitting(path, longest_px)
    if found_hw != image_hw:
        raise BrokenImage(
            f"{path} has changed",
            expected=f"(height, width) {image_hw} as predicted on",
            got=f"{found_hw}",
            remedy="Put the old one back, or run `wsol predict` again.",
        )
    code = io.BytesIO()
    Image.fromarray(pixels).save(code, "JPEG", quality=JPEG_QUALITY)
    return code.getvalue()
