"""Images of more than 8 bits and of several pages, to the 8 bits that every command sees."""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fake_data.tiff import ramp, write_tiff
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from wsol.config.image import Decoding, range_of
from wsol.data.eight_bits import eight_bits, windowed
from wsol.data.images import (
    as_pixels,
    depends_on,
    from_pillow,
    image_hw,
    is_turned,
    pages_of,
    read_fitting,
    read_image,
    read_square,
)
from wsol.errors import BrokenImage

AUTO, FIXED, PERCENTILES = Decoding(), Decoding(window="0,1000"), Decoding(window="10%,90%")
READS = {
    "image": read_image,
    "square": lambda path, decoding: read_square(path, 8, decoding)[0],
    "fitting": lambda path, decoding: read_fitting(path, 8, decoding)[0],
}


def by_hand(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Black at low, white at high, linear between, pixel by pixel."""

    def grey(value: float) -> int:
        if math.isnan(value):
            return 0
        return round(255 * min(max((float(value) - low) / (high - low), 0), 1))

    return np.array([grey(value) for value in values.reshape(-1)], np.uint8).reshape(values.shape)


def percentile_by_sorting(values: NDArray[Any], percentile: float) -> float:
    """The smallest finite value with at least this percentage of the finite values up to it."""
    finite = sorted(float(value) for value in values.reshape(-1) if math.isfinite(value))
    return next(value for i, value in enumerate(finite, 1) if 100 * i >= percentile * len(finite) - 1e-9)


def grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    assert (pixels == pixels[:, :, :1]).all()
    return pixels[:, :, 0]


ONE_CHANNEL = [
    pytest.param(dtype, order, id=f"{dtype}{' big-endian' * (order == '>')}")
    for order in "<>"
    for dtype in ("u2", "i2", "i4", "f4", "u4")
    if (dtype, order) != ("u4", ">")
]


@pytest.mark.parametrize(("dtype", "order"), ONE_CHANNEL)
def test_a_fixed_window_is_the_same_grey_for_every_kind_of_value(tmp_path: Path, dtype: str, order: str) -> None:
    values = ramp(dtype, -300 if dtype[0] in "if" else 0, 1200)
    path = write_tiff(tmp_path / "a.tif", [values], order=order)
    np.testing.assert_allclose(grey(read_image(path, FIXED)), by_hand(values, 0, 1000), atol=1)  # halves
    low, high = (percentile_by_sorting(values, one) for one in (10, 90))
    np.testing.assert_allclose(grey(read_image(path, PERCENTILES)), by_hand(values, low, high), atol=1)


def test_unsigned_values_above_the_signed_range_are_bright(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", [ramp("u4", 0, 4e9)])
    for decoding in (AUTO, PERCENTILES, Decoding(window="0,4000000000")):
        rising = grey(read_image(path, decoding)).reshape(-1).astype(int)
        assert (np.diff(rising) >= 0).all() and rising[-1] > 230


SAVED = {
    "png": lambda path, values: Image.fromarray(values).save(path),
    "tif": lambda path, values: Image.fromarray(values).save(path, compression="tiff_lzw"),
    "pgm": lambda path, values: path.write_bytes(b"P5 16 8 1023\n" + values.astype(">u2").tobytes()),
    "pnm": lambda path, values: path.write_bytes(b"P2 16 8 1023\n" + b" ".join(b"%d" % v for v in values.reshape(-1))),
}


@pytest.mark.parametrize("suffix", SAVED)
def test_a_fixed_window_is_in_values_of_the_file(tmp_path: Path, suffix: str) -> None:
    values = ramp("u2", 0, 1023)
    path = tmp_path / f"a.{suffix}"
    SAVED[suffix](path, values)
    np.testing.assert_allclose(grey(read_image(path, Decoding(window="100,900"))), by_hand(values, 100, 900), atol=1)


NUMBERS = st.floats(width=32) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1.0])


@given(arrays(np.float32, (3, 4), elements=NUMBERS), st.floats(0, 99), st.floats(0.5, 100))
def test_percentiles_are_of_finite_values(values: NDArray[np.float32], low: float, above: float) -> None:
    window = range_of(f"{low}%,{min(low + above, 100)}%")
    assert window is not None
    pixels = eight_bits(values, window)
    assert (pixels[np.isnan(values)] == 0).all()
    if not np.isfinite(values).any():
        assert (pixels[values == math.inf] == 255).all() and (pixels[values != math.inf] == 0).all()
        return
    limits = [percentile_by_sorting(values, one) for one in (window.low, window.high)]
    np.testing.assert_array_equal(pixels, windowed(values, *limits))
    order = np.argsort(np.nan_to_num(values, nan=-math.inf), axis=None)
    assert (np.diff(pixels.reshape(-1)[order].astype(int)) >= 0).all(), "brighter stays brighter"


@given(arrays(np.uint16, (4, 5)), st.integers(0, 99))
def test_counting_16_bit_values_gives_the_same_percentiles_as_sorting(values: NDArray[np.uint16], low: int) -> None:
    window = range_of(f"{low}%,100%")
    assert window is not None
    np.testing.assert_array_equal(eight_bits(values, window), eight_bits(values.astype(np.int32), window))


@pytest.mark.parametrize("value", [0.0, -5.0, 7.5, math.nan, math.inf])
@pytest.mark.parametrize("window", ["auto", "1%,99%", "-10,10"])
def test_a_constant_image_has_one_grey(tmp_path: Path, value: float, window: str) -> None:
    path = write_tiff(tmp_path / "a.tif", [np.full((4, 6), value, np.float32)])
    assert len(np.unique(read_image(path, Decoding(window=window)))) == 1


def test_a_window_of_one_value_shows_what_is_above_it(tmp_path: Path) -> None:
    values = np.zeros((10, 20), np.float32)
    values[0, 0] = 9
    path = write_tiff(tmp_path / "a.tif", [values])
    pixels = grey(read_image(path, Decoding(window="1%,99%")))
    assert pixels[0, 0] == 255 and pixels.sum() == 255


def test_without_a_window_floats_with_nan_and_negative_values_are_as_ever(tmp_path: Path) -> None:
    values = np.array([[-4, 0, 1], [2, np.nan, 4]], np.float32)
    path = write_tiff(tmp_path / "a.tif", [values])
    np.testing.assert_array_equal(grey(read_image(path)), [[0, 0, 63], [127, 0, 255]])


COLOURS = np.random.default_rng(0).integers(0, 4096, (9, 13, 3)).astype(np.uint16)
AS_COLOURS: dict[str, list[int]] = {"png": [], "tif": [cv2.IMWRITE_TIFF_COMPRESSION, 1]} | {
    f"compression {number}.tif": [cv2.IMWRITE_TIFF_COMPRESSION, number] for number in (5, 8, 32773)
}


@pytest.mark.parametrize("name", AS_COLOURS)
def test_all_16_bits_of_colours_are_windowed(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"a.{name}"
    assert cv2.imwrite(str(path), COLOURS[:, :, ::-1], AS_COLOURS[name])
    np.testing.assert_allclose(read_image(path, Decoding(window="0,4095")), by_hand(COLOURS, 0, 4095), atol=1)
    low, high = (percentile_by_sorting(COLOURS, one) for one in (10, 90))
    np.testing.assert_allclose(read_image(path, PERCENTILES), by_hand(COLOURS, low, high), atol=1)
    np.testing.assert_array_equal(read_image(path), COLOURS >> 8, "the upper bits, as ever")


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("orientation", [1, 6])
def test_colours_of_any_byte_order_and_orientation_are_windowed(tmp_path: Path, order: str, orientation: int) -> None:
    path = write_tiff(tmp_path / "a.tif", [COLOURS], order=order, orientation=orientation)
    upright = np.rot90(COLOURS, -1) if orientation == 6 else COLOURS
    pixels = read_image(path, Decoding(window="0,4095"))
    np.testing.assert_allclose(pixels, by_hand(upright, 0, 4095), atol=1)
    assert image_hw(path) == pixels.shape[:2] and is_turned(path) == (orientation == 6)


def test_transparency_stays_beside_a_window(tmp_path: Path) -> None:
    alpha = np.zeros((9, 13, 1), np.uint16)
    alpha[3:] = 65535
    cv2.imwrite(str(tmp_path / "a.png"), np.concatenate([COLOURS[:, :, ::-1], alpha], axis=2))
    pixels = read_image(tmp_path / "a.png", Decoding(window="0,4095"))
    assert (pixels[:3] == 255).all()
    np.testing.assert_allclose(pixels[3:], by_hand(COLOURS, 0, 4095)[3:], atol=1)


@pytest.mark.parametrize("window", ["1%,99%", "10,20"])
def test_8_bits_are_never_windowed(tmp_path: Path, window: str) -> None:
    values = np.random.default_rng(1).integers(40, 80, (9, 13, 3)).astype(np.uint8)
    for name, image in (
        ("a.png", Image.fromarray(values)),
        ("b.png", Image.fromarray(values[:, :, 0])),
        ("c.tif", Image.fromarray(values)),
        ("d.png", Image.fromarray(values).convert("P")),
        ("e.jpg", Image.fromarray(values)),
    ):
        image.save(tmp_path / name)
        decoding = Decoding(window=window)
        np.testing.assert_array_equal(read_image(tmp_path / name, decoding), read_image(tmp_path / name))
        assert not depends_on(tmp_path / name, decoding)


@pytest.mark.parametrize("name", READS)
def test_every_size_of_an_image_has_the_same_window(tmp_path: Path, name: str) -> None:
    path = write_tiff(tmp_path / "a.tif", [ramp("u2", 1000, 1050, (64, 64))])
    pixels = READS[name](path, Decoding(window="1%,99%"))
    assert pixels.min() < 30 and pixels.max() > 225
    assert READS[name](path, AUTO).max() - READS[name](path, AUTO).min() < 20
    assert depends_on(path, Decoding(window="1%,99%")) and not depends_on(path, AUTO)


def test_arrays_and_pillow_images_have_the_window_too() -> None:
    values = ramp("u2", 0, 2000)
    expected = np.repeat(by_hand(values, 0, 1000)[:, :, None], 3, axis=2)
    for pixels in (
        as_pixels(values, FIXED),
        as_pixels(values[:, :, None].astype(np.float32), FIXED),
        as_pixels(np.repeat(values[:, :, None], 3, axis=2).astype(np.int64), FIXED),
        from_pillow(Image.fromarray(values), FIXED),
    ):
        np.testing.assert_allclose(pixels, expected, atol=1)


WRONG = [
    pytest.param(np.zeros((4, 6, 2), np.uint16), {}, ["2 channels", "16-bit"], id="2 channels"),
    pytest.param(np.zeros((4, 6, 5), np.uint16), {}, ["5 channels", "16-bit"], id="5 channels"),
    pytest.param(np.zeros((4, 6, 5), np.uint8), {}, ["5 channels", "8-bit"], id="5 channels of 8 bits"),
    pytest.param(np.zeros((4, 6), np.float64), {}, ["1 channel", "64-bit floats"], id="64-bit floats"),
    pytest.param(np.zeros((4, 6, 3), np.float32), {}, ["3 channels", "32-bit floats"], id="coloured floats"),
    pytest.param(np.zeros((4, 6), np.uint32), {"order": ">"}, ["32-bit", "big-endian"], id="big-endian uint32"),
    pytest.param(COLOURS, {"is_planar": True}, ["3 channels", "one after another"], id="planar colours"),
]


@pytest.mark.parametrize(("values", "how", "words"), WRONG)
@pytest.mark.parametrize("decoding", [AUTO, PERCENTILES], ids=["auto", "window"])
def test_a_tiff_that_cannot_be_read_says_what_it_is(
    tmp_path: Path, values: NDArray[Any], how: dict[str, Any], words: list[str], decoding: Decoding
) -> None:
    path = write_tiff(tmp_path / "a.tif", [values], **how)
    for read in (*READS.values(), lambda path, _: image_hw(path)):
        with pytest.raises(BrokenImage) as raised:
            read(path, decoding)
        assert all(word in str(raised.value) for word in ["a.tif", *words])
        assert "channels" in str(raised.value.remedy)


@pytest.mark.parametrize("length", range(0, 480, 7))
def test_a_damaged_tiff_is_a_broken_image(tmp_path: Path, length: int) -> None:
    path = write_tiff(tmp_path / "a.tif", [np.zeros((4, 6, 5), np.uint16)])
    path.write_bytes(path.read_bytes()[:length])
    for decoding in (AUTO, Decoding(window="1%,99%", page=2)):
        with pytest.raises(BrokenImage, match=r"a\.tif"):
            read_image(path, decoding)


def png_of_grey_and_transparency(values: NDArray[np.uint16]) -> bytes:
    """A PNG of 16-bit grey with an alpha channel, which neither Pillow nor OpenCV writes."""
    height, width = values.shape[:2]
    rows = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in values))
    chunks = (b"IHDR" + struct.pack(">LLBBBBB", width, height, 16, 4, 0, 0, 0), b"IDAT" + rows, b"IEND")
    framed = (struct.pack(">L", len(one) - 4) + one + struct.pack(">L", zlib.crc32(one)) for one in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.png", png_of_grey_and_transparency(COLOURS[:, :, :2]), id="grey with transparency"),
        pytest.param("a.ppm", b"P6 13 9 4095\n" + COLOURS.astype(">u2").tobytes(), id="colours of a PPM"),
    ],
)
def test_depth_that_pillow_drops_is_refused_with_a_window(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert read_image(path).shape == (9, 13, 3)
    with pytest.raises(BrokenImage, match="16 bits"):
        read_image(path, FIXED)


PAGES = [np.full((4, 6), 10 * page, np.uint8) for page in (1, 2, 3)]


def test_pages_are_counted_from_1_and_the_first_is_the_default(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", PAGES)
    assert pages_of(path) == 3
    for read in READS.values():
        assert read(path, AUTO).max() == 10
        assert [int(read(path, Decoding(page=page)).max()) for page in (1, 2, 3)] == [10, 20, 30]
    assert depends_on(path, Decoding(page=2)) and not depends_on(path, Decoding(page=1))


def test_the_page_of_deep_colours_is_read_with_all_bits(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", [COLOURS // 2, COLOURS])
    pixels = read_image(path, Decoding(window="0,4095", page=2))
    np.testing.assert_allclose(pixels, by_hand(COLOURS, 0, 4095), atol=1)


def test_an_image_without_the_page_is_broken_and_says_how_many_it_has(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", PAGES)
    with pytest.raises(BrokenImage, match="page 4.*3 pages"):
        read_image(path, Decoding(page=4))
    Image.fromarray(PAGES[0]).save(tmp_path / "a.png")
    with pytest.raises(BrokenImage, match="page 2.*1 page"):
        read_image(tmp_path / "a.png", Decoding(page=2))
    assert read_image(tmp_path / "a.png", Decoding(page=1)).max() == 10


def test_frames_of_an_animation_are_no_pages(tmp_path: Path) -> None:
    frames = [Image.fromarray(page) for page in PAGES]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert pages_of(tmp_path / "a.gif") == 1
    with pytest.raises(BrokenImage, match="page 2"):
        read_image(tmp_path / "a.gif", Decoding(page=2))


def test_a_page_of_another_size_is_broken(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", [np.zeros((8, 8), np.uint8), np.zeros((4, 4), np.uint8)])
    with pytest.raises(BrokenImage, match="another size.*8 x 8.*4 x 4"):
        read_image(path, Decoding(page=2))


@pytest.mark.parametrize(
    "text", ["", "1", "1,2,3", "99%,1%", "5,5", "-1%,50%", "1%,101%", "1%,99", "nan,1", "0,inf", "a,b", "AUTO"]
)
def test_a_window_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="percentiles"):
        Decoding(window=text)


def test_only_what_is_chosen_is_written_down() -> None:
    assert Decoding().changes() == {}
    assert Decoding(window="auto").changes() == {}
    assert Decoding(window="0,1", page=2).changes() == {"window": "0,1", "page": 2}
