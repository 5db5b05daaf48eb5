"""Crops, checked with Pillow and by our own reader of class folders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_data.predictions import CORPUS, COUNTED, TURNED, line, ones, write_predictions
from PIL import Image

from wsol.data.images import read_image
from wsol.data.open import open_data
from wsol.errors import BrokenImage, WsolError
from wsol.formats.crops import _safe, write_crops
from wsol.predictions.records import Prediction

FOLDERS = ("Amsel & Drossel", "the _great_ _tit_", "Käuzchen 梟")


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_every_object_is_a_file_below_its_class(tmp_path: Path) -> None:
    write_crops(write_predictions(tmp_path), tmp_path)
    assert files_of(tmp_path / "crops") == {
        "Amsel & Drossel/a_owl_1.jpg",
        "the _great_ _tit_/a_owl_1.jpg",
        "the _great_ _tit_/a_o & 'u' \"x\"_1.jpg",
        "the _great_ _tit_/a_o & 'u' \"x\"_2.jpg",
        "Käuzchen 梟/b_at borders_1.jpg",
        "Käuzchen 梟/b_梟 ö_1.jpg",
        "Käuzchen 梟/b_梟 ö_2.jpg",
        "Amsel & Drossel/images_corners_1.jpg",
        "Amsel & Drossel/turned_1.jpg",
    }


@pytest.mark.parametrize(
    ("image", "name"),
    [("a/owl.jpg", "a_owl_1.jpg"), (TURNED, "turned_1.jpg"), ("images/corners.jpg", "images_corners_1.jpg")],
)
def test_a_crop_holds_the_upright_pixels_of_its_box(tmp_path: Path, image: str, name: str) -> None:
    write_crops(write_predictions(tmp_path), tmp_path)
    (one,) = next(prediction for prediction in CORPUS if prediction.image == image).objects
    x0, y0, x1, y1 = map(int, one.xyxy)
    with Image.open(tmp_path / "crops" / FOLDERS[0] / name) as crop:
        pixels = np.asarray(crop).astype(int)
    expected = read_image(tmp_path / "images" / image)[y0:y1, x0:x1]
    assert pixels.shape == expected.shape
    assert np.abs(pixels - expected).mean() < 4  # quality 95


def test_the_crops_are_a_data_set_of_class_folders(tmp_path: Path) -> None:
    write_crops(write_predictions(tmp_path), tmp_path)
    assert set(open_data(tmp_path / "crops").class_names) == set(FOLDERS)


@pytest.mark.parametrize(("lines", "counts"), COUNTED)
def test_counts_include_images_without_an_object(
    tmp_path: Path, lines: tuple[Prediction, ...], counts: dict[str, int]
) -> None:
    assert write_crops(write_predictions(tmp_path, lines), tmp_path) == counts
    assert len(files_of(tmp_path / "crops")) == counts["objects"]


def test_equal_names_get_a_number(tmp_path: Path) -> None:
    mask = ones((40, 60), (1, 1, 9, 9))
    images = ["a/b.jpg", "a_b.jpg", "a/b.png", "A/b.jpg", "o\u0308.jpg", "\u00f6.jpg"]
    write_crops(write_predictions(tmp_path, tuple(line(image, 0, mask) for image in images)), tmp_path)
    assert files_of(tmp_path / "crops" / FOLDERS[0]) == {
        "a_b_1.jpg",
        "a_b_1(2).jpg",
        "a_b_1(3).jpg",
        "A_b_1(4).jpg",
        "o\u0308_1.jpg",
        "\u00f6_1(2).jpg",
    }


def test_equal_class_folders_get_a_number_too(tmp_path: Path) -> None:
    mask = ones((40, 60), (1, 1, 9, 9))
    opened = write_predictions(tmp_path, (line("1.jpg", 0, mask), line("2.jpg", 1, mask), line("3.jpg", 2, mask)))
    write_crops(replace(opened, class_names=("a/b", "a:b", "A_b")), tmp_path)
    assert files_of(tmp_path / "crops") == {"a_b/1_1.jpg", "a_b(2)/2_1.jpg", "A_b(3)/3_1.jpg"}


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        pytest.param("owl", "owl", id="as it is"),
        pytest.param("..", "__", id="the folder above"),
        pytest.param("a/../b\\c", "a_.._b_c", id="separators"),
        pytest.param(".hidden", "_hidden", id="hidden"),
        pytest.param("end. ", "end._", id="an end that Windows drops"),
        pytest.param("", "_", id="empty"),
        pytest.param("con", "con_", id="a device of Windows"),
        pytest.param("Aux.old", "Aux_.old", id="the same with a suffix"),
        pytest.param("contour", "contour", id="no device"),
    ],
)
def test_a_class_is_the_name_of_one_folder(name: str, safe: str) -> None:
    assert _safe(name) == safe


@pytest.mark.parametrize(
    ("harm", "expected", "text"),
    [
        pytest.param(Path.unlink, WsolError, "no image at", id="missing"),
        pytest.param(lambda path: path.write_bytes(b"no"), BrokenImage, "cannot decode", id="broken"),
        pytest.param(lambda path: Image.new("RGB", (9, 9)).save(path), WsolError, "has changed", id="another size"),
    ],
)
def test_an_image_that_has_changed_is_an_error(
    tmp_path: Path, harm: Callable[[Path], object], expected: type[WsolError], text: str
) -> None:
    opened = write_predictions(tmp_path, CORPUS[:1])
    harm(tmp_path / "images/a/owl.jpg")
    with pytest.raises(expected, match=text):
        write_crops(opened, tmp_path)
