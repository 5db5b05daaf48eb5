"""ImageNet-1K as unpacked by hand, and as Kaggle packs it: few classes, few images, the true names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from fake_data.images import write_image
from fake_data.voc import Object, write_xml

TRAIN = {"n01440764": 2, "n01443537": 1}
"""Images a class."""


def val_name(number: int) -> str:
    """The stem of a validation image."""
    return f"ILSVRC2012_val_{number:08}"


def write_train(images: Path, train: Mapping[str, int] = TRAIN) -> None:
    """`train/<wnid>/<wnid>_<number>.JPEG`."""
    for wnid, count in train.items():
        for number in range(count):
            write_image(images / "train" / wnid / f"{wnid}_{number}.JPEG")


def write_val(folder: Path, wnids: Sequence[str | None]) -> None:
    """Validation images, numbered from 1: in the folder of their wnid, or flat."""
    for number, wnid in enumerate(wnids, start=1):
        write_image(folder / (wnid or "") / f"{val_name(number)}.JPEG")


def write_xmls(folder: Path, objects: Mapping[int, Sequence[Object]]) -> None:
    """Annotations of validation images by number; their `<filename>` has no suffix."""
    for number, found in objects.items():
        write_xml(folder / f"{val_name(number)}.xml", found, file_name=val_name(number), folder="val")


def write_solution(table: Path, objects: Mapping[int, Sequence[Object]]) -> None:
    """Kaggle's table."""
    lines = [
        f"{val_name(number)}," + " ".join(str(word) for one in found for word in one)
        for number, found in objects.items()
    ]
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text("\n".join(["ImageId,PredictionString", *(f"{line} " for line in lines)]) + "\n")
