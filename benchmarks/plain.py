"""Plain implementations to compare wsol's engine with: the loops of typical research code, rewritten from the paper.

Every epoch decodes, resizes, crops and normalises each image again; arithmetic is fp32 and NCHW; the loss is read at
each step; a pseudo mask is made one contour at a time at the size of the image and stored as PNG; prediction takes one
image at a time. Networks and initial weights are wsol's, so a ratio compares the engines only. `engine.py` runs jobs of
this file in a separate process, since wsol changes how its own process allocates memory:

    python benchmarks/plain.py train JOB.json      # or predict; prints the measurements as JSON
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, interpolate
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import (
    Compose,
    InterpolationMode,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    Resize,
    ToTensor,
)
from torchvision.transforms.functional import crop, hflip, resize, to_tensor

from wsol.config.base import MffTraining
from wsol.config.methods import Pseudo
from wsol.models.backbone import pretrained_state
from wsol.models.checkpoint import ClassifierConfig, MffConfig, build, load_classifier, load_mffnet
from wsol.runs.run import Run
from wsol.runs.saved_config import load_config

Heatmap = NDArray[np.float32]
Mask = NDArray[np.uint8]
Kind = Literal["train", "predict"]

WORKERS = 2
STEPS_IN_MEMORY, STEPS_TO_WARM_UP = 10, 2
BACKGROUND, UNKNOWN, FOREGROUND = 0, 128, 255
"""The three values of a pseudo mask in its PNG."""


@dataclass(frozen=True)
class TrainJob:
    """Train stage 1 (`labels`) or stage 3 (`masks`, one PNG per image) of a finished run again, from the start."""

    run: str
    stage: Literal["cam", "seg"]
    paths: Sequence[str]
    labels: Sequence[int]
    masks: Sequence[str]
    epochs: int
    out: str
    """File for the weights."""


@dataclass(frozen=True)
class PredictJob:
    """Predict boxes and classes of images."""

    run: str
    paths: Sequence[str]
    out: str
    """Output file, one line of JSON per image."""


class LabelledImages(Dataset[tuple[Tensor, int]]):
    """Images of stage 1."""

    def __init__(self, job: TrainJob, model_config: MffConfig, training: MffTraining) -> None:
        self.paths, self.labels = job.paths, job.labels
        self.transform = Compose(
            [
                Resize((training.resize_px, training.resize_px)),
                RandomCrop(training.crop_px),
                RandomHorizontalFlip(),
                ToTensor(),
                Normalize(model_config.mean, model_config.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.open(self.paths[index]).convert("RGB")), self.labels[index]


class MaskedImages(Dataset[tuple[Tensor, Tensor]]):
    """Images of stage 3, each with the mask from its PNG, cropped and mirrored in the same way."""

    def __init__(self, job: TrainJob, model_config: MffConfig, training: MffTraining) -> None:
        self.paths, self.masks = job.paths, job.masks
        self.resize_px, self.crop_px = training.resize_px, training.crop_px
        self.normalise = Normalize(model_config.mean, model_config.std)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = resize(Image.open(self.paths[index]).convert("RGB"), [self.resize_px, self.resize_px])
        mask = read_mask(Path(self.masks[index]), self.resize_px)
        place = RandomCrop.get_params(image, (self.crop_px, self.crop_px))
        image, mask = crop(image, *place), crop(mask, *place)
        if torch.rand(1) < 0.5:
            image, mask = hflip(image), hflip(mask)
        return self.normalise(to_tensor(image)), torch.from_numpy(np.asarray(mask).copy())


def class_loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Wei et al. 2021, sec. 3.5: cross entropy on the fused and on the deep branch."""
    fused, deep = network(images)
    loss = cross_entropy(fused.relu().mean((2, 3)), labels)
    return loss if deep is None else loss + cross_entropy(deep.relu().mean((2, 3)), labels)


def mask_loss(network: nn.Module, images: Tensor, masks: Tensor) -> Tensor:
    """Eq. 7: binary cross entropy over decided pixels."""
    scores = network(images).fused
    logits = interpolate(scores, masks.shape[1:], mode="bilinear", align_corners=False)[:, 0]
    losses = binary_cross_entropy_with_logits(logits, (masks == FOREGROUND).float(), reduction="none")
    return ((masks != UNKNOWN) * losses).mean()


def train(job: TrainJob) -> dict[str, Any]:
    """Train and save; return the seconds in total, of each epoch, and of some steps on batches in memory."""
    started = time.perf_counter()
    config = load_config(Path(job.run))
    training: MffTraining = config.cam if job.stage == "cam" else config.seg
    model_config = load_mffnet(Path(job.run) / job.stage)[1]
    network = build(
        model_config, dict(pretrained_state(config.backbone, config.weights)), dropout=training.dropout
    ).train()
    optimizer = _optimizer(network, training)
    loader = (LabelledImages if job.stage == "cam" else MaskedImages)(job, model_config, training)
    loss_of = class_loss if job.stage == "cam" else mask_loss
    batch_size = min(training.batch_size, len(loader))
    loader = DataLoader(loader, batch_size, shuffle=True, drop_last=True, num_workers=WORKERS)

    def epoch(batches: Iterable[Any]) -> float:
        begun = time.perf_counter()
        for images, answers in batches:
            optimizer.zero_grad()
            loss = loss_of(network, images, answers)
            loss.backward()
            optimizer.step()
            loss.item()
        return time.perf_counter() - begun

    epoch_seconds = [epoch(loader) for _ in range(job.epochs)]
    torch.save(network.state_dict(), job.out)
    call_seconds = time.perf_counter() - started
    batches = list(islice(loader, STEPS_IN_MEMORY))
    epoch(batches[:STEPS_TO_WARM_UP])
    return {
        "call_seconds": call_seconds,
        "epoch_seconds": epoch_seconds,
        "images_per_epoch": len(loader) * batch_size,
        "step_images_per_second": len(batches) * batch_size / epoch(batches),
    }


def _optimizer(network: nn.Module, training: MffTraining) -> torch.optim.Optimizer:
    backbone, new = [], []
    for name, parameter in network.named_parameters():
        (backbone if name.startswith("backbone.") else new).append(parameter)
    groups = [{"params": backbone, "lr": training.lr_backbone}, {"params": new, "lr": training.lr_new}]
    return torch.optim.SGD(groups, momentum=training.momentum, nesterov=True, weight_decay=training.weight_decay)


def gaussians(heatmap: Heatmap, settings: Pseudo) -> NDArray[np.float64]:
    """The prior of the published code: for each contour of the band 0.1 <= map <= 0.5 a Gaussian, the largest of them
    at each pixel.
    """
    height, width = heatmap.shape
    band = ((heatmap >= 0.1) & (heatmap <= 0.5)).astype(np.uint8)
    prior = np.zeros((height, width))
    contours = cv2.findContours(band, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    for i in range(len(contours)):
        inside = cv2.drawContours(np.zeros_like(band), contours, i, 1, cv2.FILLED) * band
        if np.count_nonzero(inside) < 20 * height * width / 256**2:
            continue
        x, y = np.meshgrid(np.arange(width), np.arange(height))
        weights = heatmap * inside
        mass = weights.sum()
        mean_x, mean_y = (x * weights).sum() / mass, (y * weights).sum() / mass
        var_x, var_y = (weights * (x - mean_x) ** 2).sum() / mass, (weights * (y - mean_y) ** 2).sum() / mass
        covariance = (weights * (x - mean_x) * (y - mean_y)).sum() / mass
        var_x, var_y, covariance = (value / settings.gaussian_divisor for value in (var_x, var_y, covariance))
        determinant = var_x * var_y - covariance**2
        if determinant > 0:
            dx, dy = x - mean_x, y - mean_y
            form = (var_y * dx**2 - 2 * covariance * dx * dy + var_x * dy**2) / determinant
            prior = np.maximum(prior, np.exp(-form / 2))
    return prior


def at_full_size(heatmap: Heatmap, image_hw: tuple[int, int]) -> Heatmap:
    """A small map as a fraction of its peak, at the image's own size."""
    height, width = image_hw
    share = heatmap / max(heatmap.max(), np.float32(1e-9))
    return cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)


def pseudo_mask(heatmap: Heatmap, image_hw: tuple[int, int], settings: Pseudo) -> Mask:
    """The pseudo mask's three values at the image's own size, from the small map of its class."""
    fine = at_full_size(heatmap, image_hw)
    mask = np.full(image_hw, UNKNOWN, np.uint8)
    mask[fine < settings.background] = BACKGROUND
    mask[(fine > settings.foreground) | (gaussians(fine, settings) > settings.gaussian_foreground)] = FOREGROUND
    return mask


def soft_mask(heatmap: Heatmap, image_hw: tuple[int, int], settings: Pseudo) -> Mask:
    """What is kept where thresholds shall stay open, as they do in wsol's store: the larger of map and prior in 8
    bits.
    """
    fine = at_full_size(heatmap, image_hw)
    return (255 * np.maximum(fine, gaussians(fine, settings))).round().astype(np.uint8)


def read_mask(path: Path, size_px: int) -> Image.Image:
    """A stored mask as a square."""
    return resize(Image.open(path), [size_px, size_px], interpolation=InterpolationMode.NEAREST)


@torch.no_grad()
def predict(job: PredictJob) -> dict[str, Any]:
    """Load the networks, then decode and predict one image after the other; return the total seconds."""
    started = time.perf_counter()
    run = Path(job.run)
    threshold = Run.open(run).box().threshold
    network, model_config = load_mffnet(run / "seg")
    classifier = load_classifier(run / "classifier") if (run / "classifier").exists() else None
    lines = []
    for path in job.paths:
        image = Image.open(path).convert("RGB")
        heatmap = network(_prepared(image, model_config)).fused[0, 0].sigmoid().numpy()
        label = None if classifier is None else int(classifier[0](_prepared(image, classifier[1])).softmax(1).argmax())
        box = box_of(cv2.resize(heatmap, image.size, interpolation=cv2.INTER_LINEAR), threshold)
        lines.append(json.dumps({"image": path, "xyxy": box, "label": label}))
    Path(job.out).write_text("\n".join(lines) + "\n")
    return {"call_seconds": time.perf_counter() - started}


def _prepared(image: Image.Image, model_config: MffConfig | ClassifierConfig) -> Tensor:
    steps = Compose(
        [
            Resize((model_config.resize_px, model_config.resize_px)),
            ToTensor(),
            Normalize(model_config.mean, model_config.std),
        ]
    )
    return steps(image)[None]


def box_of(heatmap: Heatmap, threshold: float) -> list[int] | None:
    """The largest contour's box as half-open pixel edges x0, y0, x1, y1; None if nothing is above the threshold."""
    mask = (heatmap > threshold).astype(np.uint8)
    contours = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    if not contours:
        return None
    x, y, width, height = cv2.boundingRect(max(contours, key=cv2.contourArea))
    return [x, y, x + width, y + height]


def write_job(path: Path, job: TrainJob | PredictJob) -> Path:
    """Write a job for another process."""
    path.write_text(json.dumps(asdict(job)))
    return path


def main() -> None:
    """Run one job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=get_args(Kind))
    parser.add_argument("job", type=Path)
    given = parser.parse_args()
    words = json.loads(given.job.read_text())
    print(json.dumps(train(TrainJob(**words)) if given.kind == "train" else predict(PredictJob(**words))))


if __name__ == "__main__":
    main()
