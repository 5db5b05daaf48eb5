"""The studies' runner: what is finished is kept, what rows share is trained once, the table says what is missing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from fake_data.images import write_image
from fake_data.shown import blobs, of_boxes
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

STUDIES = Path(__file__).parents[1] / "studies"
sys.path.append(str(STUDIES))

import composites  # noqa: E402
import hold_out  # noqa: E402
import methods_image  # noqa: E402
import run as runner  # noqa: E402

from wsol import RunConfig, WsolError, open_data  # noqa: E402
from wsol.cli.main import app, main  # noqa: E402
from wsol.config.base import Method  # noqa: E402
from wsol.config.groups import groups_of, options_read, options_unread  # noqa: E402
from wsol.config.recipes import RECIPES, resolve  # noqa: E402
from wsol.data.images import image_hw  # noqa: E402
from wsol.geometry.boxes import Boxes, tight_box  # noqa: E402
from wsol.reports.panels import GROUND_TRUTH  # noqa: E402
from wsol.runs.saved_config import preview  # noqa: E402

TINY: dict[str, Any] = {
    "classifier": "localizer",
    **{group: {"steps": 2, "batch_size": 4, "resize_px": 64, "crop_px": 48} for group in ("cam", "seg")},
    "instant": {"resize_px": 64},
}


def written(folder: Path, **values: object) -> Path:
    """A grid file."""
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump({"title": "a test", "seeds": [0, 1], "common": TINY, **values}))
    return path


@pytest.mark.parametrize("path", sorted((STUDIES / "grids").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_grid_can_be_run(path: Path) -> None:
    _, runs = runner.read_grid(path)
    assert runs
    folders = [one.folder(Path("runs")) for one in runs]
    assert len(set(folders)) == len(folders)


@pytest.mark.parametrize("path", sorted((STUDIES / "grids").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_product_takes_every_row_of_every_grid_in_a_new_run(path: Path, tmp_path: Path) -> None:
    for one in runner.read_grid(path)[1]:
        words = runner.options(one.config.model_dump(mode="json", exclude=options_unread(one.config)))
        _, bound, _ = app.parse_args(
            ["train-seg", "DATA", "--run", "new", *words], exit_on_error=False, print_error=False
        )
        taken = preview(tmp_path / "new", bound.arguments["config"])
        for group in groups_of(one.config):
            read = options_read(one.config, group)
            same = (getattr(config, group).model_dump(include={*read}) for config in (taken, one.config))
            assert len({str(values) for values in same}) == 1, one.row.name


@settings(max_examples=20)
@given(st.sampled_from(sorted(RECIPES)), st.integers(0, 99), st.booleans(), st.sampled_from([None, 7]))
def test_a_configuration_survives_the_command_line(recipe: Any, seed: int, attention: bool, steps: int | None) -> None:
    config = resolve(
        RunConfig.model_validate(
            {"recipe": recipe, "seed": seed, "cam": {"attention": attention} | ({"steps": steps} if steps else {})}
        )
    )
    words = ["fit", "DATA", "--run", "RUN", *runner.options(config.model_dump(mode="json"))]
    _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    assert resolve(bound.arguments["config"]) == config


@pytest.mark.parametrize("recipe", ["wsol", "released"])
@pytest.mark.parametrize("method", ["spol", "has", "psol", "ddt"])
def test_the_product_takes_a_row_of_any_method_beside_values_for_others(
    method: str, recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(runner, "_wsol", lambda *words: commands.append(words) or 1.0)
    training = {"training": {"steps": 2}, "adl": {"gamma": 0.5}, "classify": {"epochs": 1}}
    rows = [{"name": "a", "config": {"method": method, "recipe": recipe, "classifier": "none", **training}}]
    _, (one, _) = runner.read_grid(written(tmp_path, rows=rows))
    one.folder(tmp_path).mkdir(parents=True)
    runner.make(one, Path("DATA"), None, tmp_path)
    for words in (words for words in commands if words[0] != "evaluate"):
        _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
        taken = preview(tmp_path / "new", bound.arguments["config"])
        for group in groups_of(one.config):
            for name in options_read(one.config, group):
                assert getattr(getattr(taken, group), name) == getattr(getattr(one.config, group), name)
        assert taken.method == method


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param({"rows": [{"name": "a", "sedes": [1]}]}, r"rows\.0\.sedes: .*, got \[1\]", id="a misspelt name"),
        pytest.param({}, "rows: Field required", id="no rows"),
        pytest.param({"rows": [{"name": "a", "which": "both"}]}, r'rows\.0\.which: .*, got "both"', id="no such stage"),
    ],
)
def test_a_grid_with_a_mistake_is_refused(tmp_path: Path, values: dict[str, object], message: str) -> None:
    with pytest.raises(WsolError, match=rf"^.* is not a grid \({message}.*\): expected title, seeds, common and rows"):
        runner.read_grid(written(tmp_path, **values))


def test_a_misspelt_value_of_wsol_is_reported_with_its_row(tmp_path: Path) -> None:
    rows = [{"name": "a", "config": {"cam": {"epocs": 1}}}]
    with pytest.raises(WsolError, match=r"^row 'a': there is no option --cam\.epocs"):
        runner.read_grid(written(tmp_path, rows=rows))


def test_a_row_twice_would_be_averaged_with_itself_and_is_refused(tmp_path: Path) -> None:
    rows = [{"name": "a"}, {"name": "a", "config": {"seg": {"momentum": 0.5}}}]
    with pytest.raises(WsolError, match="has row 'a' with seed 0 twice"):
        runner.read_grid(written(tmp_path, rows=rows))


def test_null_over_a_value_of_the_recipe_is_refused(tmp_path: Path) -> None:
    rows = [{"name": "a", "config": {"recipe": "released-imagenet", "cam": {"steps": None}}}]
    with pytest.raises(WsolError, match="sets a value of its recipe to null"):
        runner.read_grid(written(tmp_path, rows=rows))


def test_all_gradient_cams_take_the_network_of_cam_and_nobody_else_does(tmp_path: Path) -> None:
    def shared(method: Method, **values: Any) -> Path:
        found: Path = runner._network(resolve(RunConfig(method=method, **values)), tmp_path)
        return found

    assert shared("cam") == shared("gradcam:layercam") == shared("gradcam:gradcam++")
    assert len({shared("cam"), shared("has"), shared("cam", seed=1), shared("cam", precision="fp32")}) == 4


def test_a_stage_is_copied_where_the_disk_has_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError("no hard links here")

    (tmp_path / "cam/deep").mkdir(parents=True)
    (tmp_path / "cam/deep/file").write_text("x")
    (tmp_path / "cam/manifest.json").write_text("{}")
    monkeypatch.setattr(os, "link", no_links)
    runner._take(tmp_path / "cam", tmp_path / "other/cam")
    assert (tmp_path / "other/cam/deep/file").read_text() == "x"
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["cam"]


def called(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    """The runner in this process."""
    monkeypatch.setattr(sys, "argv", ["run.py", *map(str, words)])
    runner.main()


def test_the_list_says_what_is_missing_and_writes_nothing(
    fake_cub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    grid, out = written(tmp_path, rows=[{"name": "a"}, {"name": "b", "seeds": [5]}]), tmp_path / "table.md"
    words = (grid, fake_cub, "--runs", tmp_path / "runs", "--out", out, "--list")
    _, everything = runner.read_grid(grid)
    finished = everything[0].result(tmp_path / "runs" / open_data(fake_cub).training_hash()[:8])
    finished.parent.mkdir(parents=True)
    finished.write_text("[]")
    called(monkeypatch, *words)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["finished a, seed 0", "missing  a, seed 1", "missing  b, seed 5"]
    assert not out.exists()


def test_the_table_names_its_study_and_seeds(fake_cub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid, out = written(tmp_path, protocols=["original"], rows=[{"name": "a"}]), tmp_path / "table.md"
    called(monkeypatch, grid, fake_cub, "--runs", tmp_path / "runs", "--out", out, "--finished")
    assert out.read_text().startswith("Protocols `original`; a test; CUB-200-2011: 3 classes")
    assert "; seeds 0, 1; n = none yet." in out.read_text()


def test_a_row_that_does_not_exist_is_refused(fake_cub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="no row 'c' for --only: expected one of a, b"):
        called(monkeypatch, written(tmp_path, rows=[{"name": "a"}, {"name": "b"}]), fake_cub, "--only", "c")


def test_only_asked_protocols_are_in_the_table(tmp_path: Path) -> None:
    _, everything = runner.read_grid(written(tmp_path, protocols=["original"], rows=[{"name": "a"}], seeds=[0]))
    found = [{"row": "a", "seed": 0, "minutes": 1.0, "judged": judged(90.0)[:1]}]
    *_, heads, _, _ = runner.table(everything, found, "birds").splitlines()
    assert "GT-known" in heads and "MaxBoxAcc" not in heads


def test_numbers_stay_where_the_run_is_gone_and_go_where_its_values_changed(
    fake_cub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    grid, out = written(tmp_path, rows=[{"name": "a"}], seeds=[0]), tmp_path / "table.md"
    words = (grid, fake_cub, "--runs", tmp_path / "runs", "--out", out)
    _, (one,) = runner.read_grid(grid)
    made = one.folder(tmp_path / "runs" / open_data(fake_cub).training_hash()[:8])
    made.mkdir(parents=True)
    (made / "seg.json").write_text(json.dumps(judged(90.0)))
    called(monkeypatch, *words)
    (made / "seg.json").unlink()
    called(monkeypatch, *words)
    called(monkeypatch, *words, "--list")
    assert "| a | 1 |" in out.read_text() and "finished a, seed 0" in capsys.readouterr().out
    changed = written(tmp_path, rows=[{"name": "a", "config": {"seed": 0, "seg": {"steps": 3}}}], seeds=[0])
    called(monkeypatch, changed, fake_cub, "--runs", tmp_path / "runs", "--out", out, "--finished")
    assert "| a | 0 of 1 |" in out.read_text() and json.loads(out.with_suffix(".json").read_text()) == []


def test_results_of_other_data_are_not_overwritten(
    fake_cub: Path, small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid, out = written(tmp_path, rows=[{"name": "a"}], seeds=[0]), tmp_path / "table.md"
    _, (one,) = runner.read_grid(grid)
    made = one.folder(runner.runs_of(open_data(fake_cub), tmp_path / "runs"))
    made.mkdir(parents=True)
    (made / "seg.json").write_text(json.dumps(judged(90.0)))
    called(monkeypatch, grid, fake_cub, "--runs", tmp_path / "runs", "--out", out)
    before = out.read_text(), out.with_suffix(".json").read_text()
    with pytest.raises(SystemExit, match=r"table.json has results of other data: .*--out"):
        called(monkeypatch, grid, small_set, "--runs", tmp_path / "runs", "--out", out, "--finished")
    assert before == (out.read_text(), out.with_suffix(".json").read_text()) and "| a | 1 |" in before[0]


def test_what_another_runner_has_written_meanwhile_stays(tmp_path: Path) -> None:
    _, everything = runner.read_grid(written(tmp_path, rows=[{"name": "a"}], seeds=[0, 1]))
    study = runner.Study(everything, "birds", "data", 9, tmp_path / "runs", tmp_path / "table.md")
    other = {
        "row": "a",
        "seed": 1,
        "values": everything[1].values,
        "data": "data",
        "minutes": 1.0,
        "judged": judged(9.0),
    }
    (tmp_path / "table.json").write_text(json.dumps([other]))
    study.write()
    assert json.loads((tmp_path / "table.json").read_text()) == [other]
    assert "| a | 1 of 2 |" in (tmp_path / "table.md").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_study_that_is_reported_to_stop_ends_its_command_too(tmp_path: Path, number: int) -> None:
    (tmp_path / "wsol").mkdir()  # in the working folder, and so the one that the command finds
    (tmp_path / "wsol" / "__init__.py").touch()
    (tmp_path / "wsol" / "__main__.py").write_text(
        "import os, time\nopen('pid.new', 'w').write(str(os.getpid()))\nos.rename('pid.new', 'pid')\ntime.sleep(60)\n"
    )
    script = f"import sys; sys.path[0] = {str(STUDIES)!r}; import run; run.unwind_when_terminated(); run._wsol('fit')"
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stderr=subprocess.DEVNULL) as study:
        while not (tmp_path / "pid").exists():
            assert study.poll() is None
            time.sleep(0.02)
        study.send_signal(number)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_costs_are_in_the_table_where_the_grid_asks(tmp_path: Path) -> None:
    _, everything = runner.read_grid(written(tmp_path, rows=[{"name": "a"}], seeds=[0, 1], costs=True))
    found = [
        {
            "row": "a",
            "seed": seed,
            "minutes": minutes,
            "images": 900,
            "predicted_per_second": 50.0,
            "peak_mb": peak_mb,
            "judged": judged(90.0),
        }
        for seed, minutes, peak_mb in ((0, 3.0, 2000.0), (1, 6.0, 2400.0))
    ]
    *_, heads, _, last = runner.table(everything, found, "birds").splitlines()
    row = dict(zip(heads.split(" | "), last.split(" | "), strict=True))
    assert [row[name] for name in runner.COSTS] == ["200", "20", "2000"] and row["minutes of training"] == "3"
    del found[1]["peak_mb"]
    row = dict(
        zip(heads.split(" | "), runner.table(everything, found, "birds").splitlines()[-1].split(" | "), strict=True)
    )
    assert [row[name] for name in runner.COSTS] == [
        "",
        "",
        "",
    ], "a minimum over some of the seeds would not be comparable"


def test_a_failed_command_ends_the_study_with_its_name() -> None:
    with pytest.raises(WsolError, match=r"`wsol no-such-command` failed; .*got 2"):
        runner._wsol("no-such-command")


@pytest.mark.parametrize("every", ["0", "1"])
def test_holding_out_everything_is_refused(
    fake_cub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["hold_out.py", str(fake_cub), str(tmp_path / "held.csv"), "--every", every])
    with pytest.raises(SystemExit):
        hold_out.main()
    assert not (tmp_path / "held.csv").exists()


def test_other_values_have_another_folder_and_other_seeds_the_same(tmp_path: Path) -> None:
    rows = [{"name": "A b/c"}, {"name": "A, b, c", "config": {"seg": {"momentum": 0.5}}}]
    _, runs = runner.read_grid(written(tmp_path, rows=rows))
    one, other_seed, changed, _ = (run.folder(tmp_path) for run in runs)
    assert one.name == "seed-0" and other_seed.name == "seed-1"
    assert one.parent == other_seed.parent != changed.parent
    assert one.parent.name.startswith("a-b-c-")


@pytest.mark.parametrize("method", ["spol", "cam", "psol", "ddt"])
def test_only_options_that_a_method_reads_make_another_folder(method: str, tmp_path: Path) -> None:
    groups = {"cam": {"levels": 1}, "training": {"epochs": 1}, "psol": {"width": 8}, "adl": {"gamma": 0.5}}
    rows = [
        {"name": f"of {name}", "config": {"method": method, "classifier": "none", **values}}
        for name, values in {"none": {}, **{group: {group: values} for group, values in groups.items()}}.items()
    ]
    _, runs = runner.read_grid(written(tmp_path, rows=rows, seeds=[0]))
    plain, *others = runs
    read = {name for name, one in zip(groups, others, strict=True) if one.values != plain.values}
    assert read == {"spol": set(), "cam": {"training"}, "psol": {"training", "psol"}, "ddt": set()}[method]


def judged(gt_known: float, **more: float) -> list[dict[str, Any]]:
    """What `wsol evaluate --json` would have written."""

    def rates(values: dict[str, float]) -> dict[str, Any]:
        return {name: {"value": value, "low": value - 2, "high": value + 2} for name, value in values.items()}

    known = {"gt_known": gt_known, "gt_known_best_threshold": gt_known + 1, "mean_box_iou": 60.0}
    return [
        {"protocol": "original", "n": 801, "threshold": 0.5, "metrics": rates(known | more)},
        {"protocol": "wsol-v2", "n": 801, "threshold": None, "metrics": rates({"max_box_acc_v2": 80.0})},
    ]


@pytest.mark.parametrize(
    ("results", "cells"),
    [
        pytest.param({}, ["0 of 2", "", "", ""], id="nothing yet"),
        pytest.param(
            {0: judged(90.0)},
            [
                "1 of 2",
                "0.50",
                "90.0 (88.0 to 92.0)",
                "91.0 (89.0 to 93.0)",
                "80.0 (78.0 to 82.0)",
                "60.0 (58.0 to 62.0)",
                "1.0",
                "3",
            ],
            id="one seed has an interval over images",
        ),
        pytest.param(
            {0: judged(90.0), 1: judged(94.0)},
            ["2", "0.50", "92.0 ± 2.8", "93.0 ± 2.8", "80.0 ± 0.0", "60.0 ± 0.0", "1.0", "3"],
            id="several seeds have a deviation",
        ),
        pytest.param(
            {0: judged(90.0, score_auc=80.0), 1: judged(94.0)},
            ["2", "0.50", "92.0 ± 2.8", "93.0 ± 2.8", "80.0 ± 0.0", "60.0 ± 0.0", "", "1.0", "3"],
            id="a figure of some seeds is no mean",
        ),
    ],
)
def test_cells_of_a_row(tmp_path: Path, results: dict[int, Any], cells: list[str]) -> None:
    _, everything = runner.read_grid(written(tmp_path, rows=[{"name": "wsol", "reference": 96.46}]))
    found = [{"row": "wsol", "seed": seed, "minutes": 3.0, "judged": one} for seed, one in results.items()]
    last = runner.table(everything, found, "birds").splitlines()[-1]
    assert [cell.strip() for cell in last.strip("|").split("|")] == ["wsol", *cells, "96.5"]


METHODS_ON_EQUAL_TERMS = [
    {"name": "a", "config": {"method": "cam"}},
    {"name": "b", "config": {"method": "ddt"}},
    {"name": "c", "config": {"method": "instant", "instant": {"resize_px": 256}}},
    {"name": "d", "which": "centre-box"},
]


@pytest.mark.parametrize(
    ("row", "difference"),
    [
        pytest.param({"method": "adl", "training": {"epochs": 7}}, "passes", id="more passes"),
        pytest.param({"method": "adl", "training": {"feature": "stage"}}, "feature map", id="another feature"),
        pytest.param({"method": "adl", "training": {"output_stride": 8}}, "feature map", id="another stride"),
        pytest.param({"method": "ddt", "training": {"resize_px": 448}}, "image at prediction", id="larger images"),
        pytest.param({"method": "instant"}, "image at prediction", id="instant's own size"),
        pytest.param({"backbone": "resnet18", "method": "cam"}, "backbone", id="another backbone"),
        pytest.param({"method": "spol", "seg": {"scale": 1.5}}, "image at prediction", id="larger at prediction"),
        pytest.param({"method": "adl", "training": {"lr_new": 0.5}}, None, id="rates are each method's own"),
    ],
)
def test_a_comparison_is_on_equal_terms_or_says_what_differs(
    tmp_path: Path, row: dict[str, Any], difference: str | None
) -> None:
    equal = {"equal_terms": True, "common": {"instant": {"resize_px": 256}, "training": {"epochs": 3}}}
    rows = [*METHODS_ON_EQUAL_TERMS, {"name": "e", "config": {"instant": {"resize_px": 448}} | row}]
    path = written(tmp_path, **equal, rows=rows)
    if difference is None:
        assert runner.read_grid(path)
        rows[-1]["own_terms"] = "nothing"
        with pytest.raises(WsolError, match="own_terms"):
            runner.read_grid(written(tmp_path, **equal, rows=rows))
        return
    with pytest.raises(WsolError, match=difference):
        runner.read_grid(path)
    rows[-1]["own_terms"] = "it differs"
    assert runner.read_grid(written(tmp_path, **equal, rows=rows))


def test_the_centre_box_has_the_aspect_ratio_and_half_of_the_area(fake_cub: Path, tmp_path: Path) -> None:
    data = open_data(fake_cub)
    lines = runner.write_centre_boxes(data, tmp_path / "boxes.csv").read_text().splitlines()
    assert len(lines) == 1 + len(data.test)
    for line, sample in zip(lines[1:], data.test, strict=True):
        name, *edges = line.rsplit(",", 4)
        x0, y0, x1, y1 = map(float, edges)
        height, width = image_hw(sample.path)
        assert name.strip('"') == sample.image_id
        assert (x0 + x1, y0 + y1) == pytest.approx((width, height))
        assert (x1 - x0) * (y1 - y0) == pytest.approx(width * height / 2)
        assert (x1 - x0) / (y1 - y0) == pytest.approx(width / height)


def test_held_out_images_are_training_images(fake_cub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["hold_out.py", str(fake_cub), str(tmp_path / "held.csv"), "--every", "2"])
    hold_out.main()
    whole, parted = open_data(fake_cub), open_data(tmp_path / "held.csv", fake_cub / "images")
    names = {sample.image_id for sample in (*parted.train, *parted.test)}
    assert names == {sample.image_id for sample in whole.train}
    assert len(parted.test) == len(parted.train) == 3
    ground_truth, own = parted.read_ground_truth(), whole.read_ground_truth()
    for sample in parted.test:
        assert (ground_truth[sample.image_id].boxes.xyxy == own[sample.image_id].boxes.xyxy).all()
    assert not any(sample.image_id in ground_truth for sample in parted.train)


def test_every_third_image_of_a_class_is_held_out(
    tmp_path: Path, new_image: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{label}/{number}.jpg" for label in ("hawk", "owl") for number in range(7)]
    for name in names:
        new_image(tmp_path / name)
    lines = [f"{name},{name.split('/')[0]},train,1,2,9,8" for name in names]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,split,x0,y0,x1,y1", *lines]) + "\n")
    monkeypatch.setattr(sys, "argv", ["hold_out.py", str(tmp_path / "labels.csv"), str(tmp_path / "held.csv")])
    hold_out.main()
    parted = open_data(tmp_path / "held.csv", tmp_path)
    assert [sample.image_id for sample in parted.test] == ["hawk/2.jpg", "hawk/5.jpg", "owl/2.jpg", "owl/5.jpg"]


def test_a_set_without_boxes_of_training_images_is_refused(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["hold_out.py", str(small_set), str(tmp_path / "held.csv")])
    with pytest.raises(SystemExit):
        hold_out.main()
    assert "nothing to hold out" in capsys.readouterr().err
    assert not (tmp_path / "held.csv").exists()


@pytest.mark.pipeline
def test_a_killed_study_continues_and_rows_share_their_stages(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[dict[str, Any]] = [
        {"name": "whole"},
        {"name": "fused", "config": {"seg": {"fusion": "multiply"}}, "seeds": [1]},
        {"name": "cues", "which": "cues", "seeds": [1]},
        {"name": "maps", "which": "cam", "seeds": [1]},
    ]
    made = [("whole", 0), ("whole", 1), ("fused", 1), ("cues", 1), ("maps", 1)]
    grid, runs, out = written(tmp_path, rows=rows), tmp_path / "runs", tmp_path / "table.md"
    words = [sys.executable, str(STUDIES / "run.py"), str(grid), str(small_set), "--runs", str(runs), "--out", str(out)]
    with subprocess.Popen(words, start_new_session=True) as study:
        while not list(runs.glob("*/*/seed-*/seg.json")):  # rglob would meet folders that are being renamed
            assert study.poll() is None, "ended before its first result"
            time.sleep(0.05)
        os.killpg(study.pid, signal.SIGKILL)
    (first,) = runs.rglob("seg.json")
    assert first.parent.name == "seed-0"
    kept = first.stat().st_mtime_ns

    def in_this_process(*words: str) -> float:
        main(list(words))
        return 1.0

    monkeypatch.setattr(runner, "_wsol", in_this_process)
    called(monkeypatch, *words[2:])
    assert first.stat().st_mtime_ns == kept
    lines = out.read_text().splitlines()[-4:]
    assert [line.split("|")[2].strip() for line in lines] == ["2", "1", "1", "1"]
    found = json.loads(out.with_suffix(".json").read_text())
    assert [(one["row"], one["seed"]) for one in found] == made
    for stage, count, kinds in (("cam", 4, 2), ("cues", 4, 1), ("seg", 3, 3)):
        files = [path.stat().st_ino for path in runs.rglob(f"seed-*/{stage}/model.safetensors")]
        assert (len(files), len(set(files))) == (count, kinds), stage


def test_composites_have_tight_boxes_and_share_nothing_between_the_splits(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    for folder in composites.CLASSES.values():
        for i in range(3):
            rgba = chance.integers(0, 256, (40, 60, 4), dtype=np.uint8)
            rgba[:, :, 3] = 255
            place = tmp_path / "stamps" / folder / f"{i}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rgba).save(place)
    for i in range(3):
        write_image(tmp_path / "landscapes" / f"{i}.jpg", (300, 400))
    for out in ("set", "again"):
        composites.write(tmp_path / "stamps", tmp_path / "landscapes", tmp_path / out, {"train": 2, "test": 1}, 0)
    data = open_data(tmp_path / "set")
    ground_truth = data.read_ground_truth()
    assert len(data.train) == 18 and len(data.test) == 9 and data.has_split
    for sample in data.test:
        one = ground_truth[sample.image_id]
        assert one.read_mask is not None and one.image_hw is not None
        mask = one.read_mask(one.image_hw).is_object
        assert Boxes.of([tight_box(mask)]).xyxy.tolist() == one.boxes.xyxy.tolist()
        assert (tmp_path / "again" / sample.image_id).read_bytes() == sample.path.read_bytes()
    split = composites.halves([Path(str(i)) for i in range(7)])
    assert not set(split["train"]) & set(split["test"]) and len(split["train"]) == 5


@pytest.mark.parametrize("number", [1, 2, 5])
def test_a_image_of_methods_shows_the_first_test_image_of_spread_classes(small_set: Path, number: int) -> None:
    data = open_data(small_set)
    chosen = methods_image.photographs(data, number)
    assert len({one.label for one in chosen}) == len(chosen) == min(number, len(data.class_names))
    assert all(one == next(sample for sample in data.test if sample.label == one.label) for one in chosen)


def test_a_image_of_methods_has_a_line_of_panels_for_each() -> None:
    shown = [blobs(seed, hw) for seed, hw in ((1, (375, 500)), (2, (500, 300)))]
    sheet = methods_image.sheet([("CAM (Zhou et al. 2016)", shown), ("PSOL", [of_boxes(one) for one in shown])])
    cell_w, cell_h = (side + methods_image.GAP_PX for side in methods_image.CELL_WH)
    assert sheet.size == (methods_image.LABEL_WIDTH_PX + 2 * cell_w, methods_image.GAP_PX + 3 * cell_h)
    pixels = np.asarray(sheet).astype(int)
    photo, cam, psol = (
        pixels[methods_image.GAP_PX + i * cell_h :][: cell_h - methods_image.GAP_PX, methods_image.LABEL_WIDTH_PX :]
        for i in range(3)
    )
    blue = np.asarray(GROUND_TRUTH)
    assert not (photo == blue).all(-1).any() and (cam == blue).all(-1).any() and (psol == blue).all(-1).any()
    assert np.abs(cam - photo).mean() > np.abs(psol - photo).mean() > 0, "a map covers its photograph, a box does not"
