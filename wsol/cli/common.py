"""What several commands take and say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from wsol.config.options import RunConfig
from wsol.errors import WsolError
from wsol.runtime.terminal import print_line

if TYPE_CHECKING:
    from collections.abc import Sequence

RunFolder = Annotated[Path, Parameter(help="Folder of the run; made if absent.")]
Choices = Annotated[RunConfig | None, Parameter(name="*")]
Epochs = Annotated[int | None, Parameter(help="Epochs of every training stage; `--cam.epochs` and its like set one.")]
Freeze = Annotated[
    int | None,
    Parameter(
        help=(
            "Backbone stages, from the image on, that every training leaves as they were pretrained; `--seg.freeze` and"
            " its like set one."
        )
    ),
]
Images = Annotated[Path | None, Parameter(help="Where the images are, if not in the data set's usual place.")]
Flag = Annotated[bool, Parameter(negative="")]
DryRun = Annotated[bool, Parameter(negative="", help="Print the resolved configuration and the data set, and stop.")]
JsonFile = Annotated[Path | None, Parameter(name="--json")]

SHOWN_PROBLEMS = 10


def report_lines(title: str, lines: Sequence[object], more: str) -> None:
    """Say the first of many lines on the error stream."""
    for line in lines[:SHOWN_PROBLEMS]:
        print_line(f"{title}: {line}")
    if len(lines) > SHOWN_PROBLEMS:
        print_line(f"{title}: {len(lines)} in all; {more}")


def check_outputs(files: dict[str, Path | None]) -> None:
    """Refuse files that cannot be written, before any work.

    Raises:
        WsolError: a folder is there, no folder can be made above, or two options name one file.
    """
    seen: dict[Path, str] = {}
    for option, file in files.items():
        if file is None:
            continue
        if file.is_dir():
            raise WsolError(f"{option} {file} is a folder", expected="the name of a file", remedy="Name one in it.")
        above = next(parent for parent in file.absolute().parents if parent.exists())
        if not above.is_dir():
            raise WsolError(
                f"{option} {file}: {above} is a file", expected="a folder there", remedy="Name another folder."
            )
        if (other := seen.setdefault(file.resolve(), option)) != option:
            raise WsolError(f"{other} and {option} are both {file}", expected="two files", remedy="Rename one of them.")
