"""The labels of an image from the class names of its annotations; the only rule for it."""

from __future__ import annotations

from collections.abc import Iterable

from wsol.data.ground_truth import Mistake
from wsol.data.untrusted import is_text, short_repr


def labels_of(names: Iterable[str], where: str) -> tuple[str, ...] | Mistake:
    """The classes of an image.

    Args:
        names: the class names of its objects and tags, in any order; "" for one without a name.
        where: the position in the file, for the mistake.

    Returns:
        The names of its classes in alphabetical order, or the mistake because of which the image is left out: `no
        label` or `unknown class`.
    """
    found = sorted(set(names))
    if not found:
        return Mistake("no label", where, "expected an object, whose name is the label, got none")
    if "" in found:
        return Mistake("unknown class", where, "expected a name of every object, got none")
    unwritable = next((name for name in found if not is_text(name)), None)
    if unwritable is not None:
        return Mistake("unknown class", where, f"expected names of valid text, got {short_repr(unwritable)}")
    return tuple(found)
