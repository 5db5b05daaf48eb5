"""The checks of `wsol doctor` in their order, each with what mends it. Nothing here raises; torch is not imported in
this process.
"""

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
from pathlib import Path

from wsol.doctor.disk import free_space, shared_memory, writing
from wsol.doctor.lines import Line, Seen, first_line
from wsol.doctor.odd_files import decoding
from wsol.doctor.worker import ALONE, Worker
from wsol.errors import WsolError
from wsol.models.weights import BUNDLED, Source, weights_source
from wsol.runtime.progress import Progress

IMPORT_LIMIT_S = 60.0
"""A cold disk may need most of it for torch alone; what hangs, hangs longer."""
TOGETHER_LIMIT_S = 60.0
LIMIT_S = 20.0


@dataclass(frozen=True)
class Check:
    """One question about the machine, and the advice where its answer brings none of its own."""

    name: str
    mend: str
    look: Callable[[], Sequence[Seen]]


def examine(checks: Sequence[Check], progress: Progress) -> Iterator[Line]:
    """The lines of all checks; one that breaks is a line too."""
    for check in checks:
        progress.say(f"{check.name} ...")
        started = time.monotonic()
        try:
            seen = check.look()
        except Exception as error:
            seen = [Seen("fail", first_line(error))]
        seconds = round(time.monotonic() - started, 2)
        for one in seen:
            yield Line(check.name, one.state, one.seen, "" if one.state == "ok" else one.mend or check.mend, seconds)


def all_checks(worker: Worker, folder: Path, backbone: str, weights: Path | None, *, is_offline: bool) -> list[Check]:
    """What is asked about a run in `folder` with this backbone; `is_offline` leaves the hub alone."""
    weigh = f"`--weights FILE`, or `--backbone {BUNDLED}` with `pip install 'wsol[bundled]'`"
    return [
        Check(
            "torch and torchvision",
            "`pip install --force-reinstall torch torchvision`, both from one place",
            lambda: worker.ask("pair", limit_s=IMPORT_LIMIT_S),
        ),
        Check(
            "training step",
            "`--device cpu` leaves a GPU alone; `pip install --force-reinstall torch torchvision timm` if the CPU"
            " itself fails, else update the GPU's driver",
            lambda: worker.ask("steps", limit_s=IMPORT_LIMIT_S),
        ),
        Check("decoding", "`pip install --force-reinstall pillow`", decoding),
        Check(
            "backbone and weights",
            weigh,
            lambda: backbone_and_weights(worker, backbone, weights, is_offline=is_offline),
        ),
        Check(
            "OpenCV",
            "`pip install --force-reinstall opencv-python-headless`",
            lambda: [*opencv_wheels(), *worker.ask("opencv", limit_s=LIMIT_S)],
        ),
        Check(
            "disk",
            "remove what is not needed, or name a folder on another disk with `--run`",
            lambda: free_space(folder),
        ),
        Check(
            "writing",
            "name a folder with `--run` that you may write to, on a disk of this machine",
            lambda: writing(folder),
        ),
        Check(
            "reading images", "`pip install --force-reinstall pillow`", lambda: worker.ask("reading", limit_s=LIMIT_S)
        ),
        Check(
            "two processes",
            "`export GLOO_SOCKET_IFNAME=lo`, and let processes of this machine connect to one another",
            lambda: [*together(), *shared_memory()],
        ),
        Check(
            "COCO masks", "`pip install --force-reinstall pycocotools`", lambda: worker.ask("masks", limit_s=LIMIT_S)
        ),
        Check(
            "ONNX",
            "`pip install --force-reinstall onnx onnxscript onnxruntime`",
            lambda: worker.ask("onnx", limit_s=LIMIT_S),
        ),
        Check(
            "TensorBoard",
            "`pip install --force-reinstall tensorboard`",
            lambda: worker.ask("tensorboard", limit_s=LIMIT_S),
        ),
    ]


def backbone_and_weights(worker: Worker, name: str, weights: Path | None, *, is_offline: bool) -> list[Seen]:
    """Where the weights come from, and whether those on this machine fit; beside weights that are here, whether others
    can be had.

    Raises:
        WsolError: as `weights_source`.
    """
    with _hub_left_alone():
        here = _source_or_none(name, weights)
    source = {"file": f"file {weights}", "wheel": "bundled", "hub": "cached", None: "reachable"}[here]
    seen = worker.ask("backbone", name, source, "" if here is None else str(weights or ""), limit_s=IMPORT_LIMIT_S)
    if here is None and seen[0].state == "ok":  # else the name is misspelt, and nobody has its weights
        with _hub_left_alone() if is_offline else nullcontext():
            weights_source(name, weights)
    if here in ("file", "wheel") and not is_offline:
        # No model is called so, and nothing is cached of it: the answer is the hub's.
        hub = _source_or_none("any other", None)
        advice = "other backbones need `--weights FILE`, or HF_HOME with their weights in it"
        seen.append(Seen("ok", "timm's hub answers") if hub else Seen("warn", "timm's hub does not answer", advice))
    return seen


def _source_or_none(name: str, weights: Path | None) -> Source | None:
    try:
        return weights_source(name, weights)
    except WsolError:
        return None


@contextmanager
def _hub_left_alone() -> Iterator[None]:
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


def opencv_wheels() -> list[Seen]:
    """All of them write into one folder `cv2`: of two, the files of the one that came last lie over the other's."""
    names = {re.sub(r"[-_.]+", "-", one.metadata["Name"] or "").lower() for one in distributions()}
    installed = sorted(names & WHEELS)
    if len(installed) < 2:
        return []
    mend = f"`pip uninstall -y {' '.join(installed)} && pip install opencv-python-headless`"
    return [Seen("warn", f"{' and '.join(installed)} in one folder", mend)]


def together(limit_s: float = TOGETHER_LIMIT_S) -> list[Seen]:
    """A sum over two processes, in the way of those that `torchrun` starts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(probe.getsockname()[1])}

    def part_of(rank: int) -> Seen:
        environment = (
            ALONE | meeting | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        )
        with Worker(environment) as one:
            return one.ask("summed_up", limit_s=limit_s)[0]

    with ThreadPoolExecutor(2) as pool:
        seen = list(pool.map(part_of, range(2)))
    wrong = [f"process {rank}: {one.seen}" for rank, one in enumerate(seen) if one.state == "fail"]
    return [Seen("fail", "; ".join(wrong))] if wrong else seen[:1]
