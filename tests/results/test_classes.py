"""Ranked classes of other systems: names or numbers, one line per image or per class."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from fake_data.results import predicted, write_predictions, write_table
from hypothesis import given, settings
from hypothesis import strategies as st

from wsol.errors import WsolError
from wsol.results.classes import read_classes

IDS = ["test/hawk/1.jpg", "test/owl/1.jpg", "test/owl/2.jpg"]
CLASSES = ("hawk", "owl", "great tit", "Käuzchen, 梟")


def table(root: Path, text: str) -> Path:
    (root / "classes.csv").write_text(text, encoding="utf-8")
    return root / "classes.csv"


def read(root: Path, text: str, class_names: tuple[str, ...] = CLASSES) -> dict[str, tuple[int, ...]]:
    return read_classes(table(root, text), IDS, class_names).by_id


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("path,first\ntest/owl/1.jpg,owl\n", {IDS[1]: (1,)}, id="the best only"),
        pytest.param("path,class\ntest/owl/1.jpg,owl\n", {IDS[1]: (1,)}, id="called class"),
        pytest.param("path,first,second,third\ntest/owl/1.jpg,owl,great tit,hawk\n", {IDS[1]: (1, 2, 0)}, id="three"),
        pytest.param("path,a,a\ntest/owl/1.jpg,owl,hawk\n", {IDS[1]: (1, 0)}, id="other words for columns"),
        pytest.param("path,first,second\ntest/owl/1.jpg,owl,\n", {IDS[1]: (1,)}, id="fewer classes than columns"),
        pytest.param("path,first,second\ntest/owl/1.jpg,,\n", {}, id="no class counts as no line"),
        pytest.param("path,first,second\ntest/owl/1.jpg,1,0\n", {IDS[1]: (1, 0)}, id="labels"),
        pytest.param("path,first,second\ntest/owl/1.jpg,3,owl\n", {IDS[1]: (3, 1)}, id="a label and a name"),
        pytest.param('path,first\ntest/owl/1.jpg,"Käuzchen, 梟"\n', {IDS[1]: (3,)}, id="a comma in a name"),
        pytest.param("path,first\nowl/1.jpg,owl\nhawk/1.jpg,hawk\n", {IDS[1]: (1,), IDS[0]: (0,)}, id="shorter paths"),
        pytest.param("path,first\ntest/owl/1.jpg,owl\nother.jpg,owl\n", {IDS[1]: (1,)}, id="a strange image"),
        pytest.param(
            "path,class,probability\ntest/owl/1.jpg,owl,0.2\ntest/owl/2.jpg,0,1\ntest/owl/1.jpg,great tit,0.7\n",
            {IDS[1]: (2, 1), IDS[2]: (0,)},
            id="a line a class",
        ),
        pytest.param(
            "path,probability,rank,class\ntest/owl/1.jpg,1e-3,2,owl\ntest/owl/1.jpg,-0.1,3,hawk\n",
            {IDS[1]: (1, 0)},
            id="a line a class, another order, and more",
        ),
        pytest.param(
            "path,class,probability\ntest/owl/1.jpg,owl,0.5\ntest/owl/1.jpg,hawk,0.5\n",
            {IDS[1]: (1, 0)},
            id="of equal ones the first stays first",
        ),
        pytest.param("path,first\n", {}, id="nothing but a header"),
        pytest.param("path,class,probability\n", {}, id="nothing but the other header"),
    ],
)
def test_labels_are_ranked_best_first(tmp_path: Path, text: str, expected: dict[str, tuple[int, ...]]) -> None:
    assert read(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("class_names", "cells", "expected"),
    [
        pytest.param(("owl", "hawk"), "1,0", (1, 0), id="names of letters, labels"),
        pytest.param(("owl", "hawk"), "01,00", (1, 0), id="labels with zeros before"),
        pytest.param(("1", "2", "0"), "0,1", (2, 0), id="names of digits come first"),
        pytest.param(("owl", "0"), "0,owl", (1, 0), id="one name of digits"),
        pytest.param(("001.Hawk", "002.Owl"), "1,0", (1, 0), id="names that begin with digits"),
    ],
)
def test_a_name_comes_before_a_number(
    tmp_path: Path, class_names: tuple[str, ...], cells: str, expected: tuple[int, ...]
) -> None:
    assert read(tmp_path, f"path,a,b\ntest/owl/1.jpg,{cells}\n", class_names) == {IDS[1]: expected}


def test_no_cell_is_a_label_if_class_names_are_numbers(tmp_path: Path) -> None:
    # Taken cell by cell, 0 and 1 would both be the first class.
    with pytest.raises(
        WsolError,
        match=r"line 2: '0' is not a class: expected one of the 3 of the ground truth \(1, 2, 3, \.\.\.\)\. Write",
    ):
        read(tmp_path, "path,first\ntest/owl/1.jpg,0\ntest/owl/2.jpg,1\n", ("1", "2", "3"))


def test_predictions_bring_their_five_best(tmp_path: Path) -> None:
    lines = [predicted("owl/1.jpg", top5=["owl", "hawk"]), predicted("x.jpg", top5=["hawk"]), predicted("owl/2.jpg")]
    folder = write_predictions(tmp_path / "predictions", lines)
    for path in (folder, folder / "predictions.jsonl"):
        assert read_classes(path, IDS, CLASSES).by_id == {IDS[1]: (1, 0)}


def test_predictions_of_other_classes_name_the_line(tmp_path: Path) -> None:
    folder = write_predictions(tmp_path, [predicted("owl/1.jpg"), predicted("owl/2.jpg", top5=["Owl"])])
    with pytest.raises(WsolError, match=r"predictions\.jsonl, line 2: 'Owl' is not a class: .*Did you mean 'owl'\?"):
        read_classes(folder, IDS, CLASSES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            "path,first\n\na,hwak\n",
            "(hawk, owl, great tit, ...), or a label from 0 to 3. Did you mean 'hawk'?",
            id="a slip",
        ),
        pytest.param("path,first\n\na,zebra\n", "Write the class as in the ground truth", id="nothing like it"),
        pytest.param("path,first\n\na,4\n", "'4' is not a class", id="one label too far"),
        pytest.param("path,first\n\na,-1\n", "'-1' is not a class", id="a label below zero"),
        pytest.param("path,first\n\na,1.0\n", "'1.0' is not a class", id="a fraction"),
        pytest.param("path,first\n\na,²\n", "'²' is not a class", id="a digit that is no number"),
        pytest.param(f"path,first\n\na,{'1' * 5000}\n", "is not a class", id="a number without end"),
        pytest.param(
            "path,first,second\n\na,zebra,owl\nb,gnu,newt\n",
            "'zebra' is not a class",
            id="one of four, of another four",
        ),
        pytest.param("path,first,second\n\na,,owl\n", "'' is not a class", id="no first, but a second"),
        pytest.param("path,first,second\n\na,owl,owl\n", "expected each class once, got owl, owl.", id="a class twice"),
        pytest.param(
            "path,first,second\n\na,owl,1\n", "expected each class once, got owl, 1.", id="a class by name and label"
        ),
        pytest.param("path,first\na,owl\na,hawk\n", "expected each image once, got 'a' again", id="an image twice"),
        pytest.param("path,first\n\na\n", "expected 2 cells (path,first), got 1", id="a cell lost"),
        pytest.param("path,class,probability\n\na,hwak,1\n", "Did you mean 'hawk'?", id="a slip in a line a class"),
        pytest.param("path,class,probability\n\na,owl,high\n", "expected a probability, got 'high'", id="a word"),
        pytest.param("path,class,probability\n\na,owl,nan\n", "expected a probability, got 'nan'", id="not a number"),
        pytest.param("path,class,probability\n\na,owl,\n", "expected a probability, got ''", id="no probability"),
        pytest.param(
            "path,class,probability\na,owl,1\na,owl,0\n",
            "expected each class once, got owl, owl",
            id="two lines of a class",
        ),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(WsolError, match=r"classes\.csv, line 3: ") as raised:
        read_classes(table(tmp_path, text), ["a"], CLASSES)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("class_names", "top5"),
    [
        pytest.param(("hawk", "owl", "newt"), ["fish", "owl", "hawk"], id="one class too many"),
        pytest.param(("owl",), ["fish", "newt", "hawk", "owl", "gnu"], id="the ground truth has one class of five"),
        pytest.param(("hawk", "owl"), ["fish", "owl"], id="the other class of the ground truth is never named"),
    ],
)
def test_a_ground_truth_may_lack_classes_that_are_named(
    tmp_path: Path, class_names: tuple[str, ...], top5: list[str]
) -> None:
    found = read_classes(write_predictions(tmp_path, [predicted("owl/1.jpg", top5=top5)]), IDS, class_names)
    labels = found.by_id[IDS[1]]
    assert [class_names[i] for i in labels if i < len(class_names)] == [name for name in top5 if name in class_names]
    assert len(set(labels)) == len(top5) and found.unknown == tuple(name for name in top5 if name not in class_names)


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param("first,path", id="the path is not first"),
        pytest.param("Path,first", id="capitals"),
        pytest.param("path", id="no class"),
        pytest.param("owl/1.jpg,owl", id="no header"),
        pytest.param("path;first", id="semicolons"),
        pytest.param("path,class,score", id="another word for probability"),
        pytest.param("path,x0,y0,x1,y1", id="boxes"),
        pytest.param("path,x0,y0,x1,y1,score,class", id="boxes with classes"),
    ],
)
def test_other_columns_are_reported_with_what_is_expected(tmp_path: Path, columns: str) -> None:
    with pytest.raises(
        WsolError, match=rf"has the columns {columns}: expected path,first,second,\.\.\. .*or path,class,probability"
    ):
        read(tmp_path, f"{columns}\n")


def test_images_of_another_ground_truth_are_reported(tmp_path: Path) -> None:
    with pytest.raises(WsolError, match=r"such as 'other\.jpg', and none is in the ground truth: .*'test/hawk/1\.jpg'"):
        read(tmp_path, "path,first\nother.jpg,owl\n")


def test_two_spellings_of_an_image_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WsolError, match=r"classes\.csv: .*could both be 'test/owl/1\.jpg'"):
        read(tmp_path, "path,first\nowl/1.jpg,owl\n./owl/1.jpg,hawk\n")


@pytest.mark.parametrize("name", ["classes.json", "classes.npy", "classes"])
def test_a_file_of_another_kind_names_the_kinds_that_are_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(WsolError, match=f"{name} does not exist: expected a file of classes"):
        read_classes(tmp_path / name, IDS, CLASSES)
    (tmp_path / name).touch()
    with pytest.raises(WsolError, match=r"expected a table path,first,second.*\(\.csv\).*\(\.jsonl\)\. Rename"):
        read_classes(tmp_path / name, IDS, CLASSES)


def test_an_empty_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(WsolError, match=r"classes\.csv is empty: expected a line with the names of the columns"):
        read(tmp_path, "")


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@st.composite
def ranked(draw: st.DrawFn) -> tuple[tuple[str, ...], dict[str, list[int]]]:
    """Class names, and labels by path."""
    names = draw(st.lists(TEXT, min_size=1, max_size=5, unique=True))
    some_labels = st.permutations(range(len(names))).flatmap(
        lambda labels: st.integers(1, len(labels)).map(lambda count: labels[:count])
    )
    return tuple(names), draw(st.dictionaries(TEXT, some_labels, max_size=4))


def in_lines(folder: Path, names: Sequence[str], labels: dict[str, list[int]]) -> Path:
    width = max((len(some) for some in labels.values()), default=1)
    rows = [(path, *(names[label] for label in some), *[""] * (width - len(some))) for path, some in labels.items()]
    return write_table(folder / "classes.csv", ["path", *(f"class {place}" for place in range(width))], rows)


def in_a_line_each(folder: Path, names: Sequence[str], labels: dict[str, list[int]]) -> Path:
    rows = [(path, names[label], -place) for path, some in labels.items() for place, label in enumerate(some)]
    return write_table(folder / "classes.csv", ["path", "class", "probability"], rows[::-1])


FEW = settings(max_examples=40)  # each writes files


@FEW
@pytest.mark.parametrize("write", [in_lines, in_a_line_each])
@given(data=ranked())
def test_tables_give_back_what_was_written(write: object, data: tuple[tuple[str, ...], dict[str, list[int]]]) -> None:
    names, labels = data
    with tempfile.TemporaryDirectory() as folder:
        file = write(Path(folder), names, labels)  # type: ignore[operator]
        found = read_classes(file, [*labels, "another"], names)
        assert found.by_id == {path: tuple(some) for path, some in labels.items()} and found.unknown == ()
