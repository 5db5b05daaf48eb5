"""Boxes of other systems: three kinds of files give the same result, and errors name the bad row."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_data.results import predicted, write_coco_results, write_instances, write_predictions, write_table
from hypothesis import given, settings
from hypothesis import strategies as st

from wsol.commands.export import Format, export
from wsol.errors import WsolError
from wsol.geometry.boxes import Boxes, Xyxy
from wsol.predictions.records import open_predictions
from wsol.results.boxes import EXPORTED, BoxResults, ScoredBoxes, read_boxes
from wsol.storage.folders import write_manifest

IDS = ["test/hawk/1.jpg", "test/owl/1.jpg", "test/owl/2.jpg"]
COLUMNS = ("path", "x0", "y0", "x1", "y1", "score", "class")
Row = tuple[Xyxy, float, str | None]


def rows_of(results: BoxResults) -> dict[str, list[Row]]:
    """Boxes, scores and classes of the images with boxes."""
    return {
        image_id: list(zip(map(tuple, one.boxes.xyxy.tolist()), one.scores.tolist(), one.class_names, strict=True))
        for image_id, one in results.by_id.items()
        if len(one.boxes)
    }


# The same in every format: two boxes of one owl, the better one second, one box of a strange image.

OWLS: dict[str, list[Row]] = {
    "test/owl/1.jpg": [((5.0, 6.0, 15.0, 26.0), 0.9, "owl"), ((1.0, 2.0, 4.0, 4.5), 0.25, "owl")]
}


def as_table(root: Path) -> Path:
    rows = [
        ("test/owl/1.jpg", 1, 2, 4, 4.5, 0.25, "owl"),
        ("train/owl/7.jpg", 1, 2, 3, 4, 1, "owl"),
        ("test/owl/1.jpg", 5, 6, 15, 26, 0.9, "owl"),
    ]
    return write_table(root / "boxes.csv", COLUMNS, rows)


def coco_rows(names: dict[str, int | str]) -> list[dict[str, Any]]:
    return [
        {"image_id": names["test/owl/1.jpg"], "category_id": 2, "bbox": [1, 2, 3, 2.5], "score": 0.25},
        {"image_id": names["train/owl/7.jpg"], "category_id": 2, "bbox": [1, 2, 2, 2], "score": 1},
        {"image_id": names["test/owl/1.jpg"], "category_id": 2, "bbox": [5, 6, 10, 20], "score": 0.9},
    ]


def as_coco(root: Path) -> Path:
    write_instances(root, {7: "test/owl/1.jpg", 9: "train/owl/7.jpg"}, {1: "hawk", 2: "owl"})
    return write_coco_results(root / "results.json", coco_rows({"test/owl/1.jpg": 7, "train/owl/7.jpg": 9}))


def as_predictions(root: Path) -> Path:
    owl = predicted("test/owl/1.jpg", ((1, 2, 4, 4.5), 0.25), ((5, 6, 15, 26), 0.9), top5=["owl"])
    other = predicted("train/owl/7.jpg", ((1, 2, 3, 4), 1), top5=["owl"])
    return write_predictions(root / "predictions", [owl, other, predicted("test/hawk/1.jpg", top5=["hawk"])])


@pytest.mark.parametrize("write", [as_table, as_coco, as_predictions])
def test_every_format_gives_the_same_best_first(tmp_path: Path, write: Any) -> None:
    results = read_boxes(write(tmp_path), IDS, None)
    assert rows_of(results) == OWLS
    assert list(results.by_id) == IDS
    assert results.unknown == ("train/owl/7.jpg",)


def test_predictions_may_be_named_by_their_file(tmp_path: Path) -> None:
    assert rows_of(read_boxes(as_predictions(tmp_path) / "predictions.jsonl", IDS, None)) == OWLS


@pytest.mark.parametrize("form", ["coco", "csv"])
def test_an_export_is_read_by_its_folder(tmp_path: Path, form: Format) -> None:
    hawk_and_owls = [
        replace(one, label=int(one.class_name == "owl")) for one in open_predictions(as_predictions(tmp_path))
    ]
    folder = export(write_predictions(tmp_path / "again", hawk_and_owls), form, tmp_path / "exported.csv")
    by_folder, by_file = (read_boxes(path, IDS, None) for path in (folder, folder / EXPORTED[form]))
    assert rows_of(by_folder) == rows_of(by_file) == OWLS


def test_an_export_in_another_format_says_which_are_read(tmp_path: Path) -> None:
    write_manifest(tmp_path, "export", {"format": "voc"}, {}, {})
    with pytest.raises(WsolError, match="is an export in the format voc: expected coco or csv"):
        read_boxes(tmp_path, IDS, None)


def test_an_image_without_a_row_has_no_boxes(tmp_path: Path) -> None:
    nothing = read_boxes(as_table(tmp_path), IDS, None).by_id["test/hawk/1.jpg"]
    assert nothing.boxes.xyxy.shape == (0, 4)
    assert nothing.scores.shape == (0,)
    assert nothing.class_names == ()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("boxes.csv", "path,x0,y0,x1,y1\n", id="a table"),
        pytest.param("results.json", "[]", id="COCO"),
        pytest.param("predictions.jsonl", "", id="predictions"),
    ],
)
def test_no_box_at_all_is_a_result(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    results = read_boxes(tmp_path / name, IDS, None)
    assert list(results.by_id) == IDS
    assert rows_of(results) == {}
    assert results.unknown == ()


def test_a_ground_truth_without_images_asks_for_nothing(tmp_path: Path) -> None:
    results = read_boxes(as_table(tmp_path), [], None)
    assert results.by_id == {}
    assert results.unknown == ("test/owl/1.jpg", "train/owl/7.jpg")


@pytest.mark.parametrize("write", [as_table, as_coco, as_predictions])
def test_results_of_the_test_folder_fit_the_ground_truth_of_the_whole(tmp_path: Path, write: Any) -> None:
    ids = [f"birds/{image_id}" for image_id in IDS]
    assert rows_of(read_boxes(write(tmp_path), ids, None)) == {"birds/test/owl/1.jpg": OWLS["test/owl/1.jpg"]}


@pytest.mark.parametrize("write", [as_table, as_coco, as_predictions])
def test_results_of_other_images_are_reported(tmp_path: Path, write: Any) -> None:
    with pytest.raises(WsolError, match=r"such as 'test/owl/1\.jpg', and none is in the ground truth: .*'other\.jpg'"):
        read_boxes(write(tmp_path), ["other.jpg"], None)


def test_a_name_that_fits_two_images_names_the_file(tmp_path: Path) -> None:
    file = write_table(tmp_path / "boxes.csv", COLUMNS[:5], [("1.jpg", 1, 2, 3, 4)])
    with pytest.raises(WsolError, match=r"boxes\.csv: '1\.jpg' could be 'test/hawk/1\.jpg' or 'test/owl/1\.jpg'"):
        read_boxes(file, IDS, None)


def test_boxes_with_equal_scores_keep_the_order_of_the_file(tmp_path: Path) -> None:
    rows = [("a", 0, 0, number, 1, score) for number, score in enumerate([0.5, 0.7, 0.5, 0.7, 0.5])]
    file = write_table(tmp_path / "boxes.csv", COLUMNS[:6], rows)
    assert read_boxes(file, ["a"], None).by_id["a"].boxes.xyxy[:, 2].tolist() == [1, 3, 0, 2, 4]


def test_scored_boxes_are_as_many_as_their_scores_and_classes() -> None:
    with pytest.raises(ValueError, match="1 boxes, 2 scores, 1 classes"):
        ScoredBoxes(Boxes.of([(0, 0, 1, 1)]), np.zeros(2), (None,))


@pytest.mark.parametrize("name", ["boxes.txt", "boxes", "boxes.xml"])
def test_a_file_of_another_kind_names_the_kinds_that_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(WsolError, match=r"expected COCO results \(\.json\), a table .*\(\.csv\).*\(\.jsonl\)\. Rename"):
        read_boxes(tmp_path / name, IDS, None)


@pytest.mark.parametrize("name", ["boxes.csv", "results.json", "predictions.jsonl", "predictions"])
def test_an_absent_file_is_reported(tmp_path: Path, name: str) -> None:
    with pytest.raises(WsolError, match=f"{name} does not exist: expected a file of boxes. Check the path."):
        read_boxes(tmp_path / name, IDS, None)


# Tables


def table(root: Path, text: str | bytes) -> Path:
    (root / "boxes.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    return root / "boxes.csv"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("path,x0,y0,x1,y1\na,1,2,3,4\n", (1.0, None), id="neither score nor class"),
        pytest.param("path,x0,y0,x1,y1,score\na,1,2,3,4,-7.5\n", (-7.5, None), id="a score below zero"),
        pytest.param("path,x0,y0,x1,y1,class\na,1,2,3,4,owl\n", (1.0, "owl"), id="a class"),
        pytest.param("path,x0,y0,x1,y1,class\na,1,2,3,4,\n", (1.0, None), id="no class in the cell"),
        pytest.param("note,class,y1,x1,y0,x0,path\n,owl,4,3,2,1,a\n", (1.0, "owl"), id="another order, and more"),
        pytest.param("\ufeffpath,x0,y0,x1,y1\r\na,1,2,3,4\r\n", (1.0, None), id="saved by a spreadsheet"),
        pytest.param("path, x0, y0, x1, y1\n\na, 1, 2, 3, 4\n\n", (1.0, None), id="spaces and empty lines"),
        pytest.param("path,x0,y0,x1,y1\na,1,2,3,4", (1.0, None), id="no last line break"),
    ],
)
def test_tables_come_in_many_ways(tmp_path: Path, text: str, expected: tuple[float, str | None]) -> None:
    found = rows_of(read_boxes(table(tmp_path, text), ["a"], None))
    assert found == {"a": [((1, 2, 3, 4), *expected)]}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        pytest.param("a,nan,2,3,4,1", "finite corners and score, got nan,2.0,3.0,4.0", id="not a number"),
        pytest.param("a,1,2,inf,4,1", "finite corners and score", id="infinite"),
        pytest.param("a,1,2,3,4,nan", "finite corners and score, got 1.0,2.0,3.0,4.0 and nan", id="a score of nan"),
        pytest.param("a,3,2,1,4,1", "swapped corners or xywh?", id="x swapped"),
        pytest.param("a,1,4,3,2,1", "swapped corners or xywh?", id="y swapped"),
        pytest.param("a,x,2,3,4,1", "expected numbers", id="a word"),
        pytest.param("a,,2,3,4,1", "expected numbers", id="an empty cell"),
        pytest.param("a,1,2,3,4,", "expected numbers", id="no score"),
        pytest.param("a,1,2,3,4", "expected 6 cells (path,x0,y0,x1,y1,score), got 5", id="a cell lost"),
        pytest.param("a,1,2,3,4,1,5", "expected 6 cells (path,x0,y0,x1,y1,score), got 7", id="a cell too many"),
        pytest.param("a,b,1,2,3,4,1", "quote a cell that holds a comma", id="a comma in the path"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, row: str, words: str) -> None:
    file = table(tmp_path, f'path,x0,y0,x1,y1,score\n"a\nb",1,2,3,4,1\n\n{row}\na,1,2,3,4,1\n')
    with pytest.raises(WsolError, match=r"boxes\.csv, line 5: expected .*Fix") as raised:
        read_boxes(file, ["a"], None)
    assert words in str(raised.value)


def test_a_box_without_area_is_a_box(tmp_path: Path) -> None:
    # What wsolevaluation says where nothing was found.
    file = table(tmp_path, "path,x0,y0,x1,y1\na,0,0,0,0\n")
    assert rows_of(read_boxes(file, ["a"], None)) == {"a": [((0, 0, 0, 0), 1, None)]}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        pytest.param("path,x0,y0,x1", "Rename or add y1.", id="one missing"),
        pytest.param("file,x,y,w,h", "Rename or add path, x0, y0, x1, y1.", id="other words"),
        pytest.param("Path,X0,Y0,X1,Y1", "Did you mean 'Path' to be path? Did you mean 'X0' to be x0?", id="capitals"),
        pytest.param("image_path,x0,y0,x1,y1", "Did you mean 'image_path' to be path?", id="a longer word"),
        pytest.param("paht,x0,y0,x1,y1", "Did you mean 'paht' to be path?", id="a slip"),
        pytest.param("path,x_0,y0,x1,y1", "Did you mean 'x_0' to be x0?", id="an underscore"),
        pytest.param(
            "path;x0;y0;x1;y1", "has the columns path;x0;y0;x1;y1: expected path,x0,y0,x1,y1", id="semicolons"
        ),
        pytest.param("path,x,y,w,h", "x1 = x0 + width", id="xywh"),
        pytest.param(
            "path,x0,y0,x1,y1,scores", "Did you mean 'scores' to be score? Rename it, or remove it.", id="scores"
        ),
        pytest.param("path,x0,y0,x1,y1,Score", "Did you mean 'Score' to be score?", id="Score"),
        pytest.param("path,x0,y0,x1,y1,class_name", "Did you mean 'class_name' to be class?", id="class_name"),
        pytest.param("path,x0,y0,x1,y1,x0", "is there twice", id="a column twice"),
        pytest.param("path,x0,y0,x1,y1,score,score", "is there twice", id="two scores"),
    ],
)
def test_other_columns_get_a_hint(tmp_path: Path, columns: str, words: str) -> None:
    with pytest.raises(WsolError, match=r"boxes\.csv has the columns .*: expected path,x0,y0,x1,y1") as raised:
        read_boxes(table(tmp_path, f"{columns}\n"), ["a"], None)
    assert words in str(raised.value)


def test_a_column_similar_to_one_that_exists_is_ignored(tmp_path: Path) -> None:
    file = table(tmp_path, "path,x0,y0,x1,y1,score,class,class_id,source\na,1,2,3,4,0.5,owl,7,web\n")
    assert rows_of(read_boxes(file, ["a"], None)) == {"a": [((1, 2, 3, 4), 0.5, "owl")]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "is empty: expected a line with the names", id="an empty file"),
        pytest.param(b"\n\n", "is empty", id="empty lines"),
        pytest.param("path,x0,y0,x1,y1\nKäuzchen,1,2,3,4\n".encode("latin-1"), "is not UTF-8", id="Latin"),
        pytest.param(b'path,x0,y0,x1,y1\n"a,1,2,3,4\nb,1,2,3,4\n', "is not CSV", id="a quote that never ends"),
    ],
)
def test_a_table_that_cannot_be_read_says_why(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(WsolError, match=words):
        read_boxes(table(tmp_path, content), ["a"], None)


FLOATS = st.floats(-1e6, 1e6, allow_subnormal=False)
PIXELS = FLOATS.filter(lambda corner: not -1 <= corner <= 1.5)  # boxes of such alone are fractions
CLASSES = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@st.composite
def found(draw: st.DrawFn) -> dict[str, list[Row]]:
    """Boxes by path, best first."""
    result: dict[str, list[Row]] = {}
    for path in draw(st.sets(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=4)):
        scores = sorted(draw(st.lists(FLOATS, min_size=1, max_size=3)), reverse=True)
        corners = [
            (*map(min, a, b), *map(max, a, b))
            for a, b in draw(
                st.lists(
                    st.tuples(st.tuples(PIXELS, PIXELS), st.tuples(PIXELS, PIXELS)),
                    min_size=len(scores),
                    max_size=len(scores),
                )
            )
        ]
        result[path] = [(box, score, draw(CLASSES)) for box, score in zip(corners, scores, strict=True)]
    return result


FEW = settings(max_examples=40)  # each writes files


@FEW
@given(found())
def test_a_table_gives_back_what_was_written(boxes: dict[str, list[Row]]) -> None:
    rows = [(path, *box, score, name) for path, some in boxes.items() for box, score, name in some]
    with tempfile.TemporaryDirectory() as folder:
        file = write_table(Path(folder, "boxes.csv"), COLUMNS, rows)
        results = read_boxes(file, [*boxes, "another"], None)
    assert rows_of(results) == boxes
    assert results.unknown == ()


@FEW
@given(found())
def test_coco_gives_back_what_was_written(boxes: dict[str, list[Row]]) -> None:
    rows = [
        {"image_id": path, "bbox": [x0, y0, x1 - x0, y1 - y0], "score": score}
        for path, some in boxes.items()
        for (x0, y0, x1, y1), score, _ in some
    ]
    with tempfile.TemporaryDirectory() as folder:
        results = read_boxes(write_coco_results(Path(folder, "results.json"), rows), [*boxes, "another"], None)
    for path, some in boxes.items():
        one = results.by_id[path]
        np.testing.assert_allclose(one.boxes.xyxy, [box for box, _, _ in some], atol=1e-6)
        assert one.scores.tolist() == [score for _, score, _ in some]
        assert set(one.class_names) == {None}


# COCO


def coco(root: Path, **changes: Any) -> Path:
    """A good entry, and one with changes; a change to None leaves the field out."""
    good: dict[str, Any] = {"image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5}
    row = {name: value for name, value in (good | changes).items() if value is not None}
    return write_coco_results(root / "results.json", [good, row])


TRUTHS_OWN = {7: "test/owl/1.jpg", 8: "test/owl/2.jpg"}


def test_numbers_are_those_of_the_ground_truth(tmp_path: Path) -> None:
    results = read_boxes(coco(tmp_path, image_id=8), IDS, TRUTHS_OWN)
    box = ((1, 2, 4, 6), 0.5, None)
    assert rows_of(results) == {"test/owl/1.jpg": [box], "test/owl/2.jpg": [box]}


def test_numbers_are_first_those_of_the_instances_beside_the_file(tmp_path: Path) -> None:
    write_instances(tmp_path, {7: "hawk/1.jpg"}, {2: "hawk"})
    results = read_boxes(coco(tmp_path, image_id=8), IDS, TRUTHS_OWN)
    assert rows_of(results) == {"test/hawk/1.jpg": [((1, 2, 4, 6), 0.5, "hawk")]}
    assert results.unknown == ("image_id 8",)


def test_numbers_that_the_ground_truth_lacks_are_unknown(tmp_path: Path) -> None:
    assert read_boxes(coco(tmp_path, image_id=99), IDS, TRUTHS_OWN).unknown == ("image_id 99",)
    with pytest.raises(WsolError, match="such as 'image_id 7', and none is in the ground truth"):
        read_boxes(coco(tmp_path), IDS, {1: "test/owl/1.jpg"})


def test_numbers_without_known_images_are_reported_with_advice(tmp_path: Path) -> None:
    with pytest.raises(WsolError, match=r"results\.json, entry 1: image_id 7 .*an instances\.json beside"):
        read_boxes(coco(tmp_path), IDS, None)


def test_an_image_id_may_be_a_path(tmp_path: Path) -> None:
    file = write_coco_results(tmp_path / "r.json", coco_rows({path: path for path in [*IDS, "train/owl/7.jpg"]}))
    without_classes = [(box, score, None) for box, score, _ in OWLS["test/owl/1.jpg"]]
    assert rows_of(read_boxes(file, IDS, None)) == {"test/owl/1.jpg": without_classes}


@pytest.mark.parametrize("category_id", [None, 99])
def test_a_category_that_has_no_name_is_no_class(tmp_path: Path, category_id: int | None) -> None:
    write_instances(tmp_path, TRUTHS_OWN, {2: "owl"})
    results = read_boxes(coco(tmp_path, category_id=category_id, image_id=8), IDS, None)
    assert results.by_id["test/owl/1.jpg"].class_names == ("owl",)
    assert results.by_id["test/owl/2.jpg"].class_names == (None,)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"image_id": None}, "expected an image_id (a number or a path)", id="no image"),
        pytest.param({"image_id": 7.5}, "expected an image_id", id="half an image"),
        pytest.param({"image_id": True}, "expected an image_id", id="true for an image"),
        pytest.param({"image_id": [7]}, "expected an image_id", id="a list of images"),
        pytest.param({"bbox": None}, "a bbox [x, y, width, height]", id="no box"),
        pytest.param({"bbox": [1, 2, 3]}, "a bbox [x, y, width, height]", id="three numbers"),
        pytest.param({"bbox": [1, 2, 3, 4, 5]}, "a bbox [x, y, width, height]", id="five numbers"),
        pytest.param({"bbox": ["x", 2, 3, 4]}, "a bbox [x, y, width, height]", id="a word"),
        pytest.param({"bbox": "1234"}, "a bbox [x, y, width, height]", id="a text of four digits"),
        pytest.param({"bbox": [[1, 2, 3, 4]]}, "a bbox [x, y, width, height]", id="a list of boxes"),
        pytest.param({"bbox": [10**400, 2, 3, 4]}, "a bbox [x, y, width, height]", id="beyond every number"),
        pytest.param({"score": None}, "and a score", id="no score"),
        pytest.param({"score": "high"}, "and a score", id="a word for a score"),
        pytest.param({"category_id": [2]}, "expected an image_id", id="a list of categories"),
        pytest.param(
            {"bbox": [1, 2, -3, 4]}, "expected x0 <= x1 and y0 <= y1, got 1.0,2.0,-2.0,6.0", id="a width below zero"
        ),
        pytest.param({"bbox": [1, 2, 3, -4]}, "expected x0 <= x1 and y0 <= y1", id="a height below zero"),
        pytest.param({"bbox": [1, float("nan"), 3, 4]}, "expected finite corners and score", id="not a number"),
        pytest.param({"score": float("inf")}, "expected finite corners and score", id="an infinite score"),
    ],
)
def test_a_bad_entry_is_named_by_its_position(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(WsolError, match=r"results\.json, entry 2: expected .*Fix it\.") as raised:
        read_boxes(coco(tmp_path, **changes), IDS, TRUTHS_OWN)
    assert words in str(raised.value)


@pytest.mark.parametrize("entry", [None, 3, "owl", [], ["image_id", "bbox"]])
def test_an_entry_that_is_no_object_is_named_by_its_position(tmp_path: Path, entry: Any) -> None:
    file = write_coco_results(tmp_path / "results.json", [entry])
    with pytest.raises(WsolError, match=r"results\.json, entry 1: expected an image_id"):
        read_boxes(file, IDS, TRUTHS_OWN)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            '{"images": [], "annotations": []}',
            "an object with images, annotations: expected COCO results, a list",
            id="annotations",
        ),
        pytest.param("3", "holds 3: expected COCO results", id="a number"),
        pytest.param("", "is not JSON", id="an empty file"),
        pytest.param('[{"image_id": 7', "is not JSON", id="half a file"),
        pytest.param('{"image_id": 7}\n{"image_id": 8}\n', "is not JSON", id="lines"),
        pytest.param("[" * 100_000, "is not JSON", id="brackets without end"),
    ],
)
def test_json_of_another_kind_names_what_is_expected(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(WsolError, match=r"results\.json") as raised:
        read_boxes(tmp_path / "results.json", IDS, TRUTHS_OWN)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param([], id="a list"),
        pytest.param({}, id="nothing in it"),
        pytest.param({"images": [{"id": 1}]}, id="an image without a name"),
        pytest.param({"images": [{"file_name": "a"}]}, id="an image without a number"),
        pytest.param({"images": ["a"]}, id="names for images"),
        pytest.param({"images": [], "categories": [{"id": 1}]}, id="a category without a name"),
        pytest.param({"images": [{"id": [1], "file_name": "a"}]}, id="a list for a number"),
    ],
)
def test_instances_beside_the_file_must_be_coco(tmp_path: Path, content: Any) -> None:
    (tmp_path / "instances.json").write_text(json.dumps(content))
    with pytest.raises(WsolError, match=r"instances\.json is not COCO .*Fix it, or move it"):
        read_boxes(coco(tmp_path), IDS, TRUTHS_OWN)


def test_instances_need_no_categories(tmp_path: Path) -> None:
    (tmp_path / "instances.json").write_text(json.dumps({"images": [{"id": 7, "file_name": "owl/1.jpg"}]}))
    assert rows_of(read_boxes(coco(tmp_path), IDS, None)).keys() == {"test/owl/1.jpg"}


# Predictions


@pytest.mark.parametrize(
    ("xyxy", "score", "words"),
    [
        pytest.param((1, 2, float("nan"), 4), 0.5, "finite", id="not a number"),
        pytest.param((3, 2, 1, 4), 0.5, "swapped", id="swapped corners"),
        pytest.param((1, 2, 3, 4), float("inf"), "finite", id="an infinite score"),
    ],
)
def test_a_bad_prediction_is_named_by_its_line(tmp_path: Path, xyxy: Xyxy, score: float, words: str) -> None:
    good, bad = predicted(IDS[0], ((1, 2, 3, 4), 0.5)), predicted(IDS[1], (xyxy, score))
    with pytest.raises(WsolError, match=rf"predictions\.jsonl, line 2: .*expected .*{words}"):
        read_boxes(write_predictions(tmp_path, [good, bad]), IDS, None)


def test_an_image_predicted_twice_is_named_by_its_line(tmp_path: Path) -> None:
    twice = [predicted(IDS[0]), predicted(IDS[1]), predicted(IDS[0])]
    with pytest.raises(WsolError, match=r"line 3: expected each image once, got 'test/hawk/1\.jpg' again"):
        read_boxes(write_predictions(tmp_path, twice), IDS, None)


def test_predictions_without_objects_that_are_of_no_image_are_reported_too(tmp_path: Path) -> None:
    results = read_boxes(write_predictions(tmp_path, [predicted(IDS[0]), predicted("x.jpg")]), IDS, None)
    assert results.unknown == ("x.jpg",)


def test_an_unfinished_folder_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(WsolError, match=r"no manifest\.json .*wsol predict"):
        read_boxes(tmp_path, IDS, None)
