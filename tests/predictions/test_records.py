"""`predictions.jsonl`: what is written comes back, and a bad line is named."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from wsol.errors import WsolError
from wsol.predictions.records import (
    LINES,
    PredictedObject,
    Prediction,
    encode,
    open_predictions,
    read_lines,
    to_line,
    write_lines,
)
from wsol.storage.folders import write_manifest

# pycocotools 2.0.11 meets numpy 2.4 half way
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

MASK = np.zeros((12, 16), dtype=bool)
MASK[2:6, 3:8] = True
OWL = PredictedObject((3.0, 2.0, 8.0, 6.0), 0.75, encode(MASK))

PREDICTIONS = [
    Prediction("a/1.jpg", (12, 16), (OWL,), 1, "owl", (("owl", 0.9), ("hawk", 0.1))),
    Prediction("a/2.jpg", (12, 16), (OWL, PredictedObject((0.5, 0.0, 1.25, 1.0), 0.1, encode(~MASK))), None, None, ()),
    Prediction("nothing found.jpg", (1, 1), (), 0, "hawk", (("hawk", 1.0),)),
    Prediction('Käuzchen 梟/ü\u2028\u0085 "x"\\y.jpg', (12, 16), (), 2, "梟 \u2028 & <b>", (("梟 \u2028 & <b>", 0.5),)),
    Prediction("raw \udcff byte.jpg", (12, 16), (OWL,), 3, "cl\udcffass", (("cl\udcffass", 0.5),)),
    Prediction("new\nline\r.jpg", (12, 16), (), None, None, ()),
]


def test_predictions_come_back_as_they_were_written(tmp_path: Path) -> None:
    write_lines(tmp_path / LINES, PREDICTIONS)
    assert list(read_lines(tmp_path / LINES)) == PREDICTIONS
    written = (tmp_path / LINES).read_bytes()
    assert written.count(b"\n") == len(PREDICTIONS)
    assert "Käuzchen 梟".encode() in written  # for people's eyes


def test_no_predictions_are_a_file_too(tmp_path: Path) -> None:
    write_lines(tmp_path / LINES, [])
    assert list(read_lines(tmp_path / LINES)) == []


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_masks_survive_their_run_lengths(mask: NDArray[np.bool_]) -> None:
    rle = json.loads(json.dumps(encode(mask)))
    assert rle["size"] == list(mask.shape)
    assert (PredictedObject((0, 0, 1, 1), 1.0, rle).mask() == mask).all()


def row(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(to_line(PREDICTIONS[0]))
    return values | changes


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in row().items() if key != name}


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


def with_counts(counts: object) -> dict[str, Any]:
    return {"xyxy": [1, 2, 3, 4], "score": 1, "rle": {"size": [12, 16], "counts": counts}}


def with_box(*xyxy: float) -> dict[str, Any]:
    return {"xyxy": list(xyxy), "score": 1, "rle": encode(MASK)}


WHOLE = encode(MASK)["counts"]
COUNTS: dict[str, object] = {
    "that are empty": "",
    "that are cut": WHOLE[:-1],
    "that go on": WHOLE + "1",
    "of other letters": "\N{SUPERSCRIPT TWO}~" + WHOLE,
    "that are a list": [192],
    "that are a number": 192,
    "that are absent": None,
    "of a huge run": "o" * 5000 + "0",
    "below zero": "O" + WHOLE,
}


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"{", id="half a line"),
        pytest.param(b"", id="an empty line"),
        pytest.param(b"\xff\xfe", id="bytes"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"3", id="a number"),
        *(pytest.param(text(without(name)), id=f"without {name}") for name in row() if name != "schema"),
        pytest.param(text(row(surprise=1)), id="with more"),
        pytest.param(text(row(objects=[with_box(8, 6, 3, 2)])), id="swapped corners"),
        pytest.param(text(row(objects=[{"xyxy": [1, 2, 3], "score": 1, "rle": {}}])), id="three edges"),
        pytest.param(text(row(objects=[{"xyxy": [1, 2, 3, 4, 5], "score": 1, "rle": {}}])), id="five edges"),
        pytest.param(text(row(objects=[{"xyxy": [1, 2, 3, 4], "rle": {}}])), id="no score"),
        pytest.param(text(row(objects=[{"xyxy": [1, 2, 3, 4], "score": "high", "rle": {}}])), id="a word for a score"),
        pytest.param(text(row(objects=["owl"])), id="a word for an object"),
        pytest.param(text(row(image_hw=[12])), id="one side"),
        pytest.param(text(row(top5=[["owl"]])), id="a class without probability"),
        pytest.param(text(row(image_hw=[12, 17])), id="masks of another size"),
        pytest.param(text(row(image_hw=[12.0, 16])), id="fractions of pixels"),
        pytest.param(text(row(image_hw=["12", "16"])), id="words for sides"),
        pytest.param(text(row(image="a\0b.jpg")), id="a NUL"),
        pytest.param(text(row(image="half \ud83d.jpg")), id="half a character"),
        pytest.param(text(row(image=3)), id="a number for a name"),
        pytest.param(text(row(label="owl")), id="a word for a label"),
        pytest.param(b'{"image": ' + b"[" * 100_000, id="very deep"),
        pytest.param(text(row()).replace(b"0.75", b"9" * 5000), id="a score of 5,000 digits"),
        pytest.param(text(row()).replace(b"0.75", b"1" + b"0" * 400), id="a score of 400 digits"),
        pytest.param(text(row()).replace(b"0.75", b"1e999"), id="an infinite score"),
        pytest.param(text(row()).replace(b"0.75", b"NaN"), id="a score that is no number"),
        pytest.param(b"\0" * 100, id="NULs"),
        *(
            pytest.param(text(row(objects=[with_counts(counts)])), id=f"run lengths {case}")
            for case, counts in COUNTS.items()
        ),
    ],
)
def test_a_malformed_line_is_named_by_its_number(tmp_path: Path, line: bytes) -> None:
    good = to_line(PREDICTIONS[0]).encode()
    (tmp_path / LINES).write_bytes(good + b"\n" + line + b"\n" + good + b"\n")
    lines = read_lines(tmp_path / LINES)
    assert next(lines) == PREDICTIONS[0]
    with pytest.raises(WsolError, match=r"predictions\.jsonl, line 2: .*`wsol predict"):
        next(lines)


def test_a_line_says_its_schema_and_one_from_before_there_was_one_is_read(tmp_path: Path) -> None:
    write_lines(tmp_path / LINES, PREDICTIONS)
    lines = (tmp_path / LINES).read_bytes()
    assert all(line.startswith(b'{"schema":1,') for line in lines.splitlines())
    (tmp_path / LINES).write_bytes(lines.replace(b'{"schema":1,', b"{"))
    assert list(read_lines(tmp_path / LINES)) == PREDICTIONS


@pytest.mark.parametrize("schema", [0, 2, 3, -1, None, "1", [], 10**19])
def test_a_line_of_another_schema_is_refused_by_name(tmp_path: Path, schema: Any) -> None:
    (tmp_path / LINES).write_bytes(text(row(schema=schema, boxes="of a new kind")))
    newer = r"made by a newer wsol: .* got schema \d+\. Upgrade"
    with pytest.raises(WsolError, match=newer if isinstance(schema, int) and schema > 1 else "has no schema that wsol"):
        list(read_lines(tmp_path / LINES))


def test_names_that_python_alone_takes_for_json_are_read(tmp_path: Path) -> None:
    (tmp_path / LINES).write_bytes(text(row(image="raw \udcff byte.jpg")))  # as its json module escapes them
    assert [one.image for one in read_lines(tmp_path / LINES)] == ["raw \udcff byte.jpg"]


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["a folder", "a pipe"])
def test_a_folder_or_device_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / LINES)
    with pytest.raises(WsolError, match=r"cannot read .*predictions\.jsonl \(.*`wsol predict"):
        list(read_lines(tmp_path / LINES))


def test_a_line_that_ends_early_is_named(tmp_path: Path) -> None:
    write_lines(tmp_path / LINES, PREDICTIONS[:1])
    whole = (tmp_path / LINES).read_bytes()
    (tmp_path / LINES).write_bytes(whole + whole[:50])
    with pytest.raises(WsolError, match="line 2"):
        list(read_lines(tmp_path / LINES))


def test_a_prediction_folder_contains_its_image_root_and_classes(tmp_path: Path) -> None:
    write_lines(tmp_path / LINES, PREDICTIONS)
    write_manifest(
        tmp_path, "predict", {}, {}, {"image_root": "/images/Käuzchen", "class_names": ["hawk", "owl", "raw \udcff"]}
    )
    predictions = open_predictions(tmp_path)
    assert predictions.image_root == Path("/images/Käuzchen")
    assert predictions.class_names == ("hawk", "owl", "raw \udcff")
    assert list(predictions) == list(predictions) == PREDICTIONS


def test_a_folder_of_something_else_says_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(WsolError, match="wsol predict RUN IMAGES"):
        open_predictions(tmp_path)
    write_manifest(tmp_path, "train-cam", {}, {}, {})
    with pytest.raises(WsolError, match="holds the result of `wsol train-cam`"):
        open_predictions(tmp_path)
    write_manifest(tmp_path, "predict", {}, {}, {"image_root": "/a", "class_names": []})
    with pytest.raises(WsolError, match=r"no predictions\.jsonl"):
        list(open_predictions(tmp_path))
