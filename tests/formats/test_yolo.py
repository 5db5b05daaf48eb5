"""YOLO export, checked with a reader written from `spec/users.md` and from what ultralytics does."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from fake_data.run_lengths import no_mask
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wsol.commands.export import checked
from wsol.data.images import read_image
from wsol.errors import BrokenImage, WsolError
from wsol.formats.images import unique_names
from wsol.formats.yolo import _rows, write_yolo, write_yolo_polygons
from wsol.geometry.boxes import Xyxy
from wsol.predictions.records import LINES, PredictedObject, Prediction, Predictions, open_predictions, write_lines
from wsol.storage.folders import write_manifest

CLASSES = ("Amsel & Drossel", 'the "great": tit', "no", "Käuzchen 梟", "12", "x" * 200 + " y")
READ_BY_ULTRALYTICS = {".bmp", ".dng", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp", ".pfm", ".heic"}


def predicted(image: str, *boxes: Xyxy, label: int | None = 0, image_hw: tuple[int, int] = (40, 60)) -> Prediction:
    """A line of predictions.jsonl; YOLO has no masks."""
    rle = no_mask(image_hw)
    objects = tuple(
        PredictedObject((float(x0), float(y0), float(x1), float(y1)), 0.875 - number / 8, rle)
        for number, (x0, y0, x1, y1) in enumerate(boxes)
    )
    return Prediction(image, image_hw, objects, label, None if label is None else CLASSES[label], ())


CORPUS = [
    predicted("a/owl.jpg", (10, 5, 30, 25)),
    predicted("a/owl.png", (0, 0, 60, 40), label=3),
    predicted("a/o & 'u' \"x\".jpg", (0, 0, 7, 7), (30, 20, 50, 39), label=1),
    predicted("a/sub.dir/v1.2.jpg", (59, 39, 60, 40), label=5),
    predicted("b/empty.jpg"),
    predicted("b/梟 ö.webp", (1, 2, 3, 4), label=2),
    predicted("owl.jpg", (3, 30, 33, 59), image_hw=(60, 40), label=4),
]


def draw(root: Path, prediction: Prediction, orientation: int = 1) -> None:
    """Write an image whose upright corners are red, green, blue and white."""
    height, width = prediction.image_hw
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[: height // 2, : width // 2, 0] = pixels[: height // 2, width // 2 :, 1] = pixels[
        height // 2 :, : width // 2, 2
    ] = 255
    pixels[height // 2 :, width // 2 :] = 255
    upright = Image.fromarray(pixels)
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        6: Image.Transpose.ROTATE_90,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = root / prediction.image
    path.parent.mkdir(parents=True, exist_ok=True)
    (upright if undo is None else upright.transpose(undo)).save(path, exif=exif if orientation != 1 else Image.Exif())


def folder_of(tmp_path: Path, lines: list[Prediction], orientations: dict[str, int] | None = None) -> Predictions:
    """A finished prediction folder and its images, opened and checked."""
    folder = tmp_path / "predictions"
    folder.mkdir()
    for prediction in lines:
        draw(tmp_path / "images", prediction, (orientations or {}).get(prediction.image, 1))
    write_lines(folder / LINES, lines)
    write_manifest(folder, "predict", {}, {}, {"image_root": str(tmp_path / "images"), "class_names": CLASSES})
    return checked(open_predictions(folder))


def export(tmp_path: Path, lines: list[Prediction], orientations: dict[str, int] | None = None) -> Path:
    """Write to a new folder, as the stage does but without a manifest."""
    out = tmp_path / "yolo"
    out.mkdir()
    write_yolo(folder_of(tmp_path, lines, orientations), out)
    return out


def read_yolo(out: Path) -> dict[str, list[tuple[str, Xyxy, float]]]:
    """Read the export as trainers do and refuse what they refuse: image below images/ -> class, box in pixels,
    score."""
    data = yaml.safe_load((out / "data.yaml").read_text(encoding="utf-8"))
    assert data.keys() == {"path", "train", "val", "names"}
    root = Path(data["path"], data["train"])
    assert root == Path(data["path"], data["val"]) == out / "images"
    assert list(data["names"]) == list(range(len(data["names"])))
    read, labels = {}, set()
    for image in sorted(path for path in root.rglob("*") if path.is_file()):
        assert image.suffix.lower() in READ_BY_ULTRALYTICS
        label = Path("/labels/".join(str(image).rsplit("/images/", 1)).rsplit(".", 1)[0] + ".txt")
        scores = out / "scores" / label.relative_to(out / "labels")
        assert label not in labels, "two images share a label file"
        labels.add(label)
        with Image.open(image) as opened:
            assert opened.getexif().get(0x0112, 1) == 1
            width, height = opened.size
        rows = zip(label.read_text().splitlines(), scores.read_text().splitlines(), strict=True)
        read[image.relative_to(root).as_posix()] = [
            (*read_row(row, data["names"], (height, width)), float(score)) for row, score in rows
        ]
    assert labels == set((out / "labels").rglob("*.txt"))
    return read


def read_row(row: str, names: dict[int, str], image_hw: tuple[int, int]) -> tuple[str, Xyxy]:
    """One row: five columns, fractions of the image, a box with an area, a known class."""
    number, *columns = row.split(" ")
    assert len(columns) == 4
    assert all(len(column.partition(".")[2]) == 6 for column in columns)
    x, y, width, height = (float(column) for column in columns)
    assert all(math.isfinite(value) and 0 <= value <= 1 for value in (x, y, width, height))
    assert width > 0 and height > 0
    sides = image_hw[1], image_hw[0]
    return names[int(number)], (
        (x - width / 2) * sides[0],
        (y - height / 2) * sides[1],
        (x + width / 2) * sides[0],
        (y + height / 2) * sides[1],
    )


def assert_within_rounding(read: Xyxy, expected: Xyxy, image_hw: tuple[int, int]) -> None:
    """With six decimals, an edge is exact to a millionth of the image size."""
    height, width = image_hw
    assert np.all(np.abs(np.subtract(read, expected)) <= 1.000001e-6 * np.asarray([width, height, width, height]))


def test_a_second_reader_finds_every_image_box_class_and_score(tmp_path: Path) -> None:
    read = read_yolo(export(tmp_path, CORPUS, {"owl.jpg": 6}))
    names = [p.image.replace("a/owl.png", "a/owl_png.png") for p in CORPUS]
    assert sorted(read) == sorted(names)
    for name, prediction in zip(names, CORPUS, strict=True):
        assert len(read[name]) == len(prediction.objects)
        for (class_name, xyxy, score), one in zip(read[name], prediction.objects, strict=True):
            assert class_name == prediction.class_name
            assert score == one.score
            assert_within_rounding(xyxy, one.xyxy, prediction.image_hw)


def test_counts_and_the_readme_agree_with_the_files(tmp_path: Path) -> None:
    counts = write_yolo(folder_of(tmp_path, CORPUS, {"owl.jpg": 6}), tmp_path)
    assert counts == {"images": 7, "objects": 7, "empty_images": 1, "rewritten": 1, "renamed": 1}
    text = (tmp_path / "README.txt").read_text(encoding="utf-8")
    assert "Rewritten images: 1." in text
    assert "Renamed images: 1." in text
    assert "    a/owl.png -> a/owl_png.png\n" in text
    assert str(tmp_path / "data.yaml") in text
    assert "Käuzchen 梟" in (tmp_path / "data.yaml").read_text(encoding="utf-8"), "people read it too"


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_images_that_exif_rotates_are_written_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    line = predicted(f"owl.{suffix}", (1, 1, 5, 5))
    out = export(tmp_path, [line], {line.image: orientation})
    with Image.open(out / "images" / line.image) as written:
        pixels = np.asarray(written.convert("RGB")).astype(int)
    assert pixels.shape[:2] == line.image_hw
    assert np.abs(pixels - read_image(tmp_path / "images" / line.image)).mean() < 4  # quality 95
    assert not (out / "images" / line.image).samefile(tmp_path / "images" / line.image)


@pytest.mark.parametrize(
    ("image", "written", "as_it_is"),
    [
        pytest.param("a.JPG", "a.JPG", True, id="as it is"),
        pytest.param("a.jfif", "a.jpg", True, id="JPEG by another name"),
        pytest.param("a.gif", "a.png", False, id="not read by trainers"),
        pytest.param("a.ppm", "a.png", False, id="nor this"),
    ],
)
def test_trainers_can_open_every_image(tmp_path: Path, image: str, written: str, as_it_is: bool) -> None:
    out = export(tmp_path, [predicted(image, (1, 1, 5, 5))])
    assert list(read_yolo(out)) == [written]
    original = tmp_path / "images" / image
    assert ((out / "images" / written).read_bytes() == original.read_bytes()) == as_it_is


@pytest.mark.parametrize(
    ("images", "names"),
    [
        pytest.param([], [], id="none"),
        pytest.param(
            ["owl.jpg", "a/owl.jpg", "b/owl.jpg"],
            ["owl.jpg", "a/owl.jpg", "b/owl.jpg"],
            id="equal stems in subfolders do not meet",
        ),
        pytest.param(
            ["owl.jpg", "owl.png", "owl.bmp"], ["owl.jpg", "owl_png.png", "owl_bmp.bmp"], id="later ones are renamed"
        ),
        pytest.param(
            ["owl.jpg", "owl.png", "owl_png.jpg"],
            ["owl.jpg", "owl_png2.png", "owl_png.jpg"],
            id="not to a name that comes later",
        ),
        pytest.param(
            ["owl.jpg", "owl.png", "OWL_PNG.bmp"],
            ["owl.jpg", "owl_png2.png", "OWL_PNG.bmp"],
            id="nor one that differs in case",
        ),
        pytest.param(
            ["owl.jpg", "Owl.jpg", "OWL.jpg"],
            ["owl.jpg", "Owl_jpg.jpg", "OWL_jpg2.jpg"],
            id="names that differ in case",
        ),
        pytest.param(["A/owl.jpg", "a/owl.jpg"], ["A/owl.jpg", "a/owl_jpg.jpg"], id="folders that differ in case"),
        pytest.param(["o\u0308.jpg", "\u00f6.jpg"], ["o\u0308.jpg", "\u00f6_jpg.jpg"], id="accents composed and not"),
        pytest.param(["owl.v1.jpg", "owl.v2.jpg"], ["owl.v1.jpg", "owl.v2.jpg"], id="only the last dot counts"),
        pytest.param(
            ["images/a/images/1.jpg", "my images/2.jpg"],
            ["images_/a/images_/1.jpg", "my images/2.jpg"],
            id="folders called images",
        ),
        pytest.param(
            ["images/1.jpg", "images_/1.jpg"],
            ["images_/1.jpg", "images_/1_jpg.jpg"],
            id="and what stands there already",
        ),
        pytest.param(["owl.gif", "owl.png"], ["owl.png", "owl_png.png"], id="images that become png"),
    ],
)
def test_no_two_images_have_the_same_label_file(tmp_path: Path, images: list[str], names: list[str]) -> None:
    write_lines(tmp_path / LINES, (predicted(image) for image in images))
    assert [str(name) for name in unique_names(Predictions(tmp_path, tmp_path, CLASSES))] == names


parts = st.sampled_from(["owl", "Owl", "owl_png", "owl_png2", "images", "images_", "\u00f6", "o\u0308", "v.1"])


@given(
    st.lists(
        st.builds(
            lambda folder, stem, suffix: f"{folder}/{stem}.{suffix}",
            parts,
            parts,
            st.sampled_from(["jpg", "png", "gif", "JPG"]),
        ),
        unique=True,
    )
)
def test_every_image_has_its_own_label_file_even_on_disks_that_ignore_case(
    tmp_path_factory: pytest.TempPathFactory, images: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("predictions")
    write_lines(folder / LINES, (predicted(image) for image in images))
    names = [str(name) for name in unique_names(Predictions(folder, folder, CLASSES))]
    labels = {unicodedata.normalize("NFC", name.rpartition(".")[0].casefold()) for name in names}
    assert len(labels) == len(names) == len(images)
    assert not any("/images/" in f"/{name}" for name in names)


@given(st.data(), st.integers(1, 100_000), st.integers(1, 100_000))
def test_boxes_come_back_within_rounding(data: st.DataObject, height: int, width: int) -> None:
    x0, x1 = sorted(data.draw(st.tuples(st.floats(0, width), st.floats(0, width))))
    y0, y1 = sorted(data.draw(st.tuples(st.floats(0, height), st.floats(0, height))))
    (row,) = _rows(predicted("a.jpg", (x0, y0, x1, y1), image_hw=(height, width)))
    _, (left, top, right, bottom) = read_row(row.rstrip("\n"), {0: "a"}, (height, width))
    if (x1 - x0) / width > 1e-6 and (y1 - y0) / height > 1e-6:
        assert_within_rounding((left, top, right, bottom), (x0, y0, x1, y1), (height, width))
    assert -1e-6 * width <= left < right <= width * (1 + 1e-6)
    assert -1e-6 * height <= top < bottom <= height * (1 + 1e-6)


@pytest.mark.parametrize(
    ("xyxy", "image_hw", "row"),
    [
        pytest.param((0, 0, 40, 20), (20, 40), "0 0.500000 0.500000 1.000000 1.000000", id="the whole image"),
        pytest.param((1, 2, 2, 3), (4, 8), "0 0.187500 0.625000 0.125000 0.250000", id="one pixel"),
        pytest.param(
            (8, 4, 8, 4), (4, 8), "0 0.937500 0.875000 0.125000 0.250000", id="no area: one pixel, moved inside"
        ),
        pytest.param(
            (0, 0, 0.00001, 4),
            (4, 80),
            "0 0.006250 0.500000 0.012500 1.000000",
            id="a sliver that six decimals lose: one pixel",
        ),
        pytest.param((0, 0, 0.25, 4), (4, 80), "0 0.001563 0.500000 0.003125 1.000000", id="a sliver that they keep"),
        pytest.param(
            (5, 0, 6, 1), (1, 4_000_000), "0 0.000001 0.500000 0.000001 1.000000", id="a pixel that they lose"
        ),
        pytest.param((-5, -5, 20, 99), (20, 40), "0 0.250000 0.500000 0.500000 1.000000", id="clipped"),
    ],
)
def test_a_row_has_five_columns_of_six_decimals_and_an_area(xyxy: Xyxy, image_hw: tuple[int, int], row: str) -> None:
    assert list(_rows(predicted("a.jpg", xyxy, image_hw=image_hw))) == [row + "\n"]


def test_images_are_copies_that_a_trainer_may_repair_in_place(tmp_path: Path) -> None:
    opened = folder_of(tmp_path, [predicted("owl.jpg"), predicted("twin.jpg")])
    (tmp_path / "images/twin.jpg").unlink()
    (tmp_path / "images/twin.jpg").symlink_to("owl.jpg")
    (tmp_path / "out").mkdir()
    write_yolo(opened, tmp_path / "out")
    for image in ("owl.jpg", "twin.jpg"):
        assert not (tmp_path / "out/images" / image).is_symlink()
        assert not (tmp_path / "out/images" / image).samefile(tmp_path / "images/owl.jpg")
        assert (tmp_path / "out/images" / image).read_bytes() == (tmp_path / "images/owl.jpg").read_bytes()


def test_a_run_without_a_classifier_has_the_one_class_object(tmp_path: Path) -> None:
    out = export(tmp_path, [predicted("a.jpg", (1, 1, 9, 9), label=None), predicted("b.jpg", label=None)])
    assert [row[0] for row in read_yolo(out)["a.jpg"]] == ["object"]


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
    opened = folder_of(tmp_path, [predicted("owl.jpg")])
    harm(tmp_path / "images/owl.jpg")
    with pytest.raises(expected, match=text) as caught:
        write_yolo(opened, tmp_path)
    assert "owl.jpg" in str(caught.value)
    assert "xpected" in str(caught.value)


@pytest.mark.parametrize(
    ("write", "task"),
    [pytest.param(write_yolo, "detect", id="boxes"), pytest.param(write_yolo_polygons, "segment", id="outlines")],
)
def test_the_readme_names_the_task_that_fits_the_rows(
    tmp_path: Path, write: Callable[[Predictions, Path], dict[str, int]], task: str
) -> None:
    write(folder_of(tmp_path, []), tmp_path)
    assert f'yolo {task} train "data={tmp_path}' in (tmp_path / "README.txt").read_text(encoding="utf-8")


def test_a_folder_that_data_yaml_cannot_store_is_refused_before_images_are_copied(tmp_path: Path) -> None:
    out = tmp_path / "\udce4"
    try:
        out.mkdir()
    except OSError:
        pytest.skip("this disk takes no such name")
    with pytest.raises(WsolError, match="is not UTF-8"):
        write_yolo(folder_of(tmp_path, CORPUS[:1]), out)
    assert not list(out.iterdir())
