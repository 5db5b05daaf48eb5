"""Names in results against image ids: which name is which image, and which names are ambiguous."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol.errors import WsolError
from wsol.results.names import matched, matched_in, similar_names

PARTS = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
IDS = st.lists(PATHS, unique=True, max_size=6)


@pytest.mark.parametrize(
    ("name", "image_id"),
    [
        pytest.param("owl/1.jpg", "owl/1.jpg", id="equal"),
        pytest.param("owl/1.jpg", "test/owl/1.jpg", id="predicted inside the test folder"),
        pytest.param("test/owl/1.jpg", "owl/1.jpg", id="ground truth inside the test folder"),
        pytest.param("/data/birds/test/owl/1.jpg", "owl/1.jpg", id="absolute"),
        pytest.param("../birds/owl/1.jpg", "owl/1.jpg", id="relative to elsewhere"),
        pytest.param("owl/1.jpg", "/data/birds/owl/1.jpg", id="absolute path in the ground truth"),
        pytest.param("owl\\1.jpg", "owl/1.jpg", id="backslashes"),
        pytest.param("C:\\birds\\owl\\1.jpg", "owl/1.jpg", id="a drive"),
        pytest.param("owl/1.jpg", "test\\owl\\1.jpg", id="backslashes in the ground truth"),
        pytest.param("./owl/1.jpg", "owl/1.jpg", id="a leading dot"),
        pytest.param("owl//1.jpg", "owl/./1.jpg", id="slashes and dots too many"),
        pytest.param("owl/1.jpg", "./owl/1.jpg", id="a leading dot in the ground truth"),
        pytest.param("1.jpg", "test/owl/1.jpg", id="the bare name"),
        pytest.param("Käuzchen/梟 1.jpg", "test/Käuzchen/梟 1.jpg", id="not ASCII"),
        pytest.param("raw \udcff.jpg", "test/raw \udcff.jpg", id="bytes of no encoding"),
    ],
)
def test_a_name_and_the_ground_truth_may_begin_at_other_folders(name: str, image_id: str) -> None:
    assert matched([name], ["hawk/2.jpg", image_id]) == {name: image_id}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("wl/1.jpg", id="half a folder's name"),
        pytest.param("owl/11.jpg", id="half a file's name"),
        pytest.param("1.jp", id="the beginning of a name"),
        pytest.param("owl", id="a folder"),
        pytest.param("test/owl", id="the first folders"),
        pytest.param("/owl/1.jpg", id="another root"),
        pytest.param("hawk/1.jpg", id="another folder"),
        pytest.param("owl/1.png", id="another suffix"),
        pytest.param("OWL/1.jpg", id="capitals"),
        pytest.param("", id="nothing"),
        pytest.param("./", id="nothing but a dot"),
    ],
)
def test_names_of_no_image_are_left_out(name: str) -> None:
    assert matched([name, "2.jpg"], ["test/owl/1.jpg", "2.jpg"]) == {"2.jpg": "2.jpg"}


def test_nothing_matches_nothing() -> None:
    assert matched([], []) == matched([], ["a"]) == matched(["a"], []) == {}


@pytest.mark.parametrize(
    ("names", "image_ids", "words"),
    [
        pytest.param(["1.jpg"], ["a/1.jpg", "b/1.jpg"], "'1.jpg' could be 'a/1.jpg' or 'b/1.jpg'", id="two longer"),
        pytest.param(
            ["x/a/1.jpg"], ["a/1.jpg", "1.jpg"], "'x/a/1.jpg' could be 'a/1.jpg' or '1.jpg'", id="two shorter"
        ),
        pytest.param(
            ["a/1.jpg"], ["1.jpg", "x/a/1.jpg"], "'a/1.jpg' could be 'x/a/1.jpg' or '1.jpg'", id="one of each"
        ),
        pytest.param(["./a\\1"], ["a/1", "a\\1"], "'a/1' or 'a\\\\1'", id="two spellings of an image"),
        pytest.param(
            ["train/1.jpg", "test/1.jpg"],
            ["1.jpg"],
            "'train/1.jpg' and 'test/1.jpg' could both be '1.jpg'",
            id="two names",
        ),
        pytest.param(
            ["a/1.jpg", "./a/1.jpg"], ["a/1.jpg"], "'a/1.jpg' and './a/1.jpg' could both", id="two spellings of a name"
        ),
    ],
)
def test_an_ambiguous_name_is_an_error_with_both(names: list[str], image_ids: list[str], words: str) -> None:
    with pytest.raises(WsolError, match="expected .* name .*Write") as raised:
        matched(names, image_ids)
    assert words in str(raised.value)


def test_an_equal_name_comes_before_a_longer_one() -> None:
    ids = ["owl/1.jpg", "1.jpg"]
    assert matched(ids, ids) == {"owl/1.jpg": "owl/1.jpg", "1.jpg": "1.jpg"}
    # The training image of the same name is another image, whichever comes first.
    assert matched(["train/owl/1.jpg", "owl/1.jpg"], ["owl/1.jpg"]) == {"owl/1.jpg": "owl/1.jpg"}
    assert matched(["train/owl/1.jpg", "./owl/1.jpg"], ["owl/1.jpg"]) == {"./owl/1.jpg": "owl/1.jpg"}


def matched_by_loops(names: list[str], image_ids: list[str]) -> dict[str, str] | None:
    """The rule as loops, for plain paths; None if it is ambiguous."""
    result = {name: name for name in names if name in image_ids}
    for name in names:
        if name in result:
            continue
        fits = [i for i in image_ids if f"/{i}".endswith(f"/{name}") or f"/{name}".endswith(f"/{i}")]
        if len(fits) > 1:
            return None
        if fits and fits[0] not in names:  # or else it is called by its own name
            result[name] = fits[0]
    return result if len(set(result.values())) == len(result) else None


@given(IDS, IDS)
def test_matching_does_what_loops_over_all_pairs_do(names: list[str], image_ids: list[str]) -> None:
    expected = matched_by_loops(names, image_ids)
    if expected is None:
        with pytest.raises(WsolError):
            matched(names, image_ids)
    else:
        assert matched(names, image_ids) == expected


@given(st.lists(st.text(), unique=True))
def test_every_image_is_called_by_its_own_id(image_ids: list[str]) -> None:
    assert matched(image_ids, image_ids) == {image_id: image_id for image_id in image_ids}


@given(IDS, PATHS)
def test_a_folder_before_all_names_changes_nothing_and_before_all_ids_neither(ids: list[str], folder: str) -> None:
    flat = [path.replace("/", "-") for path in ids]  # so that none ends in another
    longer = [f"{folder}/{path}" for path in flat]
    assert matched(longer, flat) == dict(zip(longer, flat, strict=True))
    assert matched(flat, longer) == dict(zip(flat, longer, strict=True))


def test_many_folders_of_the_same_names_take_no_time() -> None:
    # A look at every pair with the same last part would be 100 million.
    ids = [f"{number}/1.jpg" for number in range(10_000)]
    assert len(matched([f"test/{image_id}" for image_id in ids], ids)) == len(ids)


def test_errors_name_the_file_and_the_first_of_each_side() -> None:
    file = Path("boxes.csv")
    with pytest.raises(WsolError, match=r"^boxes\.csv: '1' could be 'a/1' or 'b/1'"):
        matched_in(file, ["1"], ["a/1", "b/1"])
    with pytest.raises(WsolError, match=r"boxes\.csv has 2 images, such as 'x', .*such as 'a/1'\. Write"):
        matched_in(file, ["x", "y"], ["a/1", "b/1"])
    assert matched_in(file, ["x", "a/1"], ["a/1", "b/1"]) == {"a/1": "a/1"}
    assert matched_in(file, [], ["a/1"]) == matched_in(file, ["a/1"], []) == {}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("hwak", ["Hawk"], id="letters in another order"),
        pytest.param("HAWK", ["Hawk"], id="capitals"),
        pytest.param("ow", ["owl"], id="a letter lost"),
        pytest.param("zebra", [], id="nothing like it"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_similar_names_are_found(name: str, expected: list[str]) -> None:
    assert similar_names(name, ["owl", "Hawk", "tit"]) == expected
