"""The session: several windows at once, and undo of the window's own decisions only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from fake_data.reviews import CLASSES, HW, decide, object_at, prediction, write_reviewable
from hypothesis import given, settings
from hypothesis import strategies as st

from wsol.commands.export import checked
from wsol.errors import WsolError
from wsol.predictions.records import Prediction, open_predictions
from wsol.predictions.review_journal import Journal, heads, read_journal
from wsol.review.session import DecisionRequest, Item, ReviewSession, StaleDecision
from wsol.storage.folders import write_manifest

BOX = (40.0, 30.0, 120.0, 90.0)
OTHER = (1.0, 2.0, 30.0, 40.0)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Four predictions, the first with the lowest score but one: the last has none."""
    return write_reviewable(tmp_path, [*map(prediction, range(3)), Prediction("empty.jpg", HW, (), 0, "hawk", ())])


def accepting(image: int = 0, base: int = 0, **changes: Any) -> DecisionRequest:
    """The request of a window to accept an image."""
    words = {
        "is_rejected": False,
        "boxes": (BOX,),
        "class_name": CLASSES[image % 3],
        "session": "one",
        "id": f"{image}-{base}",
    }
    return DecisionRequest(image=image, base=base, **(words | changes))


def test_the_least_confident_come_first_and_those_without_an_object_before_them(out: Path) -> None:
    with Journal(out) as journal:
        assert ReviewSession(open_predictions(out), journal).order == [3, 0, 1, 2]


def test_a_sample_is_shown_in_the_order_in_which_it_was_drawn_and_undo_stays_in_it(out: Path) -> None:
    names = [one.image for one in open_predictions(out)]
    decide(out, names[1], "accepted", BOX)
    with Journal(out) as journal:
        session = ReviewSession(open_predictions(out), journal, [names[2], names[0]])
        assert session.order == [2, 0] and session.is_sample and len(session.items) == 4 and session.unknown == 0
        assert session.undo("one", "nothing-in-the-sample") is None
        session.decide(accepting(2, class_name="tit"))
        undone = session.undo("one", "undo")
        assert undone is not None and undone.image == names[2]
        assert session.verdict(1) == "accepted"


@pytest.mark.parametrize(
    ("top5", "expected"),
    [
        pytest.param([0.9, 0.06, 0.02, 0.01, 0.01], "a", id="one is certain"),
        pytest.param([0.4, 0.3, 0.15, 0.1, 0.05], "abc", id="never more than three"),
        pytest.param([0.05, 0.05, 0.04, 0.04, 0.03], "a", id="the first of many, none likely"),
        pytest.param([], "", id="no classes"),
    ],
)
def test_only_likely_classes_begin_the_list(top5: list[float], expected: str) -> None:
    named = replace(prediction(0), top5=tuple(zip("abcde", top5, strict=False)))
    assert "".join(Item.of(named).likely) == expected


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        pytest.param({}, "accepted", id="as predicted"),
        pytest.param({"boxes": (OTHER,)}, "corrected", id="another box"),
        pytest.param({"boxes": (BOX, OTHER)}, "corrected", id="one more box"),
        pytest.param({"boxes": ()}, "empty", id="no object"),
        pytest.param({"boxes": (), "class_name": "owl"}, "empty", id="no object, another class"),
        pytest.param({"boxes": (), "is_rejected": True}, "rejected", id="no object, then rejected"),
        pytest.param({"class_name": "owl"}, "corrected", id="another class"),
        pytest.param({"is_rejected": True}, "rejected", id="rejected"),
        pytest.param({"is_rejected": True, "boxes": (OTHER,)}, "rejected", id="changed, then rejected"),
    ],
)
def test_a_decision_has_its_verdict_and_is_on_the_disk(out: Path, changes: dict[str, Any], verdict: str) -> None:
    with Journal(out) as journal:
        session = ReviewSession(open_predictions(out), journal)
        made = session.decide(accepting(**changes))
        assert made.verdict == session.verdict(0) == verdict
        assert read_journal(out) == [made]
        assert made.boxes == changes.get("boxes", (BOX,))


def test_an_image_in_which_nothing_was_predicted_is_empty_if_accepted_and_undo_opens_it_again(out: Path) -> None:
    with Journal(out) as journal:
        session = ReviewSession(open_predictions(out), journal)
        assert session.decide(accepting(3, boxes=(), class_name="hawk")).verdict == session.verdict(3) == "empty"
        undone = session.undo("one", "u")
        assert undone is not None and undone.verdict == session.verdict(3) == "undecided"


def test_an_undo_brings_the_boxes_of_an_empty_image_back(out: Path) -> None:
    with Journal(out) as journal:
        session = ReviewSession(open_predictions(out), journal)
        session.decide(accepting(boxes=(BOX, OTHER)))
        session.decide(accepting(base=1, boxes=()))
        assert (session.image(0)["verdict"], session.image(0)["boxes"]) == ("empty", ())
        session.undo("one", "u")
        assert (session.image(0)["verdict"], session.image(0)["boxes"]) == ("corrected", (BOX, OTHER))


def write_with_good(root: Path, *images: str, name: str | None = "owl") -> Path:
    """Images with a box each, of a run in which the class `good` has images without an object."""
    label = None if name is None else 1
    lines = [replace(prediction(0, image=image), label=label, class_name=name, top5=()) for image in images]
    out = write_reviewable(root, lines, ("good", "owl", "tit"))
    figures = {"image_root": str(root / "images"), "class_names": ["good", "owl", "tit"], "no_object": ["good"]}
    write_manifest(out, "predict", {}, {}, figures)
    return out


@pytest.mark.parametrize("name", ["owl", None], ids=["predicted", "a run without classes"])
def test_a_class_without_objects_is_not_offered_and_its_folder_is_named_apart(tmp_path: Path, name: str | None) -> None:
    opened = checked(open_predictions(write_with_good(tmp_path, "good/1.jpg", "tit/2.jpg", "3.jpg", name=name)))
    with Journal(tmp_path / "out") as journal:
        session = ReviewSession(opened, journal)
        assert session.class_names == (() if name is None else ("owl", "tit")) and session.no_object == ("good",)
        shown = [session.image(i) for i in range(3)]
        assert [one["given_empty"] for one in shown] == ["good", None, None]
        assert [one["given_class"] for one in shown] == [None, "tit" if name else None, None]


def test_the_same_request_sent_twice_is_written_once(out: Path) -> None:
    with Journal(out) as journal:
        session = ReviewSession(open_predictions(out), journal)
        assert session.decide(accepting()) == session.decide(accepting())
    with Journal(out) as journal:  # also after a restart
        assert ReviewSession(open_predictions(out), journal).decide(accepting()).number == 1
    assert len(read_journal(out)) == 1


def test_a_window_that_has_not_read_another_decision_is_refused(out: Path) -> None:
    with Journal(out) as journal:
        session = ReviewSession(open_predictions(out), journal)
        session.decide(accepting())
        with pytest.raises(StaleDecision):
            session.decide(accepting(boxes=(OTHER,), session="two", id="late"))
        assert session.verdict(0) == "accepted" and len(read_journal(out)) == 1
        assert session.decide(accepting(base=1, boxes=(OTHER,), session="two")).supersedes == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"image": 4}, "from 0 to 3, got 4", id="no such image"),
        pytest.param({"boxes": ((0.0, 0.0, 161.0, 50.0),)}, "inside 160 x 120", id="beyond the right edge"),
        pytest.param({"boxes": ((-1.0, 0.0, 50.0, 50.0),)}, "inside 160 x 120", id="beyond the left edge"),
        pytest.param({"boxes": ((5.0, 5.0, 5.0, 50.0),)}, "with an area", id="no area"),
        pytest.param({"boxes": ((50.0, 5.0, 5.0, 50.0),)}, "with an area", id="swapped"),
        pytest.param({"boxes": ((float("nan"), 5.0, 50.0, 50.0),)}, "with an area", id="NaN"),
        pytest.param({"boxes": ((0.0, 5.0, float("inf"), 50.0),)}, "inside", id="infinite"),
        pytest.param({"boxes": (OTHER,) * 1001}, "too many boxes: expected at most 1000", id="too many"),
        pytest.param({"class_name": "eagle"}, "one of the 3 classes, got 'eagle'", id="unknown class"),
        pytest.param({"class_name": None}, "one of the 3 classes, got None", id="no class"),
        pytest.param({"class_name": None, "boxes": (), "is_class_chosen": True}, "got None", id="no class was chosen"),
    ],
)
def test_an_invalid_decision_is_refused_and_not_written(out: Path, changes: dict[str, Any], message: str) -> None:
    with Journal(out) as journal, pytest.raises(WsolError, match=message):
        ReviewSession(open_predictions(out), journal).decide(accepting(**changes))
    assert read_journal(out) == []


def test_an_odd_predicted_box_may_stay_as_it_is(tmp_path: Path) -> None:
    beyond = replace(object_at(40, 30, 160, 90, 0.5), xyxy=(40.0, 30.0, 160.5, 90.0))
    out = write_reviewable(tmp_path, [prediction(0, beyond)])
    with Journal(out) as journal:
        assert (
            ReviewSession(open_predictions(out), journal).decide(accepting(boxes=((40.0, 30.0, 160.5, 90.0),))).verdict
            == "accepted"
        )


def test_without_classes_none_can_be_chosen(tmp_path: Path) -> None:
    out = write_reviewable(tmp_path, [replace(prediction(0), label=None, class_name=None, top5=())])
    with Journal(out) as journal:
        session = ReviewSession(open_predictions(out), journal)
        assert session.class_names == ()
        with pytest.raises(WsolError, match="one of the 0 classes"):
            session.decide(accepting(class_name="owl"))
        assert session.decide(accepting(class_name=None)).verdict == "accepted"


@pytest.mark.parametrize(
    ("image", "name", "given"),
    [
        pytest.param("owl/1.jpg", "hawk", "owl", id="another class than predicted"),
        pytest.param("owl/1.jpg", "owl", "owl", id="the predicted one"),
        pytest.param("eagle/1.jpg", "hawk", None, id="a folder that is no class"),
        pytest.param("owl/1.jpg", None, None, id="a run without classes"),
    ],
)
def test_a_window_gets_the_class_of_the_folder(tmp_path: Path, image: str, name: str | None, given: str | None) -> None:
    label = None if name is None else CLASSES.index(name)
    one = replace(prediction(0, image=image), label=label, class_name=name, top5=())
    with Journal(write_reviewable(tmp_path, [one])) as journal:
        assert ReviewSession(open_predictions(tmp_path / "out"), journal).image(0)["given_class"] == given


@pytest.mark.parametrize(
    ("changes", "is_chosen"),
    [
        pytest.param({}, False, id="accepted"),
        pytest.param({"boxes": (OTHER,)}, False, id="another box"),
        pytest.param({"class_name": "owl"}, True, id="another class"),
        pytest.param({"is_class_chosen": True}, True, id="the predicted class"),
        pytest.param({"is_class_chosen": True, "is_rejected": True}, True, id="the predicted class, then rejected"),
        pytest.param({"class_name": None, "boxes": ()}, False, id="no class"),
    ],
)
def test_a_choice_of_the_class_is_written_stays_and_can_be_undone(
    out: Path, changes: dict[str, Any], is_chosen: bool
) -> None:
    with Journal(out) as journal:
        session = ReviewSession(open_predictions(out), journal)
        assert not session.image(0)["is_class_chosen"]
        made = session.decide(accepting(**changes))
        assert made.is_class_chosen == session.image(0)["is_class_chosen"] == is_chosen
    with Journal(out) as journal:
        session = ReviewSession(open_predictions(out), journal)
        later = session.decide(accepting(base=1, boxes=(OTHER,)))
        assert later.is_class_chosen == is_chosen, "also in what is decided later"
        first, second = session.undo("one", "u1"), session.undo("one", "u2")
        assert first and second and (first.is_class_chosen, second.is_class_chosen) == (is_chosen, False)
        assert not session.image(0)["is_class_chosen"]


def test_undo_goes_back_step_by_step_and_over_a_restart(out: Path) -> None:
    with Journal(out) as journal:
        session = ReviewSession(open_predictions(out), journal)
        session.decide(accepting())
        session.decide(accepting(base=1, boxes=(OTHER,)))
        session.decide(accepting(1, is_rejected=True))
        undone = [session.undo("one", "u1"), session.undo("one", "u2")]
        assert [one and (one.image, one.verdict, one.undoes) for one in undone] == [
            ("owl/0001.jpg", "undecided", 3),
            ("hawk/0000.jpg", "accepted", 2),
        ]
        assert session.undo("one", "u2") == undone[1], "sent twice"
    with Journal(out) as journal:  # another window too: the one that decided may be gone
        session = ReviewSession(open_predictions(out), journal)
        back = session.undo("two", "u3")
        assert back is not None and (back.verdict, back.undoes) == ("undecided", 1)
        assert session.undo("two", "u4") is None
        assert {session.verdict(i) for i in range(4)} == {"undecided"}
    assert len(read_journal(out)) == 6, "nothing is ever taken out"


def test_undo_leaves_what_another_window_decided(out: Path) -> None:
    with Journal(out) as journal:
        session = ReviewSession(open_predictions(out), journal)
        session.decide(accepting())
        session.decide(accepting(base=1, is_rejected=True, session="two"))
        assert session.undo("one", "u1") is None, "its own decision does not hold any more"
        back = session.undo("two", "u2")
        assert back is not None and back.verdict == "accepted"
        again = session.undo("one", "u3")
        assert again is not None and again.verdict == "undecided", "and now it does"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["accept", "reject", "move", "empty", "keep", "undo"]),
        st.integers(0, 2),
        st.sampled_from(["one", "two"]),
    ),
    max_size=8,
)


@settings(max_examples=20)
@given(STEPS)
def test_a_replayed_journal_gives_the_session_that_wrote_it(steps: list[tuple[str, int, str]]) -> None:
    with TemporaryDirectory() as name:
        out = write_reviewable(Path(name), [prediction(n) for n in range(3)])
        with Journal(out) as journal:
            session = ReviewSession(open_predictions(out), journal)
            for number, (what, image, window) in enumerate(steps):
                before = [state(session, i) for i in range(3)]
                if what == "undo":
                    session.undo(window, f"u{number}")
                    continue
                box = (float(number), 2.0, 60.0, 80.0) if what == "move" else BOX
                base = session.image(image)["version"]
                flags = {"is_rejected": what == "reject", "is_class_chosen": what == "keep"}
                words = {"boxes": () if what == "empty" else (box,), "session": window, **flags}
                made = session.decide(accepting(image, base, id=f"d{number}", **words))
                back = session.undo(window, f"b{number}")
                assert back is not None and back.undoes == made.number
                assert [state(session, i) for i in range(3)] == before, "undo is what was before"
                session.decide(accepting(image, back.number, id=f"e{number}", **words))
            now = [session.image(i) for i in range(3)]
        with Journal(out) as journal:
            assert [ReviewSession(open_predictions(out), journal).image(i) for i in range(3)] == now
        assert {one.image for one in heads(read_journal(out)).values()} <= {one["image"] for one in now}


def state(session: ReviewSession, index: int) -> tuple[Any, ...]:
    """What a window sees, but for the number of the last decision."""
    shown = session.image(index)
    return shown["verdict"], shown["boxes"], shown["class_name"], shown["is_class_chosen"]


def test_changes_are_those_since_a_decision_each_image_once(out: Path) -> None:
    with Journal(out) as journal:
        session = ReviewSession(open_predictions(out), journal)
        assert session.changes(0) == []
        session.decide(accepting())
        session.decide(accepting(1))
        session.decide(accepting(base=1, is_rejected=True))
        assert session.changes(1) == [
            {"index": 0, "version": 3, "verdict": "rejected"},
            {"index": 1, "version": 2, "verdict": "accepted"},
        ]
        assert session.changes(3) == []


def test_decisions_about_images_that_are_gone_or_another_size_stay_and_do_nothing(out: Path) -> None:
    decide(out, "gone.jpg", "rejected")
    with Journal(out) as journal:
        other_size = replace(journal.decisions[0], number=2, id="size", image="hawk/0000.jpg", image_hw=(7, 7))
        journal.append(other_size)
    before = (out / "review.jsonl").read_bytes()
    with Journal(out) as journal:
        session = ReviewSession(open_predictions(out), journal)
        assert session.unknown == 1 and {session.verdict(i) for i in range(4)} == {"undecided"}
        assert session.undo("one", "u") is None
        session.decide(accepting(id="first"))
    assert (out / "review.jsonl").read_bytes().startswith(before)
