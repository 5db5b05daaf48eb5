"""Names that every format can hold and every disk can take."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import PurePosixPath

from wsol.predictions.records import Prediction, Predictions
from wsol.runtime.terminal import visible

LONGEST_BYTES = 255
"""Of a file's name, on the disks in common use."""

# What XML 1.0 (2.2) leaves out, and a carriage return, which comes back from it as a newline. It includes the
# surrogates: in JSON they are escapes that Python reads, but other readers (orjson, and with it datumaro and CVAT)
# refuse the whole file for one of them.
_IMPOSSIBLE = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def readable(name: str) -> str:
    """The name in characters that XML, JSON, YAML and UTF-8 can hold: bytes that are not UTF-8 as Windows-1252, the
    rest as `_`.
    """
    return _IMPOSSIBLE.sub(lambda found: _instead(ord(found[0])), name)


def _instead(code: int) -> str:
    if not 0xDC80 <= code <= 0xDCFF:
        return "_"
    return bytes([code - 0xDC00]).decode("cp1252", "replace").replace("\ufffd", "_")


def with_readable_names(predictions: Predictions) -> Predictions:
    """The same predictions, each image and class under a name that every format can hold, no two under one.

    `originals` keeps the names on the disk.
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
        return replace(left, image=images.get(left.image, left.image), class_name=class_name)

    originals = {name: own for own, name in images.items()}
    return replace(predictions, class_names=tuple(classes.values()), edit=edit, originals=originals)


def renamed_lines(before: Predictions, after: Predictions) -> list[str]:
    """What `with_readable_names` changed, one name a line, for a README."""
    classes = zip(before.class_names, after.class_names, strict=True)
    pairs = [*((own, name) for name, own in after.originals.items()), *((a, b) for a, b in classes if a != b)]
    return [f"    {visible(own)} -> {visible(name)}" for own, name in pairs]


def _readable_images(predictions: Predictions) -> dict[str, str]:
    """New names by the names on the disk, of those images alone that need one."""
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
    """Both as one name that a disk takes; where it would be too long, the stem is cut."""
    room = LONGEST_BYTES - len(ending.encode("utf-8", "surrogateescape"))
    code = stem.encode("utf-8", "surrogateescape")
    return f"{stem if len(code) <= room else code[:room].decode('utf-8', 'ignore')}{ending}"
