"""The numbers of a comparison: computed by hand, as a table and as JSON."""

from __future__ import annotations

import json

import pytest

from wsol.comparisons.comparison import Comparison
from wsol.comparisons.tables import differences_table, for_terminal, metrics_table
from wsol.reports.table import print_table


def test_every_metric_stands_beside_that_of_the_other_run(made_up: Comparison) -> None:
    header, *rows = metrics_table(made_up).rows
    cells = {row[0]: row[2:] for row in rows}
    assert list(header) == ["metric", "protocol", "first <b>", "[red]second"]
    assert all(row[1] == "original" for row in rows)
    assert [cell.split(" (")[0] for cell in cells["GT-known Loc"]] == ["50.0", "75.0"]
    assert [cell.split(" (")[0] for cell in cells["mean box IoU"]] == ["47.5", "60.0"]
    assert cells["Top-1 Loc"][0] == "" and cells["Top-1 Loc"][1].startswith("25.0"), "only one run knows classes"
    assert cells["threshold"] == ("0.20", "0.20")


def test_the_difference_is_from_the_first_run_with_an_interval_and_counts(made_up: Comparison) -> None:
    header, *rows = differences_table(made_up).rows
    cells = {row[0]: row[2] for row in rows}
    assert list(header) == ["metric", "protocol", "[red]second"]
    assert "Top-1 Loc" not in cells
    assert cells["GT-known Loc"].startswith("+25.0 (\u221250.0 to +")
    assert cells["mean box IoU"].startswith("+12.5 (")
    better, worse = (cells[name] for name in cells if name.startswith("images:"))
    assert (better, worse) == ("2", "1")


def test_a_name_that_looks_like_markup_is_printed_as_it_is(
    made_up: Comparison, capsys: pytest.CaptureFixture[str]
) -> None:
    print_table(for_terminal(differences_table(made_up)))
    assert "[red]second" in capsys.readouterr().out


def test_the_json_holds_all_numbers_and_whose_they_are(made_up: Comparison) -> None:
    found = json.loads(json.dumps(made_up.as_json()))
    assert [(one["name"], one["method"]) for one in found["runs"]] == [("first <b>", "cam"), ("[red]second", "cam")]
    assert found["runs"][1]["protocols"][0]["metrics"]["gt_known"]["value"] == 75
    (gt_known,) = (one for one in found["differences"] if one["metric"] == "gt_known")
    assert (gt_known["run"], gt_known["minus"], gt_known["protocol"]) == ("[red]second", "first <b>", "original")
    assert (gt_known["value"], gt_known["n"], gt_known["better"], gt_known["worse"]) == (25, 4, 2, 1)
    assert gt_known["low"] < 25 < gt_known["high"]
