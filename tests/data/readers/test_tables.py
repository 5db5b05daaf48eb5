"""Tables as people have them: other names of columns, other separators, ids, labels in columns, several files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from fake_data.csv_table import BOX_COLUMNS, ROWS, write_images, write_table
from fake_data.images import write_image
from fake_data.tables import (
    DOGS,
    write_dog_breeds,
    write_imagefolder,
    write_images_of,
    write_kaggle,
    write_one_hot,
)

from wsol.data.open import columns_if_table, open_data, open_ground_truth
from wsol.data.readers.csv_columns import chosen_columns
from wsol.data.samples import DataSet, Sample
from wsol.errors import WsolError


def labels_of(data: DataSet, samples: Sequence[Sample] | None = None) -> dict[str, str]:
    samples = data.train if samples is None else samples
    return {one.image_id: "|".join(data.class_names[label] for label in one.labels) for one in samples}


def opened(root: Path, columns: str | None = None) -> DataSet:
    data = open_data(root, multi_label=True, needs_labels=False, columns=columns)
    assert data.kind == "CSV table"
    return data


OWL_AND_HAWK = {"1.jpg": "owl", "2.jpg": "hawk"}


# Columns


@pytest.mark.parametrize(
    "image",
    ["path", "Image", "filename", "File_Name", "file name", "filepath", "file_path", "img", "IMAGE_PATH", "image_id"],
)
@pytest.mark.parametrize("label", ["label", "Class", "class name", "category", "Species", "target", "y"])
def test_usual_names_of_columns_are_known_in_any_case(tmp_path: Path, image: str, label: str) -> None:
    write_images_of(tmp_path, OWL_AND_HAWK)
    table = write_table(
        tmp_path / "t.csv", [(b, "a", a, "b") for a, b in OWL_AND_HAWK.items()], (label, "u", image, "v")
    )
    assert labels_of(opened(table)) == OWL_AND_HAWK


@pytest.mark.parametrize("name", ["split", "Set", "subset", "Fold", "partition", "data set", "usage"])
def test_usual_names_of_splits_are_known(tmp_path: Path, name: str) -> None:
    write_images_of(tmp_path, OWL_AND_HAWK)
    rows = [("1.jpg", "owl", "Training"), ("2.jpg", "hawk", "valid")]
    data = opened(write_table(tmp_path / "t.csv", rows, ("image", "label", name)))
    assert (labels_of(data), labels_of(data, data.test)) == ({"1.jpg": "owl"}, {"2.jpg": "hawk"})


def test_a_flag_is_a_split(tmp_path: Path) -> None:
    write_images_of(tmp_path, OWL_AND_HAWK)
    rows = [("1.jpg", "owl", False), ("2.jpg", "hawk", True)]
    data = opened(write_table(tmp_path / "t.csv", rows, ("fname", "labels", "is_valid")))
    assert (labels_of(data), labels_of(data, data.test)) == ({"1.jpg": "owl"}, {"2.jpg": "hawk"})


def test_folds_of_numbers_are_no_split_and_this_is_noted(tmp_path: Path) -> None:
    write_images_of(tmp_path, OWL_AND_HAWK)
    rows = [("1.jpg", "owl", 0), ("2.jpg", "hawk", 1)]
    data = opened(write_table(tmp_path / "t.csv", rows, ("image", "label", "fold")))
    assert not data.has_split
    assert any("fold" in note for note in data.notes())
    with pytest.raises(WsolError, match="line 2: expected split to be train"):
        opened(tmp_path / "t.csv", "split=fold")


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param("image=photo nr,label=kind", id="image and label"),
        pytest.param(" path = photo nr , label = kind ,split=half", id="blanks, and a split"),
        pytest.param("label=kind,image=photo nr", id="another order"),
    ],
)
def test_other_names_are_chosen(tmp_path: Path, columns: str) -> None:
    write_images_of(tmp_path, OWL_AND_HAWK)
    rows = [("1.jpg", "owl", "x", 1, "train"), ("2.jpg", "hawk", "y", 2, "test")]
    table = write_table(tmp_path / "t.csv", rows, ("photo nr", "kind", "label", "file", "half"))
    data = opened(table, columns)
    assert labels_of(data) | labels_of(data, data.test) == OWL_AND_HAWK
    assert data.has_split == ("split" in columns)


def test_a_name_with_a_comma_can_be_chosen() -> None:
    assert chosen_columns("image=a, b,label=c=d") == {"path": "a, b", "label": "c=d"}


@pytest.mark.parametrize("text", ["", "photo", "image=", "picture=a", "image=a,path=b", "label=a,label=b"])
def test_another_form_of_chosen_columns_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(WsolError, match="expected image=NAME,label=NAME"):
        chosen_columns(text)


@pytest.mark.parametrize(
    ("header", "columns", "words"),
    [
        pytest.param("photo,kind,size", None, ("photo, kind, size", "--columns image=NAME"), id="unknown names"),
        pytest.param("image,kind,size", None, ("image, kind, size", "--columns image=NAME"), id="an unknown label"),
        pytest.param("0.jpg,owl,5", None, ("names of the columns",), id="no header"),
        pytest.param("image,class,species", None, ("class, species", "--columns label=class"), id="two labels"),
        pytest.param("image,kind,size", "label=sort", ("image, kind, size", "'sort'"), id="a slip in the choice"),
        pytest.param("path,x,y,w,h", None, ("x1 = x + w",), id="y is a corner"),
    ],
)
def test_what_cannot_be_known_lists_the_columns_and_the_option(
    tmp_path: Path, header: str, columns: str | None, words: tuple[str, ...]
) -> None:
    table = tmp_path / "t.csv"
    extra = ",1" * (header.count(",") - 1)
    table.write_text(f"{header}\n1.jpg,a{extra}\n2.jpg,b{extra}\n")
    with pytest.raises(WsolError) as raised:
        opened(table, columns)
    assert [word for word in words if word not in str(raised.value)] == []


def test_a_folder_of_images_and_a_table_with_unknown_columns_lists_them(tmp_path: Path) -> None:
    write_images_of(tmp_path, OWL_AND_HAWK)
    write_table(tmp_path / "mine.csv", [("x", *row) for row in OWL_AND_HAWK.items()], ("notiz", "bild", "art"))
    with pytest.raises(WsolError, match="notiz, bild, art.*--columns"):
        opened(tmp_path)
    assert labels_of(opened(tmp_path, "image=bild,label=art")) == OWL_AND_HAWK


def test_the_columns_of_a_run_are_used_where_a_table_has_them(tmp_path: Path, class_folders: Path) -> None:
    write_images_of(tmp_path / "photos", OWL_AND_HAWK)
    write_table(tmp_path / "mine.csv", OWL_AND_HAWK.items(), ("bild", "art"))
    for columns, path in (("image=bild,label=art", tmp_path), ("label=art", tmp_path / "mine.csv")):
        assert columns_if_table(path, columns) == columns
    assert columns_if_table(tmp_path, "label=kind") is None
    assert columns_if_table(class_folders, "label=art") is None
    assert columns_if_table(tmp_path / "absent", "label=art") is None
    assert columns_if_table(tmp_path, None) is None


def test_a_folder_without_classes_names_its_table(tmp_path: Path) -> None:
    write_images_of(tmp_path / "photos/old", OWL_AND_HAWK)
    write_table(tmp_path / "mine.csv", OWL_AND_HAWK.items(), ("bild", "art"))
    with pytest.raises(WsolError, match=r"mine\.csv"):
        open_data(tmp_path)


def test_columns_of_something_that_is_no_table_are_refused(class_folders: Path) -> None:
    with pytest.raises(WsolError, match="no table of images"):
        open_data(class_folders, columns="label=a")


# How a table is written


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".CSV"])
def test_separators_marks_and_line_ends_do_not_matter(
    tmp_path: Path, separator: str, end: str, mark: str, suffix: str
) -> None:
    write_images_of(tmp_path, ["a, b; c\td.jpg", "2.jpg"])
    lines = ["image|note|label", '"a, b; c\td.jpg"|"said ""owl""\nagain"|owl', "2.jpg||hawk", ""]
    table = tmp_path / f"t{suffix}"
    table.write_bytes((mark + end.join(lines).replace("|", separator)).encode())
    assert labels_of(opened(table)) == {"a, b; c\td.jpg": "owl", "2.jpg": "hawk"}


def test_boxes_of_a_table_with_semicolons_are_read(tmp_path: Path) -> None:
    write_images(tmp_path, ROWS)
    text = "\n".join(";".join(map(str, row)) for row in (BOX_COLUMNS, *ROWS))
    (tmp_path / "labels.csv").write_text(text.replace("path", "Filename").replace("label", "Class"))
    ground_truth = open_data(tmp_path).read_ground_truth()
    assert {image_id: len(one.boxes) for image_id, one in ground_truth.by_id.items()} == {"1.jpg": 1, "2.jpg": 2}


# Labels in columns


def test_columns_of_zeros_and_ones_are_labels(tmp_path: Path) -> None:
    rows = [("1", 1, 0), ("2", 0, 1), ("3", 1, 1), ("4", 0, 0)]
    write_images_of(tmp_path, (f"{name}.jpg" for name, *_ in rows))
    data = opened(write_table(tmp_path / "t.csv", rows, ("image", "owl", "hawk")))
    assert labels_of(data) == {"1.jpg": "owl", "2.jpg": "hawk", "3.jpg": "owl|hawk"}
    assert [one.image_id for one in data.unlabelled.train] == ["4.jpg"]
    assert [mistake.kind for mistake in data.mistakes] == ["no label"]
    assert data.doubts == ()


def test_other_columns_beside_the_zeros_and_ones_are_noted(tmp_path: Path) -> None:
    rows = [("1", 0, "1.0", "0.0", 31), ("2", 1, "0.0", "1.0", 72)]
    write_images_of(tmp_path, ("1.jpg", "2.jpg"))
    data = opened(write_table(tmp_path / "t.csv", rows, ("image", "", "MEL", "NV", "age")))
    assert labels_of(data) == {"1.jpg": "MEL", "2.jpg": "NV"}
    assert any("age" in note and "MEL, NV" in note for note in data.notes())


def test_a_column_of_labels_goes_before_zeros_and_ones(tmp_path: Path) -> None:
    write_images_of(tmp_path, OWL_AND_HAWK)
    rows = [("1.jpg", "owl", 1, 0), ("2.jpg", "hawk", 0, 1)]
    assert labels_of(opened(write_table(tmp_path / "t.csv", rows, ("image", "label", "cut", "dark")))) == OWL_AND_HAWK


@pytest.mark.parametrize(
    ("path", "cells"),
    [
        pytest.param("1", ["a", "b", "c"], id="all different"),
        pytest.param("1", ["a", "a", "a"], id="all equal"),
        pytest.param("1", ["0.5", "0.5", "1"], id="fractions"),
        pytest.param("owl/1", ["a", "a", "b"], id="images in class folders"),
    ],
)
def test_the_only_other_column_is_a_label_only_if_it_looks_like_one(
    tmp_path: Path, path: str, cells: list[str]
) -> None:
    rows = [(f"{path}{number}.jpg", cell) for number, cell in enumerate(cells)]
    write_images_of(tmp_path, (name for name, _ in rows))
    table = write_table(tmp_path / "t.csv", rows, ("image", "kind"))
    with pytest.raises(WsolError, match="--columns"):
        opened(table)
    assert opened(table, "label=kind").class_names == tuple(sorted(set(cells)))


@pytest.mark.parametrize(
    ("header", "row"),
    [
        pytest.param(("class id", "filepaths", "labels", "scientific name"), ("7", "{}", "{}", "x"), id="and a number"),
        pytest.param(("", "Id", "Breed"), ("7", "{}", "{}"), id="an index of pandas"),
        pytest.param(("", "Id", "kind"), ("7", "{}", "{}"), id="an index of pandas, and the only other column"),
        pytest.param(("image_id", "file_name", "kind"), ("7", "{}", "{}"), id="an id and a path"),
    ],
)
def test_columns_that_are_not_labels_do_not_hide_the_label(
    tmp_path: Path, header: tuple[str, ...], row: tuple[str, ...]
) -> None:
    write_images_of(tmp_path, ("1.jpg", "2.jpg", "3.jpg"))
    labels = {"1.jpg": "owl", "2.jpg": "hawk", "3.jpg": "owl"}
    rows = [tuple(",".join(row).format(*pair).split(",")) for pair in labels.items()]
    assert labels_of(opened(write_table(tmp_path / "t.csv", rows, header))) == labels


# Images by id


def test_dog_breeds_of_kaggle_are_read(tmp_path: Path) -> None:
    data = opened(write_dog_breeds(tmp_path))
    assert labels_of(data) == {f"train/{name}.jpg": breed for name, breed in DOGS.items()}
    assert all(one.path.is_file() for one in data.train)
    assert not data.has_split


@pytest.mark.parametrize("images", ["train", "train_images", "images", "img", "jpg", "data/train"])
@pytest.mark.parametrize("columns", [("Id", "Category"), ("image_id", "label"), ("ImageID", "Class", "x", "y")])
@pytest.mark.parametrize("suffix", [".jpg", ".PNG"])
def test_train_csv_of_kaggle_is_read_and_test_csv_is_not(
    tmp_path: Path, images: str, columns: tuple[str, ...], suffix: str
) -> None:
    rows = [("a", "owl", 1, 2), ("b", "hawk", 3, 4), ("c", "owl", 5, 6)]
    write_kaggle(tmp_path, [row[: len(columns)] for row in rows], columns, images, suffix)
    data = opened(tmp_path)
    assert labels_of(data) == {f"{images}/{name}{suffix}": label for name, label, *_ in rows}
    assert not data.has_split


def test_test_csv_with_other_columns_than_labels_is_not_read(tmp_path: Path) -> None:
    write_kaggle(tmp_path, [("a", "owl", 5), ("b", "hawk", 6)], ("id", "label", "quality"), "train")
    write_table(tmp_path / "test.csv", [("t1", 5), ("t2", 6)], ("id", "quality"))
    data = opened(tmp_path)
    assert len(data.train) == 2
    assert data.mistakes == ()


def test_the_only_table_beside_a_sample_submission_is_read(tmp_path: Path) -> None:
    write_images_of(tmp_path / "photos", OWL_AND_HAWK)
    write_table(tmp_path / "birds_of_2020.csv", OWL_AND_HAWK.items(), ("photo", "label"))
    write_table(tmp_path / "SampleSubmission.csv", [("1.jpg", "owl")], ("photo", "label"))
    assert labels_of(opened(tmp_path)) == {f"photos/{name}": label for name, label in OWL_AND_HAWK.items()}


def test_of_two_tables_of_training_images_none_is_chosen(tmp_path: Path) -> None:
    write_images_of(tmp_path, OWL_AND_HAWK)
    for name in ("train.csv", "train_v2.csv"):
        write_table(tmp_path / name, OWL_AND_HAWK.items(), ("photo", "label"))
    with pytest.raises(WsolError):
        open_data(tmp_path)


def test_an_exported_table_is_read_and_beside_class_folders_it_is_their_ground_truth(tmp_path: Path) -> None:
    table = write_table(tmp_path / "boxes.csv", ROWS, BOX_COLUMNS)
    write_images(tmp_path / "photos", ROWS)
    assert open_data(table, tmp_path / "photos").kind == "CSV table"
    (tmp_path / "export").mkdir()
    table.rename(tmp_path / "export/boxes.csv")
    assert open_data(tmp_path / "export", tmp_path / "photos").kind == "CSV table"
    for name in ("owl", "hawk"):
        write_image(tmp_path / "export" / name / "1.jpg")
    write_table(tmp_path / "export/boxes.csv", [("owl/1.jpg", "owl"), ("hawk/1.jpg", "hawk")], ("path", "label"))
    assert open_data(tmp_path / "export").kind == "class folders"


def test_a_table_of_each_split_is_read(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        rows = [(f"{split}-{number}.jpg", name) for number, name in enumerate(("owl", "hawk"))]
        write_table(tmp_path / f"{split}.csv", rows, ("image", "label"))
        write_images_of(tmp_path / "images", (name for name, _ in rows))
    data = opened(tmp_path)
    assert labels_of(data) == {"train-0.jpg": "owl", "train-1.jpg": "hawk"}
    assert labels_of(data, data.test) == {"test-0.jpg": "owl", "test-1.jpg": "hawk"}


def test_images_of_the_same_name_in_both_splits_are_told_apart(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_table(tmp_path / f"{split}.csv", [("1.jpg", "owl"), ("2.jpg", "hawk")], ("image", "label"))
        write_images_of(tmp_path / split, ("1.jpg", "2.jpg"))
    data = opened(tmp_path)
    assert labels_of(data) == {"train/1.jpg": "owl", "train/2.jpg": "hawk"}
    assert labels_of(data, data.test) == {"test/1.jpg": "owl", "test/2.jpg": "hawk"}


def test_masks_with_the_name_of_an_image_are_not_the_image(tmp_path: Path) -> None:
    write_images_of(tmp_path, ("photos/1.jpg", "photos/2.jpg", "masks/1.png", "masks/2.png"))
    data = opened(write_table(tmp_path / "t.csv", [("1", "owl"), ("2", "hawk")], ("id", "label")))
    assert labels_of(data) == {"photos/1.jpg": "owl", "photos/2.jpg": "hawk"}


def test_an_id_of_two_images_is_a_mistake_and_the_others_go_on(tmp_path: Path) -> None:
    write_images_of(tmp_path, ("a/1.jpg", "b/1.jpg", "a/2.jpg", "b/3.jpg"))
    table = write_table(tmp_path / "t.csv", [("1", "owl"), ("2", "hawk"), ("3", "owl")], ("id", "label"))
    data = opened(table)
    assert labels_of(data) == {"a/2.jpg": "hawk", "b/3.jpg": "owl"}
    (mistake,) = data.mistakes
    assert (mistake.kind, mistake.where) == ("unknown image", f"{table}, line 2")
    assert "a/1.jpg, b/1.jpg" in mistake.what


def test_ids_are_found_in_the_given_folder_and_not_above(tmp_path: Path) -> None:
    write_images_of(tmp_path / "photos", ("1.jpg", "2.jpg"))
    write_images_of(tmp_path, ("3.jpg",))
    table = write_table(tmp_path / "lists/t.csv", [("1", "owl"), ("2", "hawk"), ("../3", "owl")], ("id", "label"))
    data = open_data(table, tmp_path / "photos")
    assert labels_of(data) == {"1.jpg": "owl", "2.jpg": "hawk", "../3": "owl"}


def test_absent_images_keep_the_names_of_the_table(tmp_path: Path) -> None:
    table = write_table(tmp_path / "t.csv", [("1", "owl"), ("2", "hawk")], ("id", "label"))
    assert labels_of(open_ground_truth(table)) == {"1": "owl", "2": "hawk"}


@pytest.mark.parametrize(
    ("name", "header"),
    [
        pytest.param("notes.csv", "id,text", id="ids of something else"),
        pytest.param("train.csv", "path,label", id="images that do not exist"),
        pytest.param("boxes.csv", "path,x0,y0,x1,y1", id="ground truth of class folders"),
        pytest.param("labels.csv", "id,name", id="names of classes"),
    ],
)
def test_a_table_beside_class_folders_is_no_table_of_images(class_folders: Path, name: str, header: str) -> None:
    (class_folders / name).write_text(f"{header}\n" + ",".join("7" for _ in header.split(",")) + "\n")
    assert open_data(class_folders).kind == "class folders"


@pytest.mark.parametrize("names", [("owl/1.jpg", "hawk/7.jpg"), ("1.jpg", "7.jpg"), ("1", "7"), ("owl\\1.jpg", "7")])
def test_a_list_of_some_images_of_class_folders_does_not_take_their_place(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    write_images_of(tmp_path, ("owl/1.jpg", "owl/2.jpg", "hawk/7.jpg"))
    write_table(tmp_path / "doubtful.csv", [(names[0], "owl"), (names[1], "hawk")], ("image", "class"))
    data = open_data(tmp_path)
    assert data.kind == "class folders"
    assert len(data.train) == 3
    assert len(open_data(tmp_path / "doubtful.csv").train) == 2


def test_parts_of_images_beside_their_only_table_are_read(tmp_path: Path) -> None:
    write_images_of(tmp_path, ("part_1/a.jpg", "part_2/b.jpg", "part_2/c.jpg"))
    rows = [("l1", "a", "nv", 40), ("l2", "b", "mel", 50), ("l3", "c", "nv", 60)]
    write_table(tmp_path / "HAM10000_metadata.csv", rows, ("lesion_id", "image_id", "dx", "age"))
    with pytest.raises(WsolError, match="lesion_id, image_id, dx, age.*--columns"):
        opened(tmp_path)
    labels = labels_of(opened(tmp_path, "label=dx"))
    assert labels == {"part_1/a.jpg": "nv", "part_2/b.jpg": "mel", "part_2/c.jpg": "nv"}


# Hugging Face's imagefolder


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_metadata_of_each_split_is_read(tmp_path: Path, form: str) -> None:
    write_imagefolder(tmp_path, ("train", "validation"))
    if form == "jsonl":
        for table in list(tmp_path.glob("*/metadata.csv")):
            rows = [line.split(",") for line in table.read_text().splitlines()[1:]]
            lines = (json.dumps({"file_name": name, "label": label, "objects": {"bbox": []}}) for name, label in rows)
            table.with_suffix(".jsonl").write_text("\n".join(lines))
            table.unlink()
    data = opened(tmp_path)
    assert labels_of(data) == {"train/0.png": "owl", "train/1.png": "hawk"}
    assert labels_of(data, data.test) == {"validation/0.png": "owl", "validation/1.png": "hawk"}


def test_metadata_above_the_splits_has_their_splits(tmp_path: Path) -> None:
    rows = [(f"{split}/{number}.png", f"class {number}") for split in ("train", "test") for number in (0, 1)]
    write_images_of(tmp_path, (name for name, _ in rows))
    write_table(tmp_path / "metadata.csv", rows, ("file_name", "label"))
    data = opened(tmp_path)
    assert list(labels_of(data)) == ["train/0.png", "train/1.png"]
    assert list(labels_of(data, data.test)) == ["test/0.png", "test/1.png"]


def test_metadata_of_one_split_alone_has_no_split(tmp_path: Path) -> None:
    rows = [("test/0.png", "owl"), ("test/1.png", "hawk")]
    write_images_of(tmp_path, (name for name, _ in rows))
    data = opened(write_table(tmp_path / "metadata.csv", rows, ("file_name", "label")))
    assert len(data.train) == len(data.test) == 2


def test_metadata_without_labels_lists_its_columns(tmp_path: Path) -> None:
    write_images_of(tmp_path, ("1.png", "2.png"))
    write_table(tmp_path / "metadata.csv", [("1.png", "an owl"), ("2.png", "a hawk")], ("file_name", "text"))
    with pytest.raises(WsolError, match="file_name, text.*--columns"):
        open_data(tmp_path)


def test_metadata_beside_class_folders_leaves_the_folders_to_be_classes(tmp_path: Path) -> None:
    write_images_of(tmp_path, ("owl/1.png", "hawk/2.png"))
    write_table(tmp_path / "metadata.csv", [("owl/1.png", "text"), ("hawk/2.png", "text")], ("file_name", "text"))
    assert open_data(tmp_path).kind == "class folders"


def test_a_column_of_ones_for_each_class_in_the_folder_of_each_split(tmp_path: Path) -> None:
    data = opened(write_one_hot(tmp_path))
    expected = [("train1", "owl"), ("train2", "hawk"), ("train3", "owl|hawk")]
    assert labels_of(data) == {f"train/{name}.jpg": labels for name, labels in expected}
    assert {sample.image_id for sample in data.test} == {f"valid/valid{number}.jpg" for number in (1, 2, 3)}


def test_values_of_json_lines_become_labels(tmp_path: Path) -> None:
    write_images_of(tmp_path, ("1.png", "2.png", "3.png"))
    values = (["owl", "hawk"], 3, None)
    lines = (json.dumps({"file_name": f"{number}.png", "label": label}) for number, label in enumerate(values, start=1))
    (tmp_path / "metadata.jsonl").write_text("\n\n".join(lines))
    data = opened(tmp_path)
    assert labels_of(data) == {"1.png": "owl|hawk", "2.png": "3"}
    assert [mistake.kind for mistake in data.mistakes] == ["no label"]


@pytest.mark.parametrize(
    "line", ["{", "[1]", '{"file_name": ' + "[" * 5000, '{"file_name": "1.png"}', '{"label": "owl"}']
)
def test_json_lines_of_another_kind_are_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "metadata.jsonl").write_text(line)
    with pytest.raises(WsolError, match="expected"):
        open_ground_truth(tmp_path / "metadata.jsonl")


@pytest.mark.parametrize("name", ["metadata.parquet", "train/metadata.parquet", "data/train-00000-of-00001.parquet"])
def test_parquet_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / "train/1.png")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"PAR1")
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(WsolError, match="Parquet.*metadata.csv.*to_csv"):
            open_ground_truth(path)
