"""The format of user errors, fixed once: elsewhere tests assert their type, fields and key nouns."""

from __future__ import annotations

import pickle

import pytest

from wsol.errors import BrokenImage, NoGroundTruth, WsolError

FIELDS = {"expected": "one", "got": "two", "remedy": "Fix it. Or leave it."}


def error_of(kind: type[WsolError], *names: str) -> WsolError:
    return kind("a problem", **{name: FIELDS[name] for name in names})


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ((), "a problem"),
        (("expected",), "a problem: expected one"),
        (("got",), "a problem: got two"),
        (("remedy",), "a problem. Fix it. Or leave it."),
        (("expected", "got"), "a problem: expected one, got two"),
        (("expected", "remedy"), "a problem: expected one. Fix it. Or leave it."),
        (("got", "remedy"), "a problem: got two. Fix it. Or leave it."),
        (("expected", "got", "remedy"), "a problem: expected one, got two. Fix it. Or leave it."),
    ],
)
@pytest.mark.parametrize("kind", [WsolError, BrokenImage, NoGroundTruth])
def test_an_error_is_one_text_of_the_fields_that_it_has_also_after_pickling(
    kind: type[WsolError], names: tuple[str, ...], text: str
) -> None:
    error = error_of(kind, *names)
    for one in (error, pickle.loads(pickle.dumps(error))):
        assert type(one) is kind and str(one) == text
        assert one.problem == "a problem"
        assert [one.expected, one.got, one.remedy] == [FIELDS[name] if name in names else None for name in FIELDS]


@pytest.mark.parametrize("kind", [BrokenImage, NoGroundTruth])
def test_every_user_error_can_be_caught_as_a_wsol_error(kind: type[WsolError]) -> None:
    with pytest.raises(WsolError):
        raise error_of(kind, *FIELDS)
