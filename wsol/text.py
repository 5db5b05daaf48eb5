"""Numbers with nouns in singular or plural."""

from __future__ import annotations


def number_of(n: int, one: str, several: str | None = None) -> str:
    """A number and its noun: `1 image`, `0 boxes`, `2 classes`.

    Args:
        n: the number.
        one: the singular, with a verb if needed: `image has`.
        several: the plural, if it is not the singular with -s or -es: `images have`.

    Returns:
        The phrase.
    """
    if n == 1:
        return f"{n} {one}"
    return f"{n} {several or (f'{one}es' if one.endswith(('s', 'x')) else f'{one}s')}"
