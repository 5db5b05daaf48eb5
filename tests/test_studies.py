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

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

STUDIES = Path(__file__).parents[1] / "studies"
sys.path.append(str(STUDIES))

import hold_out  # noqa: E402
import run as runner  # noqa: E402

from wsol import RunConfig, WsolError, open_data  # noqa: E402
from wsol.cli import app  # noqa: E402
from wsol.config import RECIPES, resolve  # noqa: E402

TINY: dict[str, Any] = {
    "classifier": "cam",
    **{group: {"steps": 2, "batch_size": 4, "resize_px": 64, "crop_px": 48} for group in ("cam", "seg")},
}


def written(folder: Path, **values: object) -> Path:
    """A grid file."""
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump({"title": "a test", "seeds": [0, 1], "common": TINY, **values}))
    return path


@pytest.mark.parametrize("path", sorted((STUDIES / "grids").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_grid_can_be_run(path: Path) -> None:
    runs = runner.read_grid(path)
    assert runs
    folders = [one.folder(Path("runs")) for one in runs]
    assert len(set(folders)) == len(folders)


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


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param({"rows": [{"name": "a", "sedes": [1]}]}, "sedes", id="a misspelt name"),
        pytest.param(
            {"rows": [{"name": "a", "config": {"cam": {"epocs": 1}}}]}, "epocs", id="a misspelt value of wsol"
        ),
        pytest.param({}, "rows", id="no rows"),
        pytest.param({"rows": [{"name": "a", "which": "both"}]}, "which", id="no such judgement"),
    ],
)
def test_a_grid_with_a_mistake_is_refused(tmp_path: Path, values: dict[str, object], message: str) -> None:
    with pytest.raises(WsolError, match=rf"(?s)is no grid .*{message}.*expected title, seeds, common and rows"):
        runner.read_grid(written(tmp_path, **values))


def test_other_values_have_another_folder_and_other_seeds_the_same(tmp_path: Path) -> None:
    rows = [{"name": "A b/c"}, {"name": "A b/c", "config": {"seg": {"rounds": 1}}}]
    one, other_seed, changed, _ = (run.folder(tmp_path) for run in runner.read_grid(written(tmp_path, rows=rows)))
    assert one.name == "seed-0" and other_seed.name == "seed-1"
    assert one.parent == other_seed.parent != changed.parent
    assert one.parent.name.startswith("a-b-c-")


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
        pytest.param({}, ["0 of 2", "", "", "", "", "", "", ""], id="nothing yet"),
        pytest.param(
            {0: judged(90.0)},
            ["1 of 2", "0.50", "90.0 (88.0 to 92.0)", "91.0 (89.0 to 93.0)", "80.0 (78.0 to 82.0)", "60.0 (58.0 to 62.0)", "", "3"],
            id="one seed has an interval over pictures",
        ),
        pytest.param(
            {0: judged(90.0), 1: judged(94.0)},
            ["2", "0.50", "92.0 ± 2.8", "93.0 ± 2.8", "80.0 ± 0.0", "60.0 ± 0.0", "", "3"],
            id="several seeds have a deviation",
        ),
        pytest.param(
            {0: judged(90.0, score_auc=80.0), 1: judged(94.0)},
            ["2", "0.50", "92.0 ± 2.8", "93.0 ± 2.8", "80.0 ± 0.0", "60.0 ± 0.0", "", "3"],
            id="a figure of some seeds is no mean",
        ),
    ],
)  # fmt: skip
def test_cells_of_a_row(tmp_path: Path, results: dict[int, Any], cells: list[str]) -> None:
    everything = runner.read_grid(written(tmp_path, rows=[{"name": "wsol", "reference": 96.46}]))
    found = [{"row": "wsol", "seed": seed, "minutes": 3.0, "judged": one} for seed, one in results.items()]
    last = runner.table(everything, found, "birds").splitlines()[-1]
    assert [cell.strip() for cell in last.strip("|").split("|")] == ["wsol", *cells, "96.5"]


def test_held_out_pictures_are_training_pictures(
    fake_cub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["hold_out.py", str(fake_cub), str(tmp_path / "held.csv"), "--every", "2"])
    hold_out.main()
    whole, parted = open_data(fake_cub), open_data(tmp_path / "held.csv", fake_cub / "images")
    names = {sample.image_id for sample in (*parted.train, *parted.test)}
    assert names == {sample.image_id for sample in whole.train}
    assert len(parted.test) == len(parted.train) == 3
    truth, own = parted.read_truth(), whole.read_truth()
    for sample in parted.test:
        assert (truth[sample.image_id].boxes.xyxy == own[sample.image_id].boxes.xyxy).all()
    assert not any(sample.image_id in truth for sample in parted.train)


@pytest.mark.pipeline
def test_a_killed_study_goes_on_and_rows_share_their_first_stage(small_set: Path, tmp_path: Path) -> None:
    rows = [{"name": "ours"}, {"name": "one round", "config": {"seg": {"rounds": 1}}}, {"name": "maps", "which": "cam"}]
    grid, runs, out = written(tmp_path, rows=rows), tmp_path / "runs", tmp_path / "table.md"
    words = [sys.executable, str(STUDIES / "run.py"), str(grid), str(small_set), "--runs", str(runs), "--out", str(out)]
    with subprocess.Popen(words, start_new_session=True) as study:
        while not list(runs.rglob("seg.json")):
            assert study.poll() is None, "ended before its first result"
            time.sleep(0.05)
        os.killpg(study.pid, signal.SIGKILL)
    (first,) = runs.rglob("seg.json")
    assert first.parent.name == "seed-0"
    kept = first.stat().st_mtime_ns
    subprocess.run(words, check=True)
    assert first.stat().st_mtime_ns == kept
    lines = out.read_text().splitlines()[-3:]
    assert [line.split("|")[2].strip() for line in lines] == ["2", "2", "2"]
    found = json.loads(out.with_suffix(".json").read_text())
    assert [(one["row"], one["seed"]) for one in found] == [(row["name"], seed) for row in rows for seed in (0, 1)]
    stages = [path.stat().st_ino for path in runs.rglob("seed-*/cam/model.safetensors")]
    assert len(stages) == 6 and len(set(stages)) == 2
