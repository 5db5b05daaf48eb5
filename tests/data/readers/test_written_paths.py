"""Images are found by the names that other programs wrote, and never outside the folder of the images."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_data.images import write_image
from hypothesis import given
from hypothesis import strategies as st

from wsol.data.readers.written_paths import WrittenPaths, found_below, parts_of


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        pytest.param("a/1.jpg", "a/1.jpg", id="relative"),
        pytest.param("./a//1.jpg", "a/1.jpg", id="with blanks"),
        pytest.param("/home/me/1.jpg", "home/me/1.jpg", id="absolute"),
        pytest.param("C:\\me\\1.jpg", "me/1.jpg", id="Windows"),
        pytest.param("../../x/1.jpg", "x/1.jpg", id="upwards"),
        pytest.param("a/../../etc/passwd", "etc/passwd", id="upwards on a detour"),
        pytest.param("a/..", "", id="nothing below"),
        pytest.param("..", "", id="the folder above"),
        pytest.param("", "", id="nothing"),
        pytest.param("a\0b.jpg", "", id="a zero"),
        pytest.param("x" * 300, "", id="too long for a disk"),
        pytest.param("/data/local-files/?d=birds%2Fmy%20owl.jpg", "birds/my owl.jpg", id="local files"),
        pytest.param("/data/local-files/?d=../../etc/passwd", "etc/passwd", id="local files upwards"),
        pytest.param("/data/upload/3/a1b2c3d4-owl%23.jpg", "data/upload/3/a1b2c3d4-owl#.jpg", id="an upload"),
        pytest.param("file:///home/me/1.jpg", "home/me/1.jpg", id="a file URL"),
        pytest.param("https://example.org/birds/1.jpg?size=2#x", "birds/1.jpg", id="a URL"),
        pytest.param("s3://bucket/birds/1.jpg", "birds/1.jpg", id="a bucket"),
        pytest.param("http://[::1/1.jpg", "", id="half an address"),
        pytest.param("50%20off.jpg", "50%20off.jpg", id="a percent sign in a plain path"),
    ],
)
def test_a_written_path_has_the_parts_below_every_way_up(written: str, parts: str) -> None:
    assert "/".join(parts_of(written)) == parts


@given(st.text() | st.lists(st.sampled_from(["..", ".", "a", "", "1.jpg", "C:", "\\"])).map("/".join))
def test_no_part_leads_upwards(written: str) -> None:
    assert not {"..", ".", ""} & {*parts_of(written)}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in ("owl.jpg", "night/1.jpg", "day/1.jpg", "day/wren.jpg", "0a1b2c3d-tit.jpg"):
        write_image(tmp_path / "images" / name)
    write_image(tmp_path / "secret.jpg")
    return tmp_path / "images"


@pytest.mark.parametrize(
    ("written", "found"),
    [
        pytest.param("owl.jpg", "owl.jpg", id="as it is"),
        pytest.param("day/1.jpg", "day/1.jpg", id="below"),
        pytest.param("/home/me/day/1.jpg", "day/1.jpg", id="the end of a path"),
        pytest.param("https://example.org/x/wren.jpg", "day/wren.jpg", id="the only one of its name"),
        pytest.param("x/1.jpg", None, id="one of two of its name"),
        pytest.param("../secret.jpg", None, id="above"),
        pytest.param("absent.jpg", None, id="absent"),
        pytest.param("", None, id="nothing"),
        pytest.param("data/upload/1/e5f6a7b8-owl.jpg", "owl.jpg", id="uploaded"),
        pytest.param("e5f6a7b8-wren.jpg", "day/wren.jpg", id="uploaded, below"),
        pytest.param("e5f6a7b-owl.jpg", None, id="seven digits"),
        pytest.param("0a1b2c3d-tit.jpg", "0a1b2c3d-tit.jpg", id="digits that are in the name"),
    ],
)
def test_images_are_found_below_their_folder_only(images: Path, written: str, found: str | None) -> None:
    assert WrittenPaths(images, uploaded=True).find(written) == found


def test_digits_are_removed_only_where_a_tool_writes_them(images: Path) -> None:
    assert WrittenPaths(images).find("e5f6a7b8-owl.jpg") is None


def test_usual_names_are_taken_as_they_are_and_names_above_never(images: Path) -> None:
    path_of = found_below([images / "absent", images], ["owl.jpg", "x/owl.jpg"])
    assert path_of("owl.jpg") == images / "owl.jpg"
    assert path_of("x/wren.jpg") == images / "x/wren.jpg", "one of the first names is there, so there is no search"
    assert path_of("../secret.jpg") == images / "secret.jpg"
    assert found_below([images / "absent", images], ["x/wren.jpg"])("x/wren.jpg") == images / "day/wren.jpg"
    assert (
        found_below([images / "absent", images], ["../../upload/0f0f0f0f-owl.jpg"])("../../upload/0f0f0f0f-owl.jpg")
        == images / "owl.jpg"
    )
