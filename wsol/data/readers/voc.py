"""PASCAL VOC (Everingham et al. 2010), also as written by annotation tools: one XML file per image."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import islice
from pathlib import Path, PurePosixPath, PureWindowsPath

from wsol.data.ground_truth import Collector, GroundTruth, Mistake
from wsol.data.images import is_image
from wsol.data.readers.voc_xml import VocXml, collect, parse
from wsol.data.samples import NO_LABEL, DataSet, Sample, Splits
from wsol.errors import WsolError

IMAGE_FOLDERS = ("JPEGImages", "images")
TRAIN_LISTS = ("train", "trainval")
TEST_LISTS = ("test", "val")


def recognise(root: Path) -> bool:
    """Whether there are XML files in `Annotations`, or VOC's XML files beside the images."""
    if next((root / "Annotations").glob("*.xml"), None):
        return True
    return any("<annotation" in _head(path) for path in islice(root.glob("*.xml"), 5))


def read(root: Path, images: Path | None = None) -> DataSet:
    """Read images, labels (the class of their objects) and the split of `ImageSets/Main`, if there is one.

    Args:
        root: the folder that holds `Annotations`, or the XML files themselves.
        images: the folder of the images, if it is not the usual one.

    Raises:
        WsolError: no XML, or a list that is not text.
    """
    mistakes: list[Mistake] = []
    files = _xml_files(root)
    train_stems, test_stems = _split(root / "ImageSets" / "Main", files, mistakes)
    without: dict[str, VocXml] = {}
    usable = dict(_usable({stem: files[stem] for stem in (*train_stems, *test_stems)}, mistakes, without))
    class_names = tuple(sorted({one.class_name for xml in usable.values() for one in xml.objects}))
    samples = _samples(usable | without, class_names, _image_root(root, images), mistakes)

    def of_split(annotated: Mapping[str, VocXml]) -> Splits:
        train = tuple(samples[stem] for stem in train_stems if stem in samples and stem in annotated)
        test = tuple(samples[stem] for stem in test_stems if stem in samples and stem in annotated)
        return Splits(train, train if train_stems is test_stems else test)

    train, test = of_split(usable)
    labelled = {stem: sample for stem, sample in samples.items() if stem in usable}
    return DataSet(
        "PASCAL VOC",
        root,
        class_names,
        train,
        test,
        train_stems is not test_stems,
        lambda: _read_truth(labelled, usable, class_names),
        tuple(mistakes),
        unlabelled=of_split(without),
    )


def _head(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(1000)


def _xml_files(root: Path) -> dict[str, Path]:
    """XML files by stem, sorted."""
    for folder in (root / "Annotations", root):
        found = {path.stem: path for path in sorted(folder.glob("*.xml")) if not path.name.startswith(".")}
        if found:
            return found
    raise WsolError(
        f"no annotations in {root}",
        expected="Annotations/*.xml, or *.xml beside the images",
        remedy="Give the folder that holds Annotations.",
    )


# The split


def _split(folder: Path, files: Mapping[str, Path], mistakes: list[Mistake]) -> tuple[list[str], list[str]]:
    """Stems of training and test images; the same list twice if there is no split."""
    train = _listed(folder, TRAIN_LISTS, files, mistakes)
    test = _listed(folder, TEST_LISTS, files, mistakes)
    if not test:
        everything = train or list(files)
        return everything, everything
    held_out = set(test)
    return [stem for stem in train if stem not in held_out], test  # trainval includes val


def _listed(folder: Path, names: tuple[str, ...], files: Mapping[str, Path], mistakes: list[Mistake]) -> list[str]:
    """The stems of the first list with annotated images: VOC's test images often come without annotations."""
    for table in (folder / f"{name}.txt" for name in names):
        stems = _stems(table)
        annotated = [stem for stem in stems if stem in files]
        if annotated:
            expected = "expected an annotation of every listed image, got none"
            mistakes += [Mistake("no true box", f"{table}, {stem}", expected) for stem in stems if stem not in files]
            return annotated
    return []


def _stems(table: Path) -> list[str]:
    try:
        lines = table.read_text(encoding="utf-8-sig").split("\n") if table.is_file() else []
    except UnicodeDecodeError as error:
        raise WsolError(
            f"{table} is not text ({error})", expected="UTF-8", remedy="Restore the published list."
        ) from None
    return list(dict.fromkeys(line.strip() for line in lines if line.strip()))


# Labels and images


def _usable(
    files: Mapping[str, Path], mistakes: list[Mistake], without: dict[str, VocXml]
) -> Iterator[tuple[str, VocXml]]:
    """The annotations with objects that have classes, by stem; those without any object are added to `without`."""
    for stem, path in files.items():
        try:
            xml = parse(path)
        except WsolError as error:
            mistakes.append(Mistake("no true box", str(path), str(error)))
            continue
        names = {one.class_name for one in xml.objects}
        if not names:
            mistakes.append(Mistake("no label", xml.where, "expected an object, whose name is the label, got none"))
            without[stem] = xml
        elif "" in names:
            mistakes.append(Mistake("unknown class", xml.where, "expected a name of every object, got none"))
        else:
            yield stem, xml


def _samples(
    annotated: Mapping[str, VocXml], class_names: tuple[str, ...], folder: Path, mistakes: list[Mistake]
) -> dict[str, Sample]:
    labels = {name: label for label, name in enumerate(class_names)}
    images = cache(_images)
    samples: dict[str, Sample] = {}
    taken: dict[str, str] = {}
    for stem, xml in annotated.items():
        image_id = _image_id(stem, xml, folder, images)
        if taken.setdefault(image_id, xml.where) != xml.where:
            expected = f"expected one annotation an image, but {image_id} is annotated in {taken[image_id]} too"
            mistakes.append(Mistake("unknown image", xml.where, expected))
        else:
            found = sorted({labels[one.class_name] for one in xml.objects}) or [NO_LABEL]
            samples[stem] = Sample(image_id, folder / image_id, found[0], tuple(found[1:]))
    return samples


def _image_root(root: Path, images: Path | None) -> Path:
    return images or next((root / name for name in IMAGE_FOLDERS if (root / name).is_dir()), root)


def _image_id(stem: str, xml: VocXml, folder: Path, images: Callable[[Path], Mapping[str, list[str]]]) -> str:
    """The image's path relative to `folder`, also in the subfolder `<folder>`: the XML file's own name takes precedence
    over `<filename>`.
    """
    file_name = PureWindowsPath(xml.file_name).name  # some tools write an absolute path
    for below in ("", PureWindowsPath(xml.folder).name.lstrip(".")):
        by_stem = images(folder / below)
        found = by_stem.get(stem) or by_stem.get(PureWindowsPath(file_name).stem, [])
        if found:
            return (PurePosixPath(below) / (file_name if file_name in found else found[0])).as_posix()
    return file_name or f"{stem}.jpg"


def _images(folder: Path) -> Mapping[str, list[str]]:
    """Names of images by stem; an image may exist in two formats."""
    by_stem: dict[str, list[str]] = defaultdict(list)
    for name in sorted(os.listdir(folder)) if folder.is_dir() else []:
        if is_image(Path(name)):
            by_stem[Path(name).stem].append(name)
    return dict(by_stem)


def _read_truth(
    samples: Mapping[str, Sample], annotated: Mapping[str, VocXml], class_names: tuple[str, ...]
) -> GroundTruth:
    ground_truth = Collector()
    for stem, sample in samples.items():
        names = [class_names[label] for label in sample.labels]
        collect(ground_truth, sample, names, annotated[stem], first_pixel=1)
    return ground_truth.ground_truth()
