"""Stanford Dogs as published (Khosla et al. 2011): `Images/<wnid>-<breed>/*.jpg`, and `Annotation/` with one XML file
without suffix an image.

The published split is in MATLAB files, which are not read; so there is no split.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from wsol.data.ground_truth import Collector, GroundTruth
from wsol.data.images import images_under
from wsol.data.readers.voc_xml import collect, parse
from wsol.data.samples import DataSet, Sample
from wsol.errors import NoGroundTruth, WsolError
from wsol.storage.litter import is_litter

KIND = "Stanford Dogs"
IMAGE_FOLDERS = ("Images", "images/Images")
"""As published, and as Kaggle packs it."""
XML_FOLDERS = ("Annotation", "annotations/Annotation")
CLASS = re.compile(r"n\d{8}-.+")


def recognise(root: Path) -> bool:
    """Whether the folders of the images have names of breeds with WordNet ids, beside the annotations."""
    return _image_root(root, None) is not None and _xml_root(root) is not None


def read(root: Path, images: Path | None = None) -> DataSet:
    """Read images and labels; boxes are read later.

    Args:
        root: the folder of `Images` and `Annotation`.
        images: the folder of the class folders, if it is not `Images`.

    Raises:
        WsolError: no class folders.
    """
    folder = _image_root(root, images)
    if folder is None:
        raise WsolError(
            f"no class folders in {images or root}",
            expected="folders such as Images/n02085620-Chihuahua",
            remedy="Give the folder that holds Images and Annotation.",
        )
    class_names = _classes(folder)
    samples = tuple(
        Sample(path.relative_to(folder).as_posix(), path, label)
        for label, name in enumerate(class_names)
        for path in images_under(folder / name)
    )
    has_lists = any(next(base.glob("*_list.mat"), None) for base in (root, root / "lists") if base.is_dir())
    doubts = ("its split is in MATLAB files (lists/*.mat), which are not read: all images are in both splits",)
    return DataSet(
        KIND,
        root,
        class_names,
        samples,
        samples,
        False,
        lambda: _read_truth(root, samples, class_names),
        listed=(folder, *(folder / name for name in class_names)),
        doubts=doubts if has_lists else (),
    )


def _image_root(root: Path, images: Path | None) -> Path | None:
    folders = [root / name for name in IMAGE_FOLDERS] if images is None else [images]
    return next((folder for folder in folders if _classes(folder)), None)


def _classes(folder: Path) -> tuple[str, ...]:
    """The names of the folders if all have the form of a class, else none."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    names = [name for name in names if not is_litter(name)]
    return tuple(names) if all(map(CLASS.fullmatch, names)) else ()


def _xml_root(root: Path) -> Path | None:
    return next((root / name for name in XML_FOLDERS if (root / name).is_dir()), None)


def _read_truth(root: Path, samples: tuple[Sample, ...], class_names: tuple[str, ...]) -> GroundTruth:
    folder = _xml_root(root)
    if folder is None:
        raise NoGroundTruth(
            f"no boxes in {root}", expected="the folder Annotation", remedy="Unpack annotation.tar beside Images."
        )
    # Corners unchanged as in the XML, as for ImageNet, whose images these are.
    ground_truth = Collector(corners_are_pixels=True)
    for sample in samples:
        name = class_names[sample.label]
        path = folder / Path(sample.image_id).with_suffix("")
        try:
            xml = parse(path)
        except WsolError as error:
            ground_truth.note("no true box", str(path), str(error))
            continue
        breed = name.partition("-")[2]
        objects = tuple(replace(one, class_name=name) if one.class_name == breed else one for one in xml.objects)
        collect(ground_truth, sample, (name,), replace(xml, objects=objects), first_pixel=0)
    return ground_truth.ground_truth()
