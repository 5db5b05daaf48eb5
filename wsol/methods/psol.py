"""Zhang et al. 2020, "Rethinking the Route Towards Weakly Supervised Object Localization" (PSOL): a network learns to
regress the boxes of DDT.

1. DDT finds a box in each training image, using its label (`wsol.methods.ddt`). 2. A class-agnostic network learns
these boxes as (x, y, w, h) in fractions of the image size: its features pass two linear layers with a ReLU between them
and a sigmoid at the end. The loss is the squared distance (Alg. 1, sec. 3.2) times lambda_reg (published code). 3.
Another network classifies. A run has no maps.

The paper's ResNet50 and DenseNet161 average the features over all positions (`grid` 1), its VGG16 keeps a linear layer
on a grid of 7 x 7. With few images and passes, the grid gave better boxes (studies/table1.md).
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample, interpolate, mse_loss

from wsol.config.methods import Psol
from wsol.config.options import Box, RunConfig
from wsol.data.crops import View
from wsol.data.loader import ImageLoader, batch_size, in_order
from wsol.data.samples import DataSet
from wsol.geometry.objects import find_objects
from wsol.methods import ddt
from wsol.methods.base import Plan, last_stage, load_model, train_network
from wsol.models.backbone import State
from wsol.models.checkpoint import MethodConfig
from wsol.models.forward import run_model
from wsol.models.outputs import LocalizationModel, ModelOutputs
from wsol.runs.run import Run
from wsol.runtime.engine import wait_for_all
from wsol.runtime.processes import part
from wsol.runtime.progress import Progress
from wsol.runtime.torch_engine import choose_engine
from wsol.storage.folders import file_hash, is_finished, new_folder, whole_file, write_manifest

STAGE = "method psol: boxes"
BOXES = "boxes.npy"
WHOLE = (0.0, 0.0, 1.0, 1.0)
TRIES = 30
"""Number of random parts of which the first that the box reaches into is used (published code)."""
REDUCED = 128
"""Number of channels of a grid of features."""

Corners = Float[Tensor, "batch 4"]
"""x0, y0, x1, y1 as fractions of width and height."""


def fit(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> None:
    """Steps 1 and 2; step 3 is the run's classifier."""
    ddt.fit(data, run, config, progress)
    boxes = torch.from_numpy(np.load(_pseudo_boxes(data, run, config, progress)))
    resize_px = config.training.resize_px

    def objective(network: nn.Module, images: Tensor, indices: Tensor, view: View) -> Tensor:
        found = boxes_in_crops(view, boxes[indices].to(images), resize_px)
        if config.psol.zoom < 1:
            zoom = random_zoom(found, config.psol.zoom)
            images, found = zoomed(images, zoom), boxes_in_zoom(found, zoom)
        return loss(network(images), found, config.psol)

    inputs = {"boxes": file_hash(run / "pseudo-boxes" / BOXES)}
    train_network(Plan(build, objective, inputs), data, run, config, progress)


def load(run: Run) -> LocalizationModel:
    """The network that predicts boxes."""
    return load_model(run.network_folder, build, forward)


class PsolNetwork(nn.Module):
    """Features, their mean or a grid of them, two linear layers, a box (x, y, w, h)."""

    def __init__(self, backbone: nn.Module, channels: int, options: Psol) -> None:
        super().__init__()
        self.backbone = backbone
        self.grid = options.grid
        self.reduction = nn.Identity() if self.grid == 1 else nn.Sequential(nn.Conv2d(channels, REDUCED, 1), nn.ReLU())
        inputs = channels if self.grid == 1 else REDUCED * self.grid**2
        self.box = nn.Sequential(nn.Linear(inputs, options.width), nn.ReLU(), nn.Linear(options.width, 4), nn.Sigmoid())

    def forward(self, images: Tensor) -> Tensor:
        """The box."""
        features = self.reduction(self.backbone(images)[-1])
        if self.grid == 1:
            features = features.mean((2, 3))
        else:
            features = interpolate(features, (self.grid, self.grid), mode="bilinear", align_corners=False).flatten(1)
        box: Tensor = self.box(features)
        return box


def build(model_config: MethodConfig, state: State | None) -> nn.Module:
    """The network."""
    backbone, channels = last_stage(model_config, state)
    # Files of older versions have no grid.
    return PsolNetwork(backbone, channels, Psol.model_validate({"grid": 1} | model_config.options))


def forward(network: nn.Module, images: Tensor, labels: Tensor | None) -> ModelOutputs:
    """The class-agnostic box."""
    return ModelOutputs(None, from_xywh(network(images).float()), None)


def loss(predicted: Tensor, expected: Corners, options: Psol) -> Tensor:
    """The weighted mean squared distance of predicted (x, y, w, h) and expected boxes."""
    return options.lambda_reg * mse_loss(predicted.float(), to_xywh(expected))


def to_xywh(boxes: Corners) -> Tensor:
    """Convert corners to x0, y0, width, height."""
    return torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1)


def from_xywh(boxes: Tensor) -> Corners:
    """Both corners, within the image."""
    return torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1).clamp(0, 1)


def boxes_in_crops(view: View, boxes: Corners, resize_px: int) -> Corners:
    """Convert boxes of whole images to fractions of their crops: moved, clipped and mirrored like the pixels."""
    corner = torch.stack([view.left, view.top, view.left, view.top], dim=1).to(boxes)
    x0, y0, x1, y1 = ((boxes * resize_px - corner).clamp(0, view.crop_px) / view.crop_px).unbind(1)
    is_mirrored = view.is_mirrored.to(boxes.device)
    return torch.stack([torch.where(is_mirrored, 1 - x1, x0), y0, torch.where(is_mirrored, 1 - x0, x1), y1], dim=1)


def random_zoom(boxes: Corners, least_area: float) -> Corners:
    """Choose a random part of each image that its box reaches into (published code: `RandomResizedCrop`).

    Args:
        boxes: the pseudo boxes.
        least_area: minimum area of the part, before it is clipped to the image.

    Returns:
        The parts; the whole image if none of `TRIES` reaches the box.
    """
    count = len(boxes)
    area = least_area + (1 - least_area) * torch.rand(TRIES, count)
    root_aspect = torch.exp((torch.rand(TRIES, count) - 0.5) * math.log(16 / 9) / 2)  # 3/4 to 4/3
    size = (area.sqrt()[..., None] * torch.stack([root_aspect, 1 / root_aspect], dim=2)).clamp(max=1).to(boxes)
    corner = torch.rand(TRIES, count, 2).to(boxes) * (1 - size)
    parts = torch.cat([corner, corner + size], dim=2)
    reaches = ((parts[..., 2:] > boxes[:, :2]) & (parts[..., :2] < boxes[:, 2:])).all(2)
    first = reaches.int().argmax(0)
    chosen = parts[first, torch.arange(count)]
    return torch.where(reaches.any(0)[:, None], chosen, torch.tensor(WHOLE).to(boxes))


def zoomed(images: Float[Tensor, "batch 3 height width"], zoom: Corners) -> Float[Tensor, "batch 3 height width"]:
    """Enlarge a part of each image to the size of the image, bilinear."""
    size, centre = zoom[:, 2:] - zoom[:, :2], zoom[:, :2] + zoom[:, 2:] - 1
    theta = torch.cat([torch.diag_embed(size), centre[:, :, None]], dim=2).to(images)
    grid = affine_grid(theta, list(images.shape), align_corners=False)
    return grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def boxes_in_zoom(boxes: Corners, zoom: Corners) -> Corners:
    """Convert boxes to fractions of a part of the image, clipped."""
    corner, size = zoom[:, :2].repeat(1, 2), (zoom[:, 2:] - zoom[:, :2]).repeat(1, 2)
    return ((boxes - corner) / size).clamp(0, 1)


def _pseudo_boxes(data: DataSet, run: Path, config: RunConfig, progress: Progress) -> Path:
    """Write `run/pseudo-boxes`: a box for each training image, the whole image if DDT finds nothing; computed by one
    process for all.
    """
    folder, network = run / "pseudo-boxes", run / "ddt" / "model.safetensors"
    inputs = {"training": data.training_hash(), "ddt": file_hash(network)}
    settings = {"precision": config.precision}
    engine = choose_engine(config.device, config.precision)
    if part().is_first and not is_finished(folder, STAGE, settings, inputs):
        started = time.perf_counter()
        model = load_model(run / "ddt", ddt.build, ddt.forward)
        engine.place(model.network)
        size_px = model.model_config.resize_px
        boxes = np.tile(np.array(WHOLE, dtype=np.float32), (len(data.train), 1))
        images = ImageLoader([sample.path for sample in data.train], size_px, data.image, workers=config.workers)
        orders = in_order(len(data.train), batch_size(size_px))
        with new_folder(folder) as scratch, progress.task(STAGE, len(orders)) as advance:
            for batch in images.batches(orders):
                labels = torch.tensor([data.train[i].label for i in batch.indices.tolist()])
                heatmaps = run_model(model, torch.from_numpy(batch.pixels), engine, labels).heatmaps
                assert heatmaps is not None
                for i, heatmap in zip(batch.indices.tolist(), heatmaps.cpu().numpy(), strict=True):
                    boxes[i] = pseudo_box(heatmap, size_px)
                advance()
            with whole_file(scratch / BOXES) as partial, partial.open("wb") as file:
                np.save(file, boxes)
            figures = {"seconds": time.perf_counter() - started, "broken_images": len(images.broken)}
            write_manifest(scratch, STAGE, settings, inputs, figures)
    wait_for_all(engine)
    return folder / BOXES


def pseudo_box(heatmap: Float[np.ndarray, "_ _"], size_px: int) -> tuple[float, float, float, float]:
    """The box of the largest component where P is above 0, in fractions of the image size."""
    objects = find_objects(heatmap, (size_px, size_px), Box(threshold=0.5))
    if not objects:
        return WHOLE
    x0, y0, x1, y1 = (edge / size_px for edge in objects[0].xyxy)
    return x0, y0, x1, y1
