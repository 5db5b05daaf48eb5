"""Options and messages that several commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from wsol.config.base import Precision
from wsol.config.image import Decoding
from wsol.config.options import RunConfig
from wsol.errors import WsolError
from wsol.runtime.terminal import print_line

if TYPE_CHECKING:
    from collections.abc import Sequence

RunFolder = Annotated[Path, Parameter(help="Folder of the run; created if it does not exist.")]
Choices = Annotated[RunConfig | None, Parameter(name="*")]
Epochs = Annotated[
    int | None, Parameter(help="Epochs of every training stage; `--cam.epochs`, `--seg.epochs`, ... set one stage.")
]
Freeze = Annotated[
    int | None,
    Parameter(
        help=(
            "Number of backbone stages, counted from the input, that are not trained; `--cam.freeze`, `--seg.freeze`,"
            " ... set one training stage."
        )
    ),
]
Images = Annotated[
    Path | None, Parameter(help="Folder of the images, if they are not where the data set expects them.")
]
ImageFiles = Annotated[Decoding | None, Parameter(name="image")]
Columns = Annotated[
    str | None,
    Parameter(help="Columns of a CSV table, if their names are unusual: `image=NAME,label=NAME,split=NAME`."),
]
Flag = Annotated[bool, Parameter(negative="")]
DryRun = Annotated[bool, Parameter(negative="", help="Print the resolved configuration and the data set, and stop.")]
JsonFile = Annotated[Path | None, Parameter(name="--json")]
Device = Annotated[str, Parameter(help="Device of the networks: auto, cpu, cuda, cuda:1 or mps.")]
NetworkPrecision = Annotated[
    Precision, Parameter(help="Arithmetic of the networks; auto is bf16 on GPUs that support it, else fp32.")
]

SHOWN_PROBLEMS = 10


def report_lines(title: str, lines: Sequence[object], more: str) -> None:
    """Print the first `SHOWN_PROBLEMS` lines to standard error, and how many there are.

    Args:
        title: what the lines are about; each line begins with it.
        lines: the problems.
        more: where to find the rest.
    """
    for line in lines[:SHOWN_PROBLEMS]:
        print_line(f"{title}: {line}")
    if len(lines) > SHOWN_PROBLEMS:
        print_line(f"{title}: {len(lines)} in all; {more}")


def check_outputs(files: dict[str, Path | None]) -> None:
    """Refuse output files that cannot be written, before any work.

    Args:
        files: path by option name; None for an option that is not given.

    Raises:
        WsolError: the path is a folder, its folder cannot be created, or two options name one file.
    """
    seen: dict[Path, str] = {}
    for option, file in files.items():
        if file is None:
            continue
        if file.is_dir():
            raise WsolError(
                f"{option} {file} is a folder", expected="a file name", remedy="Name a file in that folder."
            )
        above = next(parent for parent in file.absolute().parents if parent.exists())
        if not above.is_dir():
            raise WsolError(f"{option} {file}: {above} is a file", expected="a folder", remedy="Name another folder.")
        if (other := seen.setdefault(file.resolve(), option)) != option:
            raise WsolError(f"{other} and {option} are both {file}", expected="two files", remedy="Rename one of them.")
