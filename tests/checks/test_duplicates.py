"""Duplicates: hashes by loops, groups by definition, and which changes still count as the same image."""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from fake_data.broken import photo
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float32
from PIL import Image

from wsol.checks import duplicates
from wsol.checks.duplicates import difference_hashes, identical_files, near_duplicates
from wsol.data.images import square


def thumbs(*images: Image.Image) -> np.ndarray:
    return np.stack([square(image.convert("RGB"), 16) for image in images])


def hash_by_loops(grey: Float32[np.ndarray, "16 16"]) -> list[list[bool]]:
    """The docstring as loops."""
    small = [[grey[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean() for x in range(8)] for y in range(8)]
    right = [small[y][(x + 1) % 8] > small[y][x] for y in range(8) for x in range(8)]
    below = [small[(y + 1) % 8][x] > small[y][x] for y in range(8) for x in range(8)]
    return [[bool(bit) for bit in bits] for bits in (right, below)]


@given(st.integers(0, 10**6))
def test_the_hash_follows_its_docstring(seed: int) -> None:
    grey = np.random.default_rng(seed).integers(0, 256, (3, 16, 16)).astype(np.float32)
    bits = np.unpackbits(difference_hashes(grey).view(np.uint8).reshape(3, 2, 8), axis=2)
    assert bits.astype(bool).tolist() == [hash_by_loops(one) for one in grey]


@given(st.integers(0, 10**6), st.integers(1, 30))
def test_groups_are_the_connected_components_whatever_the_block(seed: int, block: int) -> None:
    random = np.random.default_rng(seed)
    images = thumbs(*(photo(int(i), (16, 16)) for i in random.integers(0, 8, 20)))
    expected = {
        tuple(j for j in range(20) if (images[i] == images[j]).all())
        for i in range(20)
        if sum((images[i] == images[j]).all() for j in range(20)) > 1
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "BLOCK", block)
        assert set(near_duplicates(images)) == expected


@pytest.mark.parametrize(
    ("change", "is_alike"),
    [
        pytest.param(lambda image: image, True, id="nothing"),
        pytest.param(lambda image: image.resize((60, 48)), True, id="half as large"),
        pytest.param(lambda image: image.convert("L"), True, id="without colour"),
        pytest.param(lambda image: image.point(lambda value: value * 0.7 + 40), True, id="paler"),
        pytest.param(lambda image: image.crop((1, 1, 119, 95)), True, id="a narrow crop"),
        pytest.param(lambda image: image.crop((30, 24, 90, 72)), False, id="the middle"),
        pytest.param(lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), False, id="mirrored"),
        pytest.param(lambda image: image.point(lambda value: 255 - value), False, id="negative"),
        pytest.param(lambda image: photo(99), False, id="another"),
    ],
)
def test_which_changes_still_count_as_the_same_image(change, is_alike: bool) -> None:  # type: ignore[no-untyped-def]
    assert near_duplicates(thumbs(photo(1), change(photo(1)))) == ([(0, 1)] if is_alike else [])


def test_equal_hashes_with_different_grey_values_are_no_duplicates() -> None:
    ramp = np.linspace(0, 1, 16)
    grey = np.stack([ramp, ramp**4])[:, None, :] * np.ones((1, 16, 1))
    both = np.repeat((grey * 255).astype(np.uint8)[..., None], 3, axis=3)
    words = difference_hashes(both[..., 0].astype(np.float32))
    assert np.bitwise_count(words[0] ^ words[1]).sum() <= duplicates.ALIKE_BITS
    assert near_duplicates(both) == []


def test_a_chain_is_one_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_pairs", lambda _: [(3, 4), (0, 2), (2, 4), (1, 5)])
    assert near_duplicates(thumbs(*(photo(i) for i in range(7)))) == [(0, 2, 3, 4), (1, 5)]


def test_different_images_are_in_no_group() -> None:
    assert near_duplicates(np.zeros((0, 16, 16, 3), np.uint8)) == []
    assert near_duplicates(thumbs(*(photo(i) for i in range(300)))) == []


@given(st.lists(st.sampled_from([b"", b"a", b"b", b"ab", b"ba", b"abc"]), max_size=12))
def test_identical_files_have_the_same_bytes(tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("files")
    paths = [Path(folder, str(number)) for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    groups = identical_files(paths)
    together = {pair for group in groups for pair in combinations(group, 2)}
    assert together == {(i, j) for i, j in combinations(range(len(contents)), 2) if contents[i] == contents[j]}
    assert len({i for group in groups for i in group}) == sum(map(len, groups))


@pytest.mark.usefixtures("soon")
def test_a_file_that_disappeared_or_became_a_pipe_is_in_no_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / name for name in ("a", "b", "gone", "pipe", "later")]
    for path in paths[:2]:
        path.write_bytes(b"same")
    os.mkfifo(paths[3])
    os.mkfifo(paths[4])
    is_file, size_of = os.path.isfile, os.path.getsize
    # The last one has become a pipe since it was seen.
    monkeypatch.setattr(os.path, "isfile", lambda path: path == paths[4] or is_file(path))
    monkeypatch.setattr(os.path, "getsize", lambda path: 4 if path == paths[4] else size_of(path))
    assert identical_files(paths) == [(0, 1)]
