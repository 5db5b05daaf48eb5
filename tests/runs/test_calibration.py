"""What a few boxes teach: laws of the threshold and of the curve, and the file that keeps both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol.config.options import RunConfig
from wsol.errors import WsolError
from wsol.runs.calibration import (
    CALIBRATION_FILE,
    PRIOR_IMAGES,
    PRIOR_SCORES,
    ScoreCurve,
    chosen_threshold,
    fitted_curve,
    new_calibration,
    probability,
    reset_calibration,
    write_calibration,
)
from wsol.runs.run import Run
from wsol.runs.saved_config import save_config

THRESHOLDS = np.array([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
fits = st.lists(
    st.lists(st.integers(0, 10).map(lambda step: step / 10), min_size=7, max_size=7), min_size=5, max_size=12
)
images = st.lists(st.tuples(st.integers(0, 16).map(lambda step: step / 16), st.booleans()), max_size=40)


def by_loops(rows: list[list[float]], own: float) -> float:
    """The rule read aloud: among thresholds within one standard error of the best, the nearest, then the better one."""
    columns = list(zip(*rows, strict=True))
    means = [sum(column) / len(column) for column in columns]
    best = max(range(len(columns)), key=lambda place: means[place])
    as_good = []
    for place, column in enumerate(columns):
        behind = [a - b for a, b in zip(columns[best], column, strict=True)]
        mean = sum(behind) / len(behind)
        variance = sum((one - mean) ** 2 for one in behind) / (len(behind) - 1)
        if mean <= (variance / len(behind)) ** 0.5 + 1e-12:
            as_good.append(place)
    return min(as_good, key=lambda place: (round(abs(THRESHOLDS[place] - own), 6), -means[place]))


def chosen(rows: list[list[float]], own: float = 0.5) -> int:
    return chosen_threshold(np.array(rows), THRESHOLDS, own)


@given(fits, st.sampled_from([0.2, 0.5, 0.8]))
def test_the_threshold_is_the_nearest_that_is_as_good_as_the_best(rows: list[list[float]], own: float) -> None:
    assert chosen(rows, own) == by_loops(rows, own)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([[0.5] * 7] * 5, 3, id="all alike: it stays"),
        pytest.param([[0.2, 0.2, 0.2, 0.2, 0.2, 0.6, 0.2]] * 5, 5, id="one is better in every image"),
        pytest.param([[0.3] * 6 + [0.6]] + [[0.3] * 7] * 6, 3, id="one image alone proves nothing"),
        pytest.param(
            [[0, 0, 0.8, 0.2, fit, 0, 0] for fit in (0.9, 0.9, 0.6, 0.6, 0.8)],
            2,
            id="of two equally near the better one",
        ),
        pytest.param([[0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1]] * 9, 2, id="no further than it must"),
    ],
)
def test_thresholds_chosen_by_hand(rows: list[list[float]], expected: int) -> None:
    assert chosen(rows) == expected


def loss(slope: float, intercept: float, rows: list[tuple[float, bool]]) -> float:
    """Cross entropy of the images, and of `PRIOR_IMAGES` that are right as often as their score says, read aloud."""
    each = PRIOR_IMAGES / len(PRIOR_SCORES)
    weighted = [(score, float(is_right), 1.0) for score, is_right in rows] + [(s, s, each) for s in PRIOR_SCORES]
    found = 0.0
    for score, target, weight in weighted:
        p = float(1 / (1 + np.exp(-(intercept + slope * score))))
        found -= weight * (target * np.log(p) + (1 - target) * np.log(1 - p))
    return found


def fitted(rows: list[tuple[float, bool]]) -> ScoreCurve | None:
    return fitted_curve(np.array([s for s, _ in rows], dtype=float), np.array([right for _, right in rows], dtype=bool))


@given(images)
def test_no_other_rising_curve_fits_better(rows: list[tuple[float, bool]]) -> None:
    curve = fitted(rows)
    # The best flat one says of every box that it is right as often as all are, the prior's half right ones included.
    share = (sum(right for _, right in rows) + PRIOR_IMAGES / 2) / (len(rows) + PRIOR_IMAGES)
    slope, intercept = (0.0, float(np.log(share / (1 - share)))) if curve is None else (curve.slope, curve.intercept)
    least = loss(slope, intercept, rows)
    for step in (0.01, -0.01):
        assert loss(slope, intercept + step, rows) > least
        if slope + step >= 0:
            assert loss(slope + step, intercept, rows) > least
            assert loss(slope + step, intercept - step / 2, rows) > least


@given(images)
def test_a_higher_score_is_more_probable_and_nothing_is_certain(rows: list[tuple[float, bool]]) -> None:
    curve = fitted(rows)
    if curve is not None:
        found = np.array([probability(curve, step / 10) for step in range(11)])
        assert (np.diff(found) > 0).all() and found.min() > 0 and found.max() < 1


def test_without_images_a_score_is_nearly_its_own_probability() -> None:
    curve = fitted([])
    assert curve is not None
    assert [probability(curve, step / 10) for step in range(11)] == pytest.approx(np.linspace(0, 1, 11), abs=0.08)


def test_many_images_decide_alone() -> None:
    random = np.random.default_rng(0)
    scores = random.random(20_000)
    ground_truth = ScoreCurve(slope=12, intercept=-9)
    is_right = random.random(20_000) < [probability(ground_truth, score) for score in scores.tolist()]
    curve = fitted_curve(scores, is_right)
    assert curve is not None
    assert (curve.slope, curve.intercept) == pytest.approx((12, -9), rel=0.05)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([(0.9, False)] * 20 + [(0.1, True)] * 20, id="scores that mislead"),
        pytest.param([(0.2 + 0.05 * i, i in (0, 3)) for i in range(9)], id="nine boxes, two right, of low scores"),
    ],
)
def test_boxes_that_give_no_rising_curve_give_none(rows: list[tuple[float, bool]]) -> None:
    assert fitted(rows) is None


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """As much of a run as the file needs."""
    (tmp_path / "run" / "seg").mkdir(parents=True)
    (tmp_path / "run" / "seg" / "model.safetensors").write_bytes(b"weights")
    save_config(tmp_path / "run", RunConfig())
    return tmp_path / "run"


CURVE = ScoreCurve(slope=3.5, intercept=-1.25)


def test_a_calibration_reads_as_it_was_written_and_goes_when_it_is_reset(run: Path) -> None:
    assert Run.open(run).calibration() is None and not reset_calibration(run)
    written = new_calibration(Run.open(run).calibrated_weights, Path("few.csv"), 0.35, CURVE, 7)
    write_calibration(run, written)
    assert Run.open(run).calibration() == written and (written.threshold, written.curve, written.n) == (0.35, CURVE, 7)
    assert written.made.endswith("+00:00")
    assert reset_calibration(run) and not (run / CALIBRATION_FILE).exists() and Run.open(run).calibration() is None


def test_a_run_that_was_trained_again_is_not_calibrated(run: Path) -> None:
    assert not Run.open(run).is_calibrated
    write_calibration(run, new_calibration(Run.open(run).calibrated_weights, Path("few.csv"), 0.35, CURVE, 7))
    assert Run.open(run).is_calibrated
    (run / "seg" / "model.safetensors").write_bytes(b"other weights")
    assert not Run.open(run).is_calibrated


def test_a_calibration_may_have_no_curve_but_not_a_flat_one(run: Path) -> None:
    write_calibration(run, new_calibration(Run.open(run).calibrated_weights, Path("few.csv"), 0.35, None, 9))
    found = Run.open(run).calibration()
    assert found is not None and found.curve is None
    (run / CALIBRATION_FILE).write_text(
        (run / CALIBRATION_FILE).read_text().replace("null", '{"slope": 0.0, "intercept": -0.98}')
    )
    with pytest.raises(WsolError, match=r"cannot be used.*Run `wsol calibrate .* again"):
        Run.open(run).calibration()


def test_a_calibration_of_other_weights_is_warned_about_and_not_used(run: Path) -> None:
    write_calibration(run, new_calibration(Run.open(run).calibrated_weights, Path("few.csv"), 0.35, CURVE, 7))
    (run / "seg" / "model.safetensors").write_bytes(b"other weights")
    with pytest.warns(UserWarning, match="trained again, or given another method, since.*wsol calibrate"):
        assert Run.open(run).calibration() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"threshold": 0.5}'])
def test_a_damaged_file_is_reported_with_a_remedy(run: Path, text: str) -> None:
    (run / CALIBRATION_FILE).write_text(text)
    with pytest.raises(WsolError, match=r"calibration.json cannot be used.*--reset"):
        Run.open(run).calibration()
