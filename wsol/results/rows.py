"""Files of results as rows, each with its position in the file: CSV, JSON, and predictions of `wsol predict`."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsol.data.readers.csv_rows import column_list
from wsol.errors import WsolError
from wsol.predictions.records import LINES, Prediction, open_predictions, read_lines
from wsol.text import number_of


@dataclass(frozen=True)
class Table:
    """A CSV file: its column names, and its rows, each as its position `<file>, line <n>` and one cell per column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def read_table(file: Path) -> Table:
    """Read a CSV file with a header; empty lines are skipped.

    Raises:
        WsolError: unreadable, empty, not UTF-8, or a row with more or fewer cells than the header.
    """
    try:
        # newline="": a quoted cell may hold line breaks. utf-8-sig: spreadsheets write a byte order mark.
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text, strict=True)
            columns = tuple(cell.strip() for cell in next(reader, []))
            if not columns:
                raise WsolError(
                    f"{file} is empty", expected="a line with the names of the columns", remedy="Write the file again."
                )
            rows = tuple((f"{file}, line {reader.line_num}", tuple(cells)) for cells in reader if cells)
    except OSError as error:
        raise WsolError(
            f"cannot read {file} ({error.strerror})", expected="a table", remedy="Check the path."
        ) from None
    except UnicodeDecodeError as error:
        raise WsolError(f"{file} is not UTF-8 ({error})", expected="text", remedy="Save it as UTF-8.") from None
    except csv.Error as error:
        raise WsolError(
            f"{file} is not CSV ({error})", expected="cells separated by commas", remedy="Fix its quotes."
        ) from None
    for where, cells in rows:
        if len(cells) != len(columns):
            raise WsolError(
                where,
                expected=f"{number_of(len(columns), 'cell')} ({column_list(columns)})",
                got=f"{len(cells)} ({column_list(cells)})",
                remedy="Fix the line; quote a cell that holds a comma.",
            )
    return Table(columns, rows)


def read_json(file: Path) -> Any:
    """Read a JSON file of another program.

    Raises:
        WsolError: unreadable, or not JSON.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise WsolError(f"cannot read {file} ({error.strerror})", expected="JSON", remedy="Check the path.") from None
    except (ValueError, RecursionError) as error:
        raise WsolError(
            f"{file} is not JSON ({error})", expected="one list or object", remedy="Write it again."
        ) from None


def read_predictions(path: Path) -> Iterator[tuple[str, Prediction]]:
    """Read predictions of `wsol predict`.

    Args:
        path: the folder, or its `predictions.jsonl`.

    Yields:
        The position `<file>, line <n>`, and the prediction.

    Raises:
        WsolError: absent or unfinished, a malformed line, or an image that occurs twice.
    """
    lines = open_predictions(path).folder / LINES if path.is_dir() else path
    seen: set[str] = set()
    for number, prediction in enumerate(read_lines(lines), start=1):
        where = f"{lines}, line {number}"
        if prediction.image in seen:
            raise WsolError(
                where, expected="each image once", got=f"{prediction.image!r} again", remedy="Remove one line."
            )
        seen.add(prediction.image)
        yield where, prediction
