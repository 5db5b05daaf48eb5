"""One image: its upright size, whether it has colours or contents, and errors as values."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from fake_data.broken import jpeg, photo
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wsol.checks.image_stats import ImageStats, read_all_stats, read_stats
from wsol.errors import BrokenImage


def stats_of(path: Path) -> ImageStats:
    found = read_stats(path)
    assert isinstance(found, ImageStats)
    return found


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_are_upright_and_rotated_images_are_marked(tmp_path: Path, orientation: int) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(photo(1, (120, 30)), orientation=orientation))
    found = stats_of(tmp_path / "a.jpg")
    assert found.image_hw == ((30, 120) if orientation < 5 else (120, 30))
    assert found.is_turned == (orientation != 1)
    assert found.elongation == 4
    assert found.megapixels == pytest.approx(0.0036)


RED, GREY, PALE = (200, 30, 30), (120, 120, 120), (120, 122, 118)


@pytest.mark.parametrize(
    ("image", "is_grey", "is_blank"),
    [
        pytest.param(photo(1), False, False, id="colours"),
        pytest.param(photo(1).convert("L"), True, False, id="grey"),
        pytest.param(photo(1).convert("L").convert("RGB"), True, False, id="grey, stored as colours"),
        pytest.param(Image.new("RGB", (80, 60), RED), False, True, id="all red"),
        pytest.param(Image.new("RGB", (80, 60), GREY), True, True, id="all grey"),
        pytest.param(Image.new("RGB", (80, 60), PALE), True, True, id="as grey as JPEG leaves it"),
        pytest.param(Image.new("1", (80, 60)), True, True, id="all black"),
        pytest.param(Image.new("RGB", (80, 60), (5, 0, 0)), False, True, id="all of a dark red"),
        pytest.param(Image.linear_gradient("L").point(lambda value: value // 64), True, False, id="dark"),
        pytest.param(Image.new("RGBA", (80, 60), (0, 0, 0, 0)), True, True, id="all transparent"),
    ],
)
def test_colours_and_contents(tmp_path: Path, image: Image.Image, is_grey: bool, is_blank: bool) -> None:
    image.save(tmp_path / "a.png")
    found = stats_of(tmp_path / "a.png")
    assert (found.is_grey, found.is_blank) == (is_grey, is_blank)


def test_one_red_bird_on_grey_is_neither_grey_nor_blank(tmp_path: Path) -> None:
    image = Image.new("RGB", (160, 160), GREY)
    image.paste(RED, (70, 70, 90, 90))
    image.save(tmp_path / "a.png")
    assert not stats_of(tmp_path / "a.png").is_grey and not stats_of(tmp_path / "a.png").is_blank


def test_each_image_is_read_once_and_counted(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.jpg" for number in range(5)]
    for number, path in enumerate(paths):
        path.write_bytes(jpeg(photo(number)))
    paths[2].write_bytes(b"")
    paths[3].unlink()
    counted: list[None] = []
    found = read_all_stats([*paths, *paths], lambda: counted.append(None))
    assert list(found) == paths and len(counted) == 5
    assert [isinstance(one, BrokenImage) for one in found.values()] == [False, False, True, True, False]
    for number in (0, 1, 4):
        np.testing.assert_array_equal(found[paths[number]].thumb, stats_of(paths[number]).thumb)  # type: ignore[union-attr]
    assert read_all_stats([], lambda: None) == {}


@given(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"]), st.integers(0, 10**9), st.integers(0, 40))
def test_any_file_gives_statistics_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, format: str, seed: int, changes: int
) -> None:
    code = io.BytesIO()
    photo(1, (40, 30)).save(code, format)
    contents, random = bytearray(code.getvalue()), np.random.default_rng(seed)
    for place in random.integers(0, min(len(contents), 400), changes):
        contents[place] = random.integers(0, 256)
    path = tmp_path_factory.mktemp("fuzz") / "a.jpg"
    path.write_bytes(contents)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert isinstance(read_stats(path), ImageStats | BrokenImage)
