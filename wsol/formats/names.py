"""Names that every format can store and every disk accepts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import PurePosixPath

from wsol.predictions.records import Prediction, Predictions
from wsol.runtime.terminal import visible

LONGEST_BYTES = 255
"""Limit for a file name on the common file systems."""

# The characters that XML 1.0 (2.2) does not allow, and the carriage return, which XML turns into a newline. Surrogates
# are among them: in JSON they are escapes that Python reads, but other readers (orjson, and with it datumaro and CVAT)
# refuse the whole file for one of them.
_IMPOSSIBLE = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def readable(name: str) -> str:
    """Replace the characters that XML, JSON, YAML or UTF-8 cannot store: bytes that are not UTF-8 are read as
    Windows-1252, all others become `_`.
    """
    return _IMPOSSIBLE.sub(lambda match: _replacement(ord(match[0])), name)


def _replacement(code: int) -> str:
    if not 0xDC80 <= code <= 0xDCFF:
        return "_"
    return bytes([code - 0xDC00]).decode("cp1252", "replace").replace("\ufffd", "_")


def with_readable_names(predictions: Predictions) -> Predictions:
    """The same predictions with unique names of images and classes that every format can store.

    `originals` of the result maps the new names of images to those on the disk.
    """
    images = _readable_images(predictions)
    classes = dict(zip(predictions.class_names, _unique_classes(predictions.class_names), strict=True))
    if not images and all(name == own for own, name in classes.items()):
        return predictions
    before = predictions.edit

    def edit(prediction: Prediction) -> Prediction | None:
        left = prediction if before is None else before(prediction)
        if left is None:
            return None
        class_name = None if left.class_name is None else classes.get(left.class_name, left.class_name)
        objects = tuple(
            one if one.class_name is None else replace(one, class_name=classes.get(one.class_name, one.class_name))
            for one in left.objects
        )
        return replace(left, image=images.get(left.image, left.image), class_name=class_name, objects=objects)

    originals = {name: own for own, name in images.items()}
    return replace(predictions, class_names=tuple(classes.values()), edit=edit, originals=originals)


def renamed_lines(before: Predictions, after: Predictions) -> list[str]:
    """The names that `with_readable_names` changed, one per line, for a README."""
    classes = zip(before.class_names, after.class_names, strict=True)
    pairs = [*((own, name) for name, own in after.originals.items()), *((a, b) for a, b in classes if a != b)]
    return [f"    {visible(own)} -> {visible(name)}" for own, name in pairs]


def _readable_images(predictions: Predictions) -> dict[str, str]:
    """New names by the names on the disk, only for the images that need one."""
    odd = [one.image for one in predictions if _IMPOSSIBLE.search(one.image)]
    taken = {one.image for one in predictions} if odd else set()
    chosen: dict[str, str] = {}
    for image in odd:
        parts = [fitting(part, "") for part in readable(image).split("/")]
        path = PurePosixPath(*parts)
        endings = chain([path.suffix], (f"_{number}{path.suffix}" for number in count(2)))
        names = (str(path.with_name(fitting(path.stem, ending))) for ending in endings)
        chosen[image] = next(name for name in names if name not in taken)
        taken.add(chosen[image])
    return chosen


def _unique_classes(class_names: Sequence[str]) -> list[str]:
    taken = set(class_names)
    chosen = []
    for class_name in class_names:
        name = readable(class_name) or "_"
        if name != class_name:
            name = next(one for one in chain([name], (f"{name} ({number})" for number in count(2))) if one not in taken)
            taken.add(name)
        chosen.append(name)
    return chosen


def fitting(stem: str, ending: str) -> str:
    """`stem` and `ending` as one file name; the stem is cut if the name would be too long for a disk."""
    room = LONGEST_BYTES - len(ending.encode("utf-8", "surrogateescape"))
    code = stem.encode("utf-8", "surrogateescape")
    return f"{stem if len(code) <= room else code[:room].decode('utf-8', 'ignore')}{ending}"
