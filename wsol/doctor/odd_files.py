"""Images of the kinds that other readers get wrong, and whether ours come out as they were drawn."""

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
from wsol.doctor.lines import Seen, first_line
from wsol.errors import BrokenImage

Pixels = UInt8[np.ndarray, "_ _ 3"]

TOLERANCE = 12.0
"""Mean difference of 8-bit values that lossy formats may make; another orientation or channel order makes 60 or
more."""
HALF_HW = 32, 48


def drawn() -> Pixels:
    """Four quadrants, each of another colour, so that no turn and no mirror leaves the image as it was."""
    height, width = HALF_HW
    pixels = np.zeros((2 * height, 2 * width, 3), dtype=np.uint8)
    pixels[:height, :width] = 220, 40, 40
    pixels[:height, width:] = 40, 200, 40
    pixels[height:, :width] = 40, 40, 220
    pixels[height:, width:] = 240, 240, 120
    return pixels


def _grey() -> Pixels:
    return np.repeat(np.asarray(Image.fromarray(drawn()).convert("L"))[:, :, None], 3, axis=2)


def _on_white() -> Pixels:
    pixels = drawn()
    pixels[: HALF_HW[0], : HALF_HW[1]] = 255
    return pixels


@dataclass(frozen=True)
class OddFile:
    """A kind of image: its file, how it is written, and the pixels that have to come out; None if it has to be
    refused.
    """

    what: str
    name: str
    write: Callable[[Path], None]
    expected: Pixels | None


def _write_turned(path: Path) -> None:
    """Stored on its side, with the tag that says so: turn by 90 degrees clockwise to see it upright."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(drawn()).transpose(Image.Transpose.ROTATE_90).save(path, quality=95, exif=exif)


def _write_16_bits(path: Path) -> None:
    Image.fromarray(_grey()[:, :, 0].astype(np.uint16) * 257).save(path)


def _write_palette(path: Path) -> None:
    """The first quadrant's colour is see-through."""
    image = Image.fromarray(drawn()).quantize(4)
    image.save(path, transparency=image.getpixel((0, 0)))


def _write_truncated(path: Path) -> None:
    """Cut within the pixels: a lenient decoder gives an image with a grey end."""
    whole = io.BytesIO()
    Image.fromarray(drawn()).save(whole, "JPEG", quality=95)
    path.write_bytes(whole.getvalue()[:-100])


def _write_cmyk(path: Path) -> None:
    Image.fromarray(drawn()).convert("CMYK").save(path, quality=95)


def _write_plain(path: Path) -> None:
    Image.fromarray(drawn()).save(path, quality=95)


def odd_files() -> list[OddFile]:
    """All kinds; AVIF is not among them."""
    return [
        OddFile("JPEG turned by EXIF", "turned.jpg", _write_turned, drawn()),
        OddFile("CMYK JPEG", "cmyk.jpg", _write_cmyk, drawn()),
        OddFile("16-bit PNG", "16.png", _write_16_bits, _grey()),
        OddFile("PNG with palette and transparency", "palette.png", _write_palette, _on_white()),
        OddFile(
            "grey JPEG", "grey.jpg", lambda path: Image.fromarray(_grey()[:, :, 0]).save(path, quality=95), _grey()
        ),
        OddFile("truncated JPEG", "truncated.jpg", _write_truncated, None),
        OddFile("WebP", "image.webp", _write_plain, drawn()),
        OddFile("name with spaces and letters of other languages", "b\u00e4 r \u718a.jpg", _write_plain, drawn()),
    ]


AVIF = OddFile("AVIF", "image.avif", _write_plain, drawn())


def decoding() -> list[Seen]:
    """Write and read all of them."""
    with tempfile.TemporaryDirectory() as folder:
        files = odd_files()
        wrong = [f"{one.what}: {problem}" for one in files if (problem := problem_with(one, Path(folder)))]
        seen = [
            (
                Seen("fail", "; ".join(wrong))
                if wrong
                else Seen(
                    "ok", f"{len(files)} kinds of odd files come out as they were drawn, the truncated one is refused"
                )
            )
        ]
        if ".avif" not in Image.registered_extensions():
            seen.append(Seen("warn", "AVIF: this Pillow cannot read it", "`pip install --upgrade pillow`"))
        elif problem := problem_with(AVIF, Path(folder)):
            seen.append(Seen("warn", f"AVIF: {problem}", "save such images as JPEG or PNG"))
    return seen


def problem_with(odd: OddFile, folder: Path) -> str | None:
    """What came out wrong; None if nothing did."""
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
        return f"files named {path.suffix} are passed over"
    return _difference(pixels, hw, odd.expected)


def _difference(pixels: Pixels, hw: tuple[int, int], expected: Pixels) -> str | None:
    if not pixels.shape[:2] == hw == expected.shape[:2]:
        return (
            f"{pixels.shape[0]} x {pixels.shape[1]} pixels, told as {hw[0]} x {hw[1]}, expected {expected.shape[0]} x"
            f" {expected.shape[1]}"
        )
    off = float(np.abs(pixels.astype(np.float32) - expected).mean())
    return f"colours are off by {off:.0f} of 255" if off > TOLERANCE else None
