"""Images of types that we do not read are counted; other files beside images are not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from wsol.commands import fit
from wsol.data.open import open_data
from wsol.data.unread import in_words, unread_of, unread_under
from wsol.errors import WsolError

JPEG, HEIC, FILM = b"\xff\xd8\xff\xe0", b"\0\0\0\x18ftypheic\0\0", b"\0\0\0\x18ftypmp42\0\0"


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        pytest.param("a.heic", HEIC, ".heic", id="of a telephone"),
        pytest.param("a.HEIC", b"", ".heic", id="in capitals, whatever it holds"),
        pytest.param("a.CR2", b"", ".cr2", id="of a camera"),
        pytest.param("a.dcm", b"", ".dcm", id="of a clinic"),
        pytest.param("4f2a", JPEG, "without a suffix", id="a JPEG without a suffix"),
        pytest.param("a.jpg_large", JPEG, ".jpg_large", id="a JPEG under a name that a site gave it"),
        pytest.param("a.jpg~", HEIC, ".jpg~", id="a HEIF under a name that an editor gave it"),
        pytest.param("a.jpg", HEIC, None, id="what is opened, and found broken then"),
        pytest.param("README", b"about these", None, id="a text without a suffix"),
        pytest.param("a.mp4", FILM, None, id="a film"),
        pytest.param("a.wav", b"RIFF\0\0\0\0WAVE", None, id="a sound"),
        pytest.param("a.txt", b"0 0.5 0.5 1 1", None, id="a label"),
        pytest.param("a.json", JPEG, None, id="never opened"),
        pytest.param("._a.heic", b"", None, id="hidden"),
        pytest.param("@eaDir/a.heic", b"", None, id="litter"),
        pytest.param("empty", b"", None, id="empty"),
    ],
)
def test_a_file_is_counted_if_it_looks_like_an_image(
    tmp_path: Path, name: str, content: bytes, kind: str | None
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    assert unread_under([tmp_path]) == ({} if kind is None else {kind: [path]})


@pytest.mark.usefixtures("soon")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert unread_under([tmp_path]) == {}


def test_words_begin_with_the_most_frequent_type() -> None:
    assert in_words({}) == ""
    assert in_words({".heic": [Path("a")]}) == "1 file of a type that is not read (1 .heic)"
    found = {".heic": [Path("a")] * 10, ".cr2": [Path("b")] * 2}
    assert in_words(found) == "12 files of types that are not read (10 .heic, 2 .cr2)"


def add_unread(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(HEIC)


def test_a_file_below_a_split_is_counted_once(split_folders: Path) -> None:
    add_unread(split_folders, "train/owl/a.heic", "test/owl/b.heic", "train/owl/c.cr2")
    assert {suffix: len(paths) for suffix, paths in unread_of(open_data(split_folders)).items()} == {
        ".heic": 2,
        ".cr2": 1,
    }


def test_listed_images_need_no_count(fake_cub: Path) -> None:
    add_unread(fake_cub, "images/a.heic")
    assert unread_of(open_data(fake_cub)) == {}


def test_an_error_for_want_of_images_names_those_of_other_types(tmp_path: Path, new_image: Callable[..., Path]) -> None:
    add_unread(tmp_path, "owl/1.heic", "hawk/1.heic")
    with pytest.raises(
        WsolError, match=r"(?s)no images in.*It holds 2 files of types that are not read \(2 .heic\): convert"
    ):
        open_data(tmp_path)
    new_image(tmp_path / "owl/1.jpg")
    with pytest.raises(WsolError, match=r"no training images \(hawk\).*It holds 2 files of types that are not read"):
        open_data(tmp_path)


def test_a_training_reports_them_before_it_begins(
    class_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_unread(class_folders, "owl/a.heic")
    fit._stage("train-cam", lambda *_: None, class_folders, tmp_path / "run", None, None, quiet=False)
    assert "1 file of a type that is not read (1 .heic); convert" in capsys.readouterr().err
