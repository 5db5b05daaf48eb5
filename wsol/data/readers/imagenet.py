"""ImageNet-1K and subsets of it (Russakovsky et al. 2015): as unpacked, sorted by class, or as Kaggle packs it.

Images are `train/<wnid>/*.JPEG`, and `val/` flat or by wnid (WordNet id); boxes are one PASCAL VOC XML file per image,
or Kaggle's `LOC_val_solution.csv`.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

from wsol.data.ground_truth import Collector, GroundTruth, Mistake
from wsol.data.images import images_under
from wsol.data.readers import tiny_imagenet
from wsol.data.readers.voc_xml import VocObject, VocXml, collect, parse
from wsol.data.samples import WNID, DataSet, Sample
from wsol.errors import NoGroundTruth, WsolError
from wsol.storage.litter import is_litter
from wsol.text import number_of

FLAT = re.compile(r"ILSVRC2012_val_\d{8}\.(?i:jpe?g|png)")
IMAGE_ROOTS = ("", "Data/CLS-LOC", "ILSVRC/Data/CLS-LOC")
HELD_OUT = ("val", "test")
"""The first of these with labels is used: subsets have either name, and ImageNet's own `test` has no labels."""
XML_FOLDERS = (
    "Annotations/CLS-LOC/{split}",
    "Annotations/{split}",
    "annotations/{split}",
    "{split}_annotations",
    "bbox/{split}",
)
FLAT_XML_FOLDERS = ("Annotations/CLS-LOC", "Annotations", "annotations", "bbox")
RESTORE = "Restore them as published, or use `wsol predict` for boxes without an evaluation."

Annotate = Callable[[Path], VocXml]
"""Returns the annotation of an image. Raises `WsolError`."""


def recognise(root: Path) -> bool:
    """Whether there are wnid folders in `train` or `val`, ImageNet's own file names in `val`, or Kaggle's
    annotations.
    """
    # Class folders with our own form of ground truth (class_folders.py) may have wnids as names.
    has_own_truth = (root / "boxes.csv").exists() or (root / "masks").exists()
    is_annotated = any((root / name / "Annotations/CLS-LOC").is_dir() for name in ("", "ILSVRC"))
    return not (has_own_truth or tiny_imagenet.recognise(root)) and (is_annotated or _image_root(root) is not None)


def read(root: Path, images: Path | None = None) -> DataSet:
    """Read images and labels. XML is read only for a flat `val`, since its labels are only there.

    Args:
        root: the data set.
        images: the folder that holds `train` and `val`, if it is not `root`.

    Raises:
        WsolError: no ImageNet images, or a flat `val` without annotations.
    """
    image_root = _image_root(images or root)
    if image_root is None:
        raise WsolError(
            f"no ImageNet images in {images or root}",
            expected="train/<wnid>/*.JPEG, or val/ flat or by wnid",
            remedy="Give the folder that holds train and val.",
        )
    held_out = _held_out(image_root)
    annotations = cache(partial(_annotations, root, held_out or image_root / "train"))
    wnids = _wnids(image_root / "train")
    named = [(path, _class_of(path, held_out, annotations)) for path in images_under(held_out)] if held_out else []
    class_names = tuple(wnids or sorted({name for _, name in named if name and isinstance(name, str)}))
    in_train = ((path, wnid) for wnid in wnids for path in images_under(image_root / "train" / wnid))
    mistakes: list[Mistake] = []
    train = tuple(_labelled(in_train, image_root, class_names, mistakes))
    test = tuple(_labelled(iter(named), image_root, class_names, mistakes)) if held_out else train
    return DataSet(
        "ImageNet-1K",
        root,
        class_names,
        train,
        test,
        held_out is not None,
        lambda: _read_truth(test, class_names, annotations),
        tuple(mistakes),
        tuple(folder for folder in (image_root / "train", held_out) if folder and folder.is_dir()),
    )


def _image_root(folder: Path) -> Path | None:
    return next((root for root in (folder / name for name in IMAGE_ROOTS) if _holds_images(root)), None)


def _holds_images(folder: Path) -> bool:
    classes = _folders(folder / "train")
    return bool(_wnids(folder / "train")) if classes else _held_out(folder) is not None


def _held_out(image_root: Path) -> Path | None:
    folders = (image_root / name for name in HELD_OUT)
    return next((folder for folder in folders if _wnids(folder) or _is_flat(folder)), None)


def _folders(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not is_litter(entry.name))


def _wnids(folder: Path) -> list[str]:
    """The names of the folders if all are wnids, else none."""
    names = _folders(folder)
    return names if all(WNID.fullmatch(name) for name in names) else []


def _is_flat(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(FLAT.fullmatch(entry.name) for entry in entries)


def _class_of(image: Path, held_out: Path, annotations: Callable[[], Annotate]) -> str | Mistake:
    """The wnid of a held-out image, from its folder or from its annotation."""
    folder = image.relative_to(held_out).parts[0]
    if WNID.fullmatch(folder):
        return folder
    annotate = annotations()
    try:
        xml = annotate(image)
    except WsolError as error:
        return Mistake("no true box", str(image), str(error))
    names = sorted({one.class_name for one in xml.objects})
    if len(names) > 1:
        return Mistake("several classes", xml.where, f"expected objects of one class, got {', '.join(names)}")
    expected = "expected an object, whose name is the image's label, got none"
    return names[0] if names else Mistake("no true box", xml.where, expected)


def _labelled(
    named: Iterator[tuple[Path, str | Mistake]], image_root: Path, class_names: tuple[str, ...], mistakes: list[Mistake]
) -> Iterator[Sample]:
    labels = {name: label for label, name in enumerate(class_names)}
    for path, name in named:
        if isinstance(name, Mistake):
            mistakes.append(name)
        elif name not in labels:
            expected = f"expected one of the {number_of(len(labels), 'class')} of {image_root / 'train'}, got {name!r}"
            mistakes.append(Mistake("unknown class", str(path), expected))
        else:
            # This runs a million times, and relative_to takes ten times as long.
            yield Sample(path.as_posix().removeprefix(f"{image_root.as_posix()}/"), path, labels[name])


def _read_truth(
    samples: tuple[Sample, ...], class_names: tuple[str, ...], annotations: Callable[[], Annotate]
) -> GroundTruth:
    # Corners unchanged as in the XML, as in wsolevaluation's list, so that the results are equal.
    ground_truth = Collector(corners_are_pixels=True)
    annotate = annotations()
    for sample in samples:
        try:
            xml = annotate(sample.path)
        except WsolError as error:
            ground_truth.note("no true box", str(sample.path), str(error))
        else:
            collect(ground_truth, sample, (class_names[sample.label],), xml, first_pixel=0)
    return ground_truth.ground_truth()


def _annotations(root: Path, image_root: Path) -> Annotate:
    """A function that returns annotations of `val` or `train`; each is read once, when it is needed."""
    top, split = _top(root), image_root.name
    tables = [base / f"LOC_{split}_solution.csv" for base in (top, top.absolute().parent)]  # Kaggle: beside ILSVRC
    bases = (top, top / "ILSVRC")
    deep = [base / name.format(split=split) for base in bases for name in XML_FOLDERS]
    flat = [base / name for base in bases for name in FLAT_XML_FOLDERS]
    solution = next((_read_solution(table) for table in tables if table.is_file()), {})
    files = next(filter(None, (_xml_files(folder, folder not in flat) for folder in (*deep, *flat, image_root))), {})
    if not files and not solution:
        searched = ", ".join(map(str, (*tables, *deep, *flat, image_root)))
        raise NoGroundTruth(f"no boxes for {image_root}", expected=f"<image>.xml in one of {searched}", remedy=RESTORE)

    @cache
    def annotate(image: Path) -> VocXml:
        if image.stem in solution:
            return solution[image.stem]
        if image.stem not in files:
            raise WsolError(f"no boxes for {image}", expected=f"{image.stem}.xml beside the others", remedy=RESTORE)
        return parse(files[image.stem])

    return annotate


def _top(root: Path) -> Path:
    """The top folder of annotations; for Kaggle's layout, `root` may be the folder of the images."""
    return root.absolute().parents[1] if root.absolute().name == "CLS-LOC" else root


def _xml_files(folder: Path, is_deep: bool) -> dict[str, Path]:
    """XML files by stem; ImageNet's file names are unique."""
    found: dict[str, Path] = {}
    for parent, folders, names in os.walk(folder, followlinks=True):
        found |= {name[:-4]: Path(parent, name) for name in names if name.endswith(".xml")}
        if not is_deep:
            folders.clear()
    return found


def _read_solution(table: Path) -> dict[str, VocXml]:
    """Kaggle's table: `ImageId,PredictionString` with five words per box."""
    found = {}
    with table.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        rows = csv.reader(lines)
        try:
            for row in rows:
                if row and row != ["ImageId", "PredictionString"]:
                    where = f"{table}, line {rows.line_num}"
                    image, text = row
                    found[image] = VocXml(where, objects=_solved(text.split()))
        except (ValueError, csv.Error):
            raise WsolError(
                f"{table}, line {rows.line_num}",
                expected="`ImageId,PredictionString` with wnid x0 y0 x1 y1 per box",
                got="something else",
                remedy="Restore the published table.",
            ) from None
    return found


def _solved(words: list[str]) -> tuple[VocObject, ...]:
    boxes = (words[i : i + 5] for i in range(0, len(words), 5))
    return tuple(VocObject(n, (float(a), float(b), float(c), float(d))) for n, a, b, c, d in boxes)
