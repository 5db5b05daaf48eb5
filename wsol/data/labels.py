"""The label of an image from the class names of its annotations; the only rule for an image of several classes."""

from __future__ import annotations

from collections.abc import Iterable

from wsol.data.ground_truth import Mistake


def label_of(names: Iterable[str], where: str) -> str | Mistake:
    """The class of an image.

    Args:
        names: the class names of its objects and tags, in any order; "" for one without a name.
        where: the position in the file, for the mistake.

    Returns:
        The name of its class, or the mistake because of which the image is left out: `no label`, `unknown class` or
        `several classes`.
    """
    found = sorted(set(names))
    if not found:
        return Mistake("no label", where, "expected an object, whose name is the label, got none")
    if "" in found:
        return Mistake("unknown class", where, "expected a name of every object, got none")
    if len(found) > 1:
        return Mistake("several classes", where, f"expected objects of one class, got {', '.join(found)}")
    return found[0]
