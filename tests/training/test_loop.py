"""The training loop, with a network small enough to compare with plain steps."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from wsol.config.base import Training
from wsol.config.methods import MethodTraining
from wsol.config.options import RunConfig
from wsol.data.crops import View, random_view, standardised
from wsol.data.loader import ImageLoader
from wsol.data.pixel_cache import record_of
from wsol.errors import WsolError
from wsol.models.checkpoint import ClassifierConfig
from wsol.runtime.engine import seed_of
from wsol.runtime.progress import Progress
from wsol.runtime.torch_engine import choose_engine
from wsol.training.loop import Job, frozen_layers, train
from wsol.training.schedule import Schedule

NewImage = Callable[..., Path]
SIDE, CROP, COUNT = 8, 6, 10
LABELS = torch.arange(COUNT) % 2
CARD = ClassifierConfig(backbone="none", mean=(0.5,) * 3, std=(0.5,) * 3, resize_px=SIDE, class_names=("even", "odd"))
SETTINGS = Training(epochs=3, batch_size=5, resize_px=SIDE, crop_px=CROP, lr_backbone=0.05, lr_new=0.1)
CONFIG = RunConfig(device="cpu", precision="fp32")


def objective(network: nn.Module, images: Tensor, indices: Tensor, view: View) -> Tensor:
    return cross_entropy(network(images), LABELS[indices])


def new_job(training: Training = SETTINGS, *, has_batch_norm: bool = False) -> Job:
    torch.manual_seed(3)
    body = [nn.Conv2d(3, 4, 3), *([nn.BatchNorm2d(4)] if has_batch_norm else []), nn.ReLU(), nn.Flatten()]
    head = nn.Linear(4 * (CROP - 2) ** 2, 2)
    network = nn.Sequential(*body, head)
    return Job("test", network, CARD, [head], objective, range(COUNT), training, 5, {}, {})


@pytest.fixture(scope="module")
def loader() -> ImageLoader:
    """Ten cached images of noise."""
    records = np.zeros(COUNT, record_of(SIDE))
    records["state"] = 1
    records["pixels"] = np.random.default_rng(0).integers(0, 256, (COUNT, 3, SIDE, SIDE))
    return ImageLoader([Path(f"{i}.png") for i in range(COUNT)], SIDE, kept=records, workers=0)


def by_plain_steps(job: Job, loader: ImageLoader) -> nn.Module:
    """Reference: SGD with Nesterov momentum, or Adam, on whole batches."""
    network, training = copy.deepcopy(job.network), job.training
    groups = [
        {"params": list(network[:-1].parameters()), "lr": training.lr_backbone},  # type: ignore[index]
        {"params": list(network[-1].parameters()), "lr": training.lr_new},  # type: ignore[index]
    ]
    optimizer: torch.optim.Optimizer = torch.optim.SGD(groups, momentum=0.9, nesterov=True, weight_decay=1e-4)
    if isinstance(training, MethodTraining):
        optimizer = torch.optim.Adam(groups, weight_decay=1e-4)
    schedule = Schedule.of(job.usable, training, job.seed)
    assert loader.kept is not None
    for step in range(schedule.steps):
        (rows,) = schedule.batches(range(step, step + 1))
        generator = torch.Generator().manual_seed(seed_of(job.seed, step, 1))
        view = random_view(len(rows), SIDE, CROP, generator, torch.device("cpu"))
        images = standardised(view.apply(torch.from_numpy(loader.kept["pixels"][rows])), CARD.mean, CARD.std)
        optimizer.zero_grad()
        cross_entropy(network(images), LABELS[rows]).backward()
        optimizer.step()
    return network


ADAM = MethodTraining(**SETTINGS.model_dump() | {"optimizer": "adam", "lr_backbone": 0.001, "lr_new": 0.01})


@pytest.mark.parametrize(("training", "micro_batch"), [(SETTINGS, None), (SETTINGS, 3), (SETTINGS, 1), (ADAM, 3)])
def test_the_loop_trains_as_plain_steps_do_with_any_micro_batch(
    loader: ImageLoader, tmp_path: Path, training: Training, micro_batch: int | None
) -> None:
    expected = by_plain_steps(new_job(training), loader)
    job = new_job(training)
    config = CONFIG.model_copy(update={"micro_batch": micro_batch})
    trained = train(job, loader, config, choose_engine("cpu", "fp32"), tmp_path, Progress(quiet=True))
    assert trained.step == 6 and [epoch.steps for epoch in trained.epochs] == [2, 2, 2]
    for found, wanted in zip(job.network.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
    assert not job.network.training


def test_on_a_cpu_the_precision_is_measured_on_few_images_and_reported_if_it_takes_time(
    loader: ImageLoader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counts: list[int] = []
    monkeypatch.setattr("wsol.training.loop.has_bf16", lambda device: True)
    monkeypatch.setattr("wsol.runtime.torch_engine.has_bf16", lambda device: True)
    monkeypatch.setattr("wsol.runtime.torch_engine.NOTICEABLE_SECONDS", 0.0)
    monkeypatch.setattr("wsol.training.loop._Steps._try", lambda steps, engine, count: counts.append(count))
    job = new_job(SETTINGS.model_copy(update={"batch_size": 10, "steps": 1}))
    train(job, loader, RunConfig(device="cpu"), choose_engine("cpu", "auto"), tmp_path, Progress())
    assert set(counts) == {4} and "test: measuring fp32 and bf16\n" in capsys.readouterr().err


@pytest.mark.parametrize(("rates", "factors"), [("constant", [1, 1, 1, 1]), ("linear", [1, 0.75, 0.5, 0.25])])
def test_rates_are_constant_or_decay_linearly_also_after_a_stop(
    loader: ImageLoader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rates: str, factors: list[float]
) -> None:
    seen: list[list[float]] = []
    step, stops = torch.optim.SGD.step, iter([False, True])

    def noted(optimizer: torch.optim.SGD) -> None:
        if next(stops, False):  # after the checkpoint of the previous step
            raise KeyboardInterrupt
        seen.append([group["lr"] for group in optimizer.param_groups])
        step(optimizer)

    monkeypatch.setattr(torch.optim.SGD, "step", noted)
    training = SETTINGS.model_copy(update={"steps": 4, "rates": rates, "lr_backbone": 0.1, "lr_new": 0.4})
    config = CONFIG.model_copy(update={"checkpoint_seconds": 0.0})
    with pytest.raises(KeyboardInterrupt):
        train(new_job(training), loader, config, choose_engine("cpu", "fp32"), tmp_path, Progress(quiet=True))
    train(new_job(training), loader, config, choose_engine("cpu", "fp32"), tmp_path, Progress(quiet=True))
    assert seen == [pytest.approx([0.1 * factor, 0.4 * factor]) for factor in factors]


def test_steps_replace_epochs(loader: ImageLoader, tmp_path: Path) -> None:
    job = new_job(SETTINGS.model_copy(update={"steps": 3}))
    trained = train(job, loader, CONFIG, choose_engine("cpu", "fp32"), tmp_path, Progress(quiet=True))
    assert trained.step == 3 and [epoch.steps for epoch in trained.epochs] == [2, 1]


@pytest.mark.parametrize(("batch_norm", "moves"), [("live", True), ("frozen", False)])
def test_frozen_statistics_stay_and_live_ones_change(
    loader: ImageLoader, tmp_path: Path, batch_norm: str, moves: bool
) -> None:
    job = new_job(SETTINGS.model_copy(update={"batch_norm": batch_norm}), has_batch_norm=True)
    train(job, loader, CONFIG, choose_engine("cpu", "fp32"), tmp_path, Progress(quiet=True))
    statistics = job.network[1].running_mean  # type: ignore[index]
    assert bool((statistics != 0).any()) == moves


def test_new_layers_have_no_statistics_to_keep() -> None:
    network = nn.Sequential(nn.BatchNorm2d(2), nn.Sequential(nn.BatchNorm2d(2), nn.ReLU()))
    assert frozen_layers(network, [network[1]]) == [network[0]]


@pytest.mark.parametrize(
    ("job", "message"),
    [
        pytest.param(
            new_job(SETTINGS.model_copy(update={"lr_backbone": 1e20, "lr_new": 1e20})),
            r"the loss at step \d+ is .*lr_backbone 1e\+20",
            id="the loss is not finite",
        ),
        pytest.param(
            new_job(SETTINGS.model_copy(update={"batch_norm": "sync"})),
            r"batch norm .*expected cuda, got cpu",
            id="statistics over all processes on a CPU",
        ),
        pytest.param(replace(new_job(), usable=[4]), r"1 usable image of 10: expected at least two", id="one image"),
    ],
)
def test_what_cannot_be_trained_is_refused(loader: ImageLoader, tmp_path: Path, job: Job, message: str) -> None:
    with pytest.raises(WsolError, match=message):
        train(job, loader, CONFIG, choose_engine("cpu", "fp32"), tmp_path, Progress(quiet=True))


def test_fewer_images_in_a_step_than_processes_are_refused(
    loader: ImageLoader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wsol.training import loop

    monkeypatch.setattr(loop, "part", lambda: SimpleNamespace(rank=0, count=6))
    with pytest.raises(WsolError, match="5 images per step for 6 processes"):
        train(new_job(), loader, CONFIG, choose_engine("cpu", "fp32"), tmp_path, Progress(quiet=True))
