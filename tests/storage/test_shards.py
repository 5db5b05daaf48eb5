"""Shards cover a list once, their parts are whole or not there, and what is put together is all of it, in order."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol.runtime.processes import Part
from wsol.storage.shards import (
    PARTS,
    SHARD_SIZE,
    Shards,
    assemble_skipped,
    batches_of,
    by_shard,
    clear,
    open_scratch,
    skipped_of,
    unfinished,
    write_parts,
)

NOWHERE = Path("nowhere")
TOTALS = st.integers(0, 6 * SHARD_SIZE)


def shares(shards: Shards, processes: int) -> list[list[int]]:
    return [unfinished(shards, Part(rank, processes), lambda shard: True) for rank in range(processes)]


@given(TOTALS, st.integers(1, 9))
def test_every_item_is_in_one_shard_and_every_shard_is_one_processes_in_equal_shares(
    total: int, processes: int
) -> None:
    shards = Shards(NOWHERE, total, ".x")
    assert [item for shard in range(len(shards)) for item in shards.items(shard)] == list(range(total))
    found = shares(shards, processes)
    assert sorted(shard for share in found for shard in share) == list(range(len(shards)))
    assert max(map(len, found)) - min(map(len, found)) <= 1


@given(TOTALS, st.integers(1, 9), st.sampled_from([1, 32, 100, 999]))
def test_batches_are_the_same_for_any_number_of_processes_and_cross_no_border(
    total: int, processes: int, batch_size: int
) -> None:
    shards = Shards(NOWHERE, total, ".x")
    alone = batches_of(shards, range(len(shards)), batch_size)
    assert [item for batch in alone for item in batch] == list(range(total))
    assert all(len({item // SHARD_SIZE for item in batch}) == 1 and len(batch) <= batch_size for batch in alone)
    together = [batch for share in shares(shards, processes) for batch in batches_of(shards, share, batch_size)]
    assert sorted(together, key=lambda batch: batch.start) == alone


@given(st.sets(st.integers(0, 9)), st.data())
def test_what_was_found_is_handed_out_shard_by_shard_and_an_empty_one_is_not_forgotten(
    chosen: set[int], data: st.DataObject
) -> None:
    todo = sorted(chosen)
    possible = [shard * SHARD_SIZE + place for shard in todo for place in (0, 1, 7, SHARD_SIZE - 1)]
    numbers = sorted(data.draw(st.sets(st.sampled_from(possible)))) if possible else []
    found = list(by_shard(todo, ((number, str(number)) for number in numbers)))
    assert [shard for shard, _ in found] == todo
    for shard, things in found:
        assert things == {number: str(number) for number in numbers if number // SHARD_SIZE == shard}


def test_a_shard_is_handed_out_before_the_one_after_the_next_item_is_asked_for() -> None:
    asked: list[int] = []

    def found() -> object:
        for number in (0, 1, SHARD_SIZE, 2 * SHARD_SIZE):
            asked.append(number)
            yield number, "thing"

    assert next(by_shard([0, 1, 2], found())) == (0, {0: "thing", 1: "thing"})  # type: ignore[arg-type]
    assert asked == [0, 1, SHARD_SIZE]


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    """Two shards and a bit."""
    return Shards(tmp_path, 2 * SHARD_SIZE + 3, ".txt")


NAMES = [f"{number}.jpg" for number in range(2 * SHARD_SIZE + 3)]
NAMES[5] = 'Käuzchen 梟 \udcff\n".jpg'


def write(shards: Shards, todo: list[int], broken: list[int]) -> None:
    reasons = dict.fromkeys(broken, "it is broken 梟 \udcff")
    found = [(i, f"line {i}") for shard in todo for i in shards.items(shard) if i not in broken]
    write_parts(shards, todo, found, lambda shard, things: "\n".join(things.values()).encode(), NAMES, reasons)
    assert not reasons, "they do not pile up"


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param([], id="none"),
        pytest.param([5], id="one"),
        pytest.param([0, 5, SHARD_SIZE - 1, SHARD_SIZE, 2 * SHARD_SIZE + 2], id="at the borders"),
        pytest.param(list(range(SHARD_SIZE, 2 * SHARD_SIZE)), id="a whole shard"),
        pytest.param(list(range(2 * SHARD_SIZE + 3)), id="all"),
    ],
)
def test_what_was_skipped_is_listed_in_order_whoever_skipped_it(shards: Shards, broken: list[int]) -> None:
    write(shards, [1], broken=[i for i in broken if i in shards.items(1)])
    write(shards, [0, 2], broken=[i for i in broken if i not in shards.items(1)])
    expected = [{"image": NAMES[i], "reason": "it is broken 梟 \udcff"} for i in broken]
    file = shards.folder / "skipped.json"
    assert list(assemble_skipped(shards, file)) == expected
    assert json.loads(file.read_text(encoding="utf-8", errors="surrogateescape")) == expected


def test_a_shard_made_again_forgets_what_was_skipped_before(shards: Shards) -> None:
    write(shards, [0], broken=[1, 2])
    assert [row["image"] for row in skipped_of(shards, 0)] == ["1.jpg", "2.jpg"]
    write(shards, [0], broken=[])
    assert skipped_of(shards, 0) == []


def test_whole_parts_are_not_made_again_and_damaged_ones_are(shards: Shards) -> None:
    write(shards, [0, 1], broken=[])
    shards.path(1).write_bytes(b"cut")
    partial = shards.path(2).with_name(f".{shards.path(2).name}.partial")
    partial.write_bytes(b"left by a kill")
    assert unfinished(shards, Part(0, 1), lambda shard: shards.path(shard).read_bytes() != b"cut") == [1, 2]


def test_parts_of_the_same_work_stay_and_those_of_any_other_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    part = scratch / PARTS / "000000.x"

    def is_kept(settings: dict[str, object], inputs: dict[str, str]) -> bool:
        part.write_bytes(b"")
        open_scratch(scratch, "predict", settings, inputs)
        return part.exists()

    open_scratch(scratch, "predict", {"threshold": 0.5}, {"images": "a"})
    assert is_kept({"threshold": 0.5}, {"images": "a"})
    assert not is_kept({"threshold": 0.6}, {"images": "a"})
    assert not is_kept({"threshold": 0.6}, {"images": "b"})
    monkeypatch.setattr("wsol.storage.shards.SHARD_SIZE", 99)
    assert not is_kept({"threshold": 0.6}, {"images": "b"})
    (scratch / "settings.json").unlink()
    assert not is_kept({"threshold": 0.6}, {"images": "b"})
    (scratch / "result").write_bytes(b"")
    clear(scratch)
    clear(scratch)
    assert os.listdir(scratch) == ["result"]
