"""What researchers do with `wsol evaluate`, through the command line."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from quick import Cli

from wsol.commands.evaluate import ranks_of
from wsol.runs.run import Run

PROTOCOLS = "original,spol,wsol-v1,wsol-v2"


def numbers(path: Path) -> dict[str, dict[str, Any]]:
    """What `--json` wrote, by protocol."""
    return {one["protocol"]: one for one in json.loads(path.read_text())}


def table_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture(scope="module")
def judged_run(small_set: Path, small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """`small_run` under every protocol; its maps are kept beside it."""
    from wsol.cli.main import main

    out = tmp_path_factory.mktemp("judged") / "m.json"
    main(
        [
            "evaluate",
            str(small_run),
            str(small_set),
            "--protocol",
            PROTOCOLS,
            "--json",
            str(out),
            "--save-heatmaps",
            str(small_run / "maps"),
        ]
    )
    return numbers(out)


def test_every_protocol_has_its_metrics_with_intervals(judged_run: dict[str, dict[str, Any]], small_run: Path) -> None:
    at_threshold = {"gt_known", "top1_loc", "top5_loc", "mean_box_iou", "gt_known_best_threshold"}
    swept = {"box_acc_30", "box_acc_50", "box_acc_70", "mean_box_iou", "pxap"}
    expected = {
        "original": at_threshold | {"mask_iou", "gt_known_otsu", "gt_known_30", "pointing_game"},
        "spol": at_threshold,
        "wsol-v1": swept | {"max_box_acc"},
        "wsol-v2": swept | {"max_box_acc_v2"},
    }
    for one in judged_run.values():
        known = one["metrics"].get("gt_known", {"value": 0})["value"]
        assert ("score_auc" in one["metrics"]) == (0 < known < 100), (
            "with all right or all wrong there is nothing to rank"
        )
    assert {name: {*one["metrics"]} - {"score_auc"} for name, one in judged_run.items()} == expected
    assert [one["n"] for one in judged_run.values()] == [6] * 4
    assert [one["threshold"] for one in judged_run.values()] == [Run.open(small_run).box().threshold, 0.2, None, None]
    for one in judged_run.values():
        assert all(0 <= rate["low"] <= rate["value"] <= rate["high"] <= 100 for rate in one["metrics"].values())
        assert 0 <= one["best_threshold"] <= 1


@pytest.mark.parametrize("workers", [1, 2])
def test_the_heatmaps_of_a_run_evaluated_as_those_of_another_system_give_the_same_numbers(
    cli: Cli,
    small_set: Path,
    small_run: Path,
    judged_run: dict[str, dict[str, Any]],
    tmp_path: Path,
    workers: int,
) -> None:
    words = [
        "--heatmaps",
        small_run / "maps",
        "--truth",
        small_set,
        "--workers",
        workers,
        "--json",
        tmp_path / "m.json",
    ]
    assert (
        cli(
            "evaluate",
            *words,
            "--protocol",
            "original,wsol-v1,wsol-v2",
            "--threshold",
            str(judged_run["original"]["threshold"]),
        )
        == 0
    )
    found = numbers(tmp_path / "m.json")
    for name in ("wsol-v1", "wsol-v2"):
        assert found[name] == judged_run[name]
    known = judged_run["original"]["metrics"]
    assert found["original"]["metrics"] == {name: known[name] for name in known if not name.startswith("top")}


def test_predictions_evaluated_as_boxes_with_classes_give_the_numbers_of_the_run(
    cli: Cli, small_set: Path, small_run: Path, judged_run: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    assert cli("predict", small_run, small_set / "test", "--out", tmp_path / "out") == 0
    assert cli("export", tmp_path / "out", "--format", "coco", "--out", tmp_path / "coco") == 0
    for boxes in (tmp_path / "out", tmp_path / "coco" / "results.json"):
        words = ["--boxes", boxes, "--classes", tmp_path / "out", "--truth", small_set, "--json", tmp_path / "m.json"]
        assert cli("evaluate", *words) == 0
        found = numbers(tmp_path / "m.json")["original"]["metrics"]
        for metric in {"gt_known", "top1_loc", "top5_loc", "mean_box_iou", "score_auc"} & set(
            judged_run["original"]["metrics"]
        ):
            assert found[metric] == pytest.approx(judged_run["original"]["metrics"][metric], abs=1e-6), metric


def test_a_table_of_boxes_is_evaluated_under_every_protocol(cli: Cli, small_set: Path, tmp_path: Path) -> None:
    ground_truth = table_of(small_set / "boxes.csv")
    test = [row for row in ground_truth if row["path"].startswith("test/")]
    with (tmp_path / "found.csv").open("w") as file:
        writer = csv.DictWriter(file, ["path", "x0", "y0", "x1", "y1"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(test[:-1])
    words = ["--boxes", tmp_path / "found.csv", "--truth", small_set, "--json", tmp_path / "m.json"]
    assert cli("evaluate", *words, "--protocol", PROTOCOLS) == 0
    found = numbers(tmp_path / "m.json")
    five_of_six = pytest.approx(500 / 6)
    assert found["original"]["metrics"]["gt_known"]["value"] == five_of_six
    assert found["spol"]["metrics"]["gt_known"]["value"] == five_of_six
    assert found["wsol-v1"]["metrics"]["max_box_acc"]["value"] == five_of_six
    assert found["wsol-v2"]["metrics"]["max_box_acc_v2"]["value"] == five_of_six
    assert found["wsol-v2"]["best_threshold"] is None


@pytest.mark.parametrize("which", ["seg", "cam"])
def test_under_spol_the_networks_see_nothing_but_the_crop(
    cli: Cli, own_set: Path, small_run: Path, tmp_path: Path, which: str
) -> None:
    """The outer 1/16 of an image may be anything."""
    found = []
    for border_px in (0, 3):
        for path in sorted((own_set / "test").rglob("*.jpg")):
            pixels = np.asarray(Image.open(path)).copy()
            inner = pixels[border_px : len(pixels) - border_px, border_px : pixels.shape[1] - border_px].copy()
            pixels[:] = np.random.default_rng(0).integers(0, 256, pixels.shape) if border_px else pixels
            pixels[border_px : len(pixels) - border_px, border_px : pixels.shape[1] - border_px] = inner
            Image.fromarray(pixels).save(path, "PNG")  # without loss, whatever it is called
        # A threshold at which these hardly trained networks find neither nothing nor everything.
        middle = {"seg": "0.5", "cam": "0.2"}[which]
        words = ["--which", which, "--protocol", "original,spol", "--json", tmp_path / "m.json", "--threshold", middle]
        assert cli("evaluate", small_run, own_set, *words) == 0
        found.append({name: one["metrics"]["mean_box_iou"] for name, one in numbers(tmp_path / "m.json").items()})
    assert found[0]["spol"] == found[1]["spol"]
    assert found[0]["original"] != found[1]["original"]


@pytest.mark.parametrize(
    ("probabilities", "label", "rank"),
    [
        pytest.param([0.7, 0.2, 0.1], 0, 0, id="the most probable"),
        pytest.param([0.7, 0.2, 0.1], 2, 2, id="the least probable"),
        pytest.param([0.4, 0.4, 0.2], 1, 1, id="as probable as the first: after it"),
        pytest.param([0.4, 0.4, 0.2], 0, 0, id="as probable as the second: before it"),
        pytest.param([float("nan")] * 3, 0, 3, id="not a number is last"),
    ],
)
def test_the_rank_of_a_class_is_its_position_by_probability(probabilities: list[float], label: int, rank: int) -> None:
    assert ranks_of(np.array([probabilities]), np.array([label])) == [rank]


def test_classes_curve_and_problems_are_written_beside_the_table(
    cli: Cli, own_set: Path, small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = (own_set / "boxes.csv").read_text().splitlines()
    test = [i for i, line in enumerate(table) if line.startswith("test/")]
    path, x0, y0, x1, y1 = table[test[0]].split(",")
    table[test[0]] = ",".join([path, x1, y1, x0, y0])
    table.append("test/nowhere/1.jpg,1,2,3,4")
    (own_set / "boxes.csv").write_text("\n".join(table) + "\n")
    out = tmp_path / "deep" / "out"
    words = ["--per-class", "--csv", f"{out}.csv", "--curve", f"{out}_curve.svg", "--problems", f"{out}.txt"]
    assert cli("evaluate", small_run, own_set, "--protocol", PROTOCOLS, *words) == 0
    shown = capsys.readouterr()
    assert "n = 5" in shown.out and "per class" in shown.out
    assert "1 x swapped corners" in shown.err and "1 x unknown image" in shown.err
    assert "no ground truth" in shown.err
    problems = Path(f"{out}.txt").read_text()
    assert path in problems and "swapped corners" in problems and "test/nowhere/1.jpg" in problems
    rows = table_of(Path(f"{out}.csv"))
    names = {child.name for child in (own_set / "test").iterdir()}
    assert {row["class"] for row in rows} == {"", *names}
    assert (
        sum(
            int(row["n"])
            for row in rows
            if row["class"] and (row["protocol"], row["metric"]) == ("original", "gt_known")
        )
        == 5
    )
    curve = table_of(Path(f"{out}_curve.csv"))
    assert {row["protocol"] for row in curve} == set(PROTOCOLS.split(","))
    assert sum(row["protocol"] == "wsol-v2" for row in curve) == 3000
    assert "the run's threshold" in Path(f"{out}_curve.svg").read_text()


def test_a_image_without_a_contour_may_be_left_out_under_spol(
    cli: Cli, small_set: Path, small_run: Path, judged_run: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    maps = Path(shutil.copytree(small_run / "maps", tmp_path / "maps"))
    np.save(sorted(maps.rglob("*.npy"))[0], np.zeros((8, 8), np.float32))
    words = ["--heatmaps", maps, "--truth", small_set, "--protocol", "spol", "--json", tmp_path / "m.json"]
    assert cli("evaluate", *words) == 0
    assert numbers(tmp_path / "m.json")["spol"]["n"] == 6
    assert cli("evaluate", *words, "--empty", "left-out") == 0
    assert numbers(tmp_path / "m.json")["spol"]["n"] == 5


def test_an_image_of_another_size_than_its_ground_truth_is_left_out_and_listed(
    cli: Cli, own_set: Path, small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = own_set / "truth.csv"
    names = sorted(path.relative_to(own_set).as_posix() for path in (own_set / "test").rglob("*.jpg"))
    rows = [f"{name},{name.split('/')[1]},10,10,60,60,120,90" for name in names]
    table.write_text("\n".join(["path,label,x0,y0,x1,y1,width,height", *rows]) + "\n")
    Image.new("RGB", (50, 50)).save(own_set / names[0])
    assert cli("evaluate", small_run, table, "--json", tmp_path / "m.json") == 0
    assert numbers(tmp_path / "m.json")["original"]["n"] == 5
    assert f"other size: {names[0]}: expected the (height, width) (90, 120)" in capsys.readouterr().err


def test_missing_and_broken_maps_are_left_out_and_listed(
    cli: Cli,
    small_set: Path,
    small_run: Path,
    judged_run: dict[str, dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    maps = Path(shutil.copytree(small_run / "maps", tmp_path / "maps"))
    first, second, *_ = sorted(maps.rglob("*.npy"))
    first.unlink()
    second.write_bytes(b"no map")
    assert cli("evaluate", "--heatmaps", maps, "--truth", small_set, "--json", tmp_path / "m.json") == 0
    assert numbers(tmp_path / "m.json")["wsol-v2"]["n"] == 4
    printed = capsys.readouterr().err
    assert "no heatmap" in printed and "cannot read the heatmap" in printed


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param([], "either RUN DATA, or --heatmaps DIR --truth TRUTH", id="nothing"),
        pytest.param(["{run}"], "either RUN DATA", id="no data"),
        pytest.param(["{run}", "{set}", "--truth", "{set}"], "either RUN DATA", id="a run and truth"),
        pytest.param(["--heatmaps", "{maps}"], "either RUN DATA", id="maps without truth"),
        pytest.param(
            ["--heatmaps", "{maps}", "--boxes", "x.csv", "--truth", "{set}"], "either RUN DATA", id="maps and boxes"
        ),
        pytest.param(
            ["--heatmaps", "{maps}", "--truth", "{set}", "--protocol", "original"],
            "expected --threshold",
            id="no threshold",
        ),
        pytest.param(["--heatmaps", "{tmp}", "--truth", "{set}"], "no heatmap in", id="no maps"),
        pytest.param(["--heatmaps", "{maps}", "--truth", "{tmp}/nowhere"], "does not exist", id="no such truth"),
        pytest.param(
            ["--boxes", "x.csv", "--truth", "{set}", "--curve", "x.svg"], "--curve needs heatmaps", id="curve of boxes"
        ),
        pytest.param(["--boxes", "{tmp}/none.csv", "--truth", "{set}"], "none.csv", id="no such boxes"),
        pytest.param(["{run}", "{set}", "--protocol", "orignal"], "Did you mean original?", id="misspelt protocol"),
        pytest.param(["{run}", "{set}", "--threshold-step", "0"], "from 0.0001 to 1", id="no step"),
        pytest.param(
            ["{run}", "{set}", "--classes", "x.csv"],
            "--classes is for the results of other systems",
            id="classes of a run",
        ),
        pytest.param(
            ["--heatmaps", "{maps}", "--truth", "{set}", "--save-heatmaps", "x"],
            "--save-heatmaps writes the heatmaps of a run",
            id="saved maps of maps",
        ),
        pytest.param(
            ["{run}", "{set}", "--protocol", "spol", "--threshold", "0.3"],
            "--threshold is for protocol original",
            id="a fixed threshold",
        ),
        pytest.param(
            ["--heatmaps", "{maps}", "--truth", "{set}", "--classes", "x.csv"],
            "add original or spol",
            id="classes without Top-k",
        ),
        pytest.param(["--heatmaps", "{maps}", "--truth", "{set}", "--workers", "0"], "at least 1", id="no workers"),
        pytest.param(["{run}", "{set}", "--json", "{tmp}"], "is a folder", id="a folder for a file"),
        pytest.param(
            ["{run}", "{set}", "--csv", "{set}/boxes.csv/a.csv"], "expected a folder", id="a file for a folder"
        ),
        pytest.param(["{run}", "{set}", "--curve", "x.gif"], "ends in .png, .svg, .pdf", id="no plot"),
        pytest.param(
            ["{run}", "{set}", "--curve", "x.svg", "--csv", "x.csv"], "expected two files", id="one file for two"
        ),
    ],
)
def test_mistakes_are_reported_before_anything_is_computed(
    words: list[str],
    expected: str,
    cli: Cli,
    small_set: Path,
    small_run: Path,
    judged_run: dict[str, dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"run": small_run, "set": small_set, "maps": small_run / "maps", "tmp": tmp_path}
    assert cli("evaluate", *(word.format(**places) for word in words)) == 2
    printed = capsys.readouterr().err
    assert expected in printed and "Traceback" not in printed


def test_a_class_that_is_not_named_is_wrong_however_few_classes_there_are(
    cli: Cli, small_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = [row for row in table_of(small_set / "boxes.csv") if row["path"].startswith("test/")]
    (tmp_path / "found.csv").write_text("path,x0,y0,x1,y1\n" + "".join(",".join(row.values()) + "\n" for row in test))
    named = [f"{row['path']},{row['path'].split('/')[1]}\n" for row in test[:2]]
    (tmp_path / "classes.csv").write_text("path,first\n" + "".join(named))
    words = ["--boxes", tmp_path / "found.csv", "--classes", tmp_path / "classes.csv", "--truth", small_set]
    assert cli("evaluate", *words, "--json", tmp_path / "m.json") == 0
    found = numbers(tmp_path / "m.json")["original"]["metrics"]
    assert found["gt_known"]["value"] == 100
    assert found["top1_loc"]["value"] == found["top5_loc"]["value"] == pytest.approx(100 / 3)
    assert "4 of 6 images have no class" in capsys.readouterr().err


@pytest.mark.parametrize("has_sizes", [False, True])
def test_images_that_are_elsewhere_are_asked_for(
    cli: Cli, small_set: Path, small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], has_sizes: bool
) -> None:
    rows = [row for row in table_of(small_set / "boxes.csv") if row["path"].startswith("test/")]
    head, end = ("path,x0,y0,x1,y1,width,height", ",120,90") if has_sizes else ("path,x0,y0,x1,y1", "")
    ground_truth, found = tmp_path / "truth.csv", tmp_path / "found.csv"
    ground_truth.write_text("\n".join([head, *(",".join(row.values()) + end for row in rows)]) + "\n")
    found.write_text("\n".join(["path,x0,y0,x1,y1", *(",".join(row.values()) for row in rows)]) + "\n")
    commands = [[small_run, ground_truth], *([] if has_sizes else [["--boxes", found, "--truth", ground_truth]])]
    for words in commands:
        assert cli("evaluate", *words) == 2
        printed = capsys.readouterr().err
        assert f"0 of 6 images listed in {ground_truth} exist: expected files such as" in printed
        assert "`--images FOLDER`" in printed and ".." not in printed
        assert cli("evaluate", *words, "--images", small_set) == 0
        capsys.readouterr()


def test_a_class_that_the_ground_truth_lacks_is_wrong_and_reported(
    cli: Cli, small_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = [row for row in table_of(small_set / "boxes.csv") if row["path"].startswith("test/")]
    (tmp_path / "found.csv").write_text("path,x0,y0,x1,y1\n" + "".join(",".join(row.values()) + "\n" for row in test))
    named = [f"{row['path']},instrument,{row['path'].split('/')[1]}\n" for row in test]
    (tmp_path / "classes.csv").write_text("path,first,second\n" + "".join(named))
    words = ["--boxes", tmp_path / "found.csv", "--classes", tmp_path / "classes.csv", "--truth", small_set]
    assert cli("evaluate", *words, "--json", tmp_path / "m.json") == 0
    found = numbers(tmp_path / "m.json")["original"]["metrics"]
    assert (found["top1_loc"]["value"], found["top5_loc"]["value"]) == (0, 100)
    assert (
        f"1 class in {tmp_path / 'classes.csv'} is not in the ground truth: instrument; wrong"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        pytest.param([5, 4, 3, 2, 1], 100, id="the wrong one is the least sure"),
        pytest.param([-5, -4, -3, -2, -1], 50, id="the wrong one is the surest, and no box is less sure than any"),
        pytest.param([1, 1, 1, 1, 1], None, id="scores that are all alike"),
        pytest.param(None, None, id="no scores"),
    ],
)
def test_scores_of_boxes_are_evaluated_by_their_ranking(
    cli: Cli, small_set: Path, tmp_path: Path, scores: list[int] | None, expected: float | None
) -> None:
    """Six images: four boxes right, then one wrong, then an image without a box."""
    rows = [row for row in table_of(small_set / "boxes.csv") if row["path"].startswith("test/")][:5]
    rows[4] |= {"x0": "0", "y0": "0", "x1": "1", "y1": "1"}
    head = "path,x0,y0,x1,y1" + ("" if scores is None else ",score")
    ends = [""] * 5 if scores is None else [f",{score}" for score in scores]
    lines = [",".join(row.values()) + end for row, end in zip(rows, ends, strict=True)]
    (tmp_path / "found.csv").write_text("\n".join([head, *lines]) + "\n")
    words = ["--boxes", tmp_path / "found.csv", "--truth", small_set, "--json", tmp_path / "m.json"]
    assert cli("evaluate", *words, "--protocol", "original,wsol-v1") == 0
    found = {name: one["metrics"].get("score_auc") for name, one in numbers(tmp_path / "m.json").items()}
    assert found["wsol-v1"] is None
    assert (found["original"] or {"value": None})["value"] == (None if expected is None else pytest.approx(expected))


def test_boxes_of_unknown_images_and_images_without_boxes_are_reported(
    cli: Cli, small_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = next(row for row in table_of(small_set / "boxes.csv") if row["path"].startswith("test/"))
    rows = [",".join(first.values()), "elsewhere/1.jpg,1,2,3,4"]
    (tmp_path / "found.csv").write_text("\n".join(["path,x0,y0,x1,y1", *rows]) + "\n")
    words = ["--boxes", tmp_path / "found.csv", "--truth", small_set, "--problems", tmp_path / "p.txt"]
    assert cli("evaluate", *words) == 0
    printed = capsys.readouterr().err
    assert "elsewhere/1.jpg" in printed and "5 of 6 images have no box" in printed
    assert "elsewhere/1.jpg" in (tmp_path / "p.txt").read_text()


def test_a_test_set_that_lacks_classes_of_the_run_can_be_evaluated(
    cli: Cli, own_set: Path, small_run: Path, judged_run: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    rows = [row for row in table_of(own_set / "boxes.csv") if row["path"].startswith("test/")]
    last = sorted({row["path"].split("/")[1] for row in rows})[-1]
    lines = [
        f"{row['path']},{last},{row['x0']},{row['y0']},{row['x1']},{row['y1']}"
        for row in rows
        if f"/{last}/" in row["path"]
    ]
    (own_set / "few.csv").write_text("\n".join(["path,label,x0,y0,x1,y1", *lines]) + "\n")
    assert (
        cli(
            "evaluate",
            small_run,
            own_set / "few.csv",
            "--json",
            tmp_path / "m.json",
            "--csv",
            tmp_path / "m.csv",
            "--per-class",
        )
        == 0
    )
    assert numbers(tmp_path / "m.json")["original"]["n"] == 2
    assert {row["class"] for row in table_of(tmp_path / "m.csv")} == {"", last}


def test_masks_of_another_evaluators_data_are_evaluated_by_pxap(cli: Cli, tmp_path: Path) -> None:
    """wsolevaluation's OpenImages: masks with ignore regions, no boxes, no sizes."""
    ground_truth, maps = tmp_path / "truth", tmp_path / "maps"
    lines: dict[str, list[str]] = {"image_ids": [], "class_labels": [], "localization": []}
    (ground_truth / "a").mkdir(parents=True)
    for number in range(3):
        mask = np.zeros((60, 80), np.uint8)
        mask[:, :40] = 255
        ignored = np.zeros((60, 80), np.uint8)
        ignored[:, 60:] = 255
        Image.fromarray(mask).save(ground_truth / "a" / f"{number}_mask.png")
        Image.fromarray(ignored).save(ground_truth / "a" / f"{number}_ignore.png")
        lines["image_ids"].append(f"a/{number}.jpg")
        lines["class_labels"].append(f"a/{number}.jpg,{number % 2}")
        lines["localization"].append(f"a/{number}.jpg,a/{number}_mask.png,a/{number}_ignore.png")
        heatmap = np.zeros((224, 224), np.float32)
        heatmap[:, : 112 if number < 2 else 56] = 1
        heatmap[:, 168:] = 1
        (maps / "a").mkdir(parents=True, exist_ok=True)
        np.save(maps / "a" / f"{number}.jpg.npy", heatmap)
    for name, rows in lines.items():
        (ground_truth / f"{name}.txt").write_text("\n".join(rows) + "\n")
    assert cli("evaluate", "--heatmaps", maps, "--truth", ground_truth, "--json", tmp_path / "m.json") == 0
    found = numbers(tmp_path / "m.json")["wsol-v2"]
    assert found["n"] == 3 and set(found["metrics"]) == {"pxap"}
    # 5/6 of the object at once; the rest comes with everything: 1/2 * 224 of 3/4 * 224 columns.
    assert found["metrics"]["pxap"]["value"] == pytest.approx(100 * (5 / 6 + 1 / 6 * 2 / 3), abs=0.01)
    assert cli("evaluate", "--heatmaps", maps, "--truth", ground_truth, "--protocol", "spol") == 2


OF_EMPTY_IMAGES = {"empty_correct", "false_positives", "image_auroc", "image_ap"}


@pytest.fixture
def with_empty(own_set: Path) -> Path:
    """`own_set` and a class of three test images without an object: one is grey, two are like the others."""
    images = sorted((own_set / "test").rglob("*.jpg"))[:2]
    for split in ("train", "test"):
        (own_set / split / "nothing here").mkdir()
        Image.new("RGB", (120, 90), (128, 128, 128)).save(own_set / split / "nothing here" / "0.jpg")
    for number, path in enumerate(images, start=1):
        shutil.copy(path, own_set / "test" / "nothing here" / f"{number}.jpg")
    return own_set


@pytest.mark.parametrize("which", ["seg", "cam"])
def test_what_is_found_in_images_without_an_object_is_counted_and_no_other_metric_changes(
    cli: Cli,
    small_set: Path,
    with_empty: Path,
    small_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    which: str,
) -> None:
    words = ["--which", which, "--protocol", PROTOCOLS, "--threshold", "0.5"]
    out = tmp_path / "m"
    assert cli("evaluate", small_run, small_set, *words, "--json", out) == 0
    alone = numbers(out)
    capsys.readouterr()
    files = ["--json", out, "--csv", tmp_path / "m.csv", "--per-class", "--save-heatmaps", tmp_path / "maps"]
    assert cli("evaluate", small_run, with_empty, *words, *files, "--no-object", "nothing here") == 0
    shown, found = capsys.readouterr(), numbers(out)
    for name, one in found.items():
        added = OF_EMPTY_IMAGES if name == "original" else set()
        assert one["metrics"].keys() - alone[name]["metrics"].keys() == added
        kept, expected = ({**one, "metrics": dict(one["metrics"])} for one in (one, alone[name]))
        for metric in added:
            del kept["metrics"][metric]
        assert kept.pop("n_without_object") == 3 and kept == expected
    of_empty = {metric: found["original"]["metrics"][metric]["value"] for metric in OF_EMPTY_IMAGES}
    assert of_empty["false_positives"] == pytest.approx(1 - of_empty["empty_correct"] / 100), "one box at most"
    assert "n = 6 and 3 images without an object, threshold 0.50" in shown.out
    assert "nothing here" in shown.out and "not evaluated" not in shown.err and "wrong in" not in shown.err
    rows = {(row["class"], row["metric"]): row for row in table_of(tmp_path / "m.csv") if row["protocol"] == "original"}
    metrics_n = [("gt_known", 6), ("empty_correct", 3), ("false_positives", 3), ("image_auroc", 9)]
    assert [int(rows["", metric]["n"]) for metric, _ in metrics_n] == [n for _, n in metrics_n]
    of_class = {metric: int(row["n"]) for (name, metric), row in rows.items() if name == "nothing here"}
    assert of_class == {"empty_correct": 3, "false_positives": 3}

    maps = ["--heatmaps", tmp_path / "maps", "--truth", with_empty, "--protocol", "original", "--threshold", "0.5"]
    assert cli("evaluate", *maps, "--no-object", "nothing here", "--json", out) == 0
    (again,) = json.loads(out.read_text())
    for metric in {"gt_known", "pointing_game", "empty_correct", "false_positives"}:
        assert again["metrics"][metric] == found["original"]["metrics"][metric]
    assert again["n_without_object"] == 3
    # Without the option they are images without ground truth, as before.
    assert cli("evaluate", *maps, "--json", out) == 0
    (left_out,) = json.loads(out.read_text())
    assert left_out["left_out"] == 3 and "n_without_object" not in left_out


def test_boxes_of_another_system_are_counted_in_images_without_an_object(
    cli: Cli, with_empty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = [row for row in table_of(with_empty / "boxes.csv") if row["path"].startswith("test/")]
    lines = [",".join([*row.values(), "0.9"]) for row in test[:-1]]
    lines += [f"test/nothing here/1.jpg,{i},5,60,60,{score}" for i, score in enumerate([0.95, 0.2])]
    lines += ["test/nothing here/2.jpg,0,5,60,60,0.1"]
    (tmp_path / "found.csv").write_text("\n".join(["path,x0,y0,x1,y1,score", *lines]) + "\n")
    words = ["--boxes", tmp_path / "found.csv", "--truth", with_empty, "--json", tmp_path / "m.json"]
    assert cli("evaluate", *words, "--no-object", "nothing here") == 0
    metrics = {name: rate["value"] for name, rate in numbers(tmp_path / "m.json")["original"]["metrics"].items()}
    assert metrics["gt_known"] == metrics["gt_known_30"] == pytest.approx(500 / 6)
    assert metrics["empty_correct"] == pytest.approx(100 / 3) and metrics["false_positives"] == pytest.approx(1)
    # Five objects above 0.1 and above no box, below 0.95; the sixth has no box either.
    assert metrics["image_auroc"] == pytest.approx(100 * (5 * 2 + 0.5) / 18)
    assert "pointing_game" not in metrics
    assert "1 of 6 images has no box" in capsys.readouterr().err


def test_an_object_in_an_image_of_a_class_without_objects_is_reported_and_not_used(
    cli: Cli, small_set: Path, small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = sorted(child.name for child in (small_set / "test").iterdir())[0]
    assert cli("evaluate", small_run, small_set, "--no-object", name, "--json", tmp_path / "m.json") == 0
    found = numbers(tmp_path / "m.json")["original"]
    assert (found["n"], found["n_without_object"], found["left_out"]) == (4, 2, 0)
    assert "2 x unexpected object" in capsys.readouterr().err
    assert cli("evaluate", small_run, small_set, "--no-object", name[:-1]) == 2
    assert f"Did you mean {name}?" in capsys.readouterr().err
