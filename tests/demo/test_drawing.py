"""The demo set: exact masks, boxes that follow from them, and backgrounds that tell nothing."""

from __future__ import annotations

import csv
import inspect
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from wsol.demo.drawing import CREATURES, draw, write_demo_set
from wsol.demo.drawing.image import FIXED_COLOURS, draw_several
from wsol.demo.drawing.pose import pose
from wsol.demo.drawing.scene import scene
from wsol.demo.drawing.textures import PATTERNS
from wsol.demo.drawing.tubes import PROFILES, Light
from wsol.demo.drawing.write import EMPTY
from wsol.geometry.boxes import tight_box

SMALL_HW = (90, 120)
SMALL: dict[str, Any] = {"classes": 3, "train_per_class": 2, "test_per_class": 1, "image_hw": SMALL_HW}


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo")
    write_demo_set(root, **SMALL, seed=3)
    return root


@pytest.fixture(scope="module")
def masks() -> dict[str, list[NDArray[np.bool_]]]:
    return {name: [draw(name, np.random.default_rng([i, 7]), SMALL_HW)[1] for i in range(5)] for name in CREATURES}


def contents(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


def boxes(root: Path) -> dict[str, tuple[int, int, int, int]]:
    with (root / "boxes.csv").open(newline="") as file:
        return {
            row["path"]: (int(row["x0"]), int(row["y0"]), int(row["x1"]), int(row["y1"]))
            for row in csv.DictReader(file)
        }


def test_the_folder_holds_the_documented_files_only(small_set: Path) -> None:
    classes = list(CREATURES)[:3]
    images = [f"train/{name}/{i:04d}" for name in classes for i in range(2)]
    images += [f"test/{name}/0000" for name in classes]
    expected = {f"{path}.jpg" for path in images} | {f"masks/{path}.png" for path in images}
    assert set(contents(small_set)) == expected | {"boxes.csv", "README.txt"}
    assert (small_set / "boxes.csv").read_text().startswith("path,x0,y0,x1,y1\n")
    assert list(boxes(small_set)) == [f"{path}.jpg" for path in images]
    assert "wsol with seed 3." in (small_set / "README.txt").read_text()


def test_every_box_is_the_tight_box_of_its_mask(small_set: Path) -> None:
    for path, (x0, y0, x1, y1) in boxes(small_set).items():
        mask = cv2.imread(str((small_set / "masks" / path).with_suffix(".png")), cv2.IMREAD_UNCHANGED)
        image = cv2.imread(str(small_set / path))
        assert mask is not None and image is not None
        assert mask.dtype == np.uint8 and mask.shape == SMALL_HW and image.shape == (*SMALL_HW, 3)
        assert set(np.unique(mask).tolist()) == {0, 255}
        assert 0 <= x0 < x1 <= SMALL_HW[1] and 0 <= y0 < y1 <= SMALL_HW[0]
        inside = mask[y0:y1, x0:x1]
        assert (inside > 0).sum() == (mask > 0).sum()
        assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))


def test_the_same_arguments_give_the_same_bytes(small_set: Path, tmp_path: Path) -> None:
    write_demo_set(tmp_path, **SMALL, seed=3)
    assert contents(tmp_path) == contents(small_set)


def test_another_seed_gives_other_images_everywhere(small_set: Path, tmp_path: Path) -> None:
    write_demo_set(tmp_path, classes=2, train_per_class=1, test_per_class=1, image_hw=SMALL_HW, seed=4)
    ours = contents(small_set)
    assert all(ours[name] != code for name, code in contents(tmp_path).items())


def test_an_image_does_not_depend_on_the_number_of_images(small_set: Path, tmp_path: Path) -> None:
    write_demo_set(tmp_path, classes=2, train_per_class=1, test_per_class=1, image_hw=SMALL_HW, seed=3)
    larger = contents(small_set)
    shared = {name: code for name, code in contents(tmp_path).items() if name.endswith((".jpg", ".png"))}
    assert len(shared) == 8
    assert all(larger[name] == code for name, code in shared.items())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        pytest.param({"classes": 1}, "expected 2 to 10 classes, got 1", id="one class is no classification"),
        pytest.param({"classes": 11}, "expected 2 to 10 classes, got 11", id="more classes than creatures"),
        pytest.param({"train_per_class": 0}, "train_per_class of at least 1, got 0", id="nothing to train on"),
        pytest.param({"test_per_class": -1}, "test_per_class of at least 1, got -1", id="negative count"),
        pytest.param({"image_hw": (240, 31)}, r"at least 32 x 32 pixels, got \(240, 31\)", id="tiny image"),
        pytest.param({"seed": -1}, "seed of at least 0, got -1", id="negative seed"),
    ],
)
def test_a_wrong_argument_is_reported_before_anything_is_written(
    tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write_demo_set(tmp_path, **wrong)
    assert not any(tmp_path.iterdir())


def test_an_unknown_creature_is_reported_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"expected a creature of beetle, .*, got 'unicorn'"):
        draw("unicorn", np.random.default_rng(0), SMALL_HW)


def test_the_scene_does_not_depend_on_the_creature() -> None:
    assert list(inspect.signature(scene).parameters) == ["rng", "image_hw", "light"]
    assert inspect.signature(scene).parameters["light"].annotation == Light.__name__


def test_all_creatures_of_one_seed_have_the_same_scene(monkeypatch: pytest.MonkeyPatch) -> None:
    # A twig before a creature may reach far beyond it.
    monkeypatch.setattr("wsol.demo.drawing.image.OCCLUDED", 0.0)
    first, first_mask = draw("beetle", np.random.default_rng(1), SMALL_HW)
    for name in list(CREATURES)[1:]:
        image, mask = draw(name, np.random.default_rng(1), SMALL_HW)
        # Far enough from both for their shadows and the lens.
        near = cv2.dilate((mask | first_mask).astype(np.uint8), np.ones((35, 35), np.uint8)) > 0
        assert 0.05 < (~near).mean() < 0.95
        np.testing.assert_array_equal(image[~near], first[~near])
        assert (image != first)[mask].mean() > 0.9


@pytest.mark.parametrize("image_hw", [(32, 32), (120, 33)])
def test_small_and_elongated_images_have_a_creature(image_hw: tuple[int, int]) -> None:
    for name in CREATURES:
        image, mask = draw(name, np.random.default_rng(5), image_hw)
        assert image.shape == (*image_hw, 3) and image.dtype == np.uint8
        assert mask.shape == image_hw and mask.dtype == np.bool_ and mask.any()


def test_a_fixed_box_in_the_middle_finds_only_some_creatures(masks: dict[str, list[NDArray[np.bool_]]]) -> None:
    h, w = SMALL_HW
    drawn = [tight_box(mask) for group in masks.values() for mask in group]
    found = np.array([[iou(box, centred(w, h, fraction)) >= 0.5 for fraction in (0.5, 0.6, 0.7)] for box in drawn])
    assert 0.15 < found.mean(0).max() < 0.55


def test_creatures_cover_the_stated_fraction_of_the_image(masks: dict[str, list[NDArray[np.bool_]]]) -> None:
    for name, group in masks.items():
        areas = np.array([mask.mean() for mask in group])
        extents = np.array([relative_extent(mask) for mask in group])
        assert areas.min() > 0.03 and areas.max() < 0.36, name
        assert extents.min() > 0.2 and extents.max() < 0.8, name


@pytest.mark.parametrize("name", CREATURES)
def test_a_creature_is_made_of_parts_patterns_and_colours_that_exist(name: str) -> None:
    creature = CREATURES[name]
    known: set[str] = {""}
    for part in creature.parts:
        assert part.on in known and part.name not in known
        known.add(part.name)
        assert part.profile in PROFILES
        slots = {part.coat.base, *(mark.slot for mark in part.coat.marks)}
        assert all(slots <= palette.keys() | FIXED_COLOURS.keys() for palette in creature.palettes)
        assert all(mark.pattern in PATTERNS for mark in part.coat.marks)
    twins = sum(part.twin != "" for part in creature.parts)
    assert len(pose(creature, np.random.default_rng(0))) == len(creature.parts) + twins


@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))).filter(np.any))
def test_the_tight_box_is_that_of_the_pixel_list(mask: NDArray[np.bool_]) -> None:
    rows, columns = np.nonzero(mask)
    assert tight_box(mask) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def relative_extent(mask: NDArray[np.bool_]) -> tuple[float, float]:
    x0, y0, x1, y1 = tight_box(mask)
    return (x1 - x0) / mask.shape[1], (y1 - y0) / mask.shape[0]


def centred(w: int, h: int, fraction: float) -> tuple[float, float, float, float]:
    return w * (1 - fraction) / 2, h * (1 - fraction) / 2, w * (1 + fraction) / 2, h * (1 + fraction) / 2


def iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    x0, y0, x1, y1 = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    shared = max(0.0, x1 - x0) * max(0.0, y1 - y0)
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - shared
    return shared / union


def test_empty_images_are_a_class_without_boxes_and_change_no_other_image(tmp_path: Path) -> None:
    for name, empty in (("with", 2), ("without", 0)):
        (tmp_path / name).mkdir()
        write_demo_set(tmp_path / name, classes=2, train_per_class=1, test_per_class=1, empty=empty, image_hw=(60, 80))
    with_empty, without = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*.*")}
        for root in (tmp_path / "with", tmp_path / "without")
    )
    assert without.items() <= with_empty.items()
    added = sorted(path.as_posix() for path in with_empty.keys() - without.keys())
    assert added == [f"{split}/{EMPTY}/000{i}.jpg" for split in ("test", "train") for i in range(2)]


def test_several_creatures_have_a_box_each(tmp_path: Path) -> None:
    write_demo_set(tmp_path, classes=2, train_per_class=4, test_per_class=1, most_objects=4, seed=5)
    with (tmp_path / "boxes.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for path in {row["path"] for row in rows}:
        boxes = [[int(row[edge]) for edge in ("x0", "y0", "x1", "y1")] for row in rows if row["path"] == path]
        assert len(boxes) == 1 + int(Path(path).stem) % 4
        mask = cv2.imread(f"{(tmp_path / 'masks' / path).with_suffix('.png')}", cv2.IMREAD_GRAYSCALE) > 0
        low, high = np.min(boxes, axis=0), np.max(boxes, axis=0)
        assert tight_box(mask) == (low[0], low[1], high[2], high[3])
    again = tmp_path / "again"
    again.mkdir()
    write_demo_set(again, classes=2, train_per_class=4, test_per_class=1, most_objects=4, seed=5)
    assert (again / "boxes.csv").read_bytes() == (tmp_path / "boxes.csv").read_bytes()


def test_more_creatures_are_smaller(tmp_path: Path) -> None:
    """All of them together cover about as much as one."""
    areas = []
    for count in (1, 5):
        _, masks = draw_several("fish", count, np.random.default_rng(3), (240, 320))
        areas.append(np.mean([mask.sum() for mask in masks]))
    assert len(masks) == 5 and areas[1] < areas[0] / 2
