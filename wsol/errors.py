"""What a user can fix, apart from what we must fix."""

from __future__ import annotations


class WsolError(Exception):
    """A mistake that the user can correct, in fields: what is wrong, what was expected, what came, and what to do.

    Its text is `problem: expected E, got G. Remedy`; what is not given is left out.

    Args:
        problem: what is wrong, and where; without a full stop.
        expected: what belongs there.
        got: what is there.
        remedy: what to do, as one sentence or several.
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
        """All fields as a sentence or two."""
        fields = [f"expected {self.expected}" if self.expected else "", f"got {self.got}" if self.got else ""]
        facts = ", ".join(filter(None, fields))
        lead = ": ".join(filter(None, (self.problem, facts)))
        return f"{lead}. {self.remedy}" if self.remedy else lead

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross processes: what pickle calls has keywords."""
        return _again, (type(self), self.problem, self.expected, self.got, self.remedy)


def _again(kind: type[WsolError], problem: str, expected: str | None, got: str | None, remedy: str | None) -> WsolError:
    return kind(problem, expected=expected, got=got, remedy=remedy)


class BrokenImage(WsolError):
    """One file that cannot be decoded; callers with many files report it and go on."""


class NoGroundTruth(WsolError):
    """A data set without boxes or masks; nothing is wrong with it, and it can be trained on."""
