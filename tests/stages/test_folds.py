"""Between the rounds of stage 3: networks that never saw a class confirm its masks, or leave them undecided."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from quick import QUICK, Cli

from wsol import open_data
from wsol.class_folds import class_folds
from wsol.edges import SIDE_PX
from wsol.pseudo_store import EMPTY, FILE, PseudoStore
from wsol.stages.make_pseudo import is_confirmed


def masks(folder: Path) -> np.ndarray:
    store = PseudoStore(folder)
    return store.masks(torch.arange(len(store))).numpy() > 0


@pytest.fixture
def begun(small_run: Path, tmp_path: Path) -> Path:
    """A copy as far as the first round."""
    for name in ("cam", "pseudo", "seg-round-1"):
        shutil.copytree(small_run / name, tmp_path / "run" / name)
    return tmp_path / "run"


def test_a_further_rounds_masks_are_known_only_where_the_folds_say_the_same(small_run: Path) -> None:
    assert {path.name for path in small_run.iterdir() if "fold" in path.name} == {
        "seg-fold-1", "seg-fold-2", "pseudo-folds"
    }  # fmt: skip
    redrawn, confirming = masks(small_run / "pseudo-round-2"), masks(small_run / "pseudo-folds")
    differs = redrawn[:, 0] != confirming[:, 0]
    assert differs.any() and not redrawn[:, 1][differs].any()
    made_from = json.loads((small_run / "pseudo-round-2" / "manifest.json").read_text())["inputs"]
    assert made_from["confirmed by"] == hashlib.sha256((small_run / "pseudo-folds" / FILE).read_bytes()).hexdigest()


def test_a_folds_network_knows_nothing_of_its_classes_masks(
    cli: Cli, small_run: Path, small_set: Path, tmp_path: Path
) -> None:
    data, run = open_data(small_set), tmp_path / "run"
    fold_of = class_folds([sample.label for sample in data.train], 2)
    for name in ("cam", "pseudo"):
        shutil.copytree(small_run / name, run / name)
    store = np.load(run / "pseudo" / FILE, mmap_mode="r+")
    first = np.array([fold_of[sample.label] == 0 for sample in data.train])
    store["inside"][first] ^= 255
    store.flush()
    assert cli("train-seg", small_set, "--run", run, *QUICK) == 0
    kept, changed = (
        [(folder / f"seg-fold-{fold}" / "model.safetensors").read_bytes() for folder in (small_run, run)]
        for fold in (1, 2)
    )
    assert kept[0] == kept[1] and changed[0] != changed[1]


def test_without_folds_masks_are_taken_as_they_are(cli: Cli, begun: Path, small_run: Path, small_set: Path) -> None:
    assert cli("train-seg", small_set, "--run", begun, *QUICK, "--seg.folds", "1") == 0
    assert not list(begun.glob("*fold*"))
    alone, confirmed = masks(begun / "pseudo-round-2"), masks(small_run / "pseudo-round-2")
    assert np.array_equal(alone[:, 0], confirmed[:, 0]) and alone[:, 1].sum() > confirmed[:, 1].sum()


def test_folds_that_would_see_too_little_are_left_out_and_said(
    cli: Cli, begun: Path, small_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("train-seg", small_set, "--run", begun, *QUICK, "--seg.folds", "4") == 0
    told = capsys.readouterr().err
    assert "no folds, the masks of further rounds are taken as they are: 4 parts of the classes" in told
    assert not list(begun.glob("*fold*"))


def test_a_run_from_before_there_were_folds_goes_on_without(
    cli: Cli, begun: Path, small_run: Path, small_set: Path
) -> None:
    values = yaml.safe_load((small_run / "config.yaml").read_text())
    del values["seg"]["folds"]
    (begun / "config.yaml").write_text(yaml.safe_dump(values))
    assert cli("train-seg", small_set, "--run", begun) == 0
    assert (begun / "seg").is_dir() and not list(begun.glob("*fold*"))


def test_a_number_of_steps_is_parted_as_the_pictures_are(cli: Cli, begun: Path, small_set: Path) -> None:
    shutil.rmtree(begun / "seg-round-1")
    assert cli("train-seg", small_set, "--run", begun, *QUICK, "--seg.steps", "6") == 0
    steps = {
        name: json.loads((begun / name / "manifest.json").read_text())["figures"]["steps"]
        for name in ("seg-round-1", "seg-fold-1", "seg-fold-2", "seg")
    }
    # Four of twelve pictures are of the fold with one class; all masks can be used.
    assert steps == {"seg-round-1": 6, "seg-fold-1": 2, "seg-fold-2": 4, "seg": 6}


def test_a_fold_that_found_no_object_in_a_picture_says_nothing_of_it(small_run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_run / "pseudo-folds", tmp_path / "folds"))
    records = np.load(folder / FILE, mmap_mode="r+")
    records["state"][1], records["inside"][:2] = EMPTY, 0
    records.flush()
    inside = np.ones((2, SIDE_PX, SIDE_PX), dtype=bool)
    said = is_confirmed(inside, PseudoStore(folder), torch.tensor([0, 1]))
    assert not said[0].any() and said[1].all()
