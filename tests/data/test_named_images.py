"""What a user names for a prediction: an image, a folder, a pattern, a list."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wsol.data.named_images import names_of, root_of
from wsol.errors import WsolError

FILES = ("photos/1.jpg", "photos/2.PNG", "photos/notes.md", "photos/night/3.jpg", "other/1.jpg", "photos [new]/4.jpg")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with `FILES`."""
    root = tmp_path / "here"
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    monkeypatch.chdir(root)
    return root


@pytest.mark.parametrize(
    ("images", "root", "names"),
    [
        pytest.param("photos/1.jpg", "photos", ["1.jpg"], id="an image"),
        pytest.param("photos", "photos", ["1.jpg", "2.PNG", "night/3.jpg"], id="a folder"),
        pytest.param("photos [new]", "photos [new]", ["4.jpg"], id="a folder that looks like a pattern"),
        pytest.param("photos [new]/4.jpg", "photos [new]", ["4.jpg"], id="an image that looks like a pattern"),
        pytest.param("photos/*.jpg", "photos", ["1.jpg"], id="a pattern"),
        pytest.param("photos/*", "photos", ["1.jpg", "2.PNG", "night/3.jpg"], id="a pattern of images and folders"),
        pytest.param("*/1.jpg", ".", ["other/1.jpg", "photos/1.jpg"], id="a pattern of folders"),
        pytest.param(
            "**/*.jpg", ".", ["other/1.jpg", "photos [new]/4.jpg", "photos/1.jpg", "photos/night/3.jpg"], id="**"
        ),
        pytest.param("photos/**", "photos", ["1.jpg", "2.PNG", "night/3.jpg"], id="each image once"),
        pytest.param("photos/[0-9].jpg", "photos", ["1.jpg"], id="a range"),
        pytest.param("photos/*.md", "photos", [], id="a pattern without images"),
    ],
)
def test_images_are_named_relative_to_their_folder(here: Path, images: str, root: str, names: list[str]) -> None:
    assert root_of(Path(images)) == Path(root)
    assert list(names_of(Path(images))) == names
    assert root_of(here / images) == here / root
    assert list(names_of(here / images)) == names


@pytest.mark.parametrize(
    ("text", "root", "names"),
    [
        pytest.param("2.PNG\n1.jpg\n", "photos", ["2.PNG", "1.jpg"], id="in its order"),
        pytest.param(
            "\ufeff1.jpg\r\n\r\n  ./night/3.jpg \r\n1.jpg", "photos", ["1.jpg", "night/3.jpg"], id="of Windows"
        ),
        pytest.param(
            "absent.jpg\n1.jpg", "photos", ["absent.jpg", "1.jpg"], id="an absent image is found when decoding"
        ),
        pytest.param("x\0.jpg\n1.jpg", "photos", ["x\0.jpg", "1.jpg"], id="no name of a file"),
        pytest.param("1.jpg\n../other/1.jpg", ".", ["photos/1.jpg", "other/1.jpg"], id="images above the list"),
        pytest.param("{here}/photos/night/3.jpg", "photos", ["night/3.jpg"], id="an absolute path"),
        pytest.param("{here}/other/1.jpg", "other", ["1.jpg"], id="another folder"),
    ],
)
def test_paths_of_a_list_are_relative_to_it(here: Path, text: str, root: str, names: list[str]) -> None:
    table = here / "photos/list.txt"
    table.write_bytes(text.replace("{here}", str(here)).encode())
    for images in (table, Path("photos/list.txt")):
        assert os.path.abspath(root_of(images)) == str((here / root).resolve())
        assert list(names_of(images)) == names


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        pytest.param("absent", None, "does not exist", id="absent"),
        pytest.param("list.txt", b"", "none of the 0 lines", id="an empty list"),
        pytest.param("list.txt", b"7.jpg\n8.jpg", "none of the 2 lines.*'7.jpg'", id="no line is a file"),
        pytest.param("list.txt", b"\xff\xfe1\0", "not UTF-8", id="UTF-16"),
        pytest.param("list.pdf", b"", "no suffix of an image", id="another file"),
    ],
)
def test_what_names_no_image_is_refused(here: Path, name: str, content: bytes | None, words: str) -> None:
    if content is not None:
        (here / name).write_bytes(content)
    with pytest.raises(WsolError, match=words) as raised:
        names_of(here / name)
    assert raised.value.expected
    assert raised.value.remedy
