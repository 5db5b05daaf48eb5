"""Names on disk: what is written comes back, whatever the names are, and memory holds none of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol.data.images import images_under
from wsol.storage.image_list import Names, Paths, write_names

ANY_NAME = st.binary(min_size=1, max_size=12).map(lambda name: name.replace(b"\0", b"\n").replace(b"/", b"\r"))
NAMES = st.lists(ANY_NAME.map(lambda name: name.decode("utf-8", "surrogateescape")), max_size=20)


@given(NAMES, st.slices(20))
def test_names_come_back_one_by_one_from_either_end_and_in_slices(names: list[str], some: slice) -> None:
    with TemporaryDirectory() as folder:
        written = write_names(Path(folder) / "names", iter(names))
        assert isinstance(written, Names) and len(written) == len(names)
        assert list(written) == names
        assert [written[-i] for i in range(1, len(names) + 1)] == names[::-1]
        assert written[some] == names[some]
        for beyond in (len(names), -len(names) - 1):
            with pytest.raises(IndexError):
                written[beyond]


def test_the_images_of_a_folder_are_listed_whatever_they_are_called(class_folders: Path, tmp_path: Path) -> None:
    for name in ("new\nline\r.jpg", "Käuzchen 梟.jpg", os.fsdecode(b"raw \xff.jpg"), "a\\b.jpg"):
        (class_folders / name).write_bytes(b"")
    found = list(images_under(class_folders))
    names = write_names(tmp_path / "names", (path.relative_to(class_folders).as_posix() for path in found))
    paths = Paths(class_folders, names)
    assert len(paths) == 9 and list(paths) == found and paths[2:4] == found[2:4] and paths[-1] == found[-1]


def test_an_incomplete_list_is_absent_and_can_be_written_again(tmp_path: Path) -> None:
    def cut() -> Iterator[str]:
        yield "owl.jpg"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_names(tmp_path / "names", cut())
    assert not (tmp_path / "names").exists()
    assert list(write_names(tmp_path / "names", ["hawk.jpg"])) == ["hawk.jpg"]
    assert [path.name for path in tmp_path.iterdir()] == ["names"]
