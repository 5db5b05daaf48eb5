"""What `pip install wsol` alone can do: everything but training, without PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from quick import wsol

from wsol.config.messages import TRAINING
from wsol.config.options import RunConfig
from wsol.config.recipes import resolve
from wsol.runs.saved_config import save_config

WITHOUT = f"""
import sys
for name in {(*TRAINING, "numba")!r}:
    sys.modules[name] = None  # as where it is not installed
"""


def run_without_torch(code: str, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WITHOUT + code, *map(str, words)], capture_output=True, text=True)


def command(*words: object) -> subprocess.CompletedProcess[str]:
    return run_without_torch("from wsol.cli.main import main\nmain(sys.argv[1:])", *words)


def unseen(*words: object) -> subprocess.CompletedProcess[str]:
    """As `command`, where torch is not even found, as it is without an installation."""
    blocked = "import importlib.util as u\nreal = u.find_spec\n"
    blocked += "u.find_spec = lambda name, *rest: None if name == 'torch' else real(name, *rest)\n"
    return run_without_torch(f"{blocked}from wsol.cli.main import main\nmain(sys.argv[1:])", *words)


@pytest.fixture(scope="module")
def run_with_file(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`small_run` with its model.onnx, which was written where PyTorch is installed."""
    import shutil

    run = tmp_path_factory.mktemp("base") / "run"
    shutil.copytree(small_run, run)
    wsol("export-model", run, "--format", "onnx")
    return run


def test_a_finished_run_predicts_evaluates_exports_and_is_checked(
    run_with_file: Path, small_set: Path, tmp_path: Path
) -> None:
    boxes = tmp_path / "boxes"
    for words in (
        ("predict", run_with_file, small_set / "test", "--out", boxes, "--engine", "onnx"),
        ("evaluate", "--boxes", boxes, "--truth", small_set, "--json", tmp_path / "metrics.json"),
        ("export", boxes, "--format", "coco", "--out", tmp_path / "coco"),
        ("check", small_set),
    ):
        done = command(*words)
        assert done.returncode == 0, done.stderr
    (figures,) = json.loads((tmp_path / "metrics.json").read_text())
    assert figures["n"] == 6 and (tmp_path / "coco" / "instances.json").is_file()
    wsol("predict", run_with_file, small_set / "test", "--out", tmp_path / "again", "--engine", "onnx")
    assert (tmp_path / "again" / "predictions.jsonl").read_bytes() == (boxes / "predictions.jsonl").read_bytes()


def test_the_file_alone_is_a_localizer(run_with_file: Path, small_set: Path) -> None:
    image = next((small_set / "test").rglob("*.jpg"))
    code = "from wsol import Localizer\nprint(Localizer.from_onnx(sys.argv[1])(sys.argv[2]).image_hw)"
    done = run_without_torch(code, run_with_file / "model.onnx", image)
    assert done.stdout == "(90, 120)\n", done.stderr


@pytest.mark.parametrize("module", ["wsol.review.serve", "wsol.commands.export", "wsol.commands.evaluate_results"])
def test_a_module_of_the_base_install_is_imported_without_pytorch(module: str) -> None:
    done = run_without_torch(f"import {module}")
    assert done.returncode == 0, done.stderr


def test_the_interpreter_alone_evaluates_maps_to_the_same_figures(small_set: Path, tmp_path: Path) -> None:
    for image in (small_set / "test").rglob("*.jpg"):
        path = tmp_path / "maps" / image.relative_to(small_set).with_suffix(".npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.random.default_rng(len(image.name)).random((8, 8)).repeat(2, 0).repeat(2, 1))
    words = ["evaluate", "--heatmaps", tmp_path / "maps", "--truth", small_set, "--threshold-step", "0.1", "--json"]
    done = command(*words, tmp_path / "slow.json")
    assert done.returncode == 0 and "wsol[evaluate]" in done.stderr, done.stderr
    wsol(*words, tmp_path / "fast.json")
    assert (tmp_path / "slow.json").read_text() == (tmp_path / "fast.json").read_text()


def test_doctor_finds_nothing_wrong_with_a_base_install(tmp_path: Path) -> None:
    done = unseen("doctor", "--offline", "--run", tmp_path / "run", "--json", tmp_path / "lines.json")
    lines = json.loads((tmp_path / "lines.json").read_text())
    assert done.returncode == 0 and not [line for line in lines if line["state"] == "fail"], done.stdout
    assert lines[0]["state"] == "warn" and "wsol[train]" in lines[0]["mend"]


def test_what_trains_says_what_to_install(small_set: Path, tmp_path: Path) -> None:
    done = command("fit", small_set, "--run", tmp_path / "run")
    assert done.returncode == 2 and "pip install 'wsol[train]'" in done.stderr and "Traceback" not in done.stderr
    done = run_without_torch("import wsol\nwsol.fit")
    assert "pip install 'wsol[train]'" in done.stderr.splitlines()[-1]


def test_prediction_by_torch_names_the_engine_that_is_there(
    run_with_file: Path, small_set: Path, tmp_path: Path
) -> None:
    done = unseen("predict", run_with_file, small_set / "test", "--out", tmp_path / "out")
    assert done.returncode == 2 and "--engine onnx" in done.stderr, done.stderr


def test_a_run_without_a_file_says_where_to_make_one(small_run: Path, small_set: Path, tmp_path: Path) -> None:
    done = command("predict", small_run, small_set / "test", "--out", tmp_path / "out", "--engine", "onnx")
    assert done.returncode == 2 and "export-model" in done.stderr


def test_a_run_that_cannot_be_exported_is_not_sent_to_an_export(small_set: Path, tmp_path: Path) -> None:
    save_config(tmp_path / "run", resolve(RunConfig(method="instant")))
    words = ("predict", tmp_path / "run", small_set / "test", "--out", tmp_path / "out", "--engine", "onnx")
    done = unseen(*words)
    assert done.returncode == 2 and "instant cannot be exported" in done.stderr, done.stderr
