"""GC-Net's shapes against loops over pixels, its losses against references, and a detector that finds squares which a
classifier sees."""

from __future__ import annotations

import cmath
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from methods_quick import quick, small_config
from safetensors.torch import load_file
from torch import Tensor, nn

from wsol.config.base import MaskShape
from wsol.config.methods import GcNet
from wsol.data.open import open_data
from wsol.geometry.boxes import Boxes, iou, tight_box
from wsol.methods import gcnet
from wsol.models.mffnet import ScoreMaps
from wsol.runtime.progress import Progress

SHAPES: tuple[MaskShape, ...] = ("rectangle", "rotated-rectangle", "ellipse", "rotated-ellipse")


def shape_of(seed: int) -> list[float]:
    generator = np.random.default_rng(seed)
    return [*generator.uniform(0, 1, 2), *generator.uniform(0.1, 1, 2), generator.uniform(-0.5, 0.5)]


def masks_by_loops(shape: list[float], image_hw: tuple[int, int], mask_shape: MaskShape, smooth: float) -> np.ndarray:
    """The mask, pixel by pixel, in coordinates where the shape is centred and upright with half sizes of 1."""
    x, y, w, h, angle = shape
    mask = np.zeros(image_hw)
    for row in range(image_hw[0]):
        for column in range(image_hw[1]):
            offset = complex((column + 0.5) / image_hw[1] - x, (row + 0.5) / image_hw[0] - y)
            if mask_shape in ("rotated-rectangle", "rotated-ellipse"):
                offset *= cmath.exp(-1j * math.pi * angle)
            along, across = offset.real / (w / 2), offset.imag / (h / 2)
            is_round = mask_shape in ("ellipse", "rotated-ellipse")
            d = along**2 + across**2 if is_round else max(abs(along), abs(across))
            mask[row, column] = 1 - (0.5 + math.atan(smooth * d - smooth) / math.pi)
    return mask


@pytest.mark.parametrize("mask_shape", SHAPES)
@settings(max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from([1.0, 10.0]))
def test_a_mask_matches_the_loop_over_pixels(mask_shape: MaskShape, seed: int, smooth: float) -> None:
    shapes = [shape_of(seed), shape_of(seed + 1)]
    found = gcnet.shape_masks(torch.tensor(shapes), (9, 13), mask_shape, smooth)
    expected = [masks_by_loops(shape, (9, 13), mask_shape, smooth) for shape in shapes]
    np.testing.assert_allclose(found.numpy(), np.stack(expected), atol=1e-4)


@pytest.mark.parametrize(
    ("mask_shape", "shape", "expected"),
    [
        pytest.param("rectangle", [0.5, 0.25, 0.5, 0.25, 0.3], [25, 12, 75, 38], id="an upright shape has no angle"),
        pytest.param("rotated-rectangle", [0.5, 0.5, 0.8, 0.2, 0.5], [40, 10, 60, 90], id="a quarter turn"),
        pytest.param("ellipse", [0.5, 0.5, 0.6, 0.2, 0.3], [20, 40, 80, 60], id="an ellipse fills its box"),
        # Half of the box: sqrt((0.3 cos)^2 + (0.1 sin)^2) with 45 degrees.
        pytest.param("rotated-ellipse", [0.5, 0.5, 0.6, 0.2, 0.25], [28, 28, 72, 72], id="a rotated ellipse"),
        pytest.param("ellipse", [0.0, 0.5, 0.4, 0.4, 0.0], [0, 30, 20, 70], id="a shape may leave the image"),
    ],
)
def test_the_box_at_one_half_is_that_of_the_shape(
    mask_shape: MaskShape, shape: list[float], expected: list[int]
) -> None:
    mask = gcnet.shape_masks(torch.tensor([shape]), (100, 100), mask_shape, 10.0)[0] > 0.5
    np.testing.assert_allclose(np.asarray(tight_box(mask.numpy())), expected, atol=1)


def test_a_shape_rotates_clockwise() -> None:
    mask = gcnet.shape_masks(torch.tensor([[0.5, 0.5, 0.8, 0.1, 0.25]]), (20, 20), "rotated-ellipse", 10.0)[0]
    assert mask[14, 14] > 0.5 > mask[14, 5], "from the upper left to the lower right"


def entropy(logits: list[float]) -> float:
    total = sum(math.exp(value) for value in logits)
    return -sum(math.exp(value) / total * math.log(math.exp(value) / total) for value in logits)


def test_the_loss_is_area_and_class_inside_and_entropy_outside() -> None:
    torch.manual_seed(0)
    shapes, inside, outside = torch.rand(3, 5), torch.randn(3, 4), torch.randn(3, 4)
    labels = torch.tensor([0, 3, 1])
    network = nn.Module()
    network.forward = lambda images: gcnet.TrainingOutputs(shapes, inside, outside)  # type: ignore[method-assign]
    expected = 0.0
    for i, label in enumerate(labels.tolist()):
        chosen = math.exp(inside[i, label]) / sum(math.exp(value) for value in inside[i].tolist())
        area = float(shapes[i, 2] * shapes[i, 3])
        expected += (2.0 * area - 0.5 * math.log(chosen) + 3.0 * (math.log(4) - entropy(outside[i].tolist()))) / 3
    options = GcNet(area_loss=2.0, obj_loss=0.5, back_loss=3.0)
    assert float(gcnet.loss(network, torch.zeros(3, 3, 2, 2), labels, options)) == pytest.approx(expected, abs=1e-5)
    assert float(gcnet.missing_entropy(torch.ones(2, 7))) == pytest.approx(0, abs=1e-6)


class Taps(nn.Module):
    """A backbone of two convolutions with features of any scale."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.scale * self.layers(images)]


class ByColour(nn.Module):
    """A classifier: the class is the brightest channel."""

    def forward(self, images: Tensor) -> ScoreMaps:
        return ScoreMaps(40 * images.mean((2, 3), keepdim=True), None)


def coloured_squares() -> tuple[Tensor, Tensor, Tensor]:
    """Images, labels, and the boxes of the squares."""
    boxes = torch.tensor([[2, 2, 12, 12], [12, 12, 24, 24], [14, 1, 23, 10], [2, 13, 14, 25], [8, 8, 18, 18]])
    labels = torch.tensor([0, 1, 2, 0, 1])
    images = torch.zeros(5, 3, 26, 26)
    for image, label, (x0, y0, x1, y1) in zip(images, labels, boxes.tolist(), strict=True):
        image[label, y0:y1, x0:x1] = 1
    return images, labels, boxes


@pytest.mark.parametrize(
    ("mask_shape", "scale"),
    [
        pytest.param("rectangle", 1.0, id="rectangle"),
        pytest.param("rotated-ellipse", 1.0, id="turned ellipse"),
        pytest.param("rectangle", 300.0, id="features that would throw the last layer to where sigmoids are flat"),
    ],
)
def test_the_detector_fits_a_shape_around_what_the_classifier_needs(mask_shape: MaskShape, scale: float) -> None:
    torch.manual_seed(0)
    images, labels, boxes = coloured_squares()
    options = GcNet(mask_shape=mask_shape, width=32)
    network = gcnet.GcNetwork(Taps(scale), 8, ByColour(), options).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9, nesterov=True)
    losses = []
    for _ in range(200):
        loss = gcnet.loss(network, images, labels, options)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    with torch.no_grad():
        heatmaps = gcnet.shape_masks(network.eval()(images).shapes, (26, 26), mask_shape, options.smooth)
    found = Boxes.of([tight_box(heatmap.numpy() > 0.5) or (0.0, 0.0, 0.0, 0.0) for heatmap in heatmaps])
    fits = iou(found, Boxes(boxes.numpy().astype(np.float32))).diagonal()
    assert fits.min() >= 0.5, fits


def test_training_starts_with_an_upright_shape_in_the_centre_of_every_image() -> None:
    torch.manual_seed(0)
    network = gcnet.build(small_config("gcnet", width=8), None).eval()
    shapes = network(torch.rand(2, 3, 64, 64)).shapes
    torch.testing.assert_close(shapes, torch.tensor([[0.5, 0.5, 0.525, 0.525, 0.0]]).expand(2, 5))


def test_the_detector_learns_and_the_classifier_does_not() -> None:
    torch.manual_seed(0)
    options = GcNet(width=8)
    network = gcnet.build(small_config("gcnet", **options.model_dump()), None).train()
    assert isinstance(network, gcnet.GcNetwork)
    before = {name: value.clone() for name, value in network.classifier.state_dict().items()}
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(2):  # in the first step the shape does not depend on the features yet
        optimizer.zero_grad()
        gcnet.loss(network, torch.rand(2, 3, 64, 64), torch.tensor([0, 1]), options).backward()
        optimizer.step()
    for name, parameter in network.named_parameters():
        assert (parameter.grad is None) == name.startswith("classifier."), name
        assert parameter.grad is None or parameter.grad.any(), name
    after = network.classifier.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items()), "statistics of batch norm as well"


def test_outputs_are_a_class_agnostic_mask_and_the_classifiers_probabilities() -> None:
    torch.manual_seed(0)
    network = gcnet.build(small_config("gcnet", width=8), None).eval()
    assert isinstance(network, gcnet.GcNetwork)
    images = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        outputs, others = (gcnet.forward(network, images, torch.tensor(labels)) for labels in ([0, 1], [2, 2]))
        named = network.classifier(images).fused.mean((2, 3)).softmax(1)
    assert outputs.heatmaps is not None and outputs.probabilities is not None and outputs.boxes is None
    expected = masks_by_loops([0.5, 0.5, 0.525, 0.525, 0.0], (64, 64), "rotated-ellipse", 10.0)
    np.testing.assert_allclose(outputs.heatmaps.numpy(), [expected] * 2, atol=1e-5)
    torch.testing.assert_close(outputs.probabilities, named)
    assert others.heatmaps is not None and torch.equal(outputs.heatmaps, others.heatmaps)


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.5, 1.0]))
def test_images_of_the_classifier_are_whole_or_masked_inside_or_outside_a_shape(seed: int, p_hide: float) -> None:
    torch.manual_seed(seed)
    images = torch.ones(40, 3, 8, 10)
    shown = gcnet.partly_hidden(images, GcNet(p_hide=p_hide, smooth=1e4))
    is_whole = (shown == 1).flatten(1).all(1)
    torch.manual_seed(seed)
    masks = gcnet.shape_masks(gcnet.shapes_of(torch.rand(40, 5).logit()), (8, 10), "rotated-ellipse", 1e4)
    for image, mask in zip(shown[~is_whole], masks[~is_whole], strict=True):
        assert torch.equal(image, mask.expand(3, 8, 10)) or torch.equal(image, (1 - mask).expand(3, 8, 10))
    assert {0.0: is_whole.all(), 0.5: 5 < int(is_whole.sum()) < 35, 1.0: not is_whole.any()}[p_hide]


def test_a_run_trains_its_classifier_first_and_uses_it_in_the_loss(
    small_set: Path, weights: Path, tmp_path: Path
) -> None:
    gcnet.fit(open_data(small_set), tmp_path, quick("gcnet", weights), Progress(quiet=True))
    classifier, both = (load_file(tmp_path / name / "model.safetensors") for name in ("gcnet-classifier", "gcnet"))
    for name, value in classifier.items():
        assert torch.equal(value, both[f"classifier.{name}"]), name
