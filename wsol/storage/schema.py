"""Schema numbers of the files that wsol writes and reads: they increase when the meaning of a file changes."""

from __future__ import annotations

from wsol.errors import WsolError
from wsol.version import __version__


def check_schema(found: object, reads: int, where: object, made_by: str) -> None:
    """Refuse a file of another schema. Files without a number are of schema 1.

    Args:
        found: the number in the file.
        reads: the number that this wsol reads and writes.
        where: the file, and the line if it has several lines.
        made_by: the command that writes such a file.

    Raises:
        WsolError: the file is of another schema, or its number is invalid.
    """
    if type(found) is int and found == reads:
        return
    if type(found) is int and found > reads:
        raise WsolError(
            f"{where} was made by a newer wsol",
            expected=f"schema {reads}, which wsol {__version__} reads",
            got=f"schema {found}",
            remedy=f"Upgrade with `pip install -U wsol`, or make it again with `{made_by}`.",
        )
    if type(found) is int and 1 <= found < reads:
        raise WsolError(
            f"{where} was made by an older wsol",
            expected=f"schema {reads}, which wsol {__version__} reads",
            got=f"schema {found}",
            remedy=f"Make it again with `{made_by}`, or install the wsol that wrote it.",
        )
    raise WsolError(
        f"{where} has no schema that wsol {__version__} can read",
        expected=f"{reads}",
        got=f"{found!s:.40}",
        remedy=f"Install the wsol that wrote it, or make it again with `{made_by}`.",
    )
