"""Class names that look the same are one class or an error, in every layout."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_data.csv_table import write_table
from fake_data.images import write_image
from fake_data.voc import write_voc

from wsol.data.open import open_data, open_ground_truth
from wsol.data.readers.class_folders import GivenClasses
from wsol.errors import WsolError

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Käuzchen") for form in ("NFC", "NFD"))


def write_folders(root: Path, first: str, second: str) -> Path:
    write_image(root / first / "one.jpg")
    write_image(root / second / "two.jpg")
    write_image(root / "wren" / "three.jpg")
    return root


def write_csv(root: Path, first: str, second: str) -> Path:
    rows = [("one.jpg", first, 1, 2, 9, 8), ("two.jpg", second, 1, 2, 9, 8), ("three.jpg", "wren", 1, 2, 9, 8)]
    for name, *_ in rows:
        write_image(root / name)
    return write_table(root / "t.csv", rows, ("path", "label", "x0", "y0", "x1", "y1"))


def write_pascal(root: Path, first: str, second: str) -> Path:
    names = {"one": first, "two": second, "three": "wren"}
    write_voc(root, {stem: [(name, 1, 2, 9, 8)] for stem, name in names.items()})
    return root


Write = Callable[[Path, str, str], Path]
LAYOUTS = pytest.mark.parametrize("write", [write_folders, write_csv, write_pascal])


@LAYOUTS
@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param("Owl", "owl", id="case"),
        pytest.param("tawny owl", "tawny  owl", id="two spaces"),
        pytest.param("STRASSE", "straße", id="another letter for the same"),
        pytest.param(COMPOSED, DECOMPOSED.upper(), id="case and form"),
    ],
)
def test_names_that_differ_only_in_case_or_spaces_are_refused(
    tmp_path: Path, write: Write, first: str, second: str
) -> None:
    with pytest.raises(WsolError, match="case or in spaces") as raised:
        open_ground_truth(write(tmp_path / "data", first, second))
    assert raised.value.got is not None
    assert repr(first) in raised.value.got
    assert "1 image" in raised.value.got
    assert raised.value.remedy


def test_spaces_at_the_end_of_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WsolError, match="'owl '"):
        open_data(write_folders(tmp_path, "owl", "owl "))


@LAYOUTS
def test_two_forms_of_the_same_text_are_one_class(tmp_path: Path, write: Write) -> None:
    data = open_data(write(tmp_path / "data", COMPOSED, DECOMPOSED))
    assert data.class_names == (COMPOSED, "wren")
    assert sorted(sample.label for sample in data.train) == [0, 0, 1]
    assert {Path(sample.image_id).stem for sample in data.train if sample.label == 0} == {"one", "two"}
    assert data.train is data.test
    if write is not write_folders:
        ground_truth = data.read_ground_truth()
        for sample in data.test:
            assert ground_truth.of_class(sample.image_id, data.class_names[sample.label]) is not None


def test_both_forms_in_one_image_are_one_label_with_all_boxes(tmp_path: Path) -> None:
    box = (1, 2, 9, 8)
    write_voc(tmp_path, {"1": [(COMPOSED, *box), (DECOMPOSED, 3, 4, 9, 8)], "2": [("wren", *box)]})
    data = open_ground_truth(tmp_path, multi_label=True)
    assert [sample.labels for sample in data.test] == [(0,), (1,)]
    truth = data.read_ground_truth().of_class("1.jpg", COMPOSED)
    assert truth is not None
    assert truth.boxes.xyxy.tolist() == [[0, 1, 9, 8], [2, 3, 9, 8]]


def test_a_split_may_have_the_other_form(tmp_path: Path) -> None:
    for split, name in (("train", COMPOSED), ("test", DECOMPOSED)):
        write_image(tmp_path / split / name / "1.jpg")
        write_image(tmp_path / split / "wren" / "1.jpg")
    data = open_data(tmp_path)
    assert data.class_names == (COMPOSED, "wren")
    assert [sample.label for sample in data.test] == [0, 1]


def test_a_folder_in_the_other_form_names_the_class(tmp_path: Path) -> None:
    ids = [f"{DECOMPOSED}/1.jpg", "wren/2.jpg", "tit/3.jpg"]
    classes = GivenClasses(ids, [COMPOSED, "wren"], "photos")
    assert [classes.of(image_id) for image_id in ids] == [COMPOSED, "wren", None]


def test_letters_are_two_classes_and_this_is_noted(tmp_path: Path) -> None:
    data = open_data(write_folders(tmp_path, "a", "A"))
    assert data.class_names == ("A", "a", "wren")
    assert any("'A' and 'a' are two classes" in note for note in data.notes())
