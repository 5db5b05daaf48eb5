"""Speed of wsol's engine compared with a plain implementation: same machine, images, networks and number of threads.

    python benchmarks/engine.py DATA --run RUN                # all parts; at most 20 minutes on two cores
    python benchmarks/engine.py DATA --run RUN --only b,c     # some of them

RUN is a finished run on DATA with SPOL's masks (`wsol fit DATA --run RUN --pseudo.masks thresholds`). plain.py holds
and describes the plain implementation. Each training and each prediction has its own process, which imports everything
before the clock starts. Both implementations run in turns, several times; the fastest run of each counts.

a  Training. `first epoch` is the whole call without its later epochs: it includes building the network, decoding into
   the cache (wsol) and writing the weights. `a step` is an epoch without the time spent waiting for images (wsol), or
   an epoch over batches that are already in memory (plain).
b  From a small map to a pseudo mask on disk, without the network. wsol stores the map and its Gaussians and makes the
   mask when it is read; the plain way stores the mask. So reading is measured, too.
c  Prediction, from the call to the finished file, including loading the networks.
d  Memory of prediction (memory.py).
e  A ResNet50 with random weights in bf16 on a GPU.
"""

from __future__ import annotations

import argparse
import csv
import inspect
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import plain
import timm
import torch
from memory import COUNTS, copy_networks, counts_of, print_memory
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import wsol
from wsol.config.methods import Pseudo
from wsol.config.options import RunConfig
from wsol.config.recipes import merged
from wsol.data.open import open_data
from wsol.data.samples import DataSet, Sample
from wsol.errors import WsolError
from wsol.methods.spol import mask_store
from wsol.methods.spol.gaussian_prior import GAUSSIANS_PER_IMAGE, fit_gaussians, targets
from wsol.models.checkpoint import load_classifier, load_mffnet
from wsol.models.outputs import fraction_of_peak
from wsol.runs.saved_config import load_config, save_config
from wsol.runtime.engine import keep_freed_memory

STAGES = {"cam": "stage 1", "seg": "stage 3"}
BATCH_SIZE = 32
FREEZING = {"": 0, ", early layers frozen": None}
"""Frozen layers of wsol: none, as in the plain implementation, and the default."""
GPU_BACKBONE, GPU_SIDE_PX, GPU_BATCH_SIZE, GPU_IMAGES = "resnet50", 224, 128, 5000
MATMUL_SIDE = 8192

CALL = """
import json, sys, time
import torch, wsol
name, words = sys.argv[1], json.loads(sys.argv[2])
started = time.perf_counter()
getattr(wsol, name)(**words, quiet=True)
print(time.perf_counter() - started)
"""


@dataclass(frozen=True)
class Given:
    """Options of the command line, and a scratch folder."""

    data: Path
    run: Path
    scratch: Path
    epochs: int
    images: int
    predicted: int
    repetitions: int
    counts: Sequence[int]


@dataclass(frozen=True)
class Speeds:
    """Images per second of one training."""

    step: float
    first: float
    later: float


def seconds_of(name: str, words: dict[str, object]) -> float:
    """Call a function of wsol in its own process."""
    command = [sys.executable, "-c", CALL, name, json.dumps(words, default=str)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1])


def plainly(kind: plain.Kind, job: plain.TrainJob | plain.PredictJob) -> dict[str, Any]:
    """Run a job of plain.py in its own process."""
    file = plain.write_job(Path(job.out).with_suffix(".job.json"), job)
    done = subprocess.run(
        [sys.executable, plain.__file__, kind, file], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    found: dict[str, Any] = json.loads(done.splitlines()[-1])
    return found


def best(speeds: Sequence[Speeds]) -> Speeds:
    """The maximum of each value."""
    return Speeds(*(max(getattr(one, name) for one in speeds) for name in ("step", "first", "later")))


def table(*names: str) -> None:
    """Print the header of a table."""
    print(f"\n| {' | '.join(names)} |\n|{'---|' * len(names)}")


def row(*cells: object) -> None:
    """Print a row of a table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def spread(samples: Sequence[Sample], count: int) -> list[int]:
    """Indices of `count` samples, equally many of each class and at least one."""
    seen: Counter[int] = Counter()
    ranked = []
    for number, sample in enumerate(samples):
        ranked.append((seen[sample.label], number))
        seen[sample.label] += 1
    return sorted(number for _, number in sorted(ranked)[: max(count, len(seen))])


def write_subset(file: Path, data: DataSet, numbers: Sequence[int]) -> Path:
    """Some training images of a data set as a CSV table, which wsol reads as a data set."""
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(("path", "label"))
        chosen = [data.train[number] for number in numbers]
        writer.writerows((sample.path.resolve(), data.class_names[sample.label]) for sample in chosen)
    return file


def training(given: Given) -> None:
    """Part a."""
    data = open_data(given.data)
    numbers = spread(data.train, given.images)
    subset = write_subset(given.scratch / "subset.csv", data, numbers)
    masks = _plain_masks(given, data, numbers)
    bases = {name: _base(given, subset, freeze) for name, freeze in FREEZING.items()}
    picked = open_data(subset).train  # in the order of the table
    job = {
        "run": str(given.run),
        "paths": [str(sample.path) for sample in picked],
        "labels": [sample.label for sample in picked],
        "masks": list(map(str, masks)),
        "epochs": given.epochs,
    }
    table(f"training, {len(picked)} images, {given.epochs} epochs", "plain, images/s", "wsol, images/s", "times faster")
    for stage in STAGES:
        ours: dict[str, list[Speeds]] = {name: [] for name in bases}
        theirs = []
        for repetition in range(given.repetitions):
            for name, base in bases.items():
                run = given.scratch / f"{stage}{repetition}{FREEZING[name]}"
                ours[name].append(_our_training(stage, subset, base, run))
            out = given.scratch / f"plain-{stage}.pt"
            theirs.append(_plain_training(plain.TrainJob(stage=stage, out=str(out), **job)))
        for frozen, speeds in ours.items():
            for name, what in (("step", "a step"), ("first", "first epoch"), ("later", "a later epoch")):
                slow, fast = getattr(best(theirs), name), getattr(best(speeds), name)
                row(f"{STAGES[stage]}, {what}{frozen}", f"{slow:.1f}", f"{fast:.1f}", f"{fast / slow:.2f}")


def _base(given: Given, subset: Path, freeze: int | None) -> Path:
    """A run with all inputs of stages 1 and 3, neither of them trained on the subset."""
    asked = {"freeze": freeze, "epochs": given.epochs, "steps": None}
    config = RunConfig.model_validate(merged(load_config(given.run).model_dump(), {"cam": asked, "seg": asked}))
    base = given.scratch / f"base{freeze}"
    save_config(base, config)
    shutil.copytree(given.run / "cam", base / "cam")
    seconds_of("make_pseudo", {"data": subset, "run": base})
    return base


def _our_training(stage: str, subset: Path, base: Path, run: Path) -> Speeds:
    """Time the stage, from a run that has its inputs but not the stage."""
    shutil.copytree(base, run, ignore=shutil.ignore_patterns(stage, ".pixels"))
    call_seconds = seconds_of(f"train_{stage}", {"data": subset, "run": run})
    return _speeds_of(run / stage, call_seconds)


def _speeds_of(folder: Path, call_seconds: float) -> Speeds:
    """Read the times from the files of a training."""
    with (folder / "results.csv").open(newline="") as file:
        first, *later = csv.DictReader(file)
    images = round(float(first["seconds"]) * float(first["images_per_second"]))
    rates = [(float(epoch["images_per_second"]), float(epoch["waiting_share"])) for epoch in later]
    first_seconds = call_seconds - sum(float(epoch["seconds"]) for epoch in later)
    return Speeds(
        max(rate / (1 - waiting_share) for rate, waiting_share in rates),
        images / first_seconds,
        max(rate for rate, _ in rates),
    )


def _plain_training(job: plain.TrainJob) -> Speeds:
    took = plainly("train", job)
    images, later = took["images_per_epoch"], took["epoch_seconds"][1:]
    return Speeds(took["step_images_per_second"], images / (took["call_seconds"] - sum(later)), images / min(later))


def _plain_masks(given: Given, data: DataSet, numbers: Sequence[int]) -> list[Path]:
    """The plain pseudo masks of some training images, from the run's own maps."""
    maps = _stored_maps(given, numbers).numpy()
    folder = given.scratch / "masks"
    folder.mkdir(exist_ok=True)
    files = [folder / f"{number}.png" for number in numbers]
    for file, number, one in zip(files, numbers, maps, strict=True):
        Image.fromarray(plain.pseudo_mask(one, _image_hw(data.train[number].path), Pseudo())).save(file)
    return files


def _stored_maps(given: Given, numbers: Sequence[int]) -> torch.Tensor:
    store = mask_store.PseudoStore(given.run / "pseudo")
    if store.holds_masks:
        raise WsolError(
            f"{given.run} has masks of cues: expected SPOL's, which the plain side has too. Make it with"
            " `--pseudo.masks thresholds`."
        )
    return store.stored(torch.tensor(numbers))[0]


def _image_hw(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.height, image.width


def best_seconds(jobs: Sequence[Callable[[], object]], repetitions: int) -> list[float]:
    """Minimum time of each function; all run in turns."""
    times: list[list[float]] = [[] for _ in jobs]
    for _ in range(repetitions):
        for job, of_job in zip(jobs, times, strict=True):
            started = time.perf_counter()
            job()
            of_job.append(time.perf_counter() - started)
    return list(map(min, times))


def pseudo_masks(given: Given) -> None:
    """Part b. Both implementations run in this process, which keeps freed memory; neither syncs its files to disk."""
    keep_freed_memory()
    data, settings = open_data(given.data), Pseudo()
    numbers = spread(data.train, given.images)
    count, size_px = len(numbers), load_config(given.run).seg.resize_px
    maps = _stored_maps(given, numbers)
    ids = [data.train[number].image_id for number in numbers]
    sizes = [_image_hw(data.train[number].path) for number in numbers]
    folder, pngs = given.scratch / "store", given.scratch / "pngs"
    folder.mkdir()
    pngs.mkdir()
    batches = torch.arange(count).split(BATCH_SIZE)

    def write_plainly() -> None:
        for i, (one, image_hw) in enumerate(zip(maps.numpy(), sizes, strict=True)):
            Image.fromarray(plain.pseudo_mask(one, image_hw, settings)).save(pngs / f"{i}.png")

    def write() -> None:
        record = mask_store.record_of(tuple(maps.shape[1:]), GAUSSIANS_PER_IMAGE[settings.gaussian])
        records = mask_store.create(folder, ids, record)
        for batch in batches:
            shares = fraction_of_peak(maps[batch])
            records["map"][batch] = mask_store.encode(shares).numpy()
            records["gaussians"][batch] = fit_gaussians(shares, settings).numpy()
            records["state"][batch] = mask_store.WHOLE

    def read_plainly() -> None:
        for i in range(count):
            torch.from_numpy(np.asarray(plain.read_mask(pngs / f"{i}.png", size_px)).copy())

    def read() -> None:
        store = mask_store.PseudoStore(folder)
        for batch in batches:
            targets(*store.at_size(batch, size_px, torch.device("cpu")).unbind(1), settings)

    seconds = best_seconds((write_plainly, write, read_plainly, read), given.repetitions + 1)
    write_ms, our_write_ms, read_ms, our_read_ms = (1000 * one / count for one in seconds)
    plain_bytes, our_bytes = _bytes_in(pngs) / count, _bytes_in(folder) / count
    for i, (one, image_hw) in enumerate(zip(maps.numpy(), sizes, strict=True)):
        Image.fromarray(plain.soft_mask(one, image_hw, settings)).save(pngs / f"{i}.png")
    soft_bytes = _bytes_in(pngs) / count
    table(f"pseudo masks of {count} images, for each", "plain", "wsol", "times less")
    row("from map to file, ms", f"{write_ms:.2f}", f"{our_write_ms:.2f}", f"{write_ms / our_write_ms:.1f}")
    row(
        f"from file to target of {size_px} px, ms",
        f"{read_ms:.2f}",
        f"{our_read_ms:.2f}",
        f"{read_ms / our_read_ms:.2f}",
    )
    both_ms, our_both_ms = write_ms + read_ms, our_write_ms + our_read_ms
    row("both, ms", f"{both_ms:.2f}", f"{our_both_ms:.2f}", f"{both_ms / our_both_ms:.1f}")
    row("bytes; plain: three values", f"{plain_bytes:.0f}", f"{our_bytes:.0f}", f"{plain_bytes / our_bytes:.1f}")
    row(
        "bytes; plain: 8 bits, thresholds open as in ours",
        f"{soft_bytes:.0f}",
        f"{our_bytes:.0f}",
        f"{soft_bytes / our_bytes:.1f}",
    )


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def prediction(given: Given) -> None:
    """Part c."""
    data = open_data(given.data)
    samples = data.test or data.train
    samples = [samples[number] for number in spread(samples, given.predicted)]
    links = link_images(given.scratch / "links", [sample.path for sample in samples], 1)
    job = plain.PredictJob(
        str(given.run), [str(sample.path) for sample in samples], str(given.scratch / "plain-boxes.jsonl")
    )
    ways: dict[str, dict[str, object]] = {"wsol predict": {"run": given.run}}
    if "engine" in inspect.signature(wsol.predict).parameters and find_spec("onnxruntime") and find_spec("onnxscript"):
        exported = copy_networks(given.run, given.scratch / "exported")
        export = [sys.executable, "-m", "wsol", "export-model", exported, "--format", "onnx"]
        subprocess.run(export, check=True, stdout=subprocess.DEVNULL)
        ways["wsol predict --engine onnx"] = {"run": exported, "engine": "onnx"}
    plainly_s: list[float] = []
    took: dict[str, list[tuple[float, str]]] = {name: [] for name in ways}
    for repetition in range(given.repetitions):
        plainly_s.append(plainly("predict", job)["call_seconds"])
        for number, (name, words) in enumerate(ways.items()):
            out = given.scratch / f"out{repetition}-{number}"
            call_seconds = seconds_of("predict", words | {"images": links, "out": out})
            spent = (f"{_figures_of(out)[f'seconds_{part}']:.1f}" for part in ("waiting", "network", "boxes"))
            took[name].append((call_seconds, " / ".join(spent)))
    table(
        f"prediction, {len(samples)} images",
        "images/s",
        "times faster than plain",
        "of it, s: waiting for data / networks / waiting for boxes",
    )
    row("plain", f"{len(samples) / min(plainly_s):.1f}", "1.00", "")
    for name, of_name in took.items():
        call_seconds, spent_s = min(of_name)
        row(name, f"{len(samples) / call_seconds:.1f}", f"{min(plainly_s) / call_seconds:.2f}", spent_s)


def _figures_of(folder: Path) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((folder / "manifest.json").read_text())["figures"]
    return figures


def link_images(folder: Path, paths: Sequence[Path], times: int) -> Path:
    """A folder in which each image is repeated."""
    for turn in range(times):
        (folder / f"{turn:05}").mkdir(parents=True)
        for number, path in enumerate(paths):
            (folder / f"{turn:05}" / f"{number:06}{path.suffix}").symlink_to(path.resolve())
    return folder


def memory(given: Given) -> None:
    """Part d."""
    print()
    scratch = given.scratch / "memory"
    scratch.mkdir()
    print_memory(given.run, given.counts, scratch)


def gpu(given: Given) -> None:
    """Part e."""
    if torch.cuda.is_available():
        print_card(given, "cuda")
    else:
        print("\nA ResNet50 on a GPU: not measured: no GPU here")


def print_card(
    given: Given,
    device: str,
    *,
    backbone: str = GPU_BACKBONE,
    size_px: int = GPU_SIDE_PX,
    batch_size: int = GPU_BATCH_SIZE,
    images: int = GPU_IMAGES,
    matmul_side: int = MATMUL_SIDE,
) -> None:
    """Speed, fraction of the device's bf16 rate, and fraction of the time without data, for training and prediction.

    Also on a CPU, for the test: there the numbers say nothing.
    """
    data, run = open_data(given.data), given.scratch / "card"
    weights = given.scratch / f"{backbone}.safetensors"
    torch.manual_seed(0)
    save_file({k: v.contiguous() for k, v in timm.create_model(backbone).state_dict().items()}, weights)
    shape = {"resize_px": size_px, "crop_px": size_px, "batch_size": batch_size, "epochs": max(given.epochs, 2)}
    # With random weights that learn fast, all maps may become empty, and no masks can be made.
    shape |= {"lr_backbone": 0, "lr_new": 1e-6}
    values = {"backbone": backbone, "weights": weights, "device": device, "precision": "bf16"}
    save_config(
        run,
        RunConfig.model_validate(
            values | {stage: shape for stage in ("cam", "seg", "classify")} | {"pseudo": {"masks": "thresholds"}}
        ),
    )
    wsol.fit(data.root, run, quiet=True)
    links = link_images(given.scratch / "many", [s.path for s in data.train], max(1, round(images / len(data.train))))
    call_seconds = seconds_of(
        "predict",
        {"run": run, "images": links, "out": given.scratch / "card-out", "device": device, "precision": "bf16"},
    )
    figures = _figures_of(given.scratch / "card-out")
    rate = matmul_rate(torch.device(device), matmul_side)
    networks = [load_mffnet(run / "cam")[0], load_mffnet(run / "seg")[0], load_classifier(run / "classifier")[0]]
    table(
        f"{backbone}, {size_px} px, bf16, matmul {rate / 1e12:.1f} TFLOP/s",
        "images/s",
        "TFLOP/s",
        "of the matmul rate",
        "waiting for data",
    )
    for name, folder, network in zip(
        ("stage 1", "stage 3", "classifier"), ("cam", "seg", "classifier"), networks, strict=True
    ):
        speeds = _speeds_of(run / folder, call_seconds)
        flops = speeds.later * flops_per_image(network, size_px, is_training=True)
        row(
            f"training, {name}",
            f"{speeds.later:.0f}",
            f"{flops / 1e12:.2f}",
            f"{flops / rate:.1%}",
            f"{1 - speeds.later / speeds.step:.1%}",
        )
    per_second = figures["images"] / call_seconds
    flops = per_second * sum(flops_per_image(network, size_px, is_training=False) for network in networks[1:])
    waited = figures["seconds_waiting"] / figures["seconds"]
    row("prediction, both networks", f"{per_second:.0f}", f"{flops / 1e12:.2f}", f"{flops / rate:.1%}", f"{waited:.1%}")


def matmul_rate(device: torch.device, side: int) -> float:
    """Maximum of ten measured bf16 rates of a square matrix product, in operations per second; a multiply-add
    counts two.
    """
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))

    def multiply() -> None:
        torch.mm(a, b)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    multiply()
    return float(2 * side**3 / best_seconds([multiply], 10)[0])


def flops_per_image(network: nn.Module, size_px: int, *, is_training: bool) -> float:
    """Count the operations of a forward pass, for training with its backward pass, without executing them."""
    network = network.to("meta").train(is_training)
    images = torch.zeros(2, 3, size_px, size_px, device="meta")  # a single image has no batch statistics
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(is_training):
        output = network(images)
        if is_training:
            sum(
                one.float().mean() for one in (output if isinstance(output, tuple) else (output,)) if one is not None
            ).backward()
    return counter.get_total_flops() / 2


PARTS: dict[str, Callable[[Given], None]] = {
    "a": training,
    "b": pseudo_masks,
    "c": prediction,
    "d": memory,
    "e": gpu,
}


def print_machine() -> None:
    """Print the machine and the versions."""
    processor = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), processor)
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    model_config = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(f"{date.today()}, {processor}, {os.cpu_count()} cores, {memory_gb:.0f} GB, {model_config}")
    print(
        f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads, wsol"
        f" {wsol.__version__}"
    )
    print(f"`python {shlex.join(sys.argv)}`")


def parts_of(text: str) -> list[str]:
    """Parse letters of parts, separated by commas."""
    parts = text.split(",")
    if not set(parts) <= PARTS.keys():
        raise argparse.ArgumentTypeError(f"expected some of {','.join(PARTS)}, got {text}")
    return parts


def main() -> None:
    """Print one table per part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--run", type=Path, required=True, help="a finished run on DATA")
    parser.add_argument("--only", type=parts_of, default=list(PARTS), help="parts, by default a,b,c,d,e")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of each training, at least two")
    parser.add_argument("--images", type=int, default=160, help="number of images for training and pseudo masks")
    parser.add_argument("--predicted", type=int, default=200, help="number of images of part c")
    parser.add_argument("--repetitions", type=int, default=2, help="repetitions, of which the fastest counts")
    parser.add_argument("--counts", type=counts_of, default=list(COUNTS), help="increasing numbers of images of part d")
    given = parser.parse_args()
    if given.epochs < 2:
        parser.error(f"expected two epochs at least, of which the second is a later one, got {given.epochs}")
    print_machine()
    with tempfile.TemporaryDirectory() as scratch:
        words = {name: value for name, value in vars(given).items() if name != "only"}
        for part in given.only:
            try:
                PARTS[part](Given(**words, scratch=Path(scratch)))
            except WsolError as error:
                parser.error(str(error))


if __name__ == "__main__":
    main()
