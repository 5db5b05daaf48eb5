"""The journal: whatever happened to its last line, every decision that was acknowledged comes back."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol.errors import WsolError
from wsol.predictions.review_journal import (
    JOURNAL_FILE,
    Decision,
    Journal,
    Verdict,
    has_chosen_class,
    heads,
    read_journal,
)

EDGES = st.integers(0, 50)
BOXES = st.tuples(EDGES, EDGES, st.integers(51, 99), st.integers(51, 99)).map(lambda box: tuple(map(float, box)))
# Line breaks of all kinds, and the surrogates of names that are not UTF-8.
NAMES = st.sampled_from(["a.jpg", "b/c.jpg", "two\nlines", "\u2028 \x85\r", "\udcff.jpg", '{"', "梟"])
ROWS = st.tuples(
    NAMES,
    st.sampled_from(["accepted", "corrected", "empty", "rejected", "undecided"]),
    st.lists(BOXES, max_size=2),
    st.sampled_from(["owl", None]),
    st.sampled_from([None, 1]),
    st.sampled_from([None, 1]),
    st.booleans(),
)


def numbered(rows: list[Any]) -> list[Decision]:
    """Some decisions, as they could stand in one file: "empty" where others would have no box."""
    return [
        Decision(number, image, (100, 100), *consistent(verdict, boxes), class_name, "2026-01-01", "w", "i", *more)
        for number, (image, verdict, boxes, class_name, *more) in enumerate(rows, start=1)
    ]


def consistent(verdict: Verdict, boxes: list[Any]) -> tuple[Verdict, tuple[Any, ...]]:
    if verdict == "empty":
        return verdict, ()
    return ("empty" if verdict in ("accepted", "corrected") and not boxes else verdict), tuple(boxes)


ONE = Decision(1, "a.jpg", (40, 60), "accepted", ((1.0, 2.0, 3.5, 4.0),), "owl", "2026-01-01T00:00:00+00:00", "w", "i")


def written(folder: Path, *some: Decision) -> bytes:
    """What a journal holds after these."""
    with Journal(folder) as journal:
        for decision in some:
            journal.append(decision)
    return (folder / JOURNAL_FILE).read_bytes()


@given(st.lists(ROWS, max_size=4))
def test_what_was_written_is_read_one_line_each(rows: list[Any]) -> None:
    some = numbered(rows)
    with TemporaryDirectory() as folder:
        assert written(Path(folder), *some).count(b"\n") == len(some)
        assert read_journal(Path(folder)) == some
        with Journal(Path(folder)) as journal:
            assert journal.decisions == some and not journal.repaired


@given(st.lists(ROWS, min_size=1, max_size=3), st.data())
def test_a_kill_in_the_middle_of_a_line_costs_no_other_line_and_the_next_one_is_whole(
    rows: list[Any], data: st.DataObject
) -> None:
    some = numbered(rows)
    with TemporaryDirectory() as name:
        folder = Path(name)
        whole = written(folder, *some)
        cut = data.draw(st.integers(whole[:-1].rfind(b"\n") + 1, len(whole) - 1))
        (folder / JOURNAL_FILE).write_bytes(whole[:cut])
        kept = some if cut == len(whole) - 1 else some[:-1]  # only the end of the line is missing
        assert read_journal(folder) == kept
        last = replace(ONE, number=99)
        with Journal(folder) as journal:
            assert journal.decisions == kept
            assert bool(journal.repaired) == (cut < len(whole) - 1 and whole[:cut][-1:] != b"\n" and cut > 0)
            journal.append(last)
        assert read_journal(folder) == [*kept, last]


def test_a_folder_without_a_journal_has_no_decisions(tmp_path: Path) -> None:
    assert read_journal(tmp_path) == []


def test_the_last_line_of_a_image_holds() -> None:
    other, again = replace(ONE, number=2, image="b.jpg"), replace(ONE, number=3, verdict="rejected")
    assert heads([ONE, other, again]) == {"a.jpg": again, "b.jpg": other}


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = written(tmp_path, ONE)
    real = os.write

    def write_a_little(file: int, content: memoryview) -> int:
        if len(content) < 40:
            raise OSError(28, "No space left on device")
        return real(file, content[:30])

    with Journal(tmp_path) as journal:
        monkeypatch.setattr("wsol.predictions.review_journal.os.write", write_a_little)
        with pytest.raises(OSError, match="No space"):
            journal.append(replace(ONE, number=2))
        assert (tmp_path / JOURNAL_FILE).read_bytes() == before
        monkeypatch.undo()
        journal.append(replace(ONE, number=2))
        assert [one.number for one in journal.decisions] == [1, 2]
    assert [one.number for one in read_journal(tmp_path)] == [1, 2]


def test_a_line_is_on_the_disk_before_it_is_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    with Journal(tmp_path) as journal:
        monkeypatch.setattr(
            "wsol.predictions.review_journal.os.fsync", lambda file: synced.append(os.fstat(file).st_size)
        )
        journal.append(ONE)
    assert synced == [(tmp_path / JOURNAL_FILE).stat().st_size] and synced[0] > 0


ROW = json.loads(
    '{"number":2,"image":"b.jpg","image_hw":[40,60],"verdict":"accepted","boxes":[],"class_name":null,"time":"",'
    '"session":"w","id":"j","supersedes":null,"undoes":null}'
)


def test_lines_from_before_a_choice_was_written_are_read_and_chose_another_class_alone(tmp_path: Path) -> None:
    assert "is_class_chosen" not in ROW
    (tmp_path / JOURNAL_FILE).write_text(json.dumps(ROW | {"class_name": "owl"}) + "\n")
    made = read_journal(tmp_path)
    assert [one.is_class_chosen for one in made] == [False]
    assert has_chosen_class(made, "hawk") and not has_chosen_class(made, "owl")


@pytest.mark.parametrize(
    ("verdict", "boxes", "expected"),
    [
        pytest.param("accepted", [], "empty", id="nothing was predicted, and accepted"),
        pytest.param("corrected", [], "empty", id="all boxes were deleted"),
        pytest.param("empty", [], "empty", id="of today"),
        pytest.param("rejected", [], "rejected", id="rejected without a box"),
        pytest.param("undecided", [], "undecided", id="taken back"),
        pytest.param("accepted", [[1, 2, 3, 4]], "accepted", id="a box was accepted"),
    ],
)
def test_a_decision_without_a_box_is_empty_in_older_journals_too(
    tmp_path: Path, verdict: str, boxes: list[Any], expected: str
) -> None:
    (tmp_path / JOURNAL_FILE).write_text(json.dumps(ROW | {"verdict": verdict, "boxes": boxes}) + "\n")
    assert [one.verdict for one in read_journal(tmp_path)] == [expected]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("", id="an empty line"),
        pytest.param("{", id="no JSON"),
        pytest.param("[]", id="a list"),
        pytest.param(json.dumps(ROW | {"verdict": "good"}), id="no verdict"),
        pytest.param(json.dumps(ROW | {"verdict": "empty", "boxes": [[1, 2, 3, 4]]}), id="empty, with a box"),
        pytest.param(json.dumps(ROW | {"number": 1}), id="a number again"),
        pytest.param(json.dumps(ROW | {"boxes": [[3, 2, 1, 4]]}), id="swapped corners"),
        pytest.param(json.dumps(ROW | {"boxes": [[float("nan"), 2, 5, 4]]}), id="not a number"),
        pytest.param(json.dumps(ROW | {"boxes": [[1, 2, 5]]}), id="three corners"),
        pytest.param(json.dumps(ROW | {"more": 1}), id="a word that nobody knows"),
        pytest.param(json.dumps(ROW | {"is_class_chosen": None}), id="no fact"),
        pytest.param(json.dumps({k: v for k, v in ROW.items() if k != "id"}), id="a word is missing"),
    ],
)
def test_a_damaged_line_inside_is_named_not_dropped(tmp_path: Path, line: str) -> None:
    written(tmp_path, ONE)
    with (tmp_path / JOURNAL_FILE).open("a") as file:
        file.write(f"{line}\n{json.dumps(ROW | {'number': 3})}\n")
    with pytest.raises(WsolError, match="line 2: not a decision"):
        read_journal(tmp_path)
    before = (tmp_path / JOURNAL_FILE).read_bytes()
    with pytest.raises(WsolError, match="line 2"), Journal(tmp_path):
        pass
    assert (tmp_path / JOURNAL_FILE).read_bytes() == before
