"""The checks of `wsol doctor` in their order, each with a remedy. torch is imported in a child process only."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

from wsol.doctor.disk import free_space, shared_memory, writing
from wsol.doctor.lines import Finding, Line, first_line
from wsol.doctor.odd_files import decoding
from wsol.doctor.worker import SINGLE_PROCESS, Worker
from wsol.errors import WsolError
from wsol.models.weights import BUNDLED, Source, weights_source
from wsol.runtime.progress import Progress

IMPORT_LIMIT_S = 60.0
"""Importing torch from a cold disk can take most of this time."""
PROCESSES_LIMIT_S = 60.0
LIMIT_S = 20.0
TRAINING_CHECKS = ("torch and torchvision", "training step", "backbone and weights", "two processes", "TensorBoard")
"""The checks that need PyTorch."""


@dataclass(frozen=True)
class Check:
    """One test of the machine, and the remedy for results that have none of their own."""

    name: str
    remedy: str
    run: Callable[[], Sequence[Finding]]


def examine(checks: Sequence[Check], progress: Progress) -> Iterator[Line]:
    """Run all checks; a check that raises gives a line with the state fail.

    Args:
        checks: the checks, in order.
        progress: shows the check that is running.

    Yields:
        One line for each result.
    """
    for check in checks:
        progress.say(f"{check.name} ...")
        started = time.monotonic()
        try:
            findings = check.run()
        except Exception as error:
            findings = [Finding("fail", first_line(error))]
        seconds = round(time.monotonic() - started, 2)
        for one in findings:
            remedy = "" if one.state == "ok" else one.remedy or check.remedy
            yield Line(check.name, one.state, one.seen, remedy, seconds)


def all_checks(worker: Worker, folder: Path, backbone: str, weights: Path | None, *, is_offline: bool) -> list[Check]:
    """List the checks for a run.

    Args:
        worker: runs the jobs that import torch.
        folder: folder of the run; it need not exist.
        backbone: name of a timm model.
        weights: file with its ImageNet weights, if any.
        is_offline: do not contact timm's hub.

    Returns:
        The checks, in order.
    """
    checks = _every_check(worker, folder, backbone, weights, is_offline=is_offline)
    if find_spec("torch") is not None:
        return checks
    absent = Finding("warn", "torch not installed, which training needs", "`pip install 'wsol[train]'` if you train")
    return [
        Check("torch and torchvision", "", lambda: [absent]),
        *(check for check in checks if check.name not in TRAINING_CHECKS),
    ]


def _every_check(worker: Worker, folder: Path, backbone: str, weights: Path | None, *, is_offline: bool) -> list[Check]:
    weights_remedy = f"`--weights FILE`, or `--backbone {BUNDLED}` with `pip install 'wsol[bundled]'`"
    return [
        Check(
            "torch and torchvision",
            "`pip install --force-reinstall torch torchvision`, both from the same index",
            lambda: worker.run_job("pair", limit_s=IMPORT_LIMIT_S),
        ),
        Check(
            "training step",
            "if the CPU fails, `pip install --force-reinstall torch torchvision timm`; if a GPU fails, update its"
            " driver or use `--device cpu`",
            lambda: worker.run_job("steps", limit_s=IMPORT_LIMIT_S),
        ),
        Check("decoding", "`pip install --force-reinstall pillow`", decoding),
        Check(
            "backbone and weights",
            weights_remedy,
            lambda: backbone_and_weights(worker, backbone, weights, is_offline=is_offline),
        ),
        Check(
            "OpenCV",
            "`pip install --force-reinstall opencv-python-headless`",
            lambda: [*opencv_wheels(), *worker.run_job("opencv", limit_s=LIMIT_S)],
        ),
        Check(
            "disk",
            "free some space, or choose a folder on another disk with `--run`",
            lambda: free_space(folder),
        ),
        Check(
            "writing",
            "choose a writable folder on a local disk with `--run`",
            lambda: writing(folder),
        ),
        Check(
            "reading images",
            "`pip install --force-reinstall pillow`",
            lambda: worker.run_job("reading", limit_s=LIMIT_S),
        ),
        Check(
            "two processes",
            "`export GLOO_SOCKET_IFNAME=lo`, and allow local processes to connect to each other",
            lambda: [*two_processes(), *shared_memory()],
        ),
        Check(
            "COCO masks",
            "`pip install --force-reinstall pycocotools`",
            lambda: worker.run_job("masks", limit_s=LIMIT_S),
        ),
        Check(
            "ONNX",
            "`pip install --force-reinstall onnx onnxscript onnxruntime`",
            lambda: worker.run_job("onnx", limit_s=LIMIT_S),
        ),
        Check(
            "TensorBoard",
            "`pip install --force-reinstall tensorboard`",
            lambda: worker.run_job("tensorboard", limit_s=LIMIT_S),
        ),
    ]


def backbone_and_weights(worker: Worker, name: str, weights: Path | None, *, is_offline: bool) -> list[Finding]:
    """Check that the backbone's weights are available and fit, and whether timm's hub responds.

    Args:
        worker: runs the job that imports torch.
        name: a timm model.
        weights: file with its weights, if any.
        is_offline: do not contact the hub.

    Returns:
        A result for the backbone, and one for the hub if its weights are not needed from there.

    Raises:
        WsolError: as for `weights_source`.
    """
    with _hub_offline():
        here = _source_or_none(name, weights)
    source = {"file": f"file {weights}", "wheel": "bundled", "hub": "cached", None: "reachable"}[here]
    seen = worker.run_job("backbone", name, source, "" if here is None else str(weights or ""), limit_s=IMPORT_LIMIT_S)
    if here is None and seen[0].state == "ok":  # otherwise the name is unknown, and there are no weights
        with _hub_offline() if is_offline else nullcontext():
            weights_source(name, weights)
    if here in ("file", "wheel") and not is_offline:
        # No model has this name, so nothing is cached: only the hub can respond.
        hub = _source_or_none("any other", None)
        advice = "other backbones need `--weights FILE`, or HF_HOME with their weights"
        seen.append(
            Finding("ok", "timm's hub responds") if hub else Finding("warn", "timm's hub does not respond", advice)
        )
    return seen


def _source_or_none(name: str, weights: Path | None) -> Source | None:
    try:
        return weights_source(name, weights)
    except WsolError:
        return None


@contextmanager
def _hub_offline() -> Iterator[None]:
    before = os.environ.get("HF_HUB_OFFLINE")
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = before


WHEELS = {f"opencv{contrib}-python{headless}" for contrib in ("", "-contrib") for headless in ("", "-headless")}


def opencv_wheels() -> list[Finding]:
    """Detect several OpenCV wheels: all install into one folder `cv2`, so the last one overwrites the others.

    Returns:
        A warning if there is more than one.
    """
    names = {re.sub(r"[-_.]+", "-", one.metadata["Name"] or "").lower() for one in distributions()}
    installed = sorted(names & WHEELS)
    if len(installed) < 2:
        return []
    remedy = f"`pip uninstall -y {' '.join(installed)} && pip install opencv-python-headless`"
    return [Finding("warn", f"{' and '.join(installed)} in one folder", remedy)]


def two_processes(limit_s: float = PROCESSES_LIMIT_S) -> list[Finding]:
    """Compute a sum over two processes, set up as `torchrun` does.

    Args:
        limit_s: time limit in seconds.

    Returns:
        One result.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        rendezvous = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(probe.getsockname()[1])}

    def part_of(rank: int) -> Finding:
        environment = (
            SINGLE_PROCESS
            | rendezvous
            | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        )
        with Worker(environment) as one:
            return one.run_job("summed_up", limit_s=limit_s)[0]

    with ThreadPoolExecutor(2) as pool:
        seen = list(pool.map(part_of, range(2)))
    wrong = [f"process {rank}: {one.seen}" for rank, one in enumerate(seen) if one.state == "fail"]
    return [Finding("fail", "; ".join(wrong))] if wrong else seen[:1]
