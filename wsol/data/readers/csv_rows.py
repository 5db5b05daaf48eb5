"""Rows of a CSV table with named columns, each with the place where it stands; headers that mean something else are
told.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from wsol.data.ground_truth import Collector
from wsol.data.untrusted import number_in, shown
from wsol.errors import WsolError
from wsol.storage.links import refuse_special
from wsol.text import number_of

Read = TypeVar("Read")

CORNERS = ("x0", "y0", "x1", "y1")
SHOWN, SHOWN_LETTERS = 30, 40
"""So many columns, and so many letters of each, in an error."""

OTHER_CORNERS = {
    (
        "xmin",
        "ymin",
        "xmax",
        "ymax",
    ): "rename them to x0,y0,x1,y1 (and subtract 1 from xmin and ymin if pixels are counted from 1, as in PASCAL VOC)",
    ("x1", "y1", "x2", "y2"): "rename them to x0,y0,x1,y1",
    ("x", "y", "w", "h"): "write x0 = x, y0 = y, x1 = x + w, y1 = y + h",
    ("x", "y", "width", "height"): "write x0 = x, y0 = y, x1 = x + width, y1 = y + height",
}
"""What other tools call a box, and how it becomes ours."""

OTHER_NAMES = {
    "path": ("filename", "file_name", "file", "image", "image_path", "image_id", "img"),
    "label": ("class", "class_name", "category", "species", "target", "name"),
}
"""What other tools call our columns."""


def csv_rows(
    table: Path, required: Sequence[str], optional: Sequence[Sequence[str]] = ()
) -> Iterator[tuple[str, dict[str, str]]]:
    """Each line as (where it stands, cells by column), cells stripped and "" where absent; blank lines left out.

    `optional` holds groups of columns, of which all or none must be there.

    Raises:
        WsolError: not UTF-8, a quote that is not closed, columns missing, misspelt or twice, or a line with more cells
            than the header.
    """
    # Strict: else a quote that is not closed swallows all lines that follow.
    reader = csv.DictReader(io.StringIO(_text(table, required), newline=""), restval="", strict=True)
    header = [name.strip() for name in _read(table, reader, lambda: reader.fieldnames) or []]
    _check_header(table, header, required, optional)
    reader.fieldnames = header
    while (row := _read(table, reader, lambda: next(reader, None))) is not None:
        where = f"{table}, line {reader.line_num}"
        # DictReader puts what is beyond the header under None.
        if any(cell.strip() for cell in row.pop(None, ())):
            raise WsolError(
                where,
                expected=f"{number_of(len(header), 'cell')}",
                got="more",
                remedy="Put quotes around a path that has a comma.",
            )
        cells = {name: cell.strip() for name, cell in row.items()}
        if any(cells.values()):
            yield where, cells


def _read(table: Path, reader: csv.DictReader[str], what: Callable[[], Read]) -> Read:
    try:
        return what()
    except csv.Error as error:
        raise WsolError(
            f"{table}, line {reader.line_num}: not CSV ({error})",
            expected="cells between commas",
            remedy="Fix its quotes.",
        ) from None


def header_of(table: Path) -> list[str]:
    """The column names of a table; none where it is no text."""
    refuse_special(table)
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            return [name.strip() for name in next(csv.reader(file), [])]
    except (UnicodeDecodeError, csv.Error):
        return []


def add_box(collector: Collector, image_id: str, row: Mapping[str, str], image_hw: tuple[int, int], where: str) -> None:
    """Add the box of the cells x0, y0, x1, y1; a word, or nothing, where a number should be is noted."""
    x0, y0, x1, y1 = corners = tuple(number_in(row[name]) for name in CORNERS)
    if any(math.isnan(corner) for corner in corners):
        cells = shown(",".join(row[name] for name in CORNERS))
        collector.note("not a number", where, f"expected four numbers ({','.join(CORNERS)}), got {cells}")
    else:
        collector.add(image_id, (x0, y0, x1, y1), image_hw, where)


def means_a_path(name: str) -> bool:
    """Whether a column seems to name images, under whatever name."""
    return name.lower() == "path" or name.lower() in OTHER_NAMES["path"] or _is_slip(name, "path")


def _text(table: Path, required: Sequence[str]) -> str:
    refuse_special(table)
    try:
        return table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise WsolError(
            f"{table} is not UTF-8 ({error})", expected=f"text with {', '.join(required)}", remedy="Save it as UTF-8."
        ) from None


def _check_header(
    table: Path, header: Sequence[str], required: Sequence[str], optional: Sequence[Sequence[str]]
) -> None:
    names = Counter(header)  # a table may have many thousand columns: nothing here compares each with each
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise WsolError(
            f"{table} has the column {shown(twice[0])} twice", expected="each once", remedy="Rename or remove one."
        )
    groups = [group for group in optional if names.keys() & set(group)]
    missing = [name for name in (*required, *(name for group in groups for name in group)) if name not in names]
    all_columns = [*required, *(name for group in optional for name in group)]
    advice = list(_advice(header, missing, all_columns))
    if missing or advice:
        also = f", and perhaps {', '.join(','.join(group) for group in optional)}" if optional else ""
        raise WsolError(
            f"{table} has the columns {listed(header, ', ')}: expected {', '.join(required)}{also}. "
            + (f"Missing: {', '.join(missing)}. " if missing else "")
            + " ".join(advice or ["Rename or add them."])
        )


def _advice(header: Sequence[str], missing: Sequence[str], columns: Sequence[str]) -> Iterator[str]:
    """What to do about each column that seems to mean one of ours that is absent."""
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        yield "Save it with commas between the cells."
        return
    absent = [name for name in columns if name not in header]
    other = [name for name in header if name not in columns]
    if "x0" in absent:
        for names, what in OTHER_CORNERS.items():
            if set(names) <= set(header):
                yield f"For the columns {','.join(names)}: {what}."
                absent = [name for name in absent if name not in CORNERS]
                break
    for name in absent:
        meant = [it for it in other if it.lower() in OTHER_NAMES.get(name, ())] if name in missing else []
        close = [it for it in other if _is_slip(it, name)]
        near = get_close_matches(name, other, n=1, cutoff=0.6) if name in missing else []
        for found in (meant or close or near)[:1]:
            yield f"Did you mean {name} by {found}? Rename it."


def listed(columns: Sequence[str], comma: str = ",") -> str:
    """The names of columns, the first of many."""
    first = comma.join(name if len(name) <= SHOWN_LETTERS else f"{name[:SHOWN_LETTERS]}..." for name in columns[:SHOWN])
    return f"{first}, ... ({len(columns)} in all)" if len(columns) > SHOWN else first or "(none)"


def _is_slip(written: str, name: str) -> bool:
    """Another case, letters in another order, or one letter too many or too few in a longer word."""
    if abs(len(written) - len(name)) > 2:  # the letters need not be compared
        return False
    written = written.lower()
    return (
        written == name
        or (len(name) > 2 and sorted(written) == sorted(name))
        or bool(get_close_matches(name, [written], cutoff=0.85))
    )
