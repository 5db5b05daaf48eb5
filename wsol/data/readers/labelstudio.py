"""Label Studio's tasks as JSON or JSON-MIN: rectangles, polygons and brushes, and choices as labels of the image."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsol.data.ground_truth import Mistake
from wsol.data.image_files import image_root
from wsol.data.images import is_image
from wsol.data.readers.annotated import AnnotatedImage, data_set
from wsol.data.readers.labelstudio_regions import image_size, shapes_of, tags_of
from wsol.data.readers.written_paths import WrittenPaths, parts_of
from wsol.data.samples import DataSet
from wsol.data.untrusted import short_repr
from wsol.errors import WsolError
from wsol.storage.links import refuse_special

KIND = "Label Studio"
HEAD_CHARACTERS = 1 << 16
MANY = 20
"""A folder with more JSON files than this is of another tool, which writes one file per image."""
_SIGNS = re.compile(
    r'"(annotations|predictions|rectanglelabels|polygonlabels|brushlabels|choices|annotation_id|original_width)"\s*:'
)
_OF_OTHERS = re.compile(r'"(image_id|segmentation|shapes|imagePath|coordinates)"\s*:')


def recognise(root: Path) -> bool:
    """Whether this is a JSON file of tasks, or a folder with one."""
    return bool(_files(root))


def read(root: Path, images: Path | None = None) -> DataSet:
    """Read images and labels; boxes and masks are read later.

    The last annotation of a task counts that was not skipped, or its ground truth; without annotations, its last
    prediction.

    Args:
        root: the file, or its folder.
        images: the folder of the images: they are found by the end of their URL, without the digits that Label Studio
            writes before the name of an uploaded file.

    Raises:
        WsolError: several files instead of one, or a file that is not JSON.
    """
    file = _only(root, _files(root))
    tasks = _tasks(file)
    names = ["/".join(parts_of(task.url)) for task in tasks]
    home = file.parent
    candidates = (home, home / "images", home / "data") if images is None else (images,)
    paths = WrittenPaths(image_root(candidates, names), uploaded=True)

    def read_images() -> Iterator[AnnotatedImage]:
        return (_image(task, paths) for task in _tasks(file))

    return data_set(KIND, root, read_images, in_fractions=True, doubts=tuple(_doubts(file, tasks)))


def _files(root: Path) -> list[Path]:
    found = sorted(root.glob("*.json")) if root.is_dir() else [root]
    named = [path for path in found if path.suffix.lower() == ".json" and not path.name.startswith(".")]
    return [path for path in named if _seems_tasks(path)] if len(named) <= MANY else []


def _seems_tasks(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        head = file.read(HEAD_CHARACTERS)
    is_list = re.match(r"\s*\[\s*\{", head) is not None
    return is_list and _SIGNS.search(head) is not None and _OF_OTHERS.search(head) is None


def _only(root: Path, found: list[Path]) -> Path:
    if len(found) == 1:
        return found[0]
    names = ", ".join(path.name for path in found[:5]) or "none"
    raise WsolError(
        f"{root} is ambiguous",
        expected="one file of Label Studio's tasks",
        got=names,
        remedy="Give one file instead of the folder, or move the others.",
    )


@dataclass(frozen=True)
class _Task:
    """An image with the regions of one annotation; None if it is not annotated."""

    where: str
    url: str
    regions: list[Any] | None
    annotations: int = 1
    is_predicted: bool = False


def _tasks(file: Path) -> list[_Task]:
    refuse_special(file)
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
    # A number with thousands of digits is a ValueError, deep nesting a RecursionError.
    except (OSError, ValueError, RecursionError) as error:
        raise WsolError(
            f"{file} is not JSON ({error})", expected="tasks of Label Studio", remedy="Export it again."
        ) from None
    if not isinstance(document, list):
        raise WsolError(f"{file} is not a list", expected="tasks of Label Studio", remedy="Export it again.")
    return [_task(one, f"{file}, task {number}") for number, one in enumerate(document, start=1)]


def _task(task: object, where: str) -> _Task:
    if not isinstance(task, dict):
        return _Task(where, "", None)
    data = task.get("data")
    if not isinstance(data, dict):  # JSON-MIN: the data and the results of one annotation in one object
        values = [value for value in task.values() if isinstance(value, list | dict)]
        choices = {"type": "choices", "value": {"choices": list(_choices(task))}}
        return _Task(where, _url(task), [choices, *_flat(values)])
    written = _dicts(task.get("annotations")) or _dicts(task.get("completions"))
    annotations = [one for one in written if not (one.get("was_cancelled") or one.get("skipped"))]
    predictions = [] if written else _dicts(task.get("predictions"))
    chosen = [one for one in annotations if one.get("ground_truth")] or annotations or predictions
    result = chosen[-1].get("result") if chosen else None
    regions = result if isinstance(result, list) else None
    return _Task(where, _url(data), regions, len(annotations), bool(predictions))


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _url(data: Mapping[str, Any]) -> str:
    """The value that names the image: `image`, or the first that ends like an image."""
    texts = [data.get("image"), *data.values()]
    named = (
        text for text in texts if isinstance(text, str) and (parts := parts_of(text)) and is_image(Path(parts[-1]))
    )
    return next(named, "")


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict) and "choices" not in one:
                yield {"value": one, **one}


def _choices(task: Mapping[str, Any]) -> Iterator[str]:
    """The choices of JSON-MIN: a text or `{"choices": [...]}` under the name of a control. Controls stand between `id`
    and `annotator`, after the data.
    """
    keys = list(task)
    first = keys.index("id") + 1 if "id" in keys else 0
    last = keys.index("annotator") if "annotator" in keys else len(keys)
    for key in keys[first:last]:
        value = task[key]
        if isinstance(value, dict) and isinstance(value.get("choices"), list):
            yield from (text for text in value["choices"] if isinstance(text, str))
        elif isinstance(value, str) and ("annotator" in keys or key in ("choice", "choices")):
            yield value


def _image(task: _Task, paths: WrittenPaths) -> AnnotatedImage:
    written = "/".join(parts_of(task.url))
    image_id = paths.find(task.url) or written
    where = f"{task.where} ({short_repr(task.url)})"
    problem = None
    if not written:
        problem = Mistake("unknown image", where, "expected the path or URL of an image in its data, got none")
    elif task.regions is None:
        problem = Mistake("unknown class", where, "expected an annotation, got none: not annotated, or skipped")
    regions = task.regions or []
    return AnnotatedImage(
        image_id,
        paths.folder / image_id,
        where,
        tags=tags_of(regions),
        shapes=shapes_of(regions, where),
        image_hw=image_size(regions),
        problem=problem,
    )


def _doubts(file: Path, tasks: list[_Task]) -> Iterator[str]:
    several, predicted = sum(one.annotations > 1 for one in tasks), sum(one.is_predicted for one in tasks)
    if several:
        yield f"{several} of {len(tasks)} tasks of {file} have several annotations: the last one of each is read"
    if predicted:
        yield f"{predicted} of {len(tasks)} tasks of {file} have no annotation: the prediction of a model is read"
