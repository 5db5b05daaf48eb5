"""Run lengths are refused, or pycocotools makes exactly the mask of them that a slow decoder makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fake_data.run_lengths import written
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from wsol.geometry.mask_rle import check_run_lengths, cover


def decoded_slowly(counts: str, height: int, width: int) -> NDArray[np.bool_] | None:
    """`rleFrString` and `rleDecode` of pycocotools' maskApi.c, as loops, with numbers that never overflow."""
    runs: list[int] = []
    characters = iter(counts)
    for character in characters:
        value, k, more = 0, 0, True
        while more:
            code = ord(character) - 48
            if not 0 <= code < 64:
                return None
            value |= (code & 31) << (5 * k)
            more = bool(code & 32)
            k += 1
            if not more and code & 16:
                value |= -1 << (5 * k)
            if more:
                character = next(characters, "")
                if not character:
                    return None
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    if any(run < 0 for run in runs) or sum(runs) != height * width:
        return None
    pixels = [number % 2 == 1 for number, run in enumerate(runs) for _ in range(run)]
    return np.array(pixels, dtype=bool).reshape(width, height).T


ANY = st.text(st.characters(max_codepoint=130), max_size=30)
CODES = st.text(st.characters(min_codepoint=48, max_codepoint=111), max_size=12)
RUNS = st.lists(st.integers(0, 9), min_size=1, max_size=12).map(written)


@given(ANY | CODES | RUNS | st.builds(str.__add__, RUNS, CODES), st.integers(1, 8), st.integers(1, 8))
@example("", 4, 4)
@example("lo", 1, 1)
@example("\N{SUPERSCRIPT TWO}", 2, 2)
@example("@", 4, 4)
@example("0" * 29, 1, 1)
def test_any_text_is_refused_or_is_the_mask_of_a_slow_decoder(counts: str, height: int, width: int) -> None:
    expected = decoded_slowly(counts, height, width)
    rle = {"size": [height, width], "counts": counts}
    if cover(counts, height * width):
        check_run_lengths(rle, (height, width))
        assert expected is not None
        assert (coco_mask.decode(rle) == expected).all()
    else:
        with pytest.raises(ValueError, match="run lengths"):
            check_run_lengths(rle, (height, width))


@given(st.lists(st.integers(0, 2**20), min_size=1, max_size=9).filter(any))
def test_all_written_run_lengths_are_read(runs: list[int]) -> None:
    assert cover(written(runs), sum(runs))
    assert not cover(written(runs), sum(runs) + 1)


@pytest.mark.parametrize("run", [15, 16, 511, 512, 2**24, 2**28 - 1, 2**28, 178_956_970])
def test_long_runs_are_read(run: int) -> None:
    assert cover(written([run]), run)
    assert cover(written([0, run]), run)
    assert cover(written([1, run, 1, 1, 1]), run + 4)  # differences of either sign


def test_a_number_of_more_characters_than_a_word_has_bits_is_refused() -> None:
    short = written([5, 5, 5, 1])
    long = written([5, 5, 5]) + "l" + "o" * 12 + "O"  # the last difference, -4, in 14 characters
    assert (decoded_slowly(short, 16, 1) == decoded_slowly(long, 16, 1)).all()
    assert cover(short, 16)
    assert not cover(long, 16)  # pycocotools shifts the last character round to the front, and reads -2


@pytest.mark.parametrize(
    ("rle", "words"),
    [
        pytest.param(None, "size and counts", id="nothing"),
        pytest.param({}, "size and counts", id="empty"),
        pytest.param({"size": [2, 2], "counts": "4", "more": 1}, "size and counts", id="more"),
        pytest.param({"size": [2, 3], "counts": "4"}, "size [2, 2]", id="another size"),
        pytest.param({"size": [2.0, 2], "counts": "4"}, "size [2, 2]", id="fractions"),
        pytest.param({"size": [True, 2], "counts": "4"}, "size [2, 2]", id="a truth value"),
        pytest.param({"size": "22", "counts": "4"}, "size [2, 2]", id="a word for a size"),
        pytest.param({"size": [2, 2], "counts": [4]}, "4 pixels together", id="uncompressed"),
        pytest.param({"size": [2, 2], "counts": b"4"}, "4 pixels together", id="bytes"),
        pytest.param({"size": [2, 2], "counts": ""}, "4 pixels together", id="no runs"),
    ],
)
def test_a_value_that_is_no_mask_of_the_image_is_refused(rle: Any, words: str) -> None:
    with pytest.raises(ValueError) as raised:
        check_run_lengths(rle, (2, 2))
    assert words in str(raised.value)


def test_a_mask_that_would_fill_the_memory_is_refused() -> None:
    side = 2**20
    with pytest.raises(ValueError, match="at most 178956970 pixels"):
        check_run_lengths({"size": [side, side], "counts": written([side**2])}, (side, side))
