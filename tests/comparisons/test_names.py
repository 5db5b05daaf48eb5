"""Names that distinguish runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsol.comparisons.names import distinct_names


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        pytest.param(["/runs/cam", "/runs/spol"], ("cam", "spol"), id="different names"),
        pytest.param(["/a/cam", "/b/cam"], ("a/cam", "b/cam"), id="the same name in two folders"),
        pytest.param(["/a/x/cam", "/b/x/cam", "/a/x/spol"], ("a/x/cam", "b/x/cam", "a/x/spol"), id="two parts alike"),
        pytest.param(["/cam", "/cam/cam"], ("/cam", "cam/cam"), id="one inside the other"),
    ],
)
def test_as_many_parts_of_the_paths_as_distinguish_them(folders: list[str], names: tuple[str, ...]) -> None:
    assert distinct_names([Path(folder) for folder in folders]) == names
