"""The rates of localization: tables computed by hand, and laws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsol.metrics.evaluator import HUNDREDTHS, Row
from wsol.metrics.localization import ProtocolResult, gather
from wsol.metrics.protocols import PROTOCOLS, Protocol

ORIGINAL, SPOL, V1, V2 = (PROTOCOLS[name] for name in ("original", "spol", "wsol-v1", "wsol-v2"))


def row(
    iou: float,
    *,
    name: str = "a",
    label: int = 0,
    has_box: bool = True,
    sweep: Sequence[float] | None = None,
    rank: int | None = None,
    mask_iou: float | None = None,
    peak: int = 0,
    score: float | None = None,
    otsu_iou: float | None = None,
) -> Row:
    """An image whose boxes fit equally well at every threshold, unless given otherwise."""
    fits = np.array([iou] * len(HUNDREDTHS) if sweep is None else sweep, dtype=np.float32)
    return Row(name, label, iou, has_box, True, fits, peak, rank, mask_iou, None, score, otsu_iou)


def judged(*rows: Row, protocol: Protocol = ORIGINAL, step: float = 0.001) -> ProtocolResult:
    thresholds = np.arange(0, 1, step) if protocol.geometry == "square" else HUNDREDTHS
    return gather(protocol, [replace(one, image_id=f"{i:03}") for i, one in enumerate(rows)], thresholds)


def values(one: ProtocolResult) -> dict[str, float]:
    return {name: rate.value for name, rate in one.rates.items()}


@pytest.mark.parametrize(
    ("iou", "rank", "expected"),
    [
        pytest.param(
            [1, 1, 1, 1],
            [0, 0, 0, 0],
            {"gt_known": 100, "top1_loc": 100, "top5_loc": 100, "mean_box_iou": 100},
            id="all right",
        ),
        pytest.param(
            [0, 0, 0, 0],
            [0, 0, 0, 0],
            {"gt_known": 0, "top1_loc": 0, "top5_loc": 0, "mean_box_iou": 0},
            id="no object found anywhere",
        ),
        pytest.param(
            [0.5, 0.49, 0.5, 0],
            [0, 0, 9, 9],
            {"gt_known": 50, "top1_loc": 25, "top5_loc": 25, "mean_box_iou": 37.25},
            id="0.5 is correct",
        ),
        pytest.param(
            [0.9, 0.9, 0.9, 0.9],
            [0, 1, 4, 5],
            {"gt_known": 100, "top1_loc": 25, "top5_loc": 75, "mean_box_iou": 90},
            id="ranks 0 to 4 are the top five",
        ),
        pytest.param(
            [0.9, 0.1, 0.9, 0.1],
            [7, 0, 7, 0],
            {"gt_known": 50, "top1_loc": 0, "top5_loc": 0, "mean_box_iou": 50},
            id="a class or a box alone is not enough",
        ),
        pytest.param(
            [0.7], [0], {"gt_known": 100, "top1_loc": 100, "top5_loc": 100, "mean_box_iou": 70}, id="one image"
        ),
    ],
)
def test_rates_counted_by_hand(iou: list[float], rank: list[int], expected: dict[str, float]) -> None:
    found = values(judged(*(row(a, rank=b) for a, b in zip(iou, rank, strict=True))))
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_at_otsus_threshold_every_image_has_a_threshold_of_its_own() -> None:
    found = values(judged(row(0.9, otsu_iou=0.4), row(0.1, otsu_iou=0.5), row(0.1, otsu_iou=0.6)))
    assert found["gt_known_otsu"] == pytest.approx(200 / 3)
    assert "gt_known_otsu" not in values(judged(row(0.9, otsu_iou=0.4), row(0.1)))


def test_gt_known_at_iou_three_tenths_is_at_the_same_threshold() -> None:
    found = values(judged(row(0.3), row(0.29), row(0.9), row(0.1, sweep=[0.9] * len(HUNDREDTHS))))
    assert (found["gt_known_30"], found["gt_known"]) == (50, 25)


def test_under_spol_one_half_is_not_enough() -> None:
    assert values(judged(row(0.5), row(0.51), protocol=SPOL))["gt_known"] == 50


def test_images_without_a_contour_are_wrong_or_left_out() -> None:
    rows = [row(0.9), row(0.1), row(0, has_box=False), row(0, has_box=False)]
    assert values(judged(*rows, protocol=SPOL))["gt_known"] == 25
    nothing = judged(*rows[2:], protocol=replace(SPOL, empty="left-out"))
    assert values(nothing) == {} and not nothing.has_thresholds()
    theirs = judged(*rows, protocol=replace(SPOL, empty="left-out"))
    assert values(theirs)["gt_known"] == 50 and theirs.is_evaluated().sum() == 2


def test_what_was_not_evaluated_has_no_rate() -> None:
    of_boxes = {"gt_known", "mean_box_iou", "gt_known_best_threshold"}
    assert set(values(judged(row(0.7), row(0.2)))) == of_boxes | {"gt_known_30"}
    assert set(values(judged(row(0.7), row(0.2), protocol=SPOL))) == of_boxes
    everything = values(judged(row(0.7, rank=0, mask_iou=0.5), row(0.2, rank=3, mask_iou=0.1)))
    assert set(everything) == {
        "gt_known",
        "gt_known_30",
        "top1_loc",
        "top5_loc",
        "mean_box_iou",
        "mask_iou",
        "gt_known_best_threshold",
    }
    assert everything["mask_iou"] == pytest.approx(30)


def test_scores_are_ranked_over_the_counted_images_that_all_have_one() -> None:
    rows = [row(0.9, score=0.9), row(0.6, score=0.4), row(0.5, score=0.3), row(0.1, score=0.35)]
    assert values(judged(*rows))["score_auc"] == pytest.approx(200 / 3)
    assert values(judged(*rows, protocol=SPOL))["score_auc"] == 100  # there, 0.5 is wrong
    hidden = replace(row(0.0, score=0.99), has_ground_truth=False)
    assert values(judged(*rows, hidden))["score_auc"] == pytest.approx(200 / 3)
    nothing = row(0.0, has_box=False, score=0.0)
    assert values(judged(*rows[:3], nothing, protocol=replace(SPOL, empty="left-out")))["score_auc"] == 100
    assert "score_auc" not in values(judged(*rows, row(0.2)))
    assert "score_auc" not in values(judged(*rows[:3]))
    one = judged(*rows, protocol=V2)
    assert "score_auc" not in values(one)


def test_a_rank_that_only_some_images_have_makes_no_rate() -> None:
    assert "top1_loc" not in values(judged(row(0.7, rank=0), row(0.7)))


def test_masks_are_a_mean_over_the_images_that_have_one() -> None:
    one = judged(row(0.7, mask_iou=0.5), row(0.7), row(0.7, mask_iou=0.1))
    assert values(one)["mask_iou"] == pytest.approx(30) and one.masked() == 2
    pixels = np.array([[0, 5, 0], [5, 0, 0]], dtype=np.uint16)
    other = judged(replace(row(0.7), pixels=pixels), row(0.7))
    assert values(other)["pxap"] == pytest.approx(100) and other.masked() == 1


def test_images_without_an_annotated_box_do_not_count_for_boxes() -> None:
    masked = replace(row(0.0, mask_iou=0.4), has_ground_truth=False)
    assert values(judged(masked, masked)) == pytest.approx({"mask_iou": 40})
    assert values(judged(row(0.9, mask_iou=0.6), masked))["gt_known"] == 100


def layers(*correct: int, iou: float = 0.6) -> list[float]:
    """Columns of an 8-bit map that is right on some layers."""
    return [iou if layer in correct else 0.1 for layer in range(255)]


def test_wsol_searches_for_the_best_threshold_at_each_iou() -> None:
    rows = [
        row(np.nan, sweep=layers(*range(100, 120), iou=0.72), peak=255),
        row(np.nan, sweep=layers(*range(110, 130), iou=0.55), peak=255),
        row(np.nan, sweep=layers(*range(200, 210), iou=0.35), peak=255),
    ]
    found = values(judged(*rows, protocol=V2))
    assert found["box_acc_30"] == found["box_acc_50"] == pytest.approx(200 / 3)
    assert found["box_acc_70"] == pytest.approx(100 / 3)
    assert found["max_box_acc_v2"] == pytest.approx(500 / 9)
    assert found["mean_box_iou"] == pytest.approx(100 * (0.72 + 0.55 + 0.1) / 3)
    first = judged(*rows, protocol=V1)
    assert values(first)["max_box_acc"] == values(first)["box_acc_50"]
    assert first.best_threshold(0.5) == pytest.approx(115 / 255, abs=0.004)


def test_thresholds_are_relative_to_each_maps_peak_under_wsol() -> None:
    rows = [
        row(np.nan, sweep=layers(50), peak=100),
        row(np.nan, sweep=layers(127), peak=255),
        row(np.nan, sweep=layers(0), peak=0),
    ]
    one = judged(*rows, protocol=V2, step=0.1)
    assert one.thresholds.tolist() == pytest.approx([k / 10 for k in range(10)])
    # At 0.5 the layers are int(50) and int(127.5); a map of zeros has one column, whatever the threshold.
    assert one.curve().tolist() == pytest.approx([1 / 3] * 5 + [1] + [1 / 3] * 4)
    assert one.best_threshold() == 0.5


def test_boxes_have_one_column_and_no_threshold() -> None:
    one = judged(row(np.nan, sweep=[0.8]), row(np.nan, sweep=[0.4]), protocol=V2)
    found = values(one)
    assert (found["box_acc_30"], found["box_acc_50"], found["box_acc_70"]) == (100, 50, 50)
    assert not one.has_thresholds()
    assert "gt_known_best_threshold" not in values(judged(row(0.8, sweep=[0.8])))


images = st.lists(st.tuples(st.integers(0, 20).map(lambda step: step / 20), st.integers(0, 9)), min_size=1, max_size=12)


@given(images, st.sampled_from([ORIGINAL, SPOL, replace(SPOL, empty="left-out")]))
def test_top1_is_at_most_top5_is_at_most_gt_known_is_at_most_its_best(
    rows: list[tuple[float, int]], protocol: Protocol
) -> None:
    sweep = [[iou] * 50 + [1 - iou] * 49 for iou, _ in rows]
    one = judged(
        *(row(iou, rank=rank, sweep=fits) for (iou, rank), fits in zip(rows, sweep, strict=True)), protocol=protocol
    )
    found = values(one)
    assert 0 <= found["top1_loc"] <= found["top5_loc"] <= found["gt_known"] <= found["gt_known_best_threshold"] <= 100


some_rows = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 9), st.integers(0, 2)).map(
        lambda of: row(of[0] / 20, rank=of[1], label=of[2], mask_iou=of[0] / 40)
    ),
    min_size=1,
    max_size=12,
)


def pixels_of(one: Row) -> NDArray[np.uint16]:
    """Some counts that differ between images."""
    return np.array([[one.label, 2, int(20 * one.iou)], [3, 1, 0]], dtype=np.uint16)


@given(some_rows, st.randoms(use_true_random=False), st.integers(1, 4), st.sampled_from([ORIGINAL, V2]))
def test_shuffled_split_into_shards_and_merged_the_numbers_are_the_same(
    rows: list[Row], random: object, shards: int, protocol: Protocol
) -> None:
    named = [
        replace(one, image_id=f"{i:03}", pixels=pixels_of(one), score=float(one.label)) for i, one in enumerate(rows)
    ]
    whole = gather(protocol, named, HUNDREDTHS)
    shuffled = named.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    parts = [shuffled[at::shards] for at in range(shards)]
    padded = [
        *(one for part in parts for one in part),
        *shuffled[:2],
    ]  # samplers repeat images to even out the shards
    merged = gather(protocol, padded, HUNDREDTHS)
    assert merged.image_ids == whole.image_ids
    assert merged.rates == whole.rates


@given(some_rows)
def test_classes_together_are_the_whole(rows: list[Row]) -> None:
    one = judged(*rows)
    per_class = [
        (one.label == label).sum() * one.rates_of(one.label == label)["gt_known"].value for label in set(one.label)
    ]
    assert sum(per_class) / len(rows) == pytest.approx(values(one)["gt_known"])


@settings(max_examples=20)
@given(some_rows, st.sampled_from([ORIGINAL, SPOL, V1, V2]))
def test_the_values_of_the_images_average_to_the_rates(rows: list[Row], protocol: Protocol) -> None:
    hidden = replace(row(0.9, rank=0), has_ground_truth=False)
    one = judged(*rows, hidden, protocol=protocol)
    means = {name: 100 * float(np.nanmean(of_images)) for name, of_images in one.per_image.items()}
    assert means == pytest.approx({name: value for name, value in values(one).items() if name in means})
    assert means.keys() | {"score_auc", "pxap"} >= values(one).keys()


def without_object(name: str, box_count: int = 0, image_score: float | None = None, columns: int | None = None) -> Row:
    """An image without an object; whatever is found there fits nothing."""
    sweep = np.zeros(columns or len(HUNDREDTHS), np.float32)
    nothing = Row(name, 9, 0.0, box_count > 0, False, sweep, 77, 0, None, None, 0.4, 0.0)
    return replace(nothing, has_object=False, box_count=box_count, image_score=image_score)


@settings(max_examples=20)
@given(
    some_rows,
    st.lists(st.integers(0, 3), min_size=1, max_size=5),
    st.sampled_from([ORIGINAL, SPOL, replace(SPOL, empty="left-out"), V1, V2]),
)
def test_images_without_an_object_change_no_metric_of_the_others(
    rows: list[Row], counts: list[int], protocol: Protocol
) -> None:
    rows = [
        replace(
            one, image_id=f"{i:03}", pixels=pixels_of(one), score=float(one.label), pointing=i % 2 / 1, otsu_iou=0.5
        )
        for i, one in enumerate(rows)
    ]
    empty = [without_object(f"empty {i}", count) for i, count in enumerate(counts)]
    alone, both = gather(protocol, rows, HUNDREDTHS), gather(protocol, rows + empty, HUNDREDTHS)
    added = {"empty_correct", "false_positives"} if protocol is ORIGINAL else set()
    assert {name: one for name, one in both.rates.items() if name not in added} == alone.rates
    assert both.rates.keys() - alone.rates.keys() == added
    assert both.curve().tolist() == alone.curve().tolist() and both.empty() == len(counts)
    assert both.best_threshold() == alone.best_threshold() and both.masked() == alone.masked()


@pytest.mark.parametrize(
    ("counts", "correct", "per_image"),
    [
        pytest.param([0, 0], 100, 0, id="nothing found"),
        pytest.param([0, 3, 0, 1], 50, 1, id="boxes in half of them"),
        pytest.param([2, 3, 2], 0, 7 / 3, id="more than one box per image"),
    ],
)
def test_boxes_in_images_without_an_object_are_counted(counts: list[int], correct: float, per_image: float) -> None:
    one = judged(row(0.9), *(without_object("", count) for count in counts))
    assert one.rates["empty_correct"].value == pytest.approx(correct)
    found = one.rates["false_positives"]
    assert found.value == pytest.approx(per_image) and found.low <= found.value <= found.high <= max(counts)
    assert not {"empty_correct", "false_positives"} & values(judged(row(0.9))).keys()


def test_the_scores_of_images_are_ranked_if_every_image_has_one() -> None:
    rows = [replace(row(0.9), image_score=0.9), replace(row(0.1), image_score=0.3)]
    empty = [without_object("", 0, 0.2), without_object("", 1, 0.4)]
    found = values(judged(*rows, *empty))
    assert found["image_auroc"] == pytest.approx(75)
    assert found["image_ap"] == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert not {"image_auroc", "image_ap"} & values(judged(*rows)).keys()
    assert not {"image_auroc", "image_ap"} & values(judged(*rows, row(0.5), *empty)).keys()


def test_the_pointing_game_is_a_mean_over_the_images_with_ground_truth() -> None:
    hits = [replace(row(0.9), pointing=1.0), replace(row(0.9), pointing=0.25), row(0.9)]
    assert values(judged(*hits))["pointing_game"] == pytest.approx(62.5)
    masked = replace(row(0.0, mask_iou=0.4), has_ground_truth=False, pointing=1.0)
    assert values(judged(masked)) == pytest.approx({"pointing_game": 100, "mask_iou": 40})


def sweep_that_is_right_at(*indices: int) -> NDArray[np.float64]:
    sweep = np.full(len(HUNDREDTHS), 0.2)
    sweep[list(indices)] = 0.6
    return sweep


@pytest.mark.parametrize(
    ("indices", "expected"),
    [
        pytest.param([30], 0.31, id="one best"),
        pytest.param([30, 31, 32], 0.32, id="the middle of three"),
        pytest.param([30, 31, 32, 33], 0.33, id="the upper middle of four"),
        pytest.param([0], 0.01, id="the lowest"),
        pytest.param([98], 0.99, id="the highest"),
        pytest.param([], 0.5, id="all equally bad: the middle of all"),
        pytest.param(range(99), 0.5, id="all equally good: the middle of all"),
    ],
)
def test_the_best_threshold_is_the_middle_of_the_best(indices: list[int], expected: float) -> None:
    one = judged(row(0.2, sweep=sweep_that_is_right_at(*indices)), row(0.2), row(0.2))
    assert one.best_threshold() == pytest.approx(expected)
    assert values(one)["gt_known_best_threshold"] == pytest.approx(100 / 3 if len(indices) else 0)


def test_the_grid_is_the_hundredths() -> None:
    assert pytest.approx([hundredth / 100 for hundredth in range(1, 100)]) == HUNDREDTHS.tolist()
