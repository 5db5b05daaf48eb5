"""Files as they are found on disks, to upright RGB pixels or a reason why not."""

from __future__ import annotations

import io
import os
import socket
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import EpsImagePlugin, Image, ImageOps

from wsol.data.eight_bits import used_bits
from wsol.data.images import (
    FORMATS,
    ORIENTATION,
    SUFFIXES,
    as_pixels,
    from_pillow,
    image_hw,
    images_under,
    is_image,
    is_turned,
    open_regular,
    read_fitting,
    read_image,
    read_mask,
    read_square,
)
from wsol.errors import BrokenImage, WsolError

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)
HW = (16, 32)


def quarters(*colours: tuple[int, ...], mode: str = "RGB") -> Image.Image:
    """An image of four plain quarters: upper left, upper right, lower left, lower right."""
    image = Image.new(mode, (HW[1], HW[0]))
    for number, colour in enumerate(colours):
        at = (HW[1] // 2 * (number % 2), HW[0] // 2 * (number // 2))
        image.paste(Image.new(mode, (HW[1] // 2, HW[0] // 2), colour), at)
    return image


FOUR = quarters(RED, GREEN, BLUE, WHITE)


def colours(pixels: NDArray[np.uint8]) -> list[tuple[int, ...]]:
    """The colour in the middle of each quarter."""
    height, width = pixels.shape[:2]
    return [tuple(pixels[height * y // 4, width * x // 4].tolist()) for y in (1, 3) for x in (1, 3)]


def grey(*values: int) -> list[tuple[int, int, int]]:
    return [(value,) * 3 for value in values]


def of_values(values: list[float], dtype: str) -> Image.Image:
    """Four quarters of grey values of any depth."""
    small = np.array(values, dtype=dtype).reshape(2, 2)
    return Image.fromarray(np.kron(small, np.ones((HW[0] // 2, HW[1] // 2), dtype=dtype)))


def palette(**save: object) -> Image.Image:
    """Indices 0 to 3 into four colours."""
    image = quarters(0, 1, 2, 3, mode="P")  # type: ignore[arg-type]
    image.putpalette([*RED, *GREEN, *BLUE, *WHITE])
    image.info |= save
    return image


CASES = [
    pytest.param("a.png", FOUR, {}, [RED, GREEN, BLUE, WHITE], id="RGB png"),
    pytest.param("a.bmp", FOUR, {}, [RED, GREEN, BLUE, WHITE], id="RGB bmp"),
    pytest.param("a.webp", FOUR, {"lossless": True}, [RED, GREEN, BLUE, WHITE], id="RGB webp"),
    pytest.param("a.tif", FOUR, {}, [RED, GREEN, BLUE, WHITE], id="RGB tiff"),
    pytest.param("a.ppm", FOUR, {}, [RED, GREEN, BLUE, WHITE], id="RGB ppm"),
    pytest.param("a.JPG", FOUR, {"quality": 95}, [RED, GREEN, BLUE, WHITE], id="RGB jpeg"),
    pytest.param(
        "a.jpg", FOUR.convert("CMYK"), {"quality": 95}, [RED, GREEN, BLUE, WHITE], id="CMYK jpeg, not a negative"
    ),
    pytest.param("a.jpg", quarters(0, 80, 160, 255, mode="L"), {"quality": 95}, grey(0, 80, 160, 255), id="grey jpeg"),
    pytest.param(
        "a.png",
        of_values([0, 16448, 32896, 65535], "uint16"),
        {},
        grey(0, 64, 128, 255),
        id="16-bit png, not all white",
    ),
    pytest.param("a.tif", of_values([0, 16448, 32896, 65535], "uint16"), {}, grey(0, 64, 128, 255), id="16-bit tiff"),
    pytest.param(
        "a.tif", of_values([-5, 16448, 32896, 65535], "int32"), {}, grey(0, 64, 128, 255), id="32-bit integer tiff"
    ),
    pytest.param(
        "a.tif",
        of_values([-5, 0, 2**29, 2**30 - 1], "int32"),
        {},
        grey(0, 0, 127, 255),
        id="32-bit integer tiff of 30 bits",
    ),
    pytest.param("a.tif", of_values([10, 80, 160, 200], "int32"), {}, grey(10, 80, 160, 200), id="8 bits in 32"),
    pytest.param("a.png", of_values([10, 80, 160, 200], "uint16"), {}, grey(10, 80, 160, 200), id="8 bits in 16"),
    pytest.param("a.png", of_values([40, 320, 640, 800], "uint16"), {}, grey(10, 80, 160, 200), id="10 bits in 16"),
    pytest.param("a.png", of_values([160, 1280, 2560, 3200], "uint16"), {}, grey(10, 80, 160, 200), id="12 bits in 16"),
    pytest.param(
        "a.tif", of_values([640, 5120, 10240, 12800], "uint16"), {}, grey(10, 80, 160, 200), id="14 bits in 16"
    ),
    pytest.param(
        "a.png",
        of_values([0, 16448, 32896, 65535], "uint16"),
        {"transparency": 32896},
        grey(0, 64, 255, 255),
        id="16-bit png, one grey transparent",
    ),
    pytest.param(
        "a.png",
        of_values([160, 1280, 3200, 65535], "uint16"),
        {"transparency": 65535},
        grey(10, 80, 200, 255),
        id="12 bits in 16, no data is transparent",
    ),
    pytest.param("a.png", of_values([0, 0, 0, 0], "uint16"), {}, grey(0, 0, 0, 0), id="16-bit png of zeros"),
    pytest.param("a.tif", of_values([0, 0.25, 0.5, 1], "float32"), {}, grey(0, 63, 127, 255), id="float tiff"),
    pytest.param(
        "a.tif",
        of_values([float("-inf"), 500, 1000, float("inf")], "float32"),
        {},
        grey(0, 127, 255, 255),
        id="float tiff with infinities",
    ),
    pytest.param(
        "a.tif", of_values([-3e38, 0, 1e-30, 3e38], "float32"), {}, grey(0, 0, 0, 255), id="float tiff of all sizes"
    ),
    pytest.param(
        "a.tif",
        of_values([-2, -1, float("nan"), -3], "float32"),
        {},
        grey(0, 0, 0, 0),
        id="float tiff without a positive value",
    ),
    pytest.param(
        "a.tif", of_values([-1, float("nan"), 500, 1000], "float32"), {}, grey(0, 0, 127, 255), id="float tiff with nan"
    ),
    pytest.param("a.tif", of_values([0, 0, 0, 0], "float32"), {}, grey(0, 0, 0, 0), id="float tiff of zeros"),
    pytest.param("a.png", quarters(0, 1, 1, 0, mode="1"), {}, grey(0, 255, 255, 0), id="1 bit"),
    pytest.param("a.tif", quarters(0, 1, 1, 0, mode="1"), {"compression": "group4"}, grey(0, 255, 255, 0), id="a fax"),
    pytest.param(
        "a.png",
        quarters((*RED, 255), (*RED, 0), (*BLUE, 128), (*BLACK, 0), mode="RGBA"),
        {},
        [RED, WHITE, (127, 127, 255), WHITE],
        id="RGBA over white",
    ),
    pytest.param(
        "a.png",
        quarters((90, 255), (90, 0), (0, 128), (0, 0), mode="LA"),
        {},
        grey(90, 255, 127, 255),
        id="LA over white",
    ),
    pytest.param("a.png", palette(), {}, [RED, GREEN, BLUE, WHITE], id="palette"),
    pytest.param(
        "a.png", palette(), {"transparency": 1}, [RED, WHITE, BLUE, WHITE], id="palette, one colour transparent"
    ),
    pytest.param(
        "a.png",
        palette(),
        {"transparency": bytes([255, 0, 128, 255])},
        [RED, WHITE, (127, 127, 255), WHITE],
        id="palette with alpha",
    ),
    pytest.param(
        "a.png",
        FOUR,
        {"transparency": GREEN},
        [RED, WHITE, BLUE, WHITE],
        id="RGB, one colour transparent",
    ),
    pytest.param("a.gif", palette(), {}, [RED, GREEN, BLUE, WHITE], id="gif"),
    pytest.param(
        "a.gif",
        quarters(RED, RED, RED, RED),
        {"save_all": True, "append_images": [quarters(GREEN, GREEN, GREEN, GREEN)] * 2},
        [RED] * 4,
        id="animated gif: the first frame",
    ),
    pytest.param(
        "a.webp",
        quarters((*RED, 255), (*RED, 0), (*BLUE, 255), (*BLACK, 0), mode="RGBA"),
        {"lossless": True},
        [RED, WHITE, BLUE, WHITE],
        id="RGBA webp",
    ),
    pytest.param(
        "a.png",
        FOUR.convert("YCbCr").convert("RGB"),
        {"icc_profile": b"not a profile"},
        [RED, GREEN, BLUE, WHITE],
        id="a senseless colour profile",
    ),
]


@pytest.mark.parametrize(("name", "image", "how", "expected"), CASES)
def test_every_kind_of_file_comes_out_as_rgb(
    tmp_path: Path, name: str, image: Image.Image, how: dict[str, object], expected: list[tuple[int, ...]]
) -> None:
    path = tmp_path / name
    image.save(path, **how)
    pixels = read_image(path)
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(colours(pixels), expected, atol=3)
    assert image_hw(path) == pixels.shape[:2] == HW
    small, on_disk = read_square(path, 8)
    assert on_disk == HW
    assert small.shape == (8, 8, 3)
    np.testing.assert_allclose(colours(small), expected, atol=12)
    assert not is_turned(path)


def png_of(depth: int, colour_type: int, rows: list[bytes], clear: bytes) -> bytes:
    """A PNG of 32 x 16 pixels that Pillow cannot write: other depths, with a colour declared transparent."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data))

    header = struct.pack(">LLBBBBB", HW[1], HW[0], depth, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"tRNS", clear)
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("depth", "colour_type", "left", "right", "clear", "expected"),
    [
        pytest.param(2, 0, b"\x55" * 4, b"\xaa" * 4, b"\0\x02", [85, 255], id="grey of 2 bits"),
        pytest.param(4, 0, b"\x55" * 8, b"\xaa" * 8, b"\0\x05", [255, 170], id="grey of 4 bits"),
        pytest.param(
            4, 0, b"\x55" * 8, b"\xaa" * 8, b"\0\x09", [85, 170], id="grey of 4 bits, no pixel is transparent"
        ),
        pytest.param(16, 0, b"\x11\x11" * 16, b"\xff\xff" * 16, b"\x11\x11", [255, 255], id="grey of 16 bits"),
        pytest.param(16, 2, b"\x11\x12" * 48, b"\x88\x90" * 48, b"\x11\x12" * 3, [255, 136], id="colours of 16 bits"),
        pytest.param(
            16,
            2,
            b"\x11\x12" * 48,
            b"\x88\x90" * 48,
            b"\x90\x88" * 3,
            [17, 136],
            id="colours of 16 bits, no pixel is transparent",
        ),
    ],
)
def test_a_transparent_colour_is_the_one_that_the_file_names(
    tmp_path: Path, depth: int, colour_type: int, left: bytes, right: bytes, clear: bytes, expected: list[int]
) -> None:
    (tmp_path / "a.png").write_bytes(png_of(depth, colour_type, [left + right] * HW[0], clear))
    assert [colour[0] for colour in colours(read_image(tmp_path / "a.png"))] == expected * 2


@given(st.integers(0, 2**31 - 1))
def test_an_image_uses_a_quarter_of_its_range_at_least(peak: int) -> None:
    bits = used_bits(peak)
    assert bits in range(8, 33, 2)
    assert peak < 2**bits
    assert bits == 8 or peak >= 2 ** (bits - 2)


@given(st.integers(1, 400), st.integers(1, 30), st.integers(1, 500))
def test_bands_make_no_difference(width: int, height: int, band_px: int) -> None:
    values = (np.arange(width * height).reshape(height, width) * 37 % 65536).astype(np.uint16)
    for image in (Image.fromarray(values), Image.fromarray(values.astype(np.uint8)).convert("RGBA")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("wsol.data.eight_bits.BAND_PX", band_px)
            in_bands = from_pillow(image)
        np.testing.assert_array_equal(in_bands, from_pillow(image))


TURNS: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright, 2).transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}
"""What a camera held that way stores (EXIF 2.32, tag 0x0112)."""


def orientation(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = number
    return exif


@pytest.mark.parametrize("suffix", ["jpg", "tif", "png", "webp"])
@pytest.mark.parametrize("number", TURNS)
def test_every_orientation_comes_out_upright(tmp_path: Path, number: int, suffix: str) -> None:
    path = tmp_path / f"turned.{suffix}"
    stored = TURNS[number](np.asarray(FOUR))
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=orientation(number), quality=95)
    pixels = read_image(path)
    np.testing.assert_allclose(colours(pixels), [RED, GREEN, BLUE, WHITE], atol=9)
    assert image_hw(path) == pixels.shape[:2] == HW
    square, on_disk = read_square(path, 8)
    assert on_disk == HW
    np.testing.assert_allclose(colours(square), [RED, GREEN, BLUE, WHITE], atol=60)
    assert is_turned(path) == (number != 1)
    with Image.open(path) as opened:
        np.testing.assert_array_equal(from_pillow(opened), pixels)


def exif_by_hand(*entries: tuple[int, int, int, bytes]) -> bytes:
    """An EXIF block of raw (tag, type, count, value) entries, whatever they say."""
    rows = b"".join(struct.pack("<HHL4s", *entry) for entry in entries)
    return b"Exif\0\0II*\0" + struct.pack("<LH", 8, len(entries)) + rows + bytes(4)


SIDEWAYS = (ORIENTATION, 3, 1, b"\6\0\0\0")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning", "ignore:Truncated:UserWarning")
@pytest.mark.parametrize(
    ("exif", "hw"),
    [
        pytest.param(b"Exif\0\0garbage", HW, id="not EXIF"),
        pytest.param(b"", HW, id="empty"),
        pytest.param(exif_by_hand(SIDEWAYS)[:20], HW, id="cut off"),
        pytest.param(exif_by_hand((ORIENTATION, 3, 1, b"\0\0\0\0")), HW, id="orientation 0"),
        pytest.param(exif_by_hand((ORIENTATION, 3, 1, b"\x09\0\0\0")), HW, id="orientation 9"),
        pytest.param(exif_by_hand((ORIENTATION, 2, 2, b"6\0\0\0")), HW, id="orientation as text"),
        pytest.param(exif_by_hand(SIDEWAYS), HW[::-1], id="in order"),
        pytest.param(
            exif_by_hand(SIDEWAYS, (0x011A, 2, 4, b"abc\0")),
            HW[::-1],
            id="a text where a fraction belongs",
        ),
        pytest.param(
            exif_by_hand(SIDEWAYS, (0x0100, 11, 1, struct.pack("<f", 1.5))),
            HW[::-1],
            id="a fraction where a number belongs",
        ),
    ],
)
def test_an_image_survives_its_camera_data(tmp_path: Path, exif: bytes, hw: tuple[int, int]) -> None:
    path = tmp_path / "a.jpg"
    FOUR.save(path, exif=exif)
    assert read_image(path).shape[:2] == image_hw(path) == hw
    assert is_turned(path) == (hw != HW)


def encoded(suffix: str) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (*HW, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, suffix)
    return file.getvalue()


def put(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "make", "reason"),
    [
        pytest.param("a.jpg", put(encoded("jpeg")[:-300]), "truncated", id="truncated jpeg"),
        pytest.param("a.png", put(encoded("png")[:-300]), "", id="truncated png"),
        pytest.param("a.png", put(encoded("png")[:40]), "", id="a png's header alone"),
        pytest.param("a.webp", put(encoded("webp")[:-50]), "", id="truncated webp"),
        pytest.param("a.tif", put(encoded("tiff")[:-300]), "", id="truncated tiff"),
        pytest.param("a.jpg", put(b""), "empty", id="zero bytes"),
        pytest.param("a.jpg", put(b"<html>404 Not Found</html>"), "format is unknown", id="text renamed"),
        pytest.param("a.jpg", Path.mkdir, "folder", id="a folder"),
        pytest.param("a.jpg", lambda path: None, "not exist", id="missing"),
        pytest.param("a.jpg", lambda path: path.symlink_to("nowhere.jpg"), "not exist", id="a link to nowhere"),
    ],
)
def test_what_cannot_be_decoded_is_a_broken_image_with_a_reason(
    tmp_path: Path, name: str, make: Callable[[Path], object], reason: str
) -> None:
    path = tmp_path / name
    make(path)
    for read in (read_image, lambda path: read_square(path, 8)):
        with pytest.raises(BrokenImage) as raised:
            read(path)
        assert str(path) in str(raised.value)
        assert reason in str(raised.value)
        assert raised.value.remedy == "Repair or remove it."


READS: dict[str, Callable[[Path], object]] = {
    "image": read_image,
    "mask": read_mask,
    "square": lambda path: read_square(path, 8),
    "fitting": lambda path: read_fitting(path, 8),
    "size": image_hw,
    "turned": is_turned,
}
RAISED = [
    RuntimeError("Failed to decode frame 0"),
    MemoryError(),
    struct.error("unpack requires 2 bytes"),
    zlib.error("Error -3"),
    OverflowError("too large"),
    AssertionError(),
    KeyError("tag"),
    AttributeError("no tile"),
    TypeError("bytes"),
    ZeroDivisionError("0"),
    RecursionError("depth"),
    SystemError("error return without exception set"),
    EOFError("no more"),
    IndexError("list"),
    NotImplementedError("later"),
    UserWarning("a warning made an error"),
    Image.DecompressionBombError("Image size exceeds the limit."),
]


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["PIL.Image.open", "PIL.PngImagePlugin.PngImageFile.load"])
def test_whatever_a_decoder_raises_is_a_broken_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> object:
        raise error

    FOUR.save(tmp_path / "a.png")
    monkeypatch.setattr(where, fail)
    for read in READS.values():
        with pytest.raises(BrokenImage, match=r"a\.png.*(Repair|Scale it down)"):
            read(tmp_path / "a.png")


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(3), WsolError("ours")], ids=lambda e: type(e).__name__
)
def test_what_no_decoder_raises_is_no_broken_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*_: object, **__: object) -> object:
        raise error

    FOUR.save(tmp_path / "a.png")
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
    for read in READS.values():
        with pytest.raises(type(error)) as raised:
            read(tmp_path / "a.png")
        assert not isinstance(raised.value, BrokenImage)


@pytest.mark.skipif("AVIF" not in FORMATS, reason="this Pillow reads no AVIF")
def test_a_damaged_avif_is_a_broken_image_under_any_name(tmp_path: Path) -> None:
    whole = encoded("avif")
    start = whole.find(b"mdat") + 4
    path = tmp_path / "a.jpg"
    for damaged in (
        whole[:start] + bytes(len(whole) - start),
        whole.replace(b"ftypavif", b"ftypmif1").replace(b"av01", b"hvc1").replace(b"av1C", b"hvcC"),
        whole[: len(whole) // 2],
    ):
        path.write_bytes(damaged)
        with pytest.raises(BrokenImage, match=r"a\.jpg"):
            read_image(path)
    path.write_bytes(whole)
    assert read_image(path).shape[:2] == image_hw(path) == HW


def test_every_format_is_pillows_and_every_suffix_belongs_to_it() -> None:
    Image.init()
    known = Image.registered_extensions()
    assert set(FORMATS) <= set(Image.OPEN)
    assert {known[suffix] for suffix in SUFFIXES} <= {*FORMATS, "MPO"}


OTHERS = ["DIB", "ICNS", "ICO", "JPEG2000", "MSP", "PCX", "PDF", "SGI", "SPIDER", "TGA", "XBM", "BLP", "DDS", "EPS"]


@pytest.mark.parametrize("format", OTHERS)
def test_no_other_decoder_runs_under_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (tools / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    mode = {"BLP": "P", "MSP": "1", "XBM": "1", "SPIDER": "F"}.get(format, "RGB")
    path, code = tmp_path / "a.jpg", io.BytesIO()  # given a name, SPIDER's encoder takes its suffix for its own
    Image.new("RGB", (64, 64)).convert(mode).save(code, format)
    path.write_bytes(code.getvalue())
    for read in READS.values():
        with pytest.raises(BrokenImage, match="its format is unknown"):
            read(path)
    assert not (tmp_path / "ran").exists()


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


SPECIAL = [
    pytest.param(os.mkfifo, "a named pipe", id="a pipe"),
    pytest.param(make_socket, "a socket", id="a socket"),
    pytest.param(lambda path: path.symlink_to("/dev/zero"), "a device", id="a link to a device without end"),
    pytest.param(lambda path: path.symlink_to("/dev/tty"), "a device", id="a link to the terminal"),
    pytest.param(lambda path: path.symlink_to(path.parent), "a folder", id="a link to a folder"),
]


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(("make", "reason"), SPECIAL)
def test_what_is_no_regular_file_is_broken_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path may not be long
    path = Path("a.jpg")
    make(path)
    for read in (*READS.values(), open_regular):
        with pytest.raises(BrokenImage, match=f"a.jpg: it is {reason}"):
            read(path)


@pytest.mark.usefixtures("soon")
def test_a_file_that_becomes_a_pipe_while_it_is_opened_is_broken_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FOUR.save(tmp_path / "before.png")
    os.mkfifo(tmp_path / "a.png")
    regular = os.stat(tmp_path / "before.png")
    with monkeypatch.context() as patch, pytest.raises(BrokenImage, match="a named pipe"):
        patch.setattr(os, "stat", lambda path: regular)
        read_image(tmp_path / "a.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_image_that_may_not_be_read_is_broken(tmp_path: Path, new_image: Callable[..., Path]) -> None:
    path = new_image(tmp_path / "a.png")
    path.chmod(0)
    for read in (read_image, image_hw):
        with pytest.raises(BrokenImage, match="may not be read"):
            read(path)
    tmp_path.chmod(0)
    try:
        with pytest.raises(WsolError, match="Change its permissions"):
            list(images_under(tmp_path))
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("suffix", ["jpeg", "png", "webp", "gif", "bmp", "tiff"])
def test_damaged_bytes_give_an_image_or_a_broken_image_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    random, whole = np.random.default_rng(0), encoded(suffix)
    path = tmp_path / f"a.{suffix}"
    for _ in range(60):
        damaged = np.frombuffer(whole, dtype=np.uint8).copy()
        damaged[random.integers(0, min(len(whole), 200), 3)] = random.integers(0, 256, 3)
        path.write_bytes(damaged[: random.integers(len(whole) // 2, 2 * len(whole))].tobytes())
        try:
            assert read_image(path).shape[:2] == image_hw(path)
        except BrokenImage as broken:
            assert str(path) in str(broken)


@pytest.mark.parametrize(
    "name",
    ["two words.png", "Käuzchen 梟.png", "'quoted\" & ;.png", "-r.png", "a.b.c.PNG", os.fsdecode(b"byte \xff.png")],
)
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    if sys.platform != "linux" and "\udcff" in name:
        pytest.skip("such names exist on Linux only")
    path = tmp_path / name
    with path.open("wb") as file:
        FOUR.save(file, "png")
    assert list(images_under(tmp_path)) == [path]
    assert colours(read_image(path)) == [RED, GREEN, BLUE, WHITE]
    path.write_bytes(b"")
    with pytest.raises(BrokenImage) as raised:
        read_image(path)
    assert str(path) in str(raised.value)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_an_image_of_168_megapixels_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"panorama.{suffix}"
    image = Image.new("L" if suffix == "jpg" else "1", (14000, 12000))
    image.paste(255 if suffix == "jpg" else 1, (0, 0, 7000, 6000))
    image.save(path)
    pixels, on_disk = read_square(path, 16)
    assert on_disk == (12000, 14000)
    np.testing.assert_allclose(colours(pixels), grey(255, 0, 0, 0), atol=2)


def png_that_claims(width: int, height: int) -> bytes:
    """The first bytes of a grey PNG; the rest would be gigabytes."""
    header = b"IHDR" + struct.pack(">LLBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">L", 13)
        + header
        + struct.pack(">L", zlib.crc32(header))
        + struct.pack(">L", 0)
        + b"IDAT"
        + struct.pack(">L", zlib.crc32(b"IDAT"))
    )


def test_an_image_over_the_limit_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_that_claims(20000, 20000))
    for read in (read_image, image_hw, lambda path: read_square(path, 8)):
        with pytest.raises(BrokenImage, match=r"bomb\.png is too large.*Scale it down"):
            read(path)


@pytest.mark.parametrize("hw", [(1, 1), (1, 50), (50, 1), (700, 900)])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_square_is_the_whole_image_squashed(tmp_path: Path, hw: tuple[int, int], suffix: str) -> None:
    ramp = np.linspace(0, 255, hw[1])[None, :, None] * np.ones((hw[0], 1, 3))
    Image.fromarray(ramp.astype(np.uint8)).save(tmp_path / f"a.{suffix}", quality=95)
    pixels, on_disk = read_square(tmp_path / f"a.{suffix}", 64)
    assert pixels.shape == (64, 64, 3)
    assert on_disk == hw
    reference = (
        ImageOps.fit(Image.fromarray(read_image(tmp_path / f"a.{suffix}")), (64, 64), Image.Resampling.BILINEAR)
        if hw[0] == hw[1]
        else None
    )
    reference = reference or Image.fromarray(read_image(tmp_path / f"a.{suffix}")).resize(
        (64, 64), Image.Resampling.BILINEAR
    )
    np.testing.assert_allclose(pixels.astype(int), np.asarray(reference).astype(int), atol=6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", True),
        ("a.JPEG", True),
        ("a.tiff", True),
        ("a.webp", True),
        (".a.jpg", False),
        ("._a.jpg", False),
        ("a.txt", False),
        ("jpg", False),
        ("a.jpg.part", False),
    ],
)
def test_images_are_known_by_their_names(name: str, expected: bool) -> None:
    assert is_image(Path("folder") / name) == expected


def test_images_are_found_in_order_below_folders_that_are_not_hidden(
    tmp_path: Path, new_image: Callable[..., Path]
) -> None:
    for name in ("b/2.png", "b/1.png", "a/z/1.png", "a/1.png", "c.png", ".cache/1.png", "a/.thumbs/1.png", "a/.1.png"):
        new_image(tmp_path / name)
    (tmp_path / "a" / "notes.txt").write_text("no image")
    assert [path.relative_to(tmp_path).as_posix() for path in images_under(tmp_path)] == [
        "c.png",
        "a/1.png",
        "a/z/1.png",
        "b/1.png",
        "b/2.png",
    ]


def test_linked_folders_are_followed(tmp_path: Path, new_image: Callable[..., Path]) -> None:
    new_image(tmp_path / "elsewhere" / "1.png")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "elsewhere")
    assert list(images_under(tmp_path / "here")) == [tmp_path / "here/link/1.png"]


def test_a_link_back_up_does_not_multiply_images(tmp_path: Path, new_image: Callable[..., Path]) -> None:
    new_image(tmp_path / "a" / "1.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert list(images_under(tmp_path)) == [tmp_path / "a/1.png"]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        pytest.param(np.full((2, 3, 3), 7, np.uint8), 7, id="RGB"),
        pytest.param(np.full((2, 3), 7, np.uint8), 7, id="grey"),
        pytest.param(np.full((2, 3, 1), 7, np.uint8), 7, id="grey with an axis"),
        pytest.param(np.full((2, 3, 4), 0, np.uint8), 255, id="transparent over white"),
        pytest.param(np.full((4, 6, 3), 7, np.uint8)[::2, ::-2], 7, id="a view with steps"),
    ],
)
def test_arrays_of_pixels_are_taken_as_rgb(array: NDArray[np.uint8], expected: int) -> None:
    assert (as_pixels(array) == np.full((2, 3, 3), expected)).all()


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(np.zeros((2, 3, 3)), id="fractions"),
        pytest.param(np.zeros((2, 3, 3), np.uint16), id="16 bit"),
        pytest.param(np.zeros((3, 20, 30), np.uint8), id="channels first"),
        pytest.param(np.zeros((1, 2, 3, 3), np.uint8), id="a batch"),
        pytest.param(np.zeros((0, 3, 3), np.uint8), id="no rows"),
        pytest.param(np.zeros(3, np.uint8), id="a row"),
    ],
)
def test_other_arrays_are_refused_with_their_shape(array: NDArray[np.uint8]) -> None:
    with pytest.raises(WsolError, match=r"expected uint8 pixels.*got .*" + str(array.dtype)) as raised:
        as_pixels(array)
    assert str(array.shape) in str(raised.value)
