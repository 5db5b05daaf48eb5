"""Image files that readers often decode wrongly, and a check that wsol decodes them correctly."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from wsol.data.images import ORIENTATION, image_hw, is_image, read_image
from wsol.doctor.lines import Finding, first_line
from wsol.errors import BrokenImage

Pixels = UInt8[np.ndarray, "_ _ 3"]

TOLERANCE = 12.0
"""Largest mean error of 8-bit values by lossy compression; a wrong orientation or channel order gives 60 or more."""
QUADRANT_HW = 32, 48


def quadrants() -> Pixels:
    """Return an image of four colours, which every rotation and every reflection changes."""
    height, width = QUADRANT_HW
    pixels = np.zeros((2 * height, 2 * width, 3), dtype=np.uint8)
    pixels[:height, :width] = 220, 40, 40
    pixels[:height, width:] = 40, 200, 40
    pixels[height:, :width] = 40, 40, 220
    pixels[height:, width:] = 240, 240, 120
    return pixels


def _grey() -> Pixels:
    return np.repeat(np.asarray(Image.fromarray(quadrants()).convert("L"))[:, :, None], 3, axis=2)


def _on_white() -> Pixels:
    pixels = quadrants()
    pixels[: QUADRANT_HW[0], : QUADRANT_HW[1]] = 255
    return pixels


@dataclass(frozen=True)
class OddFile:
    """A kind of image file: its name, how it is written, and the expected pixels; None if decoding must fail."""

    what: str
    name: str
    write: Callable[[Path], None]
    expected: Pixels | None


def _write_turned(path: Path) -> None:
    """Stored rotated, with the EXIF tag for a rotation by 90 degrees clockwise."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(quadrants()).transpose(Image.Transpose.ROTATE_90).save(path, quality=95, exif=exif)


def _write_16_bits(path: Path) -> None:
    Image.fromarray(_grey()[:, :, 0].astype(np.uint16) * 257).save(path)


def _write_palette(path: Path) -> None:
    """The colour of the first quadrant is transparent."""
    image = Image.fromarray(quadrants()).quantize(4)
    image.save(path, transparency=image.getpixel((0, 0)))


def _write_truncated(path: Path) -> None:
    """Cut off within the pixel data: a lenient decoder returns an image with a grey end."""
    whole = io.BytesIO()
    Image.fromarray(quadrants()).save(whole, "JPEG", quality=95)
    path.write_bytes(whole.getvalue()[:-100])


def _write_cmyk(path: Path) -> None:
    Image.fromarray(quadrants()).convert("CMYK").save(path, quality=95)


def _write_plain(path: Path) -> None:
    Image.fromarray(quadrants()).save(path, quality=95)


def odd_files() -> list[OddFile]:
    """List all kinds except AVIF, which not every Pillow reads."""
    return [
        OddFile("JPEG turned by EXIF", "turned.jpg", _write_turned, quadrants()),
        OddFile("CMYK JPEG", "cmyk.jpg", _write_cmyk, quadrants()),
        OddFile("16-bit PNG", "16.png", _write_16_bits, _grey()),
        OddFile("PNG with palette and transparency", "palette.png", _write_palette, _on_white()),
        OddFile(
            "grey JPEG", "grey.jpg", lambda path: Image.fromarray(_grey()[:, :, 0]).save(path, quality=95), _grey()
        ),
        OddFile("truncated JPEG", "truncated.jpg", _write_truncated, None),
        OddFile("WebP", "image.webp", _write_plain, quadrants()),
        OddFile("name with spaces and letters of other languages", "b\u00e4 r \u718a.jpg", _write_plain, quadrants()),
    ]


AVIF = OddFile("AVIF", "image.avif", _write_plain, quadrants())


def decoding() -> list[Finding]:
    """Write, decode and compare all kinds.

    Returns:
        One result for all kinds, and one for AVIF if it cannot be decoded.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = odd_files()
        wrong = [f"{one.what}: {problem}" for one in files if (problem := problem_with(one, Path(folder)))]
        findings = [
            (
                Finding("fail", "; ".join(wrong))
                if wrong
                else Finding(
                    "ok", f"{len(files)} unusual kinds of files are decoded correctly, the truncated one is refused"
                )
            )
        ]
        if ".avif" not in Image.registered_extensions():
            findings.append(Finding("warn", "AVIF: this Pillow cannot read it", "`pip install --upgrade pillow`"))
        elif problem := problem_with(AVIF, Path(folder)):
            findings.append(Finding("warn", f"AVIF: {problem}", "save such images as JPEG or PNG"))
    return findings


def problem_with(odd: OddFile, folder: Path) -> str | None:
    """Write and decode one kind.

    Args:
        odd: the kind.
        folder: where to write the file.

    Returns:
        What is wrong, or None.
    """
    path = folder / odd.name
    try:
        odd.write(path)
        pixels = read_image(path)
        hw = image_hw(path)
    except BrokenImage as broken:
        return None if odd.expected is None else str(broken)
    except Exception as error:
        return first_line(error)
    if odd.expected is None:
        return "decoded, expected a refusal"
    if not is_image(path):
        return f"files named {path.suffix} are not read as images"
    return _difference(pixels, hw, odd.expected)


def _difference(pixels: Pixels, hw: tuple[int, int], expected: Pixels) -> str | None:
    if not pixels.shape[:2] == hw == expected.shape[:2]:
        return (
            f"{pixels.shape[0]} x {pixels.shape[1]} pixels, reported as {hw[0]} x {hw[1]}, expected {expected.shape[0]}"
            f" x {expected.shape[1]}"
        )
    off = float(np.abs(pixels.astype(np.float32) - expected).mean())
    return f"colours are off by {off:.0f} of 255" if off > TOLERANCE else None
