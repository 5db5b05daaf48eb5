"""`wsol export`: predictions in the formats that annotation and training tools read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any, Literal

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
from wsol.predictions.folder_labels import given_classes, tally_given, told, with_given_classes
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
"""The formats that hold pixels, and what they do with the images."""

RENAMED = (
    "Some formats cannot hold control characters or bytes that are not UTF-8. Copies of images have the new names; a"
    " tool that looks for an image where it lies needs it renamed there. README.txt lists them."
)

NEED_MASKS: frozenset[Format] = frozenset({"yolo-polygons", "masks"})
"""Where an object without a mask would be taken for background, or its box for its outline."""


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
    """Write predictions in the format of another tool.

    Args:
        predictions: what `wsol predict` wrote.
        format: coco, yolo, yolo-polygons, voc, labelstudio, cvat, fiftyone, csv, crops or masks.
        out: new folder for the export; its README.txt says how to load it.
        reviewed: only the images that were accepted or corrected in `wsol review`, as they were left there.
        with_undecided: with `reviewed`, the images that nobody has decided on too, as predicted.
        classes: the predicted ones; or `folder`: an image has the class that its folder names, unless a reviewer chose
            another.
        images: the folder of the images, if they moved since, or are another user's.
        quiet: say nothing on standard error.

    Returns:
        `out`.

    Raises:
        WsolError: `predictions` is no finished prediction folder or holds a line that cannot be exported, `out` is
            taken or another command writes it, nobody reviewed them, an object has no class, neither predicted nor by
            its folder, or images that might be private would be copied without `images`.

    Example:
        `wsol.export("boxes", "coco", "boxes-coco")`
    """
    if with_undecided and not reviewed:
        raise WsolError(
            "--with-undecided goes with --reviewed: without that everything is exported",
            remedy="Add it, or leave both out.",
        )
    images = None if images is None else Path(images)
    if images is not None and not images.is_dir():
        raise WsolError(
            f"--images {images} is no folder", expected="the one that the images are in", remedy="Check the path."
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
    if classes != "predicted":  # absent otherwise, so that exports from before there was a choice stay finished
        settings["classes"] = classes
    if images is not None:
        settings["images"] = str(images.absolute())
    if is_finished(out, "export", settings, inputs, option="--out"):
        return out
    with new_folder(led_to(out)) as scratch:
        # What a killed export left may belong to other predictions, and its hard links are in the way.
        start_over(scratch)
        whole = checked(opened)
        said: list[str] = []
        counts: dict[str, Any] = {}
        chosen = _chosen(whole, journal) if is_reviewed and classes == "folder" else frozenset[str]()
        if is_reviewed:
            counted = tally(whole, decisions, needs_masks=format in NEED_MASKS)
            whole = reviewed(whole, decisions, with_undecided=with_undecided, needs_masks=format in NEED_MASKS)
            counts |= {**counted.verdicts, "drawn": counted.drawn, "left_out_without_mask": counted.maskless}
            said.append(f"Reviewed by a person (wsol review): {_told(counted, with_undecided)}")
        if classes == "folder":
            # `checked` drops the names where the run predicts none; the folders name them.
            whole = replace(whole, class_names=opened.class_names or whole.class_names)
            given = given_classes(whole)
            fates = tally_given(whole, given, chosen)
            whole = with_given_classes(whole, given, chosen)
            counts |= {f"classes_{fate}": number for fate, number in fates.items()}
            said.append(told(fates))
        if images is not None:
            whole = replace(whole, image_root=images.absolute())
        counts = _written(whole, format, scratch, said, progress, is_named=images is not None) | counts
        write_manifest(scratch, "export", settings, inputs, counts)
    return out


def _written(
    whole: Predictions, format: Format, scratch: Path, said: list[str], progress: Progress | None, *, is_named: bool
) -> dict[str, Any]:
    """Write the files, after a word of whose pixels go into them; `said` is added to the README."""
    named = with_readable_names(whole)
    renamed = renamed_lines(whole, named)
    if renamed:
        said.append(f"{number_of(len(renamed), 'name')} written otherwise. {RENAMED}")
    if format in COPY_IMAGES:
        if not is_named:
            check_source(named)
        if progress is not None:
            many = sum(bool(one.objects) or format != "crops" for one in named)
            progress.say(
                f"export: {COPY_IMAGES[format]} {many:,} {'image' if many == 1 else 'images'} from {named.image_root}"
            )
    counts = WRITERS[format](named, scratch)
    write_readme(scratch, "".join(f"\n{line}\n" for line in said) + "".join(f"{line}\n" for line in renamed))
    if progress is not None:
        for line in said:
            progress.say(f"export: {line}")
    return counts


def _told(counted: Tally, with_undecided: bool) -> str:
    undecided = "are in as predicted" if with_undecided else "are left out (`--with-undecided` keeps them)"
    maskless = (
        f" {number_of(counted.maskless, 'image is', 'images are')} left out since a box of theirs has no mask."
        if counted.maskless
        else ""
    )
    drawn = " A box drawn or moved by hand has the score 1 and no mask." if counted.drawn else ""
    return f"{counted.describe()}. Rejected images are left out, undecided ones {undecided}.{drawn}{maskless}"


def _journal(predictions: Path) -> list[Decision]:
    if not (predictions / JOURNAL_FILE).exists():
        raise WsolError(
            f"nobody has reviewed {predictions}",
            expected=f"{JOURNAL_FILE} in it",
            remedy=f"Run `wsol review {predictions}` first, or leave out --reviewed.",
        )
    return read_journal(predictions)


def _chosen(predictions: Predictions, journal: Sequence[Decision]) -> frozenset[str]:
    """The images whose class a reviewer chose, be it the predicted one in the end; accepting chooses none."""
    made = by_image(journal)
    return frozenset(one.image for one in predictions if has_chosen_class(made.get(one.image, []), one.class_name))


def checked(predictions: Predictions) -> Predictions:
    """The same predictions after a look at each line, which people edit by hand.

    Where no object has a class (a run without a classifier), they come back with the one class "object".

    Raises:
        WsolError: a line that no format could hold.
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
                f"{predictions.folder / LINES}, line {number}: {error} Correct that line, or run `{COMMAND}` again."
            ) from None
    without_classes = False in named or not predictions.class_names
    return replace(predictions, class_names=("object",)) if without_classes else predictions


def _check_path(image: str, seen: set[str]) -> None:
    path = PurePath(image)
    if "\0" in image or not _is_bytes(image):
        raise WsolError(f"expected a name that a file can have, got {image!r}.")
    if path.anchor or ".." in path.parts or not path.parts:
        raise WsolError(f"expected a path below the image root, got {image!r}, which leads elsewhere.")
    if str(path) in seen:
        raise WsolError(f"expected each image once, got {image!r} again.")
    seen.add(str(path))


def _is_bytes(image: str) -> bool:
    try:
        image.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a character, which JSON can hold
        return False
    return True


def _check_objects(prediction: Prediction) -> None:
    Boxes.of([found.xyxy for found in prediction.objects])
    for found in prediction.objects:
        if not 0 <= found.score <= 1:
            raise WsolError(f"expected scores from 0 to 1, got {found.score}.")


def _check_class(prediction: Prediction, class_names: tuple[str, ...], named: set[bool]) -> None:
    label = prediction.label
    if label is not None and (not 0 <= label < len(class_names) or class_names[label] != prediction.class_name):
        raise WsolError(
            f"expected a label and class_name that agree with manifest.json's {len(class_names)} classes, got {label}"
            f" and {prediction.class_name!r}."
        )
    if prediction.objects:  # an image without objects may well have no class
        named.add(label is not None)
    if len(named) == 2:
        raise WsolError(
            f"expected a label on every image with objects or on none, got {label}, unlike the lines before."
        )
