"""The result of an evaluation: every image counts once, and the rows of the CSV table."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from wsol.errors import WsolError
from wsol.metrics.evaluation import Evaluation, evaluation_of
from wsol.metrics.evaluator import HUNDREDTHS, Evaluator, Row
from wsol.metrics.protocols import PROTOCOLS

JUDGE = Evaluator([PROTOCOLS["original"]], {"original": 0.5})


def row(name: str, iou: float, label: int = 0) -> Row:
    return Row(name, label, iou, True, True, np.full(len(HUNDREDTHS), iou, np.float32), 0, 0, None, None)


def evaluated(*rows: Row, expected: int | None = None, left_out: tuple[str, ...] = ()) -> Evaluation:
    return evaluation_of(
        "masks",
        JUDGE,
        [{"original": one} for one in rows],
        expected=len(rows) + len(left_out) if expected is None else expected,
        class_names=("owl", "hawk", "wren"),
        left_out=left_out,
        mistakes=(),
    )


def test_evaluated_and_left_out_together_are_all() -> None:
    result = evaluated(row("a", 0.9), row("b", 0.1), left_out=("c: no map",))
    (judged,) = result.as_json()
    assert judged["n"] == 2 and judged["metrics"]["gt_known"]["value"] == 50
    assert judged["best_thresholds"] == {"50": judged["best_threshold"]}


@pytest.mark.parametrize("expected", [1, 3])
def test_an_image_lost_or_counted_twice_is_a_bug_that_is_reported(expected: int) -> None:
    with pytest.raises(RuntimeError, match="lost or counted twice"):
        evaluated(row("a", 0.9), row("b", 0.1), expected=expected)


def test_an_image_that_two_processes_evaluated_counts_once() -> None:
    assert evaluated(row("a", 0.9), row("a", 0.9), row("b", 0.1), expected=2).as_json()[0]["n"] == 2


def test_no_image_to_evaluate_is_reported_with_the_first_reason() -> None:
    with pytest.raises(WsolError, match="none of 2 images.*a: no map"):
        evaluated(left_out=("a: no map", "b: no map"))


def test_rows_for_machines_have_a_line_per_metric_and_class() -> None:
    result = evaluated(row("a", 0.9, 0), row("b", 0.1, 0), row("c", 0.6, 2))
    rows = list(csv.DictReader(result.as_csv(per_class=True).splitlines()))
    known = {one["class"]: (float(one["value"]), int(one["n"])) for one in rows if one["metric"] == "gt_known"}
    assert known == {"": (pytest.approx(200 / 3), 3), "owl": (50, 2), "wren": (100, 1)}
    assert {one["class"] for one in csv.DictReader(result.as_csv(per_class=False).splitlines())} == {""}


def test_a_class_is_no_formula_in_a_spreadsheet_and_the_rows_are_utf_8() -> None:
    result = replace(evaluated(row("a", 0.9, 0), row("b", 0.1, 2)), class_names=("=1+1", "hawk", "K\udce4uz"))
    text = result.as_csv(per_class=True)
    assert {one["class"] for one in csv.DictReader(text.splitlines())} == {"", "'=1+1", "K\\xe4uz"}
    assert text.encode("utf-8")


def test_n_of_a_data_set_of_masks_is_that_of_its_images() -> None:
    masks = [replace(row(name, 0.0), has_ground_truth=False, mask_iou=0.5) for name in "ab"]
    (judged,) = evaluated(*masks).as_json()
    assert judged["n"] == 2 and set(judged["metrics"]) == {"mask_iou"} and judged["best_threshold"] is None


def test_n_is_the_number_of_images_with_an_object_and_the_others_are_counted_beside_it() -> None:
    empty = replace(row("z", 0.0, 2), has_ground_truth=False, has_object=False, box_count=1)
    masks = [replace(row(name, 0.0), has_ground_truth=False, mask_iou=0.5) for name in "ab"]
    for rows in ([row("a", 0.9), row("b", 0.1)], masks):
        (with_empty,) = evaluated(*rows, empty).as_json()
        (alone,) = evaluated(*rows).as_json()
        assert (with_empty["n"], with_empty["n_without_object"]) == (2, 1)
        assert alone["n"] == 2 and "n_without_object" not in alone
    result = evaluated(row("a", 0.9), row("b", 0.1), empty)
    assert {name: (n, "gt_known" in rates) for name, (n, rates) in result.per_class("original").items()} == {
        "owl": (2, True),
        "wren": (1, False),
    }
    (only_empty,) = evaluated(empty).as_json()
    assert only_empty["n"] == 0 and set(only_empty["metrics"]) == {"empty_correct", "false_positives"}
