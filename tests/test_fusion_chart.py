"""The chart of fusions: which rows of a grid are its lines, and what is drawn of unfinished ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

STUDIES = Path(__file__).parents[1] / "studies"
sys.path.append(str(STUDIES))

import fusion_chart  # noqa: E402
import run as runner  # noqa: E402

from wsol import WsolError  # noqa: E402


def result(run: runner.Run, value: float) -> dict[str, Any]:
    rate = {"value": value, "low": value - 3, "high": value + 2}
    judged = [{"protocol": "original", "metrics": {"gt_known_best_threshold": rate}}]
    return {"row": run.row.name, "values": run.values, "seed": run.seed, "judged": judged}


def test_lines_hold_the_paper_s_table_and_nothing_else_of_the_grid() -> None:
    _, runs = runner.read_grid(STUDIES / "grids" / "ablation.yaml")
    lines = fusion_chart.fusion_lines(runs, [])
    assert {fusion: [(one.levels, one.reference) for one in points] for fusion, points in lines.items()} == {
        "multiply": [(1, 55.76), (2, 79.05), (3, 88.30), (4, 84.04)],
        "add": [(1, 55.76), (2, 55.19), (3, 55.00), (4, 55.10)],
        "concat": [(1, 55.76), (2, 53.14), (3, 53.40), (4, 53.32)],
    }
    assert all(one.value is None for points in lines.values() for one in points)


def test_one_seed_has_its_interval_and_several_have_mean_and_deviation() -> None:
    _, runs = runner.read_grid(STUDIES / "grids" / "ablation.yaml")
    by_name = {run.row.name: run for run in runs}
    several = [result(by_name["add 3"], value) for value in (40.0, 44.0)]
    changed = result(by_name["add 2"], 90) | {"values": "another"}
    lines = fusion_chart.fusion_lines(runs, [result(by_name["multiply 1"], 50), *several, changed])
    first, second, third, _ = lines["add"]
    assert (first.value, first.low, first.high) == (50, 47, 52) and first == lines["concat"][0]
    assert second.value is None, "of another configuration"
    assert (third.value, third.low, third.high) == pytest.approx((42, 42 - 8**0.5, 42 + 8**0.5))


def test_a_grid_without_fusions_is_refused() -> None:
    _, runs = runner.read_grid(STUDIES / "grids" / "small_sets.yaml")
    with pytest.raises(WsolError, match="compares no fusions"):
        fusion_chart.fusion_lines(runs, [])


def test_the_command_draws_the_stored_results_and_refuses_mistakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(out: str, *more: str) -> None:
        words = [STUDIES / "grids" / "ablation.yaml", "--out", tmp_path / out, *more]
        monkeypatch.setattr(sys, "argv", ["fusion_chart.py", *map(str, words)])
        fusion_chart.main()

    assert len(json.loads((STUDIES / "results" / "ablation.json").read_text())) >= 10
    command("chart.png")
    with Image.open(tmp_path / "chart.png") as chart:
        assert chart.size == (660, 462)
    with pytest.raises(SystemExit, match=r"\.png, \.svg, \.pdf"):
        command("chart.gif")
    with pytest.raises(SystemExit, match="no results in"):
        command("other.png", "--results", str(tmp_path / "none.json"))
    assert [path.name for path in tmp_path.iterdir()] == ["chart.png"]
