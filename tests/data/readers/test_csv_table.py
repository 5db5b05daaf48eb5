"""CSV tables: images, labels, boxes and split by column, and headers with other names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from fake_data.csv_table import BOX_COLUMNS, HW, ROWS, write_csv_set, write_images, write_table
from hypothesis import assume, given
from hypothesis import strategies as st

from wsol.data.class_names import composed
from wsol.data.ground_truth import GroundTruth
from wsol.data.multi_label import with_one_label
from wsol.data.open import open_data, open_ground_truth
from wsol.data.readers.csv_columns import OPTIONAL
from wsol.data.readers.csv_rows import check_header
from wsol.data.readers.csv_table import read, recognise
from wsol.data.samples import DataSet, Sample
from wsol.errors import WsolError
from wsol.geometry.boxes import Xyxy


def labelled(data: DataSet, samples: tuple[Sample, ...]) -> dict[str, str]:
    return {sample.image_id: data.class_names[sample.label] for sample in samples}


def boxes_of(ground_truth: GroundTruth) -> dict[str, list[Xyxy]]:
    return {image_id: [tuple(box) for box in one.boxes.xyxy.tolist()] for image_id, one in ground_truth.by_id.items()}


LABELS = {"1.jpg": "owl", "2.jpg": "hawk", "night/3.jpg": "owl"}
BOXES = {"1.jpg": [(1, 2, 11.5, 10)], "2.jpg": [(3, 4, 20, 30), (21, 4, 40, 30)]}


# Where things lie


@pytest.mark.parametrize("images", ["", "images"])
@pytest.mark.parametrize("name", ["labels.csv", "annotations.csv"])
@pytest.mark.parametrize("is_named", [False, True])
def test_a_table_is_read_by_its_folder_or_its_name(tmp_path: Path, images: str, name: str, is_named: bool) -> None:
    write_csv_set(tmp_path, images, name)
    data = open_data(tmp_path / name if is_named else tmp_path)
    assert data.kind == "CSV table"
    assert data.class_names == ("hawk", "owl")
    assert data.train == data.test
    assert not data.has_split
    assert labelled(data, data.train) == LABELS
    assert all(sample.path.is_file() for sample in data.train)
    ground_truth = data.read_ground_truth()
    assert boxes_of(ground_truth) == BOXES
    assert {one.image_hw for one in ground_truth.by_id.values()} == {HW}
    assert ground_truth.mistakes == data.mistakes == ()


def test_images_may_be_in_another_folder(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", ROWS)
    table = write_table(tmp_path / "lists" / "mine.csv", ROWS)
    data = open_data(table, tmp_path / "photos")
    assert [sample.path for sample in data.train] == [tmp_path / "photos" / name for name in LABELS]
    assert boxes_of(data.read_ground_truth()) == BOXES


def test_labels_alone_are_a_data_set_without_ground_truth(tmp_path: Path) -> None:
    write_images(tmp_path, ROWS)
    write_table(tmp_path / "labels.csv", LABELS.items(), ("path", "label"))
    data = open_data(tmp_path)
    assert labelled(data, data.train) == LABELS
    with pytest.raises(WsolError, match=r"no boxes in .*labels\.csv.*x0, y0, x1, y1.*wsol predict"):
        data.read_ground_truth()


@pytest.mark.parametrize(
    ("files", "is_table"),
    [
        pytest.param({"labels.csv": "path,label\n"}, True, id="labels.csv"),
        pytest.param({"annotations.csv": "filename,class,xmin,ymin,xmax,ymax\n"}, True, id="other names"),
        pytest.param({"labels.csv": "paths,label\n"}, True, id="a misspelt path"),
        pytest.param({"labels.csv": "path\n", "annotations.csv": "path\n"}, False, id="both"),
        pytest.param({"labels.csv": "id,name\n1,owl\n"}, False, id="names of classes"),
        pytest.param({"labels.csv": ""}, False, id="an empty file"),
        pytest.param({"boxes.csv": "path,x0,y0,x1,y1\n"}, False, id="boxes beside class folders"),
        pytest.param({}, False, id="an empty folder"),
    ],
)
def test_a_folder_is_recognised_by_its_table(tmp_path: Path, files: dict[str, str], is_table: bool) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert recognise(tmp_path) == is_table


def test_bytes_that_are_called_a_table_are_not_recognised_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\x00")
    assert not recognise(tmp_path)
    assert recognise(tmp_path / "labels.csv.CSV")
    assert not recognise(tmp_path / "labels.txt")


# Columns


def test_order_other_columns_blanks_and_a_byte_order_mark_do_not_matter(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text(
        '\ufeffnote, label ,y1,x1,y0,x0,path,\r\n"a, ""b""\r\nc",owl, 10,11.5,2,1, 1.jpg'
        " ,\r\n\r\n,,,,,,,\r\nd,hawk,,,,,./night\\2.jpg,\r\n",
        encoding="utf-8",
        newline="",
    )
    write_images(tmp_path, [["1.jpg"], ["night/2.jpg"]])
    data = open_data(table)
    assert labelled(data, data.train) == {"1.jpg": "owl", "night/2.jpg": "hawk"}
    assert boxes_of(data.read_ground_truth()) == {"1.jpg": [(1, 2, 11.5, 10)]}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        pytest.param("owl/1.jpg", "owl", id="its folder"),
        pytest.param("owl/2020/1.jpg", "owl", id="the first of several"),
        pytest.param("test/owl/1.jpg", "owl", id="below a split"),
        pytest.param("train/train/1.jpg", "train", id="a class of trains"),
        pytest.param(".\\owl\\1.jpg", "owl", id="from Windows"),
    ],
)
def test_without_labels_the_folder_is_the_class(tmp_path: Path, path: str, name: str) -> None:
    table = write_table(tmp_path / "boxes.csv", [(path, 1, 2, 11.5, 10)], ("path", *BOX_COLUMNS[2:]))
    image_id = path.replace("\\", "/").removeprefix("./")
    write_images(tmp_path, [[image_id]])
    data = open_ground_truth(table)
    assert labelled(data, data.test) == {image_id: name}
    assert boxes_of(data.read_ground_truth()) == {image_id: [(1, 2, 11.5, 10)]}


@pytest.mark.parametrize("path", ["2.jpg", "test/2.jpg", "../owl/2.jpg", "/owl/2.jpg"])
def test_without_labels_and_folders_there_is_no_class(tmp_path: Path, path: str) -> None:
    table = write_table(tmp_path / "boxes.csv", [("owl/1.jpg",), (path,)], ("path",))
    with pytest.raises(
        WsolError, match=r"line 3: expected the class of .*2\.jpg: there is no column label.*Add the column"
    ):
        open_ground_truth(table)


def test_an_unknown_column_may_be_the_label_so_folders_are_not_used(tmp_path: Path) -> None:
    table = write_table(tmp_path / "t.csv", [("site a/1.jpg", "owl")], ("path", "habitat"))
    with pytest.raises(WsolError, match="Missing: label"):
        open_ground_truth(table)


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\\\0", exclude_categories=["Cc", "Cs", "Z"]), min_size=1
)


ONE_LABEL = NAMES.filter(lambda name: not {*name} & {*"|,;"})
"""Other names may be several labels in one cell."""


@given(st.dictionaries(NAMES.filter(lambda name: not name.startswith("./")), ONE_LABEL, min_size=1, max_size=5))
def test_any_name_comes_back(tmp_path_factory: pytest.TempPathFactory, labels: dict[str, str]) -> None:
    table = write_table(tmp_path_factory.mktemp("csv") / "t.csv", labels.items(), ("path", "label"))
    composed_names = {name: composed(label) for name, label in labels.items()}
    assume(len({label.casefold() for label in composed_names.values()}) == len({*composed_names.values()}))
    data = open_ground_truth(table)
    assert labelled(data, data.train) == composed_names


@pytest.mark.parametrize(
    ("header", "words"),
    [
        pytest.param("", "(none)", id="an empty file"),
        pytest.param("label", "Missing: path. Rename or add them", id="no path"),
        pytest.param("path,lable", "Did you mean label by lable?", id="a misspelt label"),
        pytest.param("path,label,spilt", "Did you mean split by spilt?", id="a misspelt split"),
        pytest.param("path,label,widht,height", "Did you mean width by widht?", id="a misspelt width"),
        pytest.param("path,label,x0,y0,x1", "Missing: y1", id="three corners"),
        pytest.param("path,label,width", "Missing: height", id="a width without height"),
        pytest.param(
            "path,label,xmin,ymin,xmax,ymax", "rename them to x0,y0,x1,y1 (and subtract 1", id="VOC's corners"
        ),
        pytest.param(
            "filename,class,xmin,ymin,xmax,ymax", "rename them to x0,y0,x1,y1", id="other names and VOC's corners"
        ),
        pytest.param("path,label,x1,y1,x2,y2", "x1,y1,x2,y2: rename them", id="corners counted from 1"),
        pytest.param("path,label,x,y,w,h", "x1 = x + w", id="xywh"),
        pytest.param("path,label,x,y,width,height", "x1 = x + width", id="xywh in words"),
        pytest.param("path;label;x0", "Missing: y0, x1, y1", id="semicolons"),
    ],
)
def test_a_header_with_other_names_gets_advice(tmp_path: Path, header: str, words: str) -> None:
    (tmp_path / "t.csv").write_text(header + "\n1.jpg,owl\n" if header else "")
    with pytest.raises(WsolError, match=r"t\.csv has the columns.*expected path, label.*x0,y0,x1,y1") as raised:
        open_ground_truth(tmp_path / "t.csv")
    assert words in str(raised.value)


@pytest.mark.parametrize(
    "header", ["path,label,weight", "path,label,x,y", "path,label,class,filename", "path,label,xs"]
)
def test_an_unrelated_column_is_not_misspelt(tmp_path: Path, header: str) -> None:
    (tmp_path / "t.csv").write_text(f"{header}\n1.jpg,owl\n")
    assert read(tmp_path / "t.csv").class_names == ("owl",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"\xff\xfe\x00", "is not UTF-8", id="bytes"),
        pytest.param("path,label\nKäuzchen.jpg,owl\n".encode("latin-1"), "is not UTF-8", id="Latin 1"),
        pytest.param(b"path,label\n", "no images", id="a header alone"),
        pytest.param(b"path,label\n,\n", "no images", id="an empty line"),
        pytest.param(b"path,label\n1.jpg,\n2.jpg\n", "none of the 2 images", id="no labels"),
        pytest.param(b"path,label\n1.jpg,owl\n,owl\n", "line 3: expected the path", id="no path"),
        pytest.param(b'path,label\n1.jpg,owl\n"2.jpg,owl\n3.jpg,owl\n', "not CSV", id="a quote that is not closed"),
        pytest.param(b"path,label,label\n1.jpg,owl,hawk\n", "'label' twice", id="a column twice"),
        pytest.param(
            b"path,label\na,b.jpg,owl\n", "line 2: expected 2 cells, got more. Put quotes", id="a comma in a path"
        ),
    ],
)
def test_a_file_that_is_no_table_of_images_is_reported(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(WsolError, match=r"t\.csv.*expected") as raised:
        open_ground_truth(tmp_path / "t.csv")
    assert words in str(raised.value)


# Labels and splits


def test_images_without_one_label_are_left_out_and_noted(tmp_path: Path) -> None:
    rows = [
        *ROWS,
        ("2.jpg", "owl", 1, 1, 2, 2),
        ("4.jpg", "", 1, 1, 2, 2),
        ("5.jpg", "", "", "", "", ""),
        ("5.jpg", "owl", "", "", "", ""),
    ]
    table = write_table(tmp_path / "t.csv", rows)
    write_images(tmp_path, rows)
    data = with_one_label(read(table))
    assert labelled(data, data.train) == {"1.jpg": "owl", "night/3.jpg": "owl", "5.jpg": "owl"}
    assert data.class_names == ("owl",)
    assert [(mistake.kind, mistake.where, mistake.what) for mistake in data.mistakes] == [
        ("no label", f"{table}, line 7", "expected a label, got none"),
        ("several classes", f"{table}, 2.jpg", "expected one label, got hawk, owl"),
    ]
    assert "2 images left out" in data.describe()
    ground_truth = data.read_ground_truth()
    assert boxes_of(ground_truth) == {"1.jpg": BOXES["1.jpg"]}
    assert ground_truth.mistakes == ()


@pytest.mark.parametrize(
    ("label", "parts"),
    [
        pytest.param("hawk|owl", "hawk, owl", id="a bar"),
        pytest.param("hawk | tit", "hawk, tit", id="a bar and an unknown label"),
        pytest.param("hawk,owl", "hawk, owl", id="a comma between known labels"),
        pytest.param("owl; hawk", "owl, hawk", id="a semicolon between known labels"),
    ],
)
def test_several_labels_in_a_cell_are_no_class_of_their_own(tmp_path: Path, label: str, parts: str) -> None:
    rows = [("1.jpg", "owl"), ("2.jpg", "hawk"), ("3.jpg", label)]
    table = write_table(tmp_path / "t.csv", rows, ("path", "label"))
    write_images(tmp_path, rows)
    every = read(table)
    assert [every.class_names[label] for label in every.train[2].labels] == parts.split(", ")
    data = with_one_label(every)
    assert data.class_names == ("hawk", "owl")
    assert [(one.kind, one.what) for one in data.mistakes] == [("several classes", f"expected one label, got {parts}")]


def test_a_comma_in_the_name_of_a_class_stays(tmp_path: Path) -> None:
    rows = [("1.jpg", "owl"), ("2.jpg", "great tit, male"), ("3.jpg", "owl, male")]
    table = write_table(tmp_path / "t.csv", rows, ("path", "label"))
    write_images(tmp_path, rows)
    assert read(table).class_names == ("great tit, male", "owl", "owl, male")


@pytest.mark.parametrize(
    ("splits", "train", "test"),
    [
        pytest.param(["train", "test", "val"], ["0"], ["1"], id="validation images are neither"),
        pytest.param(["train", "val", "valid"], ["0"], ["1", "2"], id="they are the test where there is no other"),
        pytest.param(["Training", " TEST ", "train"], ["0", "2"], ["1"], id="capitals and blanks"),
        pytest.param(["test", "test", "test"], [], ["0", "1", "2"], id="a list of ground truth"),
        pytest.param(["train", "train", "train"], None, None, id="training images alone"),
        pytest.param(["", "", ""], None, None, id="an empty column"),
    ],
)
def test_a_split_is_taken_where_there_is_one(
    tmp_path: Path, splits: Sequence[str], train: list[str] | None, test: list[str] | None
) -> None:
    rows = [(str(number), "owl", split) for number, split in enumerate(splits)]
    data = read(write_table(tmp_path / "t.csv", rows, ("path", "label", "split")))
    assert data.has_split == (train is not None)
    assert [sample.image_id for sample in data.train] == (["0", "1", "2"] if train is None else train)
    assert [sample.image_id for sample in data.test] == (["0", "1", "2"] if test is None else test)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        pytest.param(
            [("1", "owl", "train"), ("1", "owl", "test")],
            "line 3: expected 1 in one split, got 'test' here and 'train' before",
            id="one image in both",
        ),
        pytest.param(
            [("1", "owl", "train"), ("2", "owl", "")],
            "line 3: expected a split as in the other lines",
            id="a cell left empty",
        ),
        pytest.param([("1", "owl", "trian")], "got 'trian'. Did you mean train?", id="a slip"),
        pytest.param([("1", "owl", "7")], "expected split to be train, test or val, got '7'. Fix", id="a number"),
    ],
)
def test_a_senseless_split_names_its_line(tmp_path: Path, rows: list[tuple[str, str, str]], words: str) -> None:
    with pytest.raises(WsolError, match=r"t\.csv, line \d.*(Fix|Fill)") as raised:
        read(write_table(tmp_path / "t.csv", rows, ("path", "label", "split")))
    assert words in str(raised.value)


# Boxes


def test_malformed_boxes_matter_only_when_ground_truth_is_read(tmp_path: Path) -> None:
    write_csv_set(tmp_path)
    whole = open_data(tmp_path)
    write_table(tmp_path / "labels.csv", [*ROWS[:3], (*ROWS[3][:2], "po", "i", "s", "on")])
    poisoned = open_data(tmp_path)
    assert (poisoned.train, poisoned.test) == (whole.train, whole.test)
    assert poisoned.training_hash() == whole.training_hash()
    (mistake,) = poisoned.read_ground_truth().mistakes
    assert str(mistake).startswith("not a number: ") and "labels.csv, line 5: expected four numbers" in str(mistake)
    assert "po,i,s,on" in mistake.what


@pytest.mark.parametrize(
    ("corners", "kind"),
    [
        pytest.param((20, 20, 10, 10), "swapped corners", id="swapped corners"),
        pytest.param((5, 2, 5, 4), "no area", id="no width"),
        pytest.param(("nan", 2, 3, 4), "not a number", id="nan"),
        pytest.param((100, 2, 110, 4), "outside the image", id="outside"),
    ],
)
def test_an_invalid_box_is_noted_and_not_used(tmp_path: Path, corners: tuple[object, ...], kind: str) -> None:
    write_csv_set(tmp_path)
    table = write_table(tmp_path / "labels.csv", [*ROWS, ("1.jpg", "owl", *corners)])
    ground_truth = read(tmp_path).read_ground_truth()
    assert boxes_of(ground_truth) == BOXES
    assert [(mistake.kind, mistake.where) for mistake in ground_truth.mistakes] == [(kind, f"{table}, line 6")]


@pytest.mark.parametrize("corners", [("", 2, 3, 4), (1, 2, "", ""), (1, 2, 3, "four")])
def test_a_box_that_is_no_four_numbers_is_one_mistake_with_its_line(
    tmp_path: Path, corners: tuple[object, ...]
) -> None:
    write_csv_set(tmp_path)
    write_table(tmp_path / "labels.csv", [*ROWS, ("1.jpg", "owl", *corners)])
    ground_truth = read(tmp_path).read_ground_truth()
    assert boxes_of(ground_truth) == BOXES
    (mistake,) = ground_truth.mistakes
    assert (mistake.kind, Path(mistake.where).name) == ("not a number", "labels.csv, line 6")
    assert "expected four numbers (x0,y0,x1,y1), got" in mistake.what


def test_sizes_come_from_the_table_if_it_has_them_else_from_the_images(tmp_path: Path) -> None:
    columns = (*BOX_COLUMNS, "width", "height")
    rows = [("absent.jpg", "owl", 1, 2, 300, 200, 300, 200), ("1.jpg", "owl", 1, 2, 300, 200, "", "")]
    write_images(tmp_path, rows[1:])
    ground_truth = read(write_table(tmp_path / "t.csv", rows, columns)).read_ground_truth()
    assert {image_id: one.image_hw for image_id, one in ground_truth.by_id.items()} == {
        "absent.jpg": (200, 300),
        "1.jpg": HW,
    }
    assert boxes_of(ground_truth) == {"absent.jpg": [(1, 2, 300, 200)], "1.jpg": [(1, 2, 40, 30)]}


def test_two_sizes_of_one_image_are_noted(tmp_path: Path) -> None:
    columns = (*BOX_COLUMNS, "width", "height")
    rows = [("1.jpg", "owl", 1, 2, 3, 4, 40, 30), ("1.jpg", "owl", 5, 6, 7, 8, 400, 300)]
    ground_truth = read(write_table(tmp_path / "t.csv", rows, columns)).read_ground_truth()
    assert boxes_of(ground_truth) == {"1.jpg": [(1, 2, 3, 4)]}
    assert [mistake.kind for mistake in ground_truth.mistakes] == ["other size"]
    assert "expected 40 x 30 as before, got 400 x 300" in ground_truth.mistakes[0].what


@pytest.mark.parametrize("size", [("", 30), (40, ""), (0, 30), (-40, 30), (40, "thirty"), ("40.5", 30)])
def test_a_senseless_size_names_its_line(tmp_path: Path, size: tuple[object, object]) -> None:
    table = write_table(tmp_path / "t.csv", [("1.jpg", "owl", 1, 2, 3, 4, *size)], (*BOX_COLUMNS, "width", "height"))
    with pytest.raises(
        WsolError, match=r"t\.csv, line 2: expected width and height of an image in whole pixels, got.*Fix"
    ):
        read(table).read_ground_truth()


def test_missing_and_broken_images_cost_their_own_boxes_and_are_noted_once(tmp_path: Path) -> None:
    write_csv_set(tmp_path)
    (tmp_path / "images/1.jpg").write_bytes(b"")
    (tmp_path / "images/2.jpg").unlink()
    (tmp_path / "images/night/3.jpg").unlink()
    data = open_ground_truth(tmp_path)
    assert labelled(data, data.train) == LABELS
    ground_truth = data.read_ground_truth()
    assert boxes_of(ground_truth) == {}
    # night/3.jpg has no box, and is not looked for.
    assert [(mistake.kind, Path(mistake.where).name) for mistake in ground_truth.mistakes] == [
        ("broken image", "1.jpg"),
        ("missing image", "2.jpg"),
    ]


class Counted(str):
    """A name that counts how often it is compared with another."""

    comparisons = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Counted.comparisons += 1
        return str.__eq__(self, other)


@pytest.mark.parametrize("columns", [500, 2000])
def test_the_columns_of_a_wide_table_are_compared_a_few_times_each(columns: int) -> None:
    header = [Counted(name) for name in (*BOX_COLUMNS, *(f"column {number}" for number in range(columns)))]
    Counted.comparisons = 0
    check_header(Path("wide.csv"), header, ("path", "label"), OPTIONAL)
    assert Counted.comparisons < 20 * columns


def test_an_error_shows_the_first_of_many_columns(tmp_path: Path) -> None:
    columns = [f"column {number} {'x' * 300}" for number in range(20_000)]
    (tmp_path / "t.csv").write_text(",".join(["path", *columns]) + "\n")
    with pytest.raises(WsolError, match=r"has the columns path, column 0.*\(20001 in all\): expected path") as raised:
        read(tmp_path / "t.csv")
    assert len(str(raised.value)) < 5000
