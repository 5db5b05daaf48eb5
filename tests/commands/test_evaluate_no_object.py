"""Runs with a class without objects: an evaluation counts what a prediction finds in its images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_data.backbone import write_weights
from methods_quick import quick

from wsol.commands.evaluate import evaluate_run
from wsol.commands.fit import fit_method
from wsol.config.base import Method
from wsol.data.loader import ImageLoader
from wsol.data.no_object import with_no_object
from wsol.data.open import open_data
from wsol.inference.localizer import Localizer
from wsol.runs.run import Run
from wsol.runtime.progress import Progress


@pytest.mark.parametrize("method", ["cam", "instant", "psol"])
def test_what_is_found_in_images_without_an_object_is_what_a_prediction_finds(
    method: Method, small_set: Path, tmp_path: Path
) -> None:
    """The last of three classes is said to have no objects; the boxes annotated in its images are not used."""
    data = open_data(small_set)
    empty = data.class_names[-1]
    config = quick(method, write_weights(tmp_path), no_object=empty)
    run = Run.open(fit_method(with_no_object(data, empty), tmp_path / "run", config, Progress(quiet=True)))
    evaluation = evaluate_run(run, data, progress=Progress(quiet=True))
    result = evaluation.results["original"]
    assert result.empty() == 2 and [one.kind for one in evaluation.mistakes] == ["unexpected object"] * 2

    localizer = Localizer.load(run.folder)
    samples = sorted(data.test, key=lambda sample: sample.image_id)
    found = [localizer(sample.path) for sample in samples]
    has_object = np.array([data.class_names[sample.label] != empty for sample in samples])
    counts = np.array([len(one.objects) for one in found])
    assert result.rates["false_positives"].value == pytest.approx(counts[~has_object].mean())
    assert result.rates["empty_correct"].value == pytest.approx(100 * (counts[~has_object] == 0).mean())
    if result.rank is not None:
        is_right = np.array([one.label == sample.label for one, sample in zip(found, samples, strict=True)])
        compared = has_object & (counts > 0)
        assert (result.rank == 0)[compared].tolist() == is_right[compared].tolist()

    # The score of an image does not depend on its label.
    (batch,) = ImageLoader([sample.path for sample in samples], localizer.size_px).batches([[*range(len(samples))]])
    outputs = localizer.outputs(batch.pixels)
    assert result.image_score is not None
    if outputs.heatmaps is not None:
        assert result.image_score.tolist() == pytest.approx(outputs.heatmaps.max(axis=(1, 2)).tolist(), abs=1e-6)
    else:
        assert np.isfinite(result.image_score).tolist() == (counts > 0).tolist()
