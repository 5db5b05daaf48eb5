"""The comparison as one HTML file that needs no network: metrics, differences, and the images as rows."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from markupsafe import Markup

from wsol.comparisons.comparison import Comparison
from wsol.comparisons.images import Row
from wsol.comparisons.tables import differences_table, metrics_table
from wsol.data.samples import DataSet
from wsol.metrics.evaluation import image_count
from wsol.metrics.localization import CORRECT_IOU
from wsol.reports.html import environment, own_text
from wsol.reports.page import Table
from wsol.reports.provenance import provenance_of
from wsol.storage.folders import write_text
from wsol.version import __version__

MAKER = "wsol compare"
"""Start of the page's `generator` tag, by which a later comparison recognizes it."""
MAX_ACROSS = 3
"""Up to this many runs are beside one another; more are in two or more lines of equal length."""


def write_comparison(comparison: Comparison, rows: Sequence[Row], data: DataSet) -> None:
    """Write the page; the file appears only when it is complete.

    Names come from file systems and may hold markup: everything is escaped, and the content security policy allows only
    the page's own script and no network access.

    Args:
        comparison: the runs, and the path of the page.
        rows: the images, in the order of the data set.
        data: the data set.
    """
    write_text(comparison.page, page_of(comparison, rows, data))


def page_of(comparison: Comparison, rows: Sequence[Row], data: DataSet) -> str:
    """The page as text.

    Args:
        comparison: the runs.
        rows: the images, in the order of the data set.
        data: the data set.

    Returns:
        HTML.
    """
    script = own_text("page.js", __package__)
    names = [one.name for one in comparison.runs]
    count = max(image_count(one) for one in comparison.runs[0].evaluation.results.values())
    return (
        environment()
        .from_string(own_text("page.html.j2", __package__))
        .render(
            title=f"Comparison of {', '.join(names[:-1])} and {names[-1]}",
            maker=f"{MAKER} {__version__}",
            names=names,
            tables=[metrics_table(comparison), differences_table(comparison)],
            rows=rows,
            count=count,
            across=across(len(names)),
            correct_iou=CORRECT_IOU,
            summary=_summary(rows, len(names)),
            data=data.describe(),
            provenance=_provenance(comparison),
            left_out=_left_out(comparison),
            version=__version__,
            style=Markup(own_text("page.css") + own_text("page.css", __package__)),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


def across(runs: int) -> int:
    """The number of runs beside one another.

    Args:
        runs: the number of runs.

    Returns:
        At most `MAX_ACROSS`; lines are as equally long as possible.
    """
    lines = -(-runs // MAX_ACROSS)
    return -(-runs // lines)


def _summary(rows: Sequence[Row], runs: int) -> dict[str, int]:
    """The number of shown images on which all runs are correct, some, none."""
    return {
        "all": sum(row.correct == runs for row in rows),
        "some": sum(0 < row.correct < runs for row in rows),
        "none": sum(row.correct == 0 for row in rows),
    }


def _provenance(comparison: Comparison) -> Table:
    """How each run was made, one column per run."""
    of_runs = [provenance_of(one.run, one.run.calibration()) for one in comparison.runs]
    keys = dict.fromkeys(key for one in of_runs for key in one)
    rows = [
        ("", *(one.name for one in comparison.runs)),
        ("evaluated", *(one.evaluation.what for one in comparison.runs)),
        *((key, *(one.get(key, "") for one in of_runs)) for key in keys),
    ]
    return Table("Runs", rows)


def _left_out(comparison: Comparison) -> list[str]:
    lines = [
        str(line)
        for one in comparison.runs
        for line in (*one.evaluation.notes, *one.evaluation.left_out, *one.evaluation.mistakes)
    ]
    return list(dict.fromkeys(lines))
