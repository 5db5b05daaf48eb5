"""The README.txt of an export."""

from __future__ import annotations

from pathlib import Path

from wsol.runtime.terminal import visible


def write_readme(folder: Path, text: str) -> None:
    """Create or extend README.txt in a folder: UTF-8, without control sequences for the terminal."""
    with (folder / "README.txt").open("a", encoding="utf-8") as file:
        file.write(visible(text))
