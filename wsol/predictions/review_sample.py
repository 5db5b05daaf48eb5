"""Images drawn at random for a review that says how good a run is and calibrates it: `OUT/review-sample.json`."""

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

FILE = "review-sample.json"
VERSION: Literal[1] = 1
USUAL = 20
"""Images; what the hints name."""


def _unique(images: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(images)) < len(images):
        raise ValueError("an image stands there twice")
    return images


class _File(Config):
    version: Literal[1] = VERSION
    images: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_unique)]
    """In the order in which they were drawn."""


@dataclass(frozen=True)
class ReviewedSample:
    """The images that were drawn, each decided about."""

    data: DataSet
    """Those with a box, as `wsol calibrate` takes them; all are test images of one class."""
    drawn: int
    """Of these the others are rejected, or `empty`."""
    accepted: int
    """Of those with a box the ones whose boxes were left as predicted: they fit to the pixel, and speak for the
    threshold that made them."""
    empty: tuple[Sample, ...]
    """Images in which a person saw no object: a run that finds nothing there is right."""


def draw(images: Iterable[str], size: int) -> tuple[str, ...]:
    """`size` of the images, or all if there are fewer: those whose names have the lowest SHA-256.

    It has nothing to do with what is on them, nobody can draw again until the result pleases, and a larger sample holds
    the smaller one.
    """
    return tuple(sorted(images, key=_place)[:size])


def _place(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()


def write_sample(folder: Path, images: tuple[str, ...]) -> None:
    """Write the file, whole or not at all."""
    write_json(folder / FILE, _File(images=images).model_dump())


def read_sample(folder: Path) -> tuple[str, ...] | None:
    """The images that were drawn for a prediction folder; None if none were.

    Raises:
        WsolError: the file is damaged, or of a newer version.
    """
    path = folder / FILE
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
    except WsolError:  # whose advice is for folders that a command can make again
        raise unusable from None
    if isinstance(values, dict) and type(values.get("version")) is int:
        check_schema(values["version"], VERSION, path, command)
    try:
        return _File.model_validate(values).images
    except ValidationError:
        raise unusable from None


def reviewed_sample(predictions: Predictions) -> ReviewedSample:
    """What was decided about the images that were drawn, and about no others.

    Raises:
        WsolError: none were drawn, not from these predictions, or some of them are undecided.
    """
    folder = predictions.folder
    names = read_sample(folder)
    if names is None:
        raise WsolError(
            f"{folder} has no random sample",
            expected=f"{FILE} in it",
            remedy=(
                f"`{shlex.join(['wsol', 'review', f'{folder}', '--sample', f'{USUAL}'])}` draws one; images that were"
                " reviewed in the order of their confidence are harder than the others, and would bias the threshold."
            ),
        )
    asked = shlex.join(["wsol", "review", f"{folder}", "--sample", f"{len(names)}"])
    wanted = set(names)
    found = {one.image: one for one in predictions if one.image in wanted}
    if missing := [name for name in names if name not in found]:
        raise WsolError(
            f"{number_of(len(missing), 'image')} of the sample of {folder}, first {missing[0]},"
            f" {'is' if len(missing) == 1 else 'are'} not among its predictions",
            expected="a sample of these",
            remedy=f"Run `{asked}`, which draws anew.",
        )
    # As on the page: what was decided of an image of another size was decided of another image.
    decisions = heads(
        one for one in read_journal(folder) if one.image not in found or one.image_hw == found[one.image].image_hw
    )
    undecided = [name for name in names if name not in decisions or decisions[name].verdict == "undecided"]
    if undecided:
        raise WsolError(
            f"{len(undecided)} of the {len(names)} images that were drawn for {folder}"
            f" {'is' if len(undecided) == 1 else 'are'} undecided, first {undecided[0]}",
            expected="a decision about each, since the easy ones alone would say too much",
            remedy=f"`{asked}` shows them.",
        )
    return _sample_of(predictions, [(found[name], decisions[name]) for name in names])


def _sample_of(predictions: Predictions, decided: list[tuple[Prediction, Decision]]) -> ReviewedSample:
    true = {
        one.image: ImageTruth(Boxes.of(list(decision.boxes)), decision.image_hw)
        for one, decision in decided
        if decision.boxes and decision.verdict != "rejected"
    }
    kept = [one for one, decision in decided if decision.verdict != "rejected"]
    samples = {one.image: Sample(one.image, predictions.path_of(one), 0) for one in kept}
    empty = tuple(sample for image, sample in samples.items() if image not in true)
    data = DataSet(
        "reviewed sample",
        predictions.folder,
        ("object",),
        (),
        tuple(samples[image] for image in true),
        has_split=False,
        read_ground_truth=lambda: GroundTruth(true),
    )
    accepted = sum(one.image in true and decision.verdict == "accepted" for one, decision in decided)
    return ReviewedSample(data, len(decided), accepted, empty)
