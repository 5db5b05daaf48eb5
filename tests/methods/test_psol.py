"""PSOL's targets: the box of a map, and what a crop leaves of it, against pixels that are cropped and mirrored."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsol.config.methods import Psol
from wsol.data.crops import View
from wsol.geometry.boxes import tight_box
from wsol.methods import psol
from wsol.models.outputs import ModelOutputs


def test_the_box_is_that_of_the_largest_component_above_one_half() -> None:
    heatmap = np.full((8, 8), 0.1, dtype=np.float32)
    heatmap[1:4, 2:7] = 0.9
    heatmap[6, 0] = 1.0
    x0, y0, x1, y1 = psol.pseudo_box(heatmap, 64)
    # Bilinear: 0.5 is midway between the positions of 0.1 and 0.9.
    assert (x0, y0, x1, y1) == (2 / 8, 1 / 8, 7 / 8, 4 / 8)


def test_without_an_object_the_box_is_the_whole_image() -> None:
    assert psol.pseudo_box(np.full((4, 4), 0.5, dtype=np.float32), 16) == (0, 0, 1, 1)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.booleans())
def test_a_box_is_moved_clipped_and_mirrored_with_its_pixels(seed: int, is_mirrored: bool) -> None:
    generator = np.random.default_rng(seed)
    side, crop = 20, 14
    (x0, x1), (y0, y1) = (np.sort(generator.choice(side + 1, 2, replace=False)) for _ in range(2))
    mask = np.zeros((side, side), dtype=bool)
    mask[y0:y1, x0:x1] = True
    top, left = generator.integers(0, side - crop + 1, 2)
    view = View(torch.tensor([top]), torch.tensor([left]), torch.tensor([is_mirrored]), crop)
    expected = tight_box(view.apply(torch.from_numpy(mask)[None, None])[0, 0].numpy())
    found = psol.boxes_in_crops(view, torch.tensor([[x0, y0, x1, y1]]).float() / side, side)[0] * crop
    if expected is None:
        assert float((found[2] - found[0]) * (found[3] - found[1])) == pytest.approx(0, abs=1e-4)
    else:
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


@given(st.integers(0, 10**6))
def test_corner_and_size_are_the_same_box(seed: int) -> None:
    boxes = torch.rand(3, 2, 2, generator=torch.Generator().manual_seed(seed)).sort(dim=1).values.flatten(1)
    torch.testing.assert_close(psol.from_xywh(psol.to_xywh(boxes)), boxes)


def test_a_zoomed_box_has_the_pixels_of_the_box() -> None:
    """A white rectangle on black, enlarged: its box in the part is where the white pixels are."""
    torch.manual_seed(0)
    boxes = torch.tensor([[0.25, 0.5, 0.75, 0.875]] * 40)
    images = torch.zeros(40, 3, 64, 64)
    images[:, :, 32:56, 16:48] = 1
    zoom = psol.random_zoom(boxes, 0.2)
    size = zoom[:, 2:] - zoom[:, :2]
    areas = size.prod(1)
    assert ((zoom >= 0) & (zoom <= 1)).all() and (size > 0).all()
    assert 0.15 < areas.min() < 0.3 and areas.max() > 0.8 and len(areas.unique()) == 40
    found, expected = psol.zoomed(images, zoom), psol.boxes_in_zoom(boxes, zoom)
    for image, (x0, y0, x1, y1) in zip(found, (64 * expected).tolist(), strict=True):
        assert x1 > x0 and y1 > y0, "every part reaches into the box"
        rows, columns = (image[0] > 0.5).nonzero().unbind(1)
        if len(rows):
            edges = [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]
            assert edges == pytest.approx([x0, y0, x1, y1], abs=1)


def test_a_zoom_on_the_whole_image_changes_nothing() -> None:
    boxes, images = torch.rand(5, 4).sort(1).values, torch.rand(5, 3, 16, 16)
    zoom = torch.tensor([psol.WHOLE] * 5)
    torch.testing.assert_close(psol.zoomed(images, zoom), images)
    torch.testing.assert_close(psol.boxes_in_zoom(boxes, zoom), boxes)


def test_the_loss_is_the_mean_of_squares_over_four_numbers_of_each_box_times_lambda() -> None:
    found, expected = [(0.5, 0.5, 0.2, 0.4), (0.1, 0.0, 1.0, 0.7)], [(0.4, 0.5, 0.7, 0.9), (0.0, 0.0, 1.0, 1.0)]
    squares = []
    for (x, y, w, h), (x0, y0, x1, y1) in zip(found, expected, strict=True):
        squares += [(x - x0) ** 2, (y - y0) ** 2, (w - (x1 - x0)) ** 2, (h - (y1 - y0)) ** 2]
    loss = psol.loss(torch.tensor(found), torch.tensor(expected), Psol(lambda_reg=7))
    assert float(loss) == pytest.approx(7 * sum(squares) / 8)


def test_a_box_is_clipped_to_the_image() -> None:
    network = torch.nn.Module()
    network.forward = lambda images: torch.tensor([[0.5, 0.25, 0.75, 0.5]])  # type: ignore[method-assign]
    outputs = psol.forward(network, torch.zeros(1, 3, 4, 4), None)
    assert isinstance(outputs, ModelOutputs) and outputs.boxes is not None and outputs.heatmaps is None
    assert outputs.boxes.tolist() == [[0.5, 0.25, 1.0, 0.75]]
