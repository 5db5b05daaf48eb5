"""`wsol compare` through the command line and from Python."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import wsol
from wsol.cli.main import main
from wsol.config.base import Method
from wsol.errors import WsolError

Runs = dict[Method, Path]


@pytest.fixture(scope="module")
def compared(runs: Runs, small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a comparison of all three, with numbers.json. Read only."""
    out = tmp_path_factory.mktemp("comparison") / "out"
    main(["compare", *map(str, (*runs.values(), small_set, "--out", out, "--json", out / "numbers.json"))])
    return out


def test_methods_with_maps_without_classes_and_of_boxes_are_beside_one_another(compared: Path) -> None:
    page = (compared / "index.html").read_text()
    assert sorted(path.name for path in compared.iterdir()) == ["index.html", "numbers.json"]
    assert re.findall(r"<figcaption>(.*?)</figcaption>", page) == 6 * [*2 * ["Map", "Mask", "Box"], "Box"]
    assert "6 of 6 images, spread evenly" in page and "MaxBoxAccV2" in page and "Difference from cam" in page


def test_differences_are_those_of_the_metrics_and_metrics_that_a_method_lacks_are_absent(compared: Path) -> None:
    found = json.loads((compared / "numbers.json").read_text())
    metrics = {run["name"]: {one["protocol"]: one["metrics"] for one in run["protocols"]} for run in found["runs"]}
    originals = [of_run["original"] for of_run in metrics.values()]
    assert ["top1_loc" in one for one in originals] == [True, False, False]
    assert ["gt_known_best_threshold" in one for one in originals] == [True, True, False]
    of_boxes = {one["metric"] for one in found["differences"] if one["run"] == "psol"}
    swept = {"box_acc_30", "box_acc_50", "box_acc_70", "max_box_acc_v2"}
    assert of_boxes == {"gt_known", "gt_known_30", "mean_box_iou"} | swept
    for one in found["differences"]:
        own, first = (metrics[name][one["protocol"]][one["metric"]]["value"] for name in (one["run"], one["minus"]))
        assert one["value"] == pytest.approx(own - first) and one["low"] <= one["value"] <= one["high"]


def test_the_numbers_are_those_of_evaluate(compared: Path, runs: Runs, small_set: Path) -> None:
    found = json.loads((compared / "numbers.json").read_text())
    alone = wsol.evaluate(runs["instant"], small_set, protocol="original,wsol-v2", quiet=True).as_json()
    assert found["runs"][1]["protocols"] == json.loads(json.dumps(alone))


def test_some_images_are_shown_and_an_older_comparison_is_replaced(
    compared: Path, runs: Runs, small_set: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(compared, tmp_path / "out"))
    other = with_another_class(runs["instant"], "instant/model.json", tmp_path / "run")
    found = wsol.compare([runs["psol"], other], small_set, out, protocol="original", max_images=2, quiet=True)
    assert [one.name for one in found.runs] == ["psol", "run"], "the classes of a run that uses none do not matter"
    assert "2 of 6 images" in found.page.read_text()
    assert (out / "numbers.json").read_bytes() == (compared / "numbers.json").read_bytes()


def with_another_class(run: Path, model: str, copy: Path) -> Path:
    """The run as if it had been trained on one more class; for methods without a layer of the classes."""
    described = json.loads((Path(shutil.copytree(run, copy)) / model).read_text())
    described["class_names"].append("zebra")
    (copy / model).write_text(json.dumps(described))
    return copy


def refusal(*runs: Path, data: Path, out: Path) -> WsolError:
    with pytest.raises(WsolError) as refused:
        wsol.compare(runs, data, out, quiet=True)
    return refused.value


def test_fewer_than_two_different_runs_are_refused(runs: Runs, small_set: Path, tmp_path: Path) -> None:
    cam, out = runs["cam"], tmp_path / "out"
    assert refusal(cam, data=small_set, out=out).got == "1 run"
    assert refusal(data=small_set, out=out).got == "0 runs"
    (tmp_path / "link").symlink_to(cam)
    again = refusal(cam, tmp_path / "link", data=small_set, out=out)
    assert "link" in again.problem and again.expected == "different runs"
    assert not out.exists()


def test_an_unfinished_run_is_refused_before_any_work(runs: Runs, small_set: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(runs["instant"], tmp_path / "run"))
    shutil.rmtree(run / "instant")
    assert str(run) in refusal(runs["cam"], run, data=small_set, out=tmp_path / "out").problem
    assert not (tmp_path / "out").exists()


def test_runs_of_different_classes_are_refused(runs: Runs, small_set: Path, tmp_path: Path) -> None:
    other = with_another_class(runs["psol"], "psol/model.json", tmp_path / "run")
    error = refusal(runs["cam"], runs["instant"], other, data=small_set, out=tmp_path / "out")
    assert str(other) in error.problem and error.got is not None and "zebra" in error.got
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("boxes", [0, 1])
def test_fewer_than_two_annotated_images_are_refused(runs: Runs, own_set: Path, tmp_path: Path, boxes: int) -> None:
    shutil.rmtree(own_set / "masks")
    header, *lines = (own_set / "boxes.csv").read_text().splitlines()
    tests = [line for line in lines if line.startswith("test/")]
    (own_set / "boxes.csv").write_text("\n".join([header, *tests[:boxes]]) + "\n")
    error = refusal(runs["cam"], runs["instant"], data=own_set, out=tmp_path / "out")
    assert boxes == 0 or error.problem.startswith("1 test image")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["index.html", "photo.jpg"])
def test_a_folder_with_something_else_is_refused(runs: Runs, small_set: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    assert refusal(runs["cam"], runs["instant"], data=small_set, out=tmp_path).got == name
    assert (tmp_path / name).read_text() == "mine"


def test_a_file_in_place_of_the_folder_is_refused(runs: Runs, small_set: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    assert "out" in refusal(runs["cam"], runs["instant"], data=small_set, out=tmp_path / "out").problem


def test_a_run_of_spol_shows_the_map_that_its_mask_is_cut_from(
    small_run: Path, runs: Runs, small_set: Path, tmp_path: Path
) -> None:
    found = wsol.compare([small_run, runs["psol"]], small_set, tmp_path, protocol="original", max_images=1, quiet=True)
    assert re.findall(r"<figcaption>(.*?)</figcaption>", found.page.read_text()) == ["Map", "Mask", "Box", "Box"]
    assert found.runs[0].evaluation.what == "masks"
