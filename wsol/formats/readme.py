"""The README.txt of an export."""

from __future__ import annotations

from pathlib import Path

from wsol.runtime.terminal import visible


def write_readme(folder: Path, text: str) -> None:
    """Write it, or add to it: UTF-8 whatever names are in it, and nothing that drives the terminal it is read in."""
    with (folder / "README.txt").open("a", encoding="utf-8") as file:
        file.write(visible(text))
