"""Between the rounds of stage 3: networks that never saw a class confirm its masks, or leave them undecided."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from quick import QUICK, Cli

from wsol import open_data
from wsol.class_folds import class_folds
from wsol.pseudo_store import FILE, PseudoStore


def masks(folder: Path) -> np.ndarray:
    store = PseudoStore(folder)
    return store.masks(torch.arange(len(store))).numpy() > 0


def test_a_further_rounds_masks_are_known_only_where_the_folds_say_the_same(small_run: Path) -> None:
    assert {path.name for path in small_run.iterdir() if "fold" in path.name} == {
        "seg-fold-1", "seg-fold-2", "pseudo-folds"
    }  # fmt: skip
    redrawn, confirming = masks(small_run / "pseudo-round-2"), masks(small_run / "pseudo-folds")
    differs = redrawn[:, 0] != confirming[:, 0]
    assert differs.any() and not redrawn[:, 1][differs].any()
    made_from = json.loads((small_run / "pseudo-round-2" / "manifest.json").read_text())["inputs"]
    assert made_from["confirmed by"] == hashlib.sha256((small_run / "pseudo-folds" / FILE).read_bytes()).hexdigest()


def test_a_folds_network_and_masks_know_nothing_of_its_classes_masks(
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


def test_without_folds_masks_are_taken_as_they_are(cli: Cli, small_run: Path, small_set: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for name in ("cam", "pseudo", "seg-round-1"):
        shutil.copytree(small_run / name, run / name)
    assert cli("train-seg", small_set, "--run", run, *QUICK, "--seg.folds", "1") == 0
    assert not list(run.glob("*fold*"))
    alone, confirmed = masks(run / "pseudo-round-2"), masks(small_run / "pseudo-round-2")
    assert np.array_equal(alone[:, 0], confirmed[:, 0]) and alone[:, 1].sum() > confirmed[:, 1].sum()


@pytest.mark.parametrize("folds", [4])
def test_more_folds_than_classes_are_left_out_and_said(
    cli: Cli, small_run: Path, small_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], folds: int
) -> None:
    run = tmp_path / "run"
    for name in ("cam", "pseudo", "seg-round-1"):
        shutil.copytree(small_run / name, run / name)
    assert cli("train-seg", small_set, "--run", run, *QUICK, "--seg.folds", folds) == 0
    assert "no folds, since 4 parts of the classes are too many" in capsys.readouterr().err
    assert not list(run.glob("*fold*"))
