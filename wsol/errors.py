"""Errors that the user can fix; all others are bugs."""

from __future__ import annotations


class WsolError(Exception):
    """An error that the user can fix, in fields.

    Its text is `problem: expected E, got G. Remedy`, without the fields that are not given.

    Args:
        problem: what is wrong, and where; without a full stop.
        expected: the expected value.
        got: the actual value.
        remedy: what to do, in one or more sentences.
    """

    def __init__(
        self, problem: str, *, expected: str | None = None, got: str | None = None, remedy: str | None = None
    ) -> None:
        super().__init__(problem, expected, got, remedy)
        self.problem = problem
        self.expected = expected
        self.got = got
        self.remedy = remedy

    def __str__(self) -> str:
        """All fields in a sentence or two."""
        fields = [f"expected {self.expected}" if self.expected else "", f"got {self.got}" if self.got else ""]
        facts = ", ".join(filter(None, fields))
        lead = ": ".join(filter(None, (self.problem, facts)))
        return f"{lead}. {self.remedy}" if self.remedy else lead

    def __reduce__(self) -> tuple[object, ...]:
        """Errors are sent between processes; pickle passes no keyword arguments."""
        return _restored, (type(self), self.problem, self.expected, self.got, self.remedy)


def _restored(
    kind: type[WsolError], problem: str, expected: str | None, got: str | None, remedy: str | None
) -> WsolError:
    return kind(problem, expected=expected, got=got, remedy=remedy)


class BrokenImage(WsolError):
    """A file that cannot be decoded; a caller with many files reports it and continues."""


class NoGroundTruth(WsolError):
    """A data set without boxes or masks; it is valid, and can be used for training."""
