"""The images for the browser: upright, about as large as they are shown, as JPEG."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from pathlib import Path

from PIL import Image

from wsol.config.image import DEFAULT_DECODING, Decoding
from wsol.data.images import read_fitting
from wsol.errors import BrokenImage

LONGEST_EDGES_PX = (480, 960, 1440, 1920, 2560)
"""Available sizes; a window takes the next larger one."""
CACHE_BYTES = 64 * 2**20
DECODERS = 2
JPEG_QUALITY = 88


class Thumbnails:
    """JPEGs by image and size; the most recent are kept in memory."""

    def __init__(self, decoding: Decoding = DEFAULT_DECODING) -> None:
        """Start without images.

        Args:
            decoding: how the files became pixels at prediction.
        """
        self.decoding = decoding
        self._kept: OrderedDict[tuple[Path, int], bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._decoders = threading.Semaphore(DECODERS)  # many requests at once must not decode as many images at once

    def jpeg(self, path: Path, image_hw: tuple[int, int], longest_px: int) -> bytes:
        """Encode an image as JPEG.

        Args:
            path: the image file.
            image_hw: its (height, width) when it was predicted on.
            longest_px: longest edge of the result.

        Returns:
            The JPEG file's bytes.

        Raises:
            BrokenImage: the image cannot be decoded, or its size has changed.
        """
        with self._lock:
            kept = self._kept.get((path, longest_px))
            if kept is not None:
                self._kept.move_to_end((path, longest_px))
                return kept
        with self._decoders:
            made = _encoded(path, image_hw, longest_px, self.decoding)
        with self._lock:
            if (path, longest_px) not in self._kept:
                self._kept[path, longest_px] = made
                self._bytes += len(made)
            while self._bytes > CACHE_BYTES and len(self._kept) > 1:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return made


def _encoded(path: Path, image_hw: tuple[int, int], longest_px: int, decoding: Decoding) -> bytes:
    pixels, found_hw = read_fitting(path, longest_px, decoding)
    if found_hw != image_hw:
        raise BrokenImage(
            f"{path} has changed",
            expected=f"(height, width) {image_hw}, as when it was predicted on",
            got=f"{found_hw}",
            remedy="Restore the old image, or run `wsol predict` again.",
        )
    code = io.BytesIO()
    Image.fromarray(pixels).save(code, "JPEG", quality=JPEG_QUALITY)
    return code.getvalue()
