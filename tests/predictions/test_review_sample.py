"""A sample that nobody chose: who draws it, what is asked of its review, and what a run is then said to be worth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fake_data.reviews import decide, object_at, prediction, write_reviewable
from hypothesis import given
from hypothesis import strategies as st

from wsol.errors import WsolError
from wsol.predictions.records import Prediction, open_predictions, to_line
from wsol.predictions.review_sample import SAMPLE_FILE, draw, read_sample, reviewed_sample, write_sample

BOX = (40.0, 30.0, 120.0, 90.0)
OTHER = (0.0, 0.0, 30.0, 20.0)
HW = (120, 160)
NAMES = st.sets(
    st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\udc80\udcff"), min_size=1), max_size=20
)


@given(NAMES, st.integers(0, 25), st.integers(0, 25))
def test_a_larger_sample_holds_a_smaller_one_whatever_the_order(names: set[str], few: int, many: int) -> None:
    few, many = sorted((few, many))
    large = draw(sorted(names), many)
    assert large[:few] == draw(sorted(names, reverse=True), few) and len(set(large)) == min(many, len(names))


def test_every_image_is_drawn_as_often_wherever_its_name_stands() -> None:
    names = [f"{place:05}.jpg" for place in range(10_000)]
    drawn = sorted(int(name[:5]) for name in draw(names, 2000))
    tenths = [sum(1000 * i <= place < 1000 * (i + 1) for place in drawn) for i in range(10)]
    assert min(tenths) > 150 and max(tenths) < 250, "200 of each thousand, give or take four standard deviations"


def test_names_that_are_no_text_come_back(tmp_path: Path) -> None:
    write_sample(tmp_path, ("a.jpg", "b\udcff.jpg", "ü.jpg"))
    assert read_sample(tmp_path) == ("a.jpg", "b\udcff.jpg", "ü.jpg")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("{", "cannot be used", id="half"),
        pytest.param("", "cannot be used", id="nothing"),
        pytest.param('{"version": 1, "images": ["a", "b", "a"]}', "cannot be used", id="one twice"),
        pytest.param('{"version": 2, "images": ["a"]}', "newer wsol", id="newer"),
        pytest.param('{"version": 1, "images": []}', "cannot be used", id="empty"),
        pytest.param('["a"]', "cannot be used", id="a list"),
    ],
)
def test_a_damaged_file_is_reported(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / SAMPLE_FILE).write_text(content)
    with pytest.raises(WsolError, match=expected) as printed:
        read_sample(tmp_path)
    assert "wsol review" in str(printed.value) and "--sample" in str(printed.value)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Six predictions, of which the last found nothing."""
    return write_reviewable(tmp_path, [*map(prediction, range(5)), Prediction("empty.jpg", HW, (), 0, "hawk", ())])


def test_a_folder_instead_of_the_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / SAMPLE_FILE).mkdir()
    with pytest.raises(WsolError, match="cannot be used"):
        read_sample(tmp_path)


def test_what_was_not_drawn_or_not_decided_is_refused(out: Path) -> None:
    opened = open_predictions(out)
    with pytest.raises(WsolError, match="has no random sample.*--sample 20"):
        reviewed_sample(opened)
    images = tuple(one.image for one in opened)
    write_sample(out, images[:2])
    decide(out, images[0], "accepted", BOX)
    decide(out, images[2], "accepted", BOX)
    with pytest.raises(WsolError, match=f"1 of the 2 images .* is undecided, first {images[1]}"):
        reviewed_sample(opened)
    decide(out, images[1], "accepted", BOX)
    decide(out, images[0], "undecided", BOX)
    with pytest.raises(WsolError, match=f"first {images[0]}"):
        reviewed_sample(opened)
    write_sample(out, (images[1], "elsewhere.jpg"))
    with pytest.raises(WsolError, match="first elsewhere.jpg, is not among its predictions"):
        reviewed_sample(opened)


def test_exactly_the_images_that_were_drawn_count(out: Path) -> None:
    names = [one.image for one in open_predictions(out)]
    write_sample(out, (names[4], names[0], names[1], names[2], names[5]))
    decide(out, names[0], "accepted", BOX)
    decide(out, names[1], "rejected", BOX)
    decide(out, names[2], "empty")  # though a box was predicted
    decide(out, names[3], "corrected", OTHER)  # was not drawn
    decide(out, names[4], "corrected", OTHER, BOX)
    decide(out, names[5], "accepted")  # by an older page: nothing was predicted
    found = reviewed_sample(open_predictions(out))
    assert [one.image_id for one in found.data.test] == [names[4], names[0]]
    assert found.data.test[0].path.is_file()
    assert (found.drawn, found.accepted) == (5, 1) and [one.image_id for one in found.empty] == [names[2], names[5]]
    true = found.data.read_ground_truth()
    assert true[names[4]].boxes.xyxy.tolist() == [list(OTHER), list(BOX)] and true[names[4]].image_hw == HW


def test_a_rejected_image_is_wrong_even_if_nothing_was_predicted(out: Path) -> None:
    write_sample(out, ("empty.jpg",))
    decide(out, "empty.jpg", "rejected")
    assert reviewed_sample(open_predictions(out)).empty == ()


def test_what_was_decided_of_an_image_of_another_size_does_not_count(out: Path) -> None:
    names = [one.image for one in open_predictions(out)]
    write_sample(out, (names[0],))
    decide(out, names[0], "accepted", BOX)
    lines = (out / "predictions.jsonl").read_text().splitlines()
    larger = prediction(0, object_at(40, 30, 120, 90, 0.5, (240, 320)))
    lines[0] = to_line(replace(larger, image_hw=(240, 320)))
    (out / "predictions.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(WsolError, match=f"is undecided, first {names[0]}"):
        reviewed_sample(open_predictions(out))


def test_an_image_that_was_found_empty_and_is_not_has_its_box(out: Path) -> None:
    write_sample(out, ("empty.jpg",))
    decide(out, "empty.jpg", "corrected", BOX)
    found = reviewed_sample(open_predictions(out))
    assert len(found.data.test) == 1 and found.empty == ()
    assert object_at(40, 30, 120, 90, 0.5).xyxy == BOX
