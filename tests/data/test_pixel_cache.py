"""Decoded images, kept: in which storage, the same pixels, and never decoded twice."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from wsol.data import pixel_cache
from wsol.data.images import read_square
from wsol.data.pixel_cache import (
    ABSENT,
    BROKEN,
    WHOLE,
    Limits,
    Records,
    cores,
    open_cache,
    record_of,
    slowest,
    storage_for,
)
from wsol.runtime.processes import Part

NewImage = Callable[..., Path]
SIDE = 8
ONE_GB = record_of(SIDE).itemsize / 1e9
ALONE = Part(0, 1)


@pytest.fixture
def paths(tmp_path: Path, new_image: NewImage) -> list[Path]:
    """Five images, the third one broken."""
    found = [new_image(tmp_path / "images" / f"{number}.png", (10 + number, 30 - number)) for number in range(5)]
    found[2].write_bytes(b"no image")
    return found


def on_disk(paths: list[Path], folder: Path, mine: Part = ALONE) -> Records:
    counted: list[int] = []
    records = open_cache(
        paths,
        SIDE,
        Limits(0, 1, folder),
        mine,
        threads=2,
        agree=lambda storage: storage,
        advance=lambda: counted.append(1),
    )
    assert records is not None and len(counted) == len(range(mine.local_rank, len(paths), mine.local_count))
    return records


@pytest.mark.parametrize(
    ("memory_images", "disk_images", "processes", "storage"),
    [
        pytest.param(6, 0, 1, "memory", id="exactly enough memory"),
        pytest.param(5.9, 6, 1, "disk", id="too little memory"),
        pytest.param(11.9, 6, 2, "disk", id="memory for one of two processes"),
        pytest.param(12, 0, 2, "memory", id="memory for both"),
        pytest.param(5, 5.9, 1, "nowhere", id="too little of both"),
        pytest.param(0, 0, 1, "nowhere", id="nothing allowed"),
    ],
)
def test_images_are_kept_where_they_fit(
    tmp_path: Path, memory_images: float, disk_images: float, processes: int, storage: str
) -> None:
    limits = Limits(memory_images * ONE_GB * (1 + 1e-12), disk_images * ONE_GB * (1 + 1e-12), tmp_path / "absent")
    assert storage_for(6, SIDE, limits, Part(0, processes, 0, processes)) == storage
    assert not (tmp_path / "absent").exists()


def test_a_disk_without_twice_the_space_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need = 6 * record_of(SIDE).itemsize
    limits = Limits(0, 1, tmp_path / "absent")
    for free, storage in ((2 * need, "disk"), (2 * need - 1, "nowhere")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        assert storage_for(6, SIDE, limits, ALONE) == storage


def test_file_and_memory_hold_the_same_pixels_and_mark_the_broken(tmp_path: Path, paths: list[Path]) -> None:
    kept = open_cache(
        paths, SIDE, Limits(1, 0, tmp_path), ALONE, threads=0, agree=lambda storage: storage, advance=lambda: None
    )
    assert kept is not None
    for records in (kept, on_disk(paths, tmp_path / "cache")):
        assert records["state"].tolist() == [WHOLE, WHOLE, BROKEN, WHOLE, WHOLE]
        for i in (0, 1, 3, 4):
            pixels, image_hw = read_square(paths[i], SIDE)
            np.testing.assert_array_equal(records[i]["pixels"].transpose(1, 2, 0), pixels)
            assert tuple(records[i]["image_hw"]) == image_hw


def test_images_in_the_file_are_not_decoded_again(
    tmp_path: Path, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = on_disk(paths, tmp_path / "cache")
    first["state"][3] = ABSENT  # where a kill came
    decoded: list[Path] = []

    def counting(path: Path, size_px: int, *_: object) -> object:
        decoded.append(path)
        return read_square(path, size_px)

    monkeypatch.setattr(pixel_cache, "read_square", counting)
    again = on_disk(paths, tmp_path / "cache")
    assert sorted(decoded) == [paths[2], paths[3]], "the one that a kill left out, and the broken one"
    np.testing.assert_array_equal(again, first)


def test_another_image_of_the_same_name_is_another_file(tmp_path: Path, paths: list[Path], new_image: NewImage) -> None:
    on_disk(paths, tmp_path / "cache")
    new_image(paths[0], (50, 60))
    assert on_disk(paths, tmp_path / "cache")["image_hw"][0].tolist() == [50, 60]
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_the_processes_of_a_machine_fill_one_file_and_other_machines_another(tmp_path: Path, paths: list[Path]) -> None:
    for rank in (0, 1):
        records = on_disk(paths, tmp_path / "cache", Part(rank, 2, rank, 2))
        assert np.flatnonzero(records["state"]).tolist() == ([0, 2, 4] if rank == 0 else [0, 1, 2, 3, 4])
    assert len(list((tmp_path / "cache").iterdir())) == 1
    on_disk(paths, tmp_path / "cache", Part(0, 4, 0, 2))
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_no_images_are_no_records(tmp_path: Path) -> None:
    assert len(on_disk([], tmp_path / "cache")) == 0


def test_processes_use_the_slowest_storage_of_all() -> None:
    assert slowest(["memory", "disk", "memory"]) == "disk"
    assert slowest(["disk", "nowhere", "memory"]) == "nowhere"
    assert slowest(["memory"]) == "memory"


def test_a_file_that_finds_no_room_after_all_leaves_nothing_and_images_are_decoded_anew(
    tmp_path: Path, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    limits = Limits(0, 1, tmp_path / "cache")
    assert (
        open_cache(paths, SIDE, limits, ALONE, threads=1, agree=lambda storage: storage, advance=lambda: None) is None
    )
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_file_that_exists_needs_no_more_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    for exists, storage in ((True, "disk"), (False, "nowhere")):
        assert storage_for(6, SIDE, Limits(0, 1, tmp_path), ALONE, exists=exists) == storage


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process to cores")
def test_a_process_that_was_given_one_core_counts_one() -> None:
    given = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(given)})
    try:
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, given)
    assert cores() == min(len(given), 8)
