"""A random sample of images; its review measures the accuracy of a run and calibrates it: `OUT/review-sample.json`."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError

from wsol.config.base import Config
from wsol.data.ground_truth import GroundTruth, ImageTruth
from wsol.data.samples import DataSet, Sample
from wsol.errors import WsolError
from wsol.geometry.boxes import Boxes
from wsol.predictions.records import Prediction, Predictions
from wsol.predictions.review_journal import Decision, heads, read_journal
from wsol.storage.folders import read_json, write_json
from wsol.storage.schema import check_schema
from wsol.text import number_of

SAMPLE_FILE = "review-sample.json"
VERSION: Literal[1] = 1
USUAL = 20
"""Number of images that messages suggest."""


def _unique(images: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(images)) < len(images):
        raise ValueError("an image is listed twice")
    return images


class _File(Config):
    version: Literal[1] = VERSION
    images: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_unique)]
    """In the order of the sample."""


@dataclass(frozen=True)
class ReviewedSample:
    """The sampled images, each with a decision."""

    data: DataSet
    """The images with a box, for `wsol calibrate`; all are test images of one class."""
    drawn: int
    """Size of the sample. The images that are not in `data` are rejected, or `empty`."""
    accepted: int
    """Number of images with a box whose boxes were accepted as predicted: these fit exactly, which favours the
    threshold that made them."""
    empty: tuple[Sample, ...]
    """Images without an object, according to the reviewer: a run is right if it finds nothing there, and a box that it
    predicts there is wrong."""


def draw(images: Iterable[str], size: int) -> tuple[str, ...]:
    """Sample images: those whose names have the lowest SHA-256.

    The sample does not depend on the content of the images, cannot be redrawn until the result pleases, and is part of
    every larger sample.

    Args:
        images: paths of the images.
        size: size of the sample; all images if there are fewer.

    Returns:
        The paths in the sample.
    """
    return tuple(sorted(images, key=_hash)[:size])


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()


def write_sample(folder: Path, images: tuple[str, ...]) -> None:
    """Write the sample of a prediction folder, completely or not at all."""
    write_json(folder / SAMPLE_FILE, _File(images=images).model_dump())


def read_sample(folder: Path) -> tuple[str, ...] | None:
    """Read the sample of a prediction folder.

    Args:
        folder: the prediction folder.

    Returns:
        The paths of the images; None if there is no sample.

    Raises:
        WsolError: the file is damaged, or of a newer version.
    """
    path = folder / SAMPLE_FILE
    if not path.exists():
        return None
    command = shlex.join(["wsol", "review", f"{folder}", "--sample", f"{USUAL}"])
    unusable = WsolError(
        f"{path} cannot be used",
        expected="the names of images",
        remedy=f"Remove it and run `{command}`, which draws the same images again.",
    )
    try:
        values = read_json(path, command)
    except WsolError:  # its remedy is for folders that a command can make again
        raise unusable from None
    if isinstance(values, dict) and type(values.get("version")) is int:
        check_schema(values["version"], VERSION, path, command)
    try:
        return _File.model_validate(values).images
    except ValidationError:
        raise unusable from None


def reviewed_sample(predictions: Predictions) -> ReviewedSample:
    """The decisions about the sampled images only.

    Args:
        predictions: the predictions, without edits.

    Returns:
        The sample.

    Raises:
        WsolError: there is no sample, it is one of other predictions, or some of its images are undecided.
    """
    folder = predictions.folder
    names = read_sample(folder)
    if names is None:
        raise WsolError(
            f"{folder} has no random sample",
            expected=f"{SAMPLE_FILE} in it",
            remedy=(
                f"`{shlex.join(['wsol', 'review', f'{folder}', '--sample', f'{USUAL}'])}` draws one. Images that were"
                " reviewed in the order of confidence are harder than others, and would bias the threshold."
            ),
        )
    command = shlex.join(["wsol", "review", f"{folder}", "--sample", f"{len(names)}"])
    sampled = set(names)
    by_name = {one.image: one for one in predictions if one.image in sampled}
    if missing := [name for name in names if name not in by_name]:
        raise WsolError(
            f"{number_of(len(missing), 'image')} of the sample of {folder}, first {missing[0]},"
            f" {'is' if len(missing) == 1 else 'are'} not among its predictions",
            expected="a sample of these predictions",
            remedy=f"Run `{command}`, which draws a new one.",
        )
    # As on the page: a decision about an image of another size is one about another image.
    decisions = heads(
        one for one in read_journal(folder) if one.image not in by_name or one.image_hw == by_name[one.image].image_hw
    )
    undecided = [name for name in names if name not in decisions or decisions[name].verdict == "undecided"]
    if undecided:
        raise WsolError(
            f"{len(undecided)} of the {len(names)} images that were drawn for {folder}"
            f" {'is' if len(undecided) == 1 else 'are'} undecided, first {undecided[0]}",
            expected="a decision about each, since easy images alone would bias the result",
            remedy=f"`{command}` shows them.",
        )
    return _sample_of(predictions, [(by_name[name], decisions[name]) for name in names])


def _sample_of(predictions: Predictions, decided: list[tuple[Prediction, Decision]]) -> ReviewedSample:
    ground_truth = {
        one.image: ImageTruth(Boxes.of(list(decision.boxes)), decision.image_hw)
        for one, decision in decided
        if decision.boxes and decision.verdict != "rejected"
    }
    kept = [one for one, decision in decided if decision.verdict != "rejected"]
    samples = {one.image: Sample(one.image, predictions.path_of(one), 0) for one in kept}
    empty = tuple(sample for image, sample in samples.items() if image not in ground_truth)
    data = DataSet(
        "reviewed sample",
        predictions.folder,
        ("object",),
        (),
        tuple(samples[image] for image in ground_truth),
        has_split=False,
        read_ground_truth=lambda: GroundTruth(ground_truth),
    )
    accepted = sum(one.image in ground_truth and decision.verdict == "accepted" for one, decision in decided)
    return ReviewedSample(data, len(decided), accepted, empty)
