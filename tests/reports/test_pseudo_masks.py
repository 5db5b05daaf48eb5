"""The source of a run's pseudo masks, with the networks of a finished run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from wsol.models.forward import score_maps
from wsol.models.mffnet import upsampled
from wsol.models.outputs import fraction_of_peak
from wsol.reports.pseudo_masks import StageOneSource, pseudo_mask_source
from wsol.runs.saved_config import load_config
from wsol.runtime.torch_engine import choose_engine


@pytest.fixture(scope="module")
def source(small_run: Path) -> StageOneSource:
    found = pseudo_mask_source(small_run, load_config(small_run), choose_engine("cpu", "fp32"))
    assert isinstance(found, StageOneSource)
    return found


@pytest.fixture(scope="module")
def heatmap() -> np.ndarray:
    """Warm in the middle, below every threshold elsewhere."""
    y, x = np.indices((28, 28)) - 13.5
    return np.exp(-(y**2 + (x / 2) ** 2) / 20).astype(np.float32)


def test_levels_are_of_the_labelled_class_and_the_deep_one_is_the_auxiliary_branch(source: StageOneSource) -> None:
    pixels = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([2, 0])
    scores = score_maps(source.network, source.model_config, pixels, source.engine)
    assert scores.deep is not None
    deep = upsampled([scores.fused, scores.deep])[1]
    found = source.maps(pixels, labels)
    for image, label in enumerate(labels.tolist()):
        assert len(found[image].levels) == 3
        for heatmap, of_class in ((found[image].heatmap, scores.fused), (found[image].levels[-1], deep)):
            expected = fraction_of_peak(of_class[image, label][None])[0]
            torch.testing.assert_close(torch.from_numpy(heatmap), expected, atol=1e-4, rtol=1e-3)


def test_the_gaussian_that_is_shown_is_the_one_that_made_the_mask(source: StageOneSource, heatmap: np.ndarray) -> None:
    pseudo = source.pseudo.model_copy(update={"gaussian": "entire", "foreground": 0.99})
    made = replace(source, pseudo=pseudo).mask(heatmap)
    assert made.gaussian is not None and made.gaussian.max() == pytest.approx(1, abs=0.05)
    is_above = made.gaussian > pseudo.gaussian_foreground
    assert 0 < is_above.mean() < 1
    assert (made.foreground[is_above] == 1).all() and (made.known[is_above] == 1).all()
    without = replace(source, pseudo=pseudo.model_copy(update={"gaussian": "none"})).mask(heatmap)
    assert without.gaussian is None and without.foreground.sum() < made.foreground.sum()
