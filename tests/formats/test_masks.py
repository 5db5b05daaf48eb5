"""Mask PNGs, checked with Pillow and OpenCV."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_data.predictions import CORPUS, COUNTED_WITH_NAMES, line, ones, write_predictions
from PIL import Image

from wsol.data.images import read_mask
from wsol.formats.masks import write_masks
from wsol.predictions.records import Prediction

PNGS = ["a/owl", "a/owl_png", "a/o & 'u' \"x\"", "b/at borders", "b/梟 ö", "b/empty", "images/corners", "turned"]


def test_two_readers_find_every_mask_by_its_number(tmp_path: Path) -> None:
    write_masks(write_predictions(tmp_path), tmp_path)
    written = {path.relative_to(tmp_path / "masks").as_posix() for path in (tmp_path / "masks").rglob("*.png")}
    assert written == {f"{name}.png" for name in PNGS}
    for name, prediction in zip(PNGS, CORPUS, strict=True):
        path = tmp_path / "masks" / f"{name}.png"
        values = np.asarray(Image.open(path))
        assert values.shape == prediction.image_hw and values.max() == len(prediction.objects)
        assert np.array_equal(cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED), values)
        assert np.array_equal(read_mask(path), values > 0)
        for number, one in enumerate(prediction.objects, start=1):
            assert np.array_equal(values == number, one.mask())


def test_the_earlier_of_overlapping_objects_is_on_top(tmp_path: Path) -> None:
    first, second = ones((40, 60), (0, 0, 9, 9)), ones((40, 60), (5, 5, 20, 20))
    write_masks(write_predictions(tmp_path, (line("a.jpg", 0, first, second),)), tmp_path)
    values = np.asarray(Image.open(tmp_path / "masks/a.png"))
    assert np.array_equal(values, np.where(first, 1, np.where(second, 2, 0)))


@pytest.mark.parametrize(("objects", "bits"), [(255, np.uint8), (256, np.uint16)])
def test_many_objects_need_sixteen_bits(tmp_path: Path, objects: int, bits: type[np.generic]) -> None:
    masks = [
        ones((40, 60), (number % 60, number // 60, number % 60 + 1, number // 60 + 1)) for number in range(objects)
    ]
    many = line("a.jpg", 0, *masks[:1])
    many = Prediction(
        many.image, many.image_hw, tuple(line("", 0, mask).objects[0] for mask in masks), 0, many.class_name, ()
    )
    write_masks(write_predictions(tmp_path, (many,)), tmp_path)
    values = np.asarray(Image.open(tmp_path / "masks/a.png"))
    assert values.dtype == bits
    assert np.array_equal(np.unique(values), np.arange(objects + 1))


@pytest.mark.parametrize(("lines", "counts"), COUNTED_WITH_NAMES)
def test_counts_and_the_readme_agree_with_the_files(
    tmp_path: Path, lines: tuple[Prediction, ...], counts: dict[str, int]
) -> None:
    assert write_masks(write_predictions(tmp_path, lines), tmp_path) == counts
    text = (tmp_path / "README.txt").read_text(encoding="utf-8")
    assert ("    a/owl.png -> a/owl_png.png\n" in text) == bool(counts["renamed"])
    assert "masks = {path: numpy" in text
