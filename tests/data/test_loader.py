"""Square batches: kept or streamed, the same images; broken ones are named and left out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol.data.images import read_square
from wsol.data.loader import BATCH_PX, BATCH_SIZE, Batch, ImageLoader, batch_size, in_order, write_skipped
from wsol.data.pixel_cache import Limits, Records, open_cache
from wsol.errors import WsolError
from wsol.runtime.processes import Part

NewImage = Callable[..., Path]

SIDE = 8
ORDERS = [[3, 0, 5], [1, 1], [4], [2, 3, 5, 0]]


@pytest.fixture
def paths(tmp_path: Path, new_image: NewImage) -> list[Path]:
    """Six images of different sizes; number 1 and 4 are broken."""
    found = [new_image(tmp_path / f"{number}.png", (10 + number, 30 - number)) for number in range(6)]
    found[1].write_bytes(b"")
    found[4].unlink()
    return found


def opened(paths: Sequence[Path], *, kept: bool, workers: int) -> ImageLoader:
    records = kept_in_memory(paths, SIDE, threads=workers) if kept else None
    return ImageLoader(paths, SIDE, kept=records, workers=workers)


def kept_in_memory(paths: Sequence[Path], size_px: int, *, threads: int) -> Records:
    records = open_cache(
        paths,
        size_px,
        Limits(1, 0, Path("nowhere")),
        Part(0, 1),
        threads=threads,
        agree=lambda place: place,
        advance=lambda: None,
    )
    assert records is not None
    return records


WAYS = pytest.mark.parametrize(
    ("kept", "workers"),
    [
        pytest.param(True, 0, id="kept"),
        pytest.param(True, 2, id="kept, two threads"),
        pytest.param(False, 0, id="streamed"),
        pytest.param(False, 2, id="streamed, two threads"),
    ],
)


def check(batch: Batch, expected: list[int], paths: list[Path]) -> None:
    """Each row is its image, decoded by itself."""
    assert batch.indices.tolist() == expected
    assert batch.pixels.shape == (len(expected), 3, SIDE, SIDE)
    for row, index in enumerate(expected):
        pixels, image_hw = read_square(paths[index], SIDE)
        np.testing.assert_array_equal(batch.pixels[row].transpose(1, 2, 0), pixels)
        assert tuple(batch.image_hw[row].tolist()) == image_hw == (10 + index, 30 - index)


@WAYS
def test_batches_come_in_order_without_the_broken(paths: list[Path], kept: bool, workers: int) -> None:
    images = opened(paths, kept=kept, workers=workers)
    batches = list(images.batches(ORDERS))
    # [1, 1] and [4] lose all their images.
    for batch, expected in zip(batches, [[3, 0, 5], [2, 3, 5, 0]], strict=True):
        check(batch, expected, paths)
    assert images.broken.keys() == {1, 4}
    assert str(paths[1]) in images.broken[1]
    assert "empty" in images.broken[1]
    assert "not exist" in images.broken[4]


@WAYS
def test_each_pass_gives_the_same_batches_again(paths: list[Path], kept: bool, workers: int) -> None:
    images = opened(paths, kept=kept, workers=workers)
    first, second = (list(images.batches([[0, 2], [5, 3]])) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.pixels, b.pixels)


@WAYS
def test_nothing_but_broken_images_gives_no_batch(paths: list[Path], kept: bool, workers: int) -> None:
    images = opened([paths[1], paths[4]], kept=kept, workers=workers)
    assert list(images.batches([[0], [0, 1]])) == []
    assert list(images.batches([])) == []
    assert set(images.broken) == {0, 1}


def test_no_images_are_no_batches() -> None:
    assert list(opened([], kept=True, workers=0).batches([])) == []


@WAYS
@pytest.mark.parametrize(
    ("order", "expected"),
    [
        pytest.param([3, 0, 5], [3, 0, 5], id="all whole"),
        pytest.param([1, 2], [5, 2], id="the next in the list replaces it"),
        pytest.param([4, 4], [0, 0], id="after the last the first"),
        pytest.param([], [], id="none asked for"),
    ],
)
def test_the_next_whole_image_replaces_a_broken_one(
    paths: list[Path], kept: bool, workers: int, order: list[int], expected: list[int]
) -> None:
    images = opened(paths, kept=kept, workers=workers)
    usable = [0, 2, 3, 1, 5, 4]
    found = [batch.indices.tolist() for batch in images.batches([order], usable)] if order else [[]]
    assert found == [expected]
    assert images.broken.keys() >= {1, 4} & set(order)


@WAYS
def test_many_broken_images_in_a_row_are_reported(paths: list[Path], kept: bool, workers: int) -> None:
    images = opened(paths, kept=kept, workers=workers)
    with pytest.raises(WsolError, match=r"2 of 6 images cannot be decoded.*wsol check DATA"):
        list(images.batches([[1, 4]], [1, 4]))


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_no_broken_image_ends_the_pass(
    paths: list[Path], workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, *_: object) -> None:
        raise RuntimeError(f"out of a decoder, at {path.name}")

    monkeypatch.setattr("wsol.data.loader.read_square", fail)
    with pytest.raises(RuntimeError, match="at 3.png"):
        next(opened(paths, kept=False, workers=workers).batches(ORDERS))


def test_kept_images_are_read_once(paths: list[Path]) -> None:
    images = opened(paths, kept=True, workers=0)
    before = next(iter(images.batches([[0, 2]]))).pixels
    for path in paths:
        path.unlink(missing_ok=True)
    assert np.array_equal(next(iter(images.batches([[0, 2]]))).pixels, before)


def test_what_was_skipped_is_written_down_in_order(tmp_path: Path, paths: list[Path]) -> None:
    images = opened(paths, kept=False, workers=0)
    list(images.batches([[4, 3, 2, 1, 0]]))
    write_skipped(tmp_path, [f"id {number}" for number in range(6)], images)
    skipped = json.loads((tmp_path / "skipped.json").read_text())
    assert [row["image"] for row in skipped] == ["id 1", "id 4"]
    assert [row["reason"] for row in skipped] == [images.broken[1], images.broken[4]]


@given(st.integers(0, 40), st.integers(1, 12))
def test_in_order_counts_without_gaps_in_full_batches_and_a_rest(count: int, batch_size: int) -> None:
    batches = in_order(count, batch_size)
    assert [index for batch in batches for index in batch] == list(range(count))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert all(batches)


@given(st.integers(1, 10_000))
def test_batches_of_large_images_need_no_more_memory(size_px: int) -> None:
    size = batch_size(size_px)
    assert size == BATCH_SIZE if size_px <= BATCH_PX else 1 <= size <= max(1, BATCH_SIZE * BATCH_PX**2 / size_px**2)
