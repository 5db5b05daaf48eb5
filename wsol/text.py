"""Numbers with words that agree."""

from __future__ import annotations


def number_of(n: int, one: str, several: str | None = None) -> str:
    """`1 image`, `0 boxes`, `2 classes`; both words where more than the noun bends: `1 image has`, `2 images have`."""
    if n == 1:
        return f"{n} {one}"
    return f"{n} {several or (f'{one}es' if one.endswith(('s', 'x')) else f'{one}s')}"
