"""COCO annotations as ground truth: as published, as Roboflow, Label Studio and FiftyOne export them, or one file
beside its images.

The labels of an image are the categories of its annotations. Crowds (`iscrowd` 1) are no objects; their pixels are
ignored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from wsol.data.ground_truth import Collector, GroundTruth, Kind, Mistake
from wsol.data.image_files import ImageSizes
from wsol.data.labels import labels_of
from wsol.data.readers.coco_json import CocoFile, CocoImage, kind_of, read_coco_file, seems_coco
from wsol.data.readers.coco_masks import add_coco_masks, bounds_of
from wsol.data.readers.written_paths import found_below
from wsol.data.samples import NO_LABEL, DataSet, Sample, Splits
from wsol.data.untrusted import is_id, is_number, is_path, short_repr, to_float
from wsol.errors import WsolError
from wsol.geometry.boxes import Xyxy

TRAIN = ("train/_annotations.coco.json", "annotations/instances_train*.json", "train/labels.json")
TEST = (
    "test/_annotations.coco.json",
    "valid/_annotations.coco.json",
    "val/_annotations.coco.json",
    "annotations/instances_test*.json",
    "annotations/instances_val*.json",
    "test/labels.json",
    "validation/labels.json",
    "val/labels.json",
)
ALONE = ("*.json", "annotations/*.json")
MANY = 20
"""A folder with more JSON files than this is of another tool, which writes one file per image."""


Split = Literal["train", "test", "all"]


def recognise(root: Path) -> bool:
    """Whether this is a JSON file, or a folder with COCO annotations at a usual path."""
    if not root.is_dir():
        return root.suffix.lower() == ".json"
    return any(map(_is_listed, _matches(root, (*TRAIN, *TEST)))) or bool(_alone(root))


def read(root: Path, images: Path | None = None) -> DataSet:
    """Read images and labels; boxes and masks are read later.

    Args:
        root: a COCO file, or a folder of them.
        images: the folder of the images, or of one folder of images per split.

    Raises:
        WsolError: several files instead of one, or a file that is not COCO.
    """
    parts = _read_parts(root)
    categories = _categories(parts)
    mistakes: list[Mistake] = []
    categories_of = [_categories_of(part, categories, mistakes) for part in parts]
    # Subsets list all categories of the full data set; a category without images is not a class.
    used = sorted({category for found in categories_of for own in found.values() for category in own})
    labels = {category: label for label, category in enumerate(used)}
    samples: dict[Split, tuple[Sample, ...]] = {}
    unlabelled: dict[Split, tuple[Sample, ...]] = {}
    for part, found in zip(parts, categories_of, strict=True):
        names = [image.file_name for image in part.file.images.values()]
        path_of = found_below(part.folders(images), names)

        def sample(
            number: int, own: Sequence[int], part: _Part = part, path_of: Callable[[str], Path] = path_of
        ) -> Sample:
            image = part.file.images[number]
            return Sample(part.image_id(image), path_of(image.file_name), own[0], tuple(own[1:]))

        samples[part.split] = tuple(sample(number, [labels[one] for one in own]) for number, own in found.items())
        unlabelled[part.split] = tuple(sample(number, [NO_LABEL]) for number in _without_annotation(part))
    has_split = "all" not in samples
    train, test = _splits(samples)
    paths = {sample.image_id: sample.path for sample in (*train, *test)}
    return DataSet(
        "COCO",
        root,
        tuple(categories[category] for category in used),
        train,
        test,
        has_split,
        lambda: _read_truth(root, categories, paths),
        tuple(mistakes),
        unlabelled=_splits(unlabelled),
        unused=tuple(name for category, name in categories.items() if category not in labels),
    )


def image_ids_of(root: Path) -> dict[int, str]:
    """Our image ids by COCO's image ids; an id used in both splits is that of the test image.

    Raises:
        WsolError: as `read`.
    """
    return {number: part.image_id(image) for part in _read_parts(root) for number, image in part.file.images.items()}


@dataclass(frozen=True)
class _Part:
    """The file of a split; image ids begin with `prefix`."""

    split: Split
    file: CocoFile
    prefix: str = ""

    def image_id(self, image: CocoImage) -> str:
        return self.prefix + image.file_name

    def folders(self, images: Path | None) -> tuple[Path, ...]:
        """Folders in which the images may be, the most likely first."""
        home, name = self.file.path.parent, _split_folder(self.file.path)
        if images is not None:
            return images / name, images
        if home.name != "annotations":
            return home, home / "images", home / "data"
        base = home.parent
        return base / name, base / "images" / name, base / "images", base / "data", base, home


def _split_folder(path: Path) -> str:
    """`train2017` for annotations/instances_train2017.json, `train` for train/_annotations.coco.json."""
    return path.stem.removeprefix("instances_") if path.parent.name == "annotations" else path.parent.name


def _read_parts(root: Path) -> list[_Part]:
    """All files of a data set, train before test; image ids begin with the split's folder if names are not unique."""
    parts = [_Part(split, read_coco_file(path)) for split, path in _files(root).items()]
    names = [{image.file_name for image in part.file.images.values()} for part in parts]
    if len(parts) == 2 and names[0] & names[1]:
        return [_Part(part.split, part.file, f"{_split_folder(part.file.path)}/") for part in parts]
    return parts


def _files(root: Path) -> dict[Split, Path]:
    if not root.is_dir():
        return {"all": root}
    train, test = _first(root, TRAIN), _first(root, TEST)
    if train and test:
        return {"train": train, "test": test}
    if test:
        return {"test": test}
    return {"all": train or _only(root, _alone(root))}


def _first(root: Path, patterns: Iterable[str]) -> Path | None:
    for pattern in patterns:
        if found := [path for path in sorted(_matches(root, [pattern])) if _is_listed(path)]:
            return _only(root, found)
    return None


def _matches(root: Path, patterns: Iterable[str]) -> Iterator[Path]:
    return (path for pattern in patterns for path in root.glob(pattern))


def _is_listed(path: Path) -> bool:
    """Whether the name says that it is COCO, or the content: other exports of FiftyOne have labels.json too."""
    return path.name != "labels.json" or (path.is_file() and seems_coco(path))


def _alone(root: Path) -> list[Path]:
    for pattern in ALONE:
        found = sorted(path for path in root.glob(pattern) if not path.name.startswith("."))
        coco = [path for path in found if seems_coco(path)] if len(found) <= MANY else []
        if coco:
            return coco
    return []


def _only(root: Path, found: list[Path]) -> Path:
    if len(found) != 1:
        names = ", ".join(path.relative_to(root).as_posix() for path in found) or "none"
        raise WsolError(
            f"{root} is ambiguous",
            expected="one file of COCO annotations",
            got=names,
            remedy="Give one file instead of the folder, or move the others.",
        )
    return found[0]


def _categories(parts: Iterable[_Part]) -> dict[int, str]:
    """Names by category id, in the order of the ids, of all splits."""
    categories: dict[int, str] = {}
    for part in parts:
        for number, name in part.file.categories.items():
            if categories.setdefault(number, name) != name:
                raise WsolError(
                    f"{part.file.path}",
                    expected=f"category {number} to be {categories[number]!r} as in the other split",
                    got=f"{name!r}",
                    remedy="Number the categories alike in both.",
                )
    return dict(sorted(categories.items()))


def _categories_of(part: _Part, known: Mapping[int, str], mistakes: list[Mistake]) -> dict[int, list[int]]:
    """The categories of each image by COCO's image id; images without one are added to `mistakes`."""
    categories: dict[int, set[int]] = defaultdict(set)
    crowded = {annotation["image_id"] for annotation in part.file.annotations if annotation.get("iscrowd")}
    for annotation in part.file.annotations:
        if not annotation.get("iscrowd"):
            categories[annotation["image_id"]].add(annotation["category_id"])
    found = {}
    for number, image in part.file.images.items():
        named = sorted(categories[number] & known.keys())
        where = f"{part.file.path}, {image.file_name}"
        if not is_path(image.file_name):
            expected = f"expected the path of a file, got {short_repr(image.file_name)}"
            mistakes.append(Mistake("unknown image", str(part.file.path), expected))
        elif named:
            own = labels_of((known[category] for category in named), where)
            if isinstance(own, Mistake):
                mistakes.append(own)
            else:
                found[number] = [next(one for one in named if known[one] == name) for name in own]
        elif categories[number]:
            expected = f"expected a category of the file, got {sorted(categories[number])}"
            mistakes.append(Mistake("unknown class", where, expected))
        elif number in crowded:
            expected = "expected an annotation, which gives the image its class, got only crowds (iscrowd)"
            mistakes.append(Mistake("no true box", where, expected))
        else:
            expected = "expected an annotation, which gives the image its class, got none"
            mistakes.append(Mistake("no label", where, expected))
    return found


def _without_annotation(part: _Part) -> list[int]:
    """COCO's ids of the images without any annotation."""
    annotated = {annotation["image_id"] for annotation in part.file.annotations}
    images = part.file.images.items()
    return [number for number, image in images if number not in annotated and is_path(image.file_name)]


def _splits(samples: Mapping[Split, tuple[Sample, ...]]) -> Splits:
    """Training and test images; the same twice without a split."""
    everything = samples.get("all", ())
    return Splits(samples.get("train", everything), samples.get("test", everything))


def _read_truth(root: Path, names: Mapping[int, str], paths: Mapping[str, Path]) -> GroundTruth:
    collector = Collector()
    sizes = ImageSizes(collector)
    for part in _read_parts(root):
        segmentations = _Segmentations()
        collector.mistakes += part.file.mistakes
        for index, annotation in enumerate(part.file.annotations):
            name = annotation["id"] if is_id(annotation.get("id")) else f"number {index + 1}"
            where = f"{part.file.path}, annotation {name}"
            image = part.file.images.get(annotation["image_id"])
            if image is None:
                collector.note("unknown image", where, f"expected the id of an image, got {annotation['image_id']}")
            # An image that was left out completely is reported by `read`.
            elif (image_id := part.image_id(image)) in paths and (hw := image.image_hw or sizes(paths[image_id])):
                _add_annotation(collector, segmentations, annotation, names, image_id, hw, where)
        _add_masks(collector, segmentations, part.file.path)
    return collector.ground_truth()


@dataclass(frozen=True)
class _Segmentations:
    """The segmentations of images, None for an annotation without one, and the image sizes in the file."""

    objects: dict[str, list[tuple[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    """With the name of the category."""
    crowds: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)


def _add_annotation(
    collector: Collector,
    segmentations: _Segmentations,
    annotation: Mapping[str, Any],
    names: Mapping[int, str],
    image_id: str,
    image_hw: tuple[int, int],
    where: str,
) -> None:
    segmentations.sizes[image_id] = image_hw
    segmentation = annotation.get("segmentation") or None
    if annotation.get("iscrowd"):
        segmentations.crowds[image_id].append(segmentation)
    elif annotation["category_id"] not in names:
        collector.note("unknown class", where, f"expected a category of the file, got {annotation['category_id']}")
    else:
        name = names[annotation["category_id"]]
        segmentations.objects[image_id].append((name, segmentation))
        try:
            collector.add(image_id, _corners(annotation, image_hw), image_hw, where, name)
        except _NoBoxError as error:
            collector.note(error.kind, where, str(error))


def _add_masks(collector: Collector, segmentations: _Segmentations, path: Path) -> None:
    boxed = collector.ground_truth()
    for image_id, objects in segmentations.objects.items():
        # A mask without one of the objects or crowds would count correct pixels as wrong.
        crowds, hw, where = segmentations.crowds[image_id], segmentations.sizes[image_id], f"{path}, {image_id}"
        if image_id in boxed and all(shape for _, shape in objects) and all(crowds):
            add_coco_masks(collector, image_id, objects, crowds, hw, where)


class _NoBoxError(Exception):
    """The mistake of an annotation without a usable box."""

    def __init__(self, kind: Kind, what: str) -> None:
        super().__init__(what)
        self.kind = kind


def _corners(annotation: Mapping[str, Any], image_hw: tuple[int, int]) -> Xyxy:
    """The box of an annotation, or else that of its segmentation.

    Raises:
        _NoBoxError: it has neither.
    """
    bbox, segmentation = annotation.get("bbox"), annotation.get("segmentation")
    if bbox:
        if not (isinstance(bbox, list) and len(bbox) == 4 and all(map(is_number, bbox))):
            raise _NoBoxError(
                "not a number", f"expected bbox [x, y, width, height] of four numbers, got {short_repr(bbox)}"
            )
        x, y, width, height = map(to_float, bbox)
        return x, y, x + width, y + height
    if not segmentation:
        what = f"expected bbox [x, y, width, height] or a segmentation, got {kind_of(annotation)}"
        raise _NoBoxError("no true box", what)
    try:
        return bounds_of(segmentation, image_hw)
    except ValueError as error:
        raise _NoBoxError("no true box", f"no bbox, and an unusable segmentation: {error}") from None
