"""Rows of a CSV table with named columns, each with its position; headers with other names get advice."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

from wsol.data.ground_truth import Collector
from wsol.data.untrusted import number_in, short_repr
from wsol.errors import WsolError
from wsol.storage.links import refuse_special
from wsol.text import number_of

Read = TypeVar("Read")

CORNERS = ("x0", "y0", "x1", "y1")
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
MAX_COLUMNS, MAX_LETTERS = 30, 40
"""The most columns, and the most letters of each, in a message."""

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
"""The corner columns of other tools, and how to convert them."""

OTHER_NAMES = {
    "path": ("filename", "file_name", "file", "image", "image_path", "image_id", "img"),
    "label": ("class", "class_name", "category", "species", "target", "name"),
}
"""The names of our columns in other tools."""


def csv_rows(
    table: Path,
    required: Sequence[str],
    optional: Sequence[Sequence[str]] = (),
    rename: Callable[[Sequence[str]], Sequence[str]] = tuple,
    advice: str = "",
) -> Iterator[tuple[str, dict[str, str]]]:
    """Read the lines of a table; cells are separated by commas, semicolons or tabs.

    Args:
        table: the CSV file.
        required: columns that must exist.
        optional: groups of columns; all columns of a group must exist, or none.
        rename: returns our names for the columns of the header.
        advice: a sentence for the error of missing columns.

    Yields:
        The position of a line, and its cells by column, stripped, "" if absent; blank lines are left out.

    Raises:
        WsolError: not UTF-8, a quote that is not closed, columns missing, misspelt or twice, or a line with more cells
            than the header.
    """
    # Strict: otherwise an unclosed quote would consume all following lines.
    text = _text(table, required)
    mark = _separator(text)
    reader = csv.DictReader(io.StringIO(text, newline=""), restval="", strict=True, delimiter=mark)
    written = [name.strip() for name in _read(table, reader, lambda: reader.fieldnames) or []]
    header = list(rename(written))
    check_header(table, header, required, optional, written, advice)
    reader.fieldnames = header
    while (row := _read(table, reader, lambda: next(reader, None))) is not None:
        where = f"{table}, line {reader.line_num}"
        # DictReader puts cells beyond the header under None.
        if any(cell.strip() for cell in row.pop(None, ())):
            raise WsolError(
                where,
                expected=f"{number_of(len(header), 'cell')}",
                got="more",
                remedy=f"Put quotes around a path that has a {SEPARATORS[mark]}.",
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
            expected="cells separated by commas, semicolons or tabs",
            remedy="Fix its quotes.",
        ) from None


def first_rows(table: Path, count: int | None) -> list[list[str]]:
    """The cells of the header and of the first lines of a table, stripped; none if it is not text.

    Args:
        table: the CSV file.
        count: the number of lines, the header included; None for all.
    """
    refuse_special(table)
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            lines = csv.reader(chain([head], file), delimiter=_separator(head))
            return [[cell.strip() for cell in line] for line in islice(lines, count)]
    except (UnicodeDecodeError, csv.Error):
        return []


def header_of(table: Path) -> list[str]:
    """The column names of a table; none if it is not text."""
    return next(iter(first_rows(table, 1)), [])


def _separator(text: str) -> str:
    """The character between the cells: the one that splits the first line into most."""
    line = text.partition("\n")[0]
    try:
        return max(SEPARATORS, key=lambda mark: len(next(csv.reader([line], delimiter=mark), [])))
    except csv.Error:
        return ","


def add_box(
    collector: Collector,
    image_id: str,
    row: Mapping[str, str],
    image_hw: tuple[int, int],
    where: str,
    class_name: str = "",
) -> None:
    """Add the box of the cells x0, y0, x1, y1 to the collector; cells that are not numbers are noted as a mistake."""
    x0, y0, x1, y1 = corners = tuple(number_in(row[name]) for name in CORNERS)
    if any(math.isnan(corner) for corner in corners):
        cells = short_repr(",".join(row[name] for name in CORNERS))
        collector.note("not a number", where, f"expected four numbers ({','.join(CORNERS)}), got {cells}")
    else:
        collector.add(image_id, (x0, y0, x1, y1), image_hw, where, class_name)


def _text(table: Path, required: Sequence[str]) -> str:
    refuse_special(table)
    try:
        return table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise WsolError(
            f"{table} is not UTF-8 ({error})", expected=f"text with {', '.join(required)}", remedy="Save it as UTF-8."
        ) from None


def check_header(
    table: Path,
    header: Sequence[str],
    required: Sequence[str],
    optional: Sequence[Sequence[str]],
    written: Sequence[str] | None = None,
    more_advice: str = "",
) -> None:
    """Check that a table has the columns.

    Args:
        table: the table, for the error.
        header: its columns, by our names.
        required: columns that must exist.
        optional: groups of columns; all columns of a group must exist, or none.
        written: its columns as written, if they differ.
        more_advice: a sentence for the error of missing columns.

    Raises:
        WsolError: columns missing, misspelt or twice.
    """
    names = Counter(header)  # a table may have thousands of columns: no quadratic comparison here
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise WsolError(
            f"{table} has the column {short_repr(twice[0])} twice", expected="each once", remedy="Rename or remove one."
        )
    groups = [group for group in optional if names.keys() & set(group)]
    missing = [name for name in (*required, *(name for group in groups for name in group)) if name not in names]
    all_columns = [*required, *(name for group in optional for name in group)]
    advice = list(_advice(header, missing, all_columns))
    if missing or advice:
        also = f", and perhaps {', '.join(','.join(group) for group in optional)}" if optional else ""
        raise WsolError(
            f"{table} has the columns {column_list(header if written is None else written, ', ')}",
            expected=f"{', '.join(required)}{also}",
            remedy=(f"Missing: {', '.join(missing)}. " if missing else "")
            + " ".join([*(advice or ["Rename or add them."]), *([more_advice] if more_advice and missing else [])]),
        )


def _advice(header: Sequence[str], missing: Sequence[str], columns: Sequence[str]) -> Iterator[str]:
    """Advice for each column that seems to be a required or optional one under another name."""
    absent = [name for name in columns if name not in header]
    other = [name for name in header if name not in columns]
    if "x0" in absent:
        for names, what in OTHER_CORNERS.items():
            if set(names) <= set(header):
                yield f"For the columns {','.join(names)}: {what}."
                absent = [name for name in absent if name not in CORNERS]
                break
    for name in absent:
        synonyms = [it for it in other if it.lower() in OTHER_NAMES.get(name, ())] if name in missing else []
        misspelt = [it for it in other if is_misspelt(it, name)]
        near = get_close_matches(name, other, n=1, cutoff=0.6) if name in missing else []
        for candidate in (synonyms or misspelt or near)[:1]:
            yield f"Did you mean {name} by {candidate}? Rename it."


def column_list(columns: Sequence[str], comma: str = ",") -> str:
    """The names of columns for a message, shortened if there are many."""
    first = comma.join(
        name if len(name) <= MAX_LETTERS else f"{name[:MAX_LETTERS]}..." for name in columns[:MAX_COLUMNS]
    )
    return f"{first}, ... ({len(columns)} in all)" if len(columns) > MAX_COLUMNS else first or "(none)"


def is_misspelt(written: str, name: str) -> bool:
    """Whether `written` is `name` in another case, with letters swapped, or with one letter too many or too few."""
    if abs(len(written) - len(name)) > 2:  # too different for a slow comparison
        return False
    written = written.lower()
    return (
        written == name
        or (len(name) > 2 and sorted(written) == sorted(name))
        or bool(get_close_matches(name, [written], cutoff=0.85))
    )
