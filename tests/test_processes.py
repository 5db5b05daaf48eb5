"""Several processes, on one machine and on two that share a disk, train what one process trains."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from all_frozen import all_batch_norms
from safetensors.torch import load_file

from wsol.cli.main import main
from wsol.demo.drawing import write_demo_set
from wsol.methods.spol.mask_store import PseudoStore
from wsol.training import loop

pytestmark = pytest.mark.pipeline

ALL_FROZEN = Path(__file__).with_name("all_frozen.py")
# Whatever order the sums take, rounding grows from step to step, the slower the smaller the rates.
# A mask of cues may turn over a pixel for it.
COMPARABLE = [
    *("--pseudo.masks", "thresholds", "--precision", "fp32"),
    *("--cam.resize-px", "64", "--cam.crop-px", "56", "--cam.dropout", "0", "--cam.batch-norm", "frozen"),
    *("--seg.resize-px", "64", "--seg.crop-px", "56", "--seg.dropout", "0", "--seg.batch-norm", "frozen"),
    *("--classify.resize-px", "64", "--classify.crop-px", "56", "--classify.batch-norm", "frozen"),
    *("--cam.lr-new", "1e-6", "--cam.lr-backbone", "1e-6", "--seg.lr-new", "1e-6", "--seg.lr-backbone", "1e-6"),
    *(
        "--cam.batch-size",
        "7",
        "--seg.batch-size",
        "7",
        "--classify.batch-size",
        "7",
        "--epochs",
        "2",
        "--workers",
        "0",
    ),
]
TRAINED = ("cam", "seg", "classifier")
PATIENCE_SECONDS = 600


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("small") / "set"
    root.mkdir()
    write_demo_set(root, classes=3, train_per_class=5, test_per_class=1, image_hw=(90, 120))
    return root


def launch(*commands: Sequence[object], processes: int = 1, machines: int = 1) -> None:
    """Some commands by `torchrun` on each of some machines, all of them this one."""
    words = json.dumps(commands, default=str)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    machine = ["--nnodes", str(machines), "--nproc-per-node", str(processes), "--master-addr", "127.0.0.1"]
    launcher = [sys.executable, "-m", "torch.distributed.run", *machine, "--master-port", str(port), "--node-rank"]
    running = [
        subprocess.Popen(
            [*launcher, str(node), str(ALL_FROZEN), words],
            env=os.environ | {"OMP_NUM_THREADS": "1", "LOGLEVEL": "INFO"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for node in range(machines)
    ]
    with ThreadPoolExecutor(machines) as readers:
        printed = list(readers.map(lambda process: _all_it_prints(process, running), running))
    assert all(process.returncode == 0 for process in running), "\n".join(printed)


def _all_it_prints(process: subprocess.Popen[str], together: Sequence[subprocess.Popen[str]]) -> str:
    """To its end. One that fails or takes long ends all: others would wait for it, for minutes where torchrun does."""
    try:
        printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        printed = f"Was still running after {PATIENCE_SECONDS} s:\n{_all_when_ended(process)}"
    if process.returncode != 0:
        for one in together:
            one.terminate()
    return printed


def _all_when_ended(process: subprocess.Popen[str]) -> str:
    process.terminate()  # torchrun kills what it started after half a minute, if need be
    try:
        return process.communicate(timeout=45)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[0]


def by_one(*words: object) -> None:
    """The same in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "frozen_layers", all_batch_norms)
        main([str(word) for word in words])


def losses(run: Path) -> dict[str, list[float]]:
    return {part: json.loads((run / part / "manifest.json").read_text())["figures"]["losses"] for part in TRAINED}


@pytest.fixture(scope="module")
def alone(images: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    """The losses of one process."""
    run = tmp_path_factory.mktemp("alone") / "run"
    by_one("fit", images, "--run", run, *COMPARABLE)
    return losses(run)


CUES = ("--instant.resize-px", "96", "--precision", "fp32", "--workers", "0")


@pytest.fixture(scope="module")
def by_two(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes leave, launched once: `run`, the cache a file that they fill together, and `cues`."""
    root = tmp_path_factory.mktemp("two")
    launch(
        ("fit", images, "--run", root / "run", *COMPARABLE, "--cache-gb", "0"),
        ("make-pseudo", images, *CUES, "--run", root / "cues"),
        processes=2,
    )
    return root


def check_same_losses(run: Path, alone: dict[str, list[float]], processes: int) -> None:
    found = losses(run)
    for part in TRAINED:
        assert found[part] == pytest.approx(alone[part], rel=1e-3), part
        assert json.loads((run / part / "manifest.json").read_text())["figures"]["processes"] == processes
    assert sorted(path.name for path in run.iterdir()) == [
        "cam",
        "classifier",
        "config.yaml",
        "curves.png",
        "pseudo",
        "seg",
    ]


def test_the_loss_curves_of_two_processes_are_those_of_one(by_two: Path, alone: dict[str, list[float]]) -> None:
    check_same_losses(by_two / "run", alone, 2)


def test_the_loss_curves_of_two_machines_that_keep_no_pixels_are_those_of_one_process(
    images: Path, alone: dict[str, list[float]], tmp_path: Path
) -> None:
    streamed = ("--cache-gb", "0", "--disk-cache-gb", "0")
    launch(("fit", images, "--run", tmp_path / "run", *COMPARABLE, *streamed), machines=2)
    check_same_losses(tmp_path / "run", alone, 2)


def test_gradients_of_three_pieces_add_up_to_those_of_the_batch(
    images: Path, alone: dict[str, list[float]], tmp_path: Path
) -> None:
    by_one("fit", images, "--run", tmp_path / "run", *COMPARABLE, "--micro-batch", "3")
    check_same_losses(tmp_path / "run", alone, 1)


def test_the_cues_of_several_processes_are_those_of_one(images: Path, by_two: Path, tmp_path: Path) -> None:
    by_one("make-pseudo", images, *CUES, "--run", tmp_path / "cues")
    states, masks = [], []
    for run in (tmp_path / "cues", by_two / "cues"):
        states.append(load_file(run / "cues" / "model.safetensors"))
        store = PseudoStore(run / "pseudo")
        masks.append(store.masks(torch.arange(len(store))))
    for name, values in states[0].items():
        torch.testing.assert_close(values, states[1][name], rtol=1e-3, atol=1e-4)
    assert (masks[0] == masks[1]).float().mean() > 0.99
