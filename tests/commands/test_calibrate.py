"""Somebody has drawn a few boxes: `wsol calibrate` through the command line, and what follows from it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from quick import Cli

import wsol
from wsol.commands import calibrate as stage
from wsol.commands.calibrate import CalibrationResult, Comparison, _ImageFit, _ImageFits, _leave_one_out
from wsol.inference.localizer import Localizer
from wsol.inference.onnx.export import load_graph, run_metadata
from wsol.metrics.bootstrap import Rate
from wsol.predictions.records import Prediction, open_predictions
from wsol.predictions.review_journal import Decision, Journal
from wsol.predictions.review_sample import draw, write_sample
from wsol.reports.calibration_table import calibration_table
from wsol.runs.calibration import (
    CALIBRATION_FILE,
    ScoreCurve,
    fitted_curve,
    new_calibration,
    probability,
    write_calibration,
)
from wsol.runs.run import Run

CURVE = ScoreCurve(slope=2.0, intercept=-1.5)


@pytest.fixture
def own_run(small_run: Path, tmp_path: Path) -> Path:
    """A run that a test may calibrate; its weights are those of `small_run`."""
    parts = shutil.ignore_patterns("pseudo", "maps", "model.onnx")
    return Path(shutil.copytree(small_run, tmp_path / "run", copy_function=os.link, ignore=parts))


@pytest.fixture
def few(small_set: Path, tmp_path: Path) -> Path:
    """Six boxes of test images, their labels unknown to the run."""
    rows = [line for line in (small_set / "boxes.csv").read_text().splitlines() if line.startswith("test/")]
    lines = [",".join([line.split(",")[0], "thing", *line.split(",")[1:]]) for line in rows]
    (tmp_path / "few.csv").write_text("\n".join(["path,label,x0,y0,x1,y1", *lines]) + "\n")
    return tmp_path / "few.csv"


def calibrated(run: Path, threshold: float = 0.3, curve: ScoreCurve | None = CURVE) -> Path:
    """Leave a calibration in the run, whatever it would have learned."""
    write_calibration(run, new_calibration(Run.open(run).calibrated_weights, Path("few.csv"), threshold, curve, 7))
    return run


def test_a_run_learns_from_a_few_boxes_and_says_what_it_gained(
    cli: Cli, own_run: Path, few: Path, small_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["calibrate", own_run, "--boxes", few, "--images", small_set, "--json", tmp_path / "deep" / "c.json"]
    assert cli(*words, "--dry-run") == 0 and not (own_run / CALIBRATION_FILE).exists()
    *dry, end = capsys.readouterr().out.splitlines()
    assert end == f"Nothing was written (--dry-run); {own_run} is unchanged."
    assert cli(*words) == 0
    *table, end = capsys.readouterr().out.splitlines()
    assert table == dry and end.startswith(f"Written: {own_run / CALIBRATION_FILE}. ") and "`wsol predict` again" in end
    report, kept = (
        json.loads((tmp_path / "deep" / "c.json").read_text()),
        json.loads((own_run / CALIBRATION_FILE).read_text()),
    )
    assert report["calibration"] == kept and kept["n"] == report["n"] == 6 and kept["boxes"] == str(few)
    assert report["own_threshold"] == Run.open(own_run).box().threshold and report["verdict"] in " ".join(
        " ".join(dry).split()
    )
    assert (
        f"n = 6, threshold {Run.open(own_run).box().threshold:.2f} by default, {kept['threshold']:.2f} chosen"
        in "\n".join(dry)
    )
    for name in ("gt_known", "mean_box_iou", "brier"):
        figures = report["metrics"][name]
        change = figures["calibrated"]["value"] - figures["own"]["value"]
        assert figures["difference"]["value"] == pytest.approx(change)
    assert (
        cli("evaluate", own_run, small_set, "--threshold", str(report["own_threshold"]), "--json", tmp_path / "m.json")
        == 0
    )
    metrics = json.loads((tmp_path / "m.json").read_text())[0]["metrics"]
    for name in ("gt_known", "mean_box_iou"):
        assert report["metrics"][name]["own"] == pytest.approx(metrics[name], abs=1e-4), "the same images"


def test_fractions_of_images_are_refused(
    cli: Cli, own_run: Path, few: Path, small_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, *lines = [line.split(",") for line in few.read_text().splitlines()]
    shares = [[*line[:2], *(f"{float(cell) / 200:.4f}" for cell in line[2:])] for line in lines]
    few.write_text("\n".join(map(",".join, [head, *shares])) + "\n")
    assert cli("calibrate", own_run, "--boxes", few, "--images", small_set) == 2
    printed = capsys.readouterr().err
    assert "few.csv, line 2: all 6 boxes lie within 0..1" in printed and "expected corners in pixels" in printed
    assert not (own_run / CALIBRATION_FILE).exists()


def test_boxes_that_never_overlap_a_prediction_are_refused(
    cli: Cli, own_run: Path, few: Path, small_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, *lines = [line.split(",") for line in few.read_text().splitlines()]
    few.write_text("\n".join(map(",".join, [head, *([*line[:2], "0", "0", "3", "2"] for line in lines)])) + "\n")
    assert cli("calibrate", own_run, "--boxes", few, "--images", small_set) == 2
    printed = capsys.readouterr().err
    assert "none of 6 boxes" in printed and "the best IoU is 0.0" in printed and "expected boxes x0,y0,x1,y1" in printed
    assert not (own_run / CALIBRATION_FILE).exists()


@pytest.mark.parametrize("needed", [0.0, 1.01])
def test_boxes_of_which_none_fits_well_are_warned_of(
    cli: Cli,
    own_run: Path,
    few: Path,
    small_set: Path,
    needed: float,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("wsol.commands.calibrate.CORRECT_IOU", needed)
    assert cli("calibrate", own_run, "--boxes", few, "--images", small_set, "--dry-run") == 0
    assert ("warning: none of 6 boxes reaches an IoU" in capsys.readouterr().err) == (needed > 1)


def test_any_format_of_ground_truth_is_accepted_and_all_splits_are_used(
    own_run: Path, small_set: Path, few: Path
) -> None:
    assert wsol.calibrate(own_run, small_set, dry_run=True, quiet=True).calibration.n == 6
    head, *lines = few.read_text().splitlines()
    splits = ("train", "test", "train", "test", "test", "train")
    few.write_text("\n".join([f"{head},split", *map(",".join, zip(lines, splits, strict=True))]) + "\n")
    assert wsol.calibrate(own_run, few, images=small_set, dry_run=True, quiet=True).calibration.n == 6
    assert not (own_run / CALIBRATION_FILE).exists()


def test_predict_and_evaluate_take_what_was_learned_up(
    cli: Cli, own_run: Path, small_set: Path, tmp_path: Path
) -> None:
    predict = ["predict", own_run, small_set / "test", "--out"]
    assert cli(*predict, tmp_path / "raw", "--threshold", "0.3") == 0
    calibrated(own_run)
    assert cli(*predict, tmp_path / "out") == 0
    raw, out = (
        [json.loads(line) for line in (tmp_path / name / "predictions.jsonl").read_text().splitlines()]
        for name in ("raw", "out")
    )
    for one, other in zip(raw, out, strict=True):
        for a, b in zip(one["objects"], other["objects"], strict=True):
            assert a["xyxy"] == b["xyxy"]
            assert b["score"] == pytest.approx(probability(CURVE, a["score"]), abs=1e-5)
    settings = [json.loads((tmp_path / name / "manifest.json").read_text())["settings"] for name in ("raw", "out")]
    assert settings[1]["score_curve"] == CURVE.model_dump() and settings[0]["box"] == settings[1]["box"]
    assert "score_curve" not in settings[0], "folders from before there were curves stay finished"
    assert cli("evaluate", own_run, small_set, "--json", tmp_path / "m.json") == 0
    judged = json.loads((tmp_path / "m.json").read_text())[0]
    assert judged["threshold"] == 0.3
    assert "the threshold 0.30 was learned from 7 annotated boxes of few.csv" in judged["notes"][0]
    assert cli("evaluate", own_run, small_set, "--threshold", "0.3", "--json", tmp_path / "m.json") == 0
    assert not json.loads((tmp_path / "m.json").read_text())[0]["notes"]


def test_without_a_curve_scores_stay_as_they_are(cli: Cli, own_run: Path, small_set: Path, tmp_path: Path) -> None:
    predict = ["predict", own_run, small_set / "test", "--out"]
    assert cli(*predict, tmp_path / "raw", "--threshold", "0.3") == 0
    calibrated(own_run, curve=None)
    assert cli(*predict, tmp_path / "out") == 0
    raw, out = ((tmp_path / name / "predictions.jsonl").read_text() for name in ("raw", "out"))
    assert raw == out


def test_predictions_of_another_calibration_are_not_finished(
    cli: Cli, own_run: Path, small_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", calibrated(own_run), small_set / "test", "--out", tmp_path / "out"]
    assert cli(*words) == 0
    capsys.readouterr()
    assert cli(*words) == 0 and "finished already" in capsys.readouterr().err
    calibrated(own_run, curve=CURVE.model_copy(update={"slope": 2.5}))
    assert cli(*words) == 2
    printed = capsys.readouterr().err
    assert printed.count("the run was calibrated again since") == 1 and "slope" not in printed
    assert f"`wsol calibrate {own_run} --reset` undoes it" in printed and "another folder with `--out`" in printed
    calibrated(own_run, threshold=0.4, curve=None)
    assert cli(*words) == 2
    printed = capsys.readouterr().err
    assert (
        "calibrated again since: only the threshold" in printed and "slope" not in printed and "0.4 now" not in printed
    )
    assert cli("calibrate", own_run, "--reset") == 0
    assert cli(*words) == 2
    assert "the folder was made with a calibration that is not used now" in capsys.readouterr().err


def test_predicting_again_after_a_calibration_says_what_changed(
    cli: Cli, own_run: Path, small_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", own_run, small_set / "test", "--out", tmp_path / "out"]
    assert cli(*words) == 0
    calibrated(own_run, curve=None)
    assert cli(*words) == 2
    assert "the run was calibrated since, or the folder was made with --threshold" in capsys.readouterr().err
    calibrated(own_run)
    assert cli(*words) == 2
    assert "the run was calibrated since: threshold and scores are" in capsys.readouterr().err
    assert cli(*words, "--threshold", "0.9") == 2
    printed = capsys.readouterr().err
    assert "0.9 now" in printed and "wsol calibrate" not in printed, (
        "a threshold of the user's leaves the calibration out"
    )


def test_a_threshold_of_the_users_leaves_the_calibration_out(own_run: Path) -> None:
    learned = Localizer.load(calibrated(own_run), device="cpu")
    assert (learned.box.threshold, learned.curve) == (0.3, CURVE)
    asked = Localizer.load(own_run, threshold=0.3, device="cpu")
    assert (asked.box.threshold, asked.curve) == (0.3, None)
    every = Localizer.load(own_run, objects="all", device="cpu")
    assert (every.box.objects, every.box.threshold, every.curve) == ("all", 0.3, CURVE)


def test_a_run_that_was_trained_again_is_as_if_never_calibrated_until_it_is(
    own_run: Path, few: Path, small_set: Path
) -> None:
    calibrated(own_run)
    weights = own_run / "seg" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.unlink()  # a link to the other run's
    weights.write_bytes(content)
    with pytest.warns(UserWarning, match="trained again, or given another method, since"):
        found = Localizer.load(own_run, device="cpu")
    assert (found.box.threshold, found.curve) == (Run.open(own_run).box().threshold, None)
    again = wsol.calibrate(own_run, few, images=small_set, quiet=True)  # without a word about the old one
    assert Localizer.load(own_run, device="cpu").curve == again.calibration.curve


def test_the_threshold_travels_with_the_onnx_file(own_run: Path) -> None:
    graph = load_graph(Run.open(own_run))
    assert run_metadata(Run.open(own_run), graph).box.threshold == Run.open(own_run).box().threshold
    assert run_metadata(Run.open(calibrated(own_run)), graph).box.threshold == 0.3


def test_reset_removes_the_calibration(cli: Cli, own_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calibrated(own_run)
    assert cli("calibrate", own_run, "--reset", "--dry-run") == 0 and (own_run / CALIBRATION_FILE).exists()
    assert cli("calibrate", own_run, "--reset") == 0 and not (own_run / CALIBRATION_FILE).exists()
    assert cli("calibrate", own_run, "--reset") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{own_run / CALIBRATION_FILE} would be removed; nothing was changed (--dry-run).",
        "calibration removed",
        f"{own_run} is not calibrated: nothing to remove",
    ]


def test_images_that_cannot_be_used_are_reported(
    cli: Cli, own_run: Path, own_set: Path, few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = few.read_text().splitlines()
    train = sorted(path.relative_to(own_set).as_posix() for path in (own_set / "train").rglob("*.jpg"))
    Image.new("RGB", (50, 50)).save(own_set / train[0])
    (own_set / train[1]).write_bytes(b"no image")
    more = [
        f"{train[0]},thing,1,1,30,30,120,90",
        f"{train[1]},thing,1,1,30,30,120,90",
        f"{train[2]},thing,60,1,30,9,120,90",
    ]
    few.write_text("\n".join([f"{lines[0]},width,height", *(f"{line},120,90" for line in lines[1:]), *more]) + "\n")
    assert cli("calibrate", own_run, "--boxes", few, "--images", own_set) == 0
    printed = capsys.readouterr()
    assert "n = 6" in printed.out
    assert (
        f"not used: other size: {train[0]}" in printed.err
        and f"not used: cannot decode {own_set / train[1]}" in printed.err
    )
    assert "wrong in the boxes: swapped corners" in printed.err


def nothing(lines: list[str], root: Path) -> list[str]:
    return lines


def four(lines: list[str], root: Path) -> list[str]:
    return lines[:5]


def two_broken(lines: list[str], root: Path) -> list[str]:
    for line in lines[1:3]:
        (root / line.split(",")[0]).write_bytes(b"no image")
    return lines


@pytest.mark.parametrize(
    ("spoiled", "words", "expected"),
    [
        pytest.param(
            four,
            ["--boxes", "{few}"],
            "too few usable boxes in {few}: expected at least 5 images with one, got 4",
            id="four boxes",
        ),
        pytest.param(two_broken, ["--boxes", "{few}"], "cannot decode", id="two of six are broken"),
        pytest.param(
            nothing, [], "expected --reviewed PREDICTIONS, --boxes FEW or --reset", id="nothing to learn from"
        ),
        pytest.param(nothing, ["--boxes", "{few}", "--reset"], "needs exactly one source", id="both"),
        pytest.param(
            nothing, ["--boxes", "{few}", "--reviewed", "{few}"], "needs exactly one source", id="boxes twice"
        ),
        pytest.param(nothing, ["--reviewed", "{few}"], "of `wsol predict", id="no predictions"),
        pytest.param(
            nothing,
            ["--reset", "--json", "{few}.json"],
            "--json and --reset exclude each other",
            id="a report on nothing",
        ),
        pytest.param(nothing, ["--boxes", "{few}x"], "{few}x does not exist", id="no such boxes"),
    ],
)
def test_mistakes_are_reported_and_change_nothing(
    cli: Cli,
    own_run: Path,
    own_set: Path,
    few: Path,
    capsys: pytest.CaptureFixture[str],
    spoiled: Callable[[list[str], Path], list[str]],
    words: list[str],
    expected: str,
) -> None:
    few.write_text("\n".join(spoiled(few.read_text().splitlines(), own_set)) + "\n")
    assert cli("calibrate", own_run, *(word.format(few=few) for word in words), "--images", own_set) == 2
    printed = capsys.readouterr().err
    assert (
        expected.format(few=few) in printed and "Traceback" not in printed and not (own_run / CALIBRATION_FILE).exists()
    )


@pytest.mark.parametrize("has_sizes", [False, True])
def test_images_that_have_moved_are_asked_for(
    cli: Cli, own_run: Path, few: Path, capsys: pytest.CaptureFixture[str], has_sizes: bool
) -> None:
    head, *lines = few.read_text().splitlines()
    if has_sizes:
        few.write_text("\n".join([f"{head},width,height", *(f"{line},120,90" for line in lines)]) + "\n")
    assert cli("calibrate", own_run, "--boxes", few) == 2
    printed = capsys.readouterr().err
    first = few.parent / lines[0].split(",")[0]
    assert f"0 of 6 images listed in {few} exist: expected files such as {first}. Give" in printed
    assert "`--images FOLDER`" in printed and "Annotate more" not in printed


def test_a_folder_that_is_no_run_is_reported(cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("calibrate", tmp_path, "--reset") == 2 and "is not a run" in capsys.readouterr().err


def images(n: int) -> list[_ImageFit]:
    """Maps of blots, whose boxes fit now better, now worse."""
    random = np.random.default_rng(n)
    seen = []
    for _ in range(n):
        heatmap = random.random((6, 6), dtype=np.float32)
        peak = random.random()
        fits = np.clip(0.95 - 2 * np.abs(np.array([0.2, 0.5, 0.8]) - peak) + 0.1 * random.random(3), 0, 1)
        seen.append(_ImageFit(heatmap, (30, 40), fits))
    return seen


@pytest.mark.parametrize("n", [5, 9])
def test_each_image_is_evaluated_with_the_calibration_of_all_others(n: int) -> None:
    seen, thresholds = images(n), np.array([0.2, 0.5, 0.8])
    found: dict[str, list[float]] = {"gt_known": [], "mean_box_iou": [], "brier": []}
    for i, one in enumerate(seen):
        others = _ImageFits([*seen[:i], *seen[i + 1 :]], thresholds, 0.5)
        place = others.choice(np.ones(n - 1, dtype=bool))
        curve = fitted_curve(others.scores_at(place), others.is_right[:, place])
        is_right = bool(one.fits[place] >= 0.5)
        score = float(_ImageFits([one], thresholds, 0.5).scores_at(place)[0])
        found["gt_known"].append(is_right)
        found["mean_box_iou"].append(one.fits[place])
        found["brier"].append(((score if curve is None else probability(curve, score)) - is_right) ** 2)
    lessons = _ImageFits(seen, thresholds, 0.5)
    for compared, values in zip(_leave_one_out(lessons, lessons.choices_of_others()), found.values(), strict=True):
        assert compared.calibrated.value == pytest.approx(100 * np.mean(values))
        assert compared.difference.value == pytest.approx(compared.calibrated.value - compared.own.value)


@pytest.mark.parametrize("gain", [-2.0, 2.0])
def test_a_threshold_that_is_significantly_worse_on_other_images_is_not_used(
    own_run: Path, few: Path, small_set: Path, monkeypatch: pytest.MonkeyPatch, gain: float
) -> None:
    own, rate = Run.open(own_run).box().threshold, Rate(50.0, 40.0, 60.0)
    sure = Comparison(rate, rate, Rate(gain, gain - 0.5, gain + 0.5))
    monkeypatch.setattr(stage, "_leave_one_out", lambda lessons, places, empty_at: (sure, sure, sure))
    monkeypatch.setattr(_ImageFits, "choice", lambda self, which: self.own + 3)
    monkeypatch.setattr(_ImageFits, "curve", lambda self, place, which: CURVE)
    found = wsol.calibrate(own_run, few, images=small_set, quiet=True)
    read = Localizer.load(own_run, device="cpu")
    assert (read.box.threshold, read.curve) == (found.calibration.threshold, found.calibration.curve)
    assert (found.calibration.threshold == own) == (gain < 0) and found.tried_threshold > own
    assert (found.calibration.curve is None) == (gain > 0), "of the Brier score low is good"


@pytest.mark.parametrize("m", [1, 3])
def test_boxes_in_images_without_an_object_are_wrong_and_each_is_evaluated_by_all_others(m: int) -> None:
    seen, empty, thresholds = images(7), images(10 + m)[:m], np.array([0.2, 0.5, 0.8])
    blank = _ImageFit(np.zeros((6, 6), np.float32), (30, 40), np.zeros(0))  # nothing is found
    fits, everything = _ImageFits(seen, thresholds, 0.5, [*empty, blank]), np.ones(7, dtype=bool)
    scores = np.array([_ImageFits([one], thresholds, 0.5).scores_at(0)[0] for one in empty])
    assert fits.wrong_scores_at(0).tolist() == pytest.approx([*scores, np.nan], nan_ok=True)

    def curve(wrong: Any) -> ScoreCurve | None:
        return fitted_curve(
            np.append(fits.scores_at(0), wrong), np.append(fits.is_right[:, 0], np.zeros(len(wrong)) > 0)
        )

    assert fits.curve(0, everything) == curve(scores)
    expected = [0.0]
    for i, score in enumerate(scores):
        learned = curve(np.delete(scores, i))
        expected.append((score if learned is None else probability(learned, score)) ** 2)
    with_empty = _leave_one_out(fits, np.zeros(7, dtype=int), empty_at=0)
    alone = [_ImageFits(seen[:i] + seen[i + 1 :], thresholds, 0.5, empty) for i in range(7)]
    for i, others in enumerate(alone):
        learned, score = others.curve(0, np.ones(6, dtype=bool)), float(fits.scores_at(0)[i])
        expected.append(((score if learned is None else probability(learned, score)) - fits.is_right[i, 0]) ** 2)
    assert with_empty[2].calibrated.value == pytest.approx(100 * np.mean(expected))
    without = _leave_one_out(_ImageFits(seen, thresholds, 0.5), np.zeros(7, dtype=int))
    assert with_empty[:2] == without[:2], "there is no box to overlap"


def test_without_a_calibration_figures_are_those_of_the_default() -> None:
    seen, thresholds = images(6), np.array([0.2, 0.5, 0.8])
    lessons = _ImageFits(seen, thresholds, 0.5)
    gt_known, mean_box_iou, brier = _leave_one_out(lessons, lessons.choices_of_others())
    fits = np.array([one.fits[1] for one in seen])
    scores = _ImageFits(seen, thresholds, 0.5).scores_at(1)
    assert gt_known.own.value == pytest.approx(100 * (fits >= 0.5).mean())
    assert mean_box_iou.own.value == pytest.approx(100 * fits.mean())
    assert brier.own.value == pytest.approx(100 * ((scores - (fits >= 0.5)) ** 2).mean())


@pytest.mark.parametrize(
    ("threshold", "gain", "expected"),
    [
        pytest.param(0.5, (0.0, 0.0, 0.0), "The threshold stays at 0.50", id="stays"),
        pytest.param(0.4, (2.0, 0.5, 4.0), "Threshold 0.40 is better: +2.0 (+0.5 to +4.0) points", id="better"),
        pytest.param(
            0.4,
            (-2.0, -4.0, -0.5),
            "The threshold stays at 0.50: 0.40, the choice of these 7 boxes, is worse, -2.0 (-4.0 to -0.5) points",
            id="worse",
        ),
        pytest.param(0.4, (1.0, -1.0, 3.0), "No significant gain with threshold 0.40", id="not significant"),
    ],
)
def test_the_verdict_says_whether_the_calibration_is_a_gain(
    own_run: Path, threshold: float, gain: tuple[float, float, float], expected: str
) -> None:
    rate = Rate(50.0, 40.0, 60.0)
    one = Comparison(rate, rate, Rate(*gain))
    calibration = new_calibration(Run.open(own_run).calibrated_weights, Path("few.csv"), threshold, CURVE, 7)
    found = CalibrationResult(calibration, 0.5, threshold, 3, one, one, one, (), ())
    assert found.verdict().startswith(expected)
    assert ("as probabilities they would be worse" in found.verdict()) == (gain[1] > 0), "lower is better"
    assert ("The scores are better as probabilities: Brier" in found.verdict()) == (gain[2] < 0)
    assert calibration_table(found).caption == found.verdict()


def test_scores_stay_unchanged_if_the_boxes_give_no_rising_curve(own_run: Path) -> None:
    one = Comparison(Rate(50.0, 40.0, 60.0), Rate(50.0, 40.0, 60.0), Rate(-2.0, -3.0, -1.0))
    calibration = new_calibration(Run.open(own_run).calibrated_weights, Path("few.csv"), 0.5, None, 9)
    found = CalibrationResult(calibration, 0.5, 0.5, 2, one, one, one, (), ())
    printed = found.verdict()
    assert list(calibration_table(found).columns[3].cells)[2] == "", "no figure of what is not used"
    assert "The threshold stays at 0.50" in printed and "More boxes" in printed
    assert "among these 9 boxes, of which 2 are right" in printed and "Brier" not in printed


def test_a_run_learns_from_the_sample_of_its_own_predictions_and_says_how_good_it_is(
    cli: Cli,
    own_run: Path,
    small_set: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    assert cli("predict", own_run, small_set / "test", "--out", tmp_path / "few") == 0
    assert "drawn at random" not in capsys.readouterr().err, "of six images"
    monkeypatch.setattr("wsol.commands.predict.USUAL", 6)
    assert cli("predict", own_run, small_set / "test", "--out", out) == 0
    assert f"`wsol review {out} --sample 6` shows 6 images drawn at random" in capsys.readouterr().err
    opened = list(open_predictions(out))
    write_sample(out, draw((one.image for one in opened), len(opened)))
    for one in opened[1:]:
        height, width = one.image_hw
        decide_at(out, one, (width * 0.2, height * 0.2, width * 0.8, height * 0.8))
    words = ["calibrate", own_run, "--reviewed", out, "--dry-run", "--json", tmp_path / "printed.json"]
    assert cli(*words) == 2 and "1 of the 6 images" in capsys.readouterr().err
    decide_at(out, opened[0], None)
    assert cli(*words) == 0
    report = json.loads((tmp_path / "printed.json").read_text())
    assert report["n"] == 5 and report["accuracy"]["n"] == 6
    own = report["calibration"]["threshold"] == report["own_threshold"]
    right = report["metrics"]["gt_known"]["own" if own else "calibrated"]["value"] / 100 * 5
    assert report["accuracy"]["right"] == pytest.approx(right, abs=0.01)
    assert report["accuracy"]["low"] <= report["accuracy"]["value"] <= report["accuracy"]["high"]
    shown = " ".join(capsys.readouterr().out.split())
    assert f"{report['accuracy']['right']} of the 6 images drawn at random are right" in shown
    decide_at(out, opened[5], ())  # in which the run finds something
    assert cli(*words) == 2, "four boxes are too few"
    printed = capsys.readouterr().err
    assert "Of 6 drawn images, 1 has no object, and 1 was rejected" in printed
    assert "--sample 50` draws more" in printed


def test_an_image_without_an_object_is_right_where_the_run_finds_nothing(
    own_run: Path, small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = wsol.predict(own_run, small_set / "test", tmp_path / "out", quiet=True)
    opened = list(open_predictions(out))
    write_sample(out, draw((one.image for one in opened), len(opened)))
    for one in opened[1:]:
        decide_at(out, one, (5.0, 5.0, 60.0, 50.0))
    decide_at(out, opened[0], ())
    judged, outputs = {}, Localizer.outputs
    for peak in (0.0, 1.0):

        def peaked(self: Localizer, pixels: Any, peak: float = peak) -> Any:
            found = outputs(self, pixels)  # the image without an object is alone in its batch
            return found if len(pixels) > 1 else replace(found, heatmaps=np.full((1, 4, 4), peak, np.float32))

        monkeypatch.setattr(Localizer, "outputs", peaked)
        accuracy = wsol.calibrate(own_run, reviewed=out, dry_run=True, quiet=True).accuracy
        assert accuracy is not None and accuracy.n == 6
        judged[peak] = accuracy.right
    assert judged[0.0] == judged[1.0] + 1


def test_heatmaps_with_another_shift_count_as_other_heatmaps(
    cli: Cli, own_run: Path, small_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = own_run / "seg" / "threshold.json"
    words = ["predict", own_run, small_set / "test", "--out"]
    calibrated(own_run)
    assert cli(*words, tmp_path / "out") == 0
    values = json.loads(file.read_text())
    assert values["for_images"]["fits"], "an image has its own threshold"
    file.unlink()  # which is a link to another run's
    file.write_text(json.dumps({**values, "for_images": None}))
    with pytest.warns(UserWarning, match="since it was calibrated"):
        assert cli(*words, tmp_path / "out") == 2
    assert "to redo it" in capsys.readouterr().err
    with pytest.warns(UserWarning, match="since it was calibrated"):
        assert Localizer.load(own_run).curve is None


def decide_at(out: Path, one: Prediction, box: tuple[float, float, float, float] | tuple[()] | None) -> None:
    """A box drawn by hand, an image without an object, or a rejection."""
    with Journal(out) as journal:
        number = len(journal.decisions) + 1
        verdict, boxes = ("rejected", ()) if box is None else ("corrected", (box,)) if box else ("empty", ())
        journal.append(
            Decision(number, one.image, one.image_hw, verdict, boxes, one.class_name, "2026", "by hand", f"{number}")
        )
