"""Mark the classes whose images contain no object, such as `good` parts or `empty` frames of a camera trap."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from difflib import get_close_matches

from wsol.data.samples import NO_IMAGES, DataSet
from wsol.errors import WsolError

UNLABELLED, NO_OBJECT = "unlabelled", "no object"
"""The name that stands for all images without any label, and the name of the class that they become."""


def listed_names(names: str | None, class_names: Collection[str]) -> tuple[str, ...]:
    """Split the names of `--no-object` at the commas, unless together they are the name of a class.

    Args:
        names: such as `good,empty`; None for none.
        class_names: of all classes.
    """
    if names is not None and names.strip() in class_names:
        return (names.strip(),)
    return tuple(name for part in (names or "").split(",") if (name := part.strip()))


def chosen_of(class_names: Collection[str], names: str | None) -> tuple[str, ...]:
    """Return the classes of a trained network that `--no-object` names.

    Args:
        class_names: its classes, among them `no object` if images without a label became one.
        names: as given; a class whose name has commas is named alone.
    """
    listed = listed_names(names, class_names)
    listed += (NO_OBJECT,) if UNLABELLED in listed else ()
    return tuple(name for name in listed if name in class_names)


def names_without_object(data: DataSet) -> list[str]:
    """The classes whose images contain no object, sorted: a setting of what is made from the data set."""
    return sorted(data.class_names[label] for label in data.no_object)


def with_no_object(data: DataSet, names: str | None, *, must_exist: bool = True) -> DataSet:
    """Mark the classes whose images contain no object.

    Args:
        data: the data set.
        names: class names, separated by commas; `unlabelled` stands for the images that are listed without any label
            (a COCO image without annotations, an empty label file, an empty cell of a table). None changes nothing.
        must_exist: whether the data set must have these classes; test images need not have all classes of a run.

    Returns:
        The data set, with these labels in `no_object`.

    Raises:
        WsolError: not a class of the data set, or no other class is left.
    """
    listed = listed_names(names, data.class_names)
    if UNLABELLED in listed and UNLABELLED not in data.class_names and any(data.unlabelled):
        data = _with_class_of_unlabelled(data)
        listed = tuple(NO_OBJECT if name == UNLABELLED else name for name in listed)
    labels = {name: label for label, name in enumerate(data.class_names)}
    for name in listed if must_exist else ():
        if name == UNLABELLED and name not in labels:
            raise WsolError(
                f"{data.root} has no image without a label for `--no-object {UNLABELLED}`",
                expected="listed images without a label",
                remedy="Leave it out, or name a class.",
            )
        if name not in labels:
            near = get_close_matches(name, labels, n=1)
            shown = ", ".join(data.class_names[:8]) + (", ..." if len(labels) > 8 else "")
            raise WsolError(
                f"{data.root} has no class {name!r} for --no-object",
                expected=f"one of {shown}",
                remedy=f"Did you mean {near[0]}?" if near else "Check the name.",
            )
    no_object = data.no_object | {labels[name] for name in listed if name in labels}
    if must_exist and no_object and len(no_object) == len(labels):
        raise WsolError(
            f"every class of {data.root} is without an object ({', '.join(data.class_names)})",
            expected="at least one class with objects",
            remedy=(
                "Without images of the objects there is nothing to learn their class from. If you have good images"
                " only, an anomaly detector such as anomalib is the right tool."
            ),
        )
    return replace(data, no_object=frozenset(no_object))


def _with_class_of_unlabelled(data: DataSet) -> DataSet:
    if NO_OBJECT in data.class_names:
        raise WsolError(
            f"{data.root} has a class {NO_OBJECT!r} and images without a label",
            expected="one of them",
            remedy=f"Give these images the label, and name the class: `--no-object '{NO_OBJECT}'`.",
        )
    label = len(data.class_names)
    train, test = (tuple(replace(sample, label=label) for sample in samples) for samples in data.unlabelled)
    return replace(
        data,
        class_names=(*data.class_names, NO_OBJECT),
        train=data.train + train,
        test=data.test + test,
        mistakes=tuple(mistake for mistake in data.mistakes if mistake.kind != "no label"),
        unlabelled=NO_IMAGES,
    )
