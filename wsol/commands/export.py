"""`wsol export`: predictions in the formats that annotation and training tools read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any, Literal

from wsol.config.messages import check_choice
from wsol.errors import WsolError
from wsol.formats.coco import write_coco
from wsol.formats.crops import write_crops
from wsol.formats.csv_table import write_csv
from wsol.formats.cvat import write_cvat
from wsol.formats.fiftyone import write_fiftyone
from wsol.formats.labelstudio import write_labelstudio
from wsol.formats.masks import write_masks
from wsol.formats.names import renamed_lines, with_readable_names
from wsol.formats.readme import write_readme
from wsol.formats.source import check_source
from wsol.formats.voc import write_voc
from wsol.formats.yolo import write_yolo, write_yolo_polygons
from wsol.geometry.boxes import Boxes
from wsol.predictions.folder_labels import count_outcomes, describe_outcomes, folder_classes, with_folder_classes
from wsol.predictions.object_classes import labels_without_objects, without_labels
from wsol.predictions.records import COMMAND, LINES, Prediction, Predictions, open_predictions
from wsol.predictions.review_journal import JOURNAL_FILE, Decision, by_image, has_chosen_class, heads, read_journal
from wsol.predictions.reviewed import Tally, reviewed, tally
from wsol.runtime.progress import Progress
from wsol.storage.folders import file_hash, is_finished, new_folder, start_over, write_manifest
from wsol.storage.links import led_to
from wsol.storage.locks import held
from wsol.text import number_of

Format = Literal["coco", "yolo", "yolo-polygons", "voc", "labelstudio", "cvat", "fiftyone", "csv", "crops", "masks"]

Classes = Literal["predicted", "folder"]

WRITERS: dict[Format, Callable[[Predictions, Path], dict[str, int]]] = {
    "coco": write_coco,
    "yolo": write_yolo,
    "yolo-polygons": write_yolo_polygons,
    "voc": write_voc,
    "labelstudio": write_labelstudio,
    "cvat": write_cvat,
    "fiftyone": write_fiftyone,
    "csv": write_csv,
    "crops": write_crops,
    "masks": write_masks,
}


COPY_IMAGES: Mapping[Format, str] = {
    "yolo": "copies",
    "yolo-polygons": "copies",
    "fiftyone": "copies",
    "crops": "cuts crops out of",
}
"""The formats that contain pixels, and a verb for the message."""

RENAMED = (
    "Some formats cannot represent control characters or bytes that are not UTF-8. Copies of images have the new"
    " names; if a tool reads the original images, rename them too. README.txt lists them."
)

NEED_MASKS: frozenset[Format] = frozenset({"yolo-polygons", "masks"})
"""Formats in which an object without a mask would become background, or its box its outline."""


def export(
    predictions: str | Path,
    format: Format,
    out: str | Path,
    *,
    reviewed: bool = False,
    with_undecided: bool = False,
    classes: Classes = "predicted",
    images: str | Path | None = None,
    quiet: bool = False,
) -> Path:
    """Export predictions to the format of an annotation or training tool.

    Args:
        predictions: a folder written by `wsol predict`.
        format: coco, yolo, yolo-polygons, voc, labelstudio, cvat, fiftyone, csv, crops or masks.
        out: new folder for the export; its README.txt explains how to load it.
        reviewed: only images that were accepted, corrected or marked as without an object in `wsol review`, with the
            reviewed boxes and classes.
        with_undecided: with `reviewed`, also the images without a decision, as predicted.
        classes: `predicted`; or `folder`: the class that the folder of an image is named after, unless a reviewer chose
            another.
        images: the folder of the images, if they have moved, or belong to another user.
        quiet: print nothing to standard error.

    Returns:
        `out`.

    Raises:
        WsolError: `predictions` is no finished prediction folder or contains an invalid line, `out` exists or another
            command writes it, there is no review, an object has neither a predicted class nor one by its folder, or
            images that might be private would be copied without `images`.

    Example:
        `wsol.export("boxes", "coco", "boxes-coco")`
    """
    check_choice("format", format, Format)
    check_choice("classes", classes, Classes)
    if with_undecided and not reviewed:
        raise WsolError(
            "--with-undecided needs --reviewed: otherwise all images are exported anyway",
            remedy="Add --reviewed, or leave --with-undecided out.",
        )
    images = None if images is None else Path(images)
    if images is not None and not images.is_dir():
        raise WsolError(
            f"--images {images} is no folder", expected="the folder of the images", remedy="Check the path."
        )
    progress = None if quiet else Progress()
    with held(Path(out), "wsol export", "name another --out"):
        return _export(Path(predictions), format, Path(out), reviewed, with_undecided, classes, images, progress)


def _export(
    predictions: Path,
    format: Format,
    out: Path,
    is_reviewed: bool,
    with_undecided: bool,
    classes: Classes,
    images: Path | None,
    progress: Progress | None,
) -> Path:
    opened = open_predictions(predictions)
    settings: dict[str, Any] = {"format": format}
    inputs = {"predictions": file_hash(predictions / LINES)}
    if is_reviewed:
        journal = _journal(predictions)
        decisions = heads(journal)
        settings |= {"reviewed": True, "with_undecided": with_undecided}
        inputs["review"] = file_hash(predictions / JOURNAL_FILE)
    if classes != "predicted":  # absent by default, so that older exports stay finished
        settings["classes"] = classes
    if images is not None:
        settings["images"] = str(images.absolute())
    if is_finished(out, "export", settings, inputs, option="--out"):
        return out
    with new_folder(led_to(out)) as scratch:
        # The files of a killed export may belong to other predictions, and its hard links block new ones.
        start_over(scratch)
        edited = checked(opened)
        notes: list[str] = []
        counts: dict[str, Any] = {}
        chosen = _chosen(edited, journal) if is_reviewed and classes == "folder" else frozenset[str]()
        if is_reviewed:
            review = tally(edited, decisions, needs_masks=format in NEED_MASKS)
            edited = reviewed(edited, decisions, with_undecided=with_undecided, needs_masks=format in NEED_MASKS)
            counts |= {**review.verdicts, "drawn": review.drawn, "left_out_without_mask": review.maskless}
            notes.append(f"Reviewed by a person (wsol review): {_describe(review, with_undecided)}")
        if classes == "folder":
            # `checked` drops the class names of a run that predicts none; here the folders give the classes.
            edited = replace(edited, class_names=opened.class_names or edited.class_names)
            by_folder = folder_classes(edited)
            outcomes = count_outcomes(edited, by_folder, chosen)
            edited = with_folder_classes(edited, by_folder, chosen)
            counts |= {f"classes_{outcome}": number for outcome, number in outcomes.items()}
            notes.append(describe_outcomes(outcomes))
        if images is not None:
            edited = replace(edited, image_root=images.absolute())
        counts = _written(edited, format, scratch, notes, progress, is_named=images is not None) | counts
        write_manifest(scratch, "export", settings, inputs, counts)
    return out


def _written(
    predictions: Predictions,
    format: Format,
    scratch: Path,
    notes: list[str],
    progress: Progress | None,
    *,
    is_named: bool,
) -> dict[str, Any]:
    """Write the files of a format, and the notes to README.txt."""
    named = with_readable_names(predictions)
    renamed = renamed_lines(predictions, named)
    named = without_labels(named, labels_without_objects(predictions))
    if renamed:
        notes.append(f"{number_of(len(renamed), 'name')} changed. {RENAMED}")
    if format in COPY_IMAGES:
        if not is_named:
            check_source(named)
        if progress is not None:
            count = sum(bool(one.objects) or format != "crops" for one in named)
            progress.say(
                f"export: {COPY_IMAGES[format]} {count:,} {'image' if count == 1 else 'images'} from {named.image_root}"
            )
    counts = WRITERS[format](named, scratch)
    write_readme(scratch, "".join(f"\n{line}\n" for line in notes) + "".join(f"{line}\n" for line in renamed))
    if progress is not None:
        for line in notes:
            progress.say(f"export: {line}")
    return counts


def _describe(review: Tally, with_undecided: bool) -> str:
    undecided = "are included as predicted" if with_undecided else "are left out (`--with-undecided` keeps them)"
    maskless = (
        f" {number_of(review.maskless, 'image is', 'images are')} left out because a box has no mask."
        if review.maskless
        else ""
    )
    drawn = " A box drawn or moved by hand has the score 1 and no mask." if review.drawn else ""
    return f"{review.describe()}. Rejected images are left out, undecided ones {undecided}.{drawn}{maskless}"


def _journal(predictions: Path) -> list[Decision]:
    if not (predictions / JOURNAL_FILE).exists():
        raise WsolError(
            f"{predictions} has no review",
            expected=f"{JOURNAL_FILE} in it",
            remedy=f"Run `wsol review {predictions}` first, or leave out --reviewed.",
        )
    return read_journal(predictions)


def _chosen(predictions: Predictions, journal: Sequence[Decision]) -> frozenset[str]:
    """The images whose class a reviewer chose, even if it is the predicted one; accepting an image chooses none."""
    decisions = by_image(journal)
    return frozenset(one.image for one in predictions if has_chosen_class(decisions.get(one.image, []), one.class_name))


def checked(predictions: Predictions) -> Predictions:
    """Check every line, since people edit them by hand.

    Args:
        predictions: the predictions.

    Returns:
        The same predictions; with the single class "object" if no object has a class (a run without a classifier).

    Raises:
        WsolError: a line is invalid.
    """
    seen: set[str] = set()
    named: set[bool] = set()
    for number, prediction in enumerate(predictions, start=1):
        try:
            _check_path(prediction.image, seen)
            _check_objects(prediction)
            _check_class(prediction, predictions.class_names, named)
        except WsolError as error:
            raise WsolError(
                f"{predictions.folder / LINES}, line {number}: {error.problem}",
                expected=error.expected,
                got=error.got,
                remedy=" ".join(filter(None, (error.remedy, f"Correct that line, or run `{COMMAND}` again."))),
            ) from None
    without_classes = False in named or not predictions.class_names
    return replace(predictions, class_names=("object",)) if without_classes else predictions


def _check_path(image: str, seen: set[str]) -> None:
    path = PurePath(image)
    if "\0" in image or not _is_bytes(image):
        raise WsolError("not a file name", got=f"{image!r}")
    if path.anchor or ".." in path.parts or not path.parts:
        raise WsolError("image", expected="a path below the image root", got=f"{image!r}")
    if str(path) in seen:
        raise WsolError("repeated image", expected="each image once", got=f"{image!r} again")
    seen.add(str(path))


def _is_bytes(image: str) -> bool:
    try:
        image.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a character, which JSON can hold
        return False
    return True


def _check_objects(prediction: Prediction) -> None:
    Boxes.of([one.xyxy for one in prediction.objects])
    for one in prediction.objects:
        if not 0 <= one.score <= 1:
            raise WsolError("score", expected="0 to 1", got=f"{one.score}")


def _check_class(prediction: Prediction, class_names: tuple[str, ...], named: set[bool]) -> None:
    label = prediction.label
    for own, name in ((label, prediction.class_name), *((one.label, one.class_name) for one in prediction.objects)):
        if own is not None and (not 0 <= own < len(class_names) or class_names[own] != name):
            raise WsolError(
                "label and class_name",
                expected=f"those of one of the {number_of(len(class_names), 'class')} in manifest.json",
                got=f"{own} and {name!r}",
            )
    if prediction.objects:  # an image without objects may have no class
        named.add(label is not None)
    if len(named) == 2:
        raise WsolError(
            "label", expected="one on every image with objects, or on none", got=f"{label}, unlike the lines before"
        )
