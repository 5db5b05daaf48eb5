"""Functions that numba compiles; what it compiled is kept on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    from numba import njit
except ModuleNotFoundError:  # the base install: the same results from the interpreter, slower
    njit = None


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile at the first call, and let go of the interpreter while it runs; the function itself without numba."""
    if njit is None:
        return function
    try:
        return njit(function, cache=True, nogil=True)  # type: ignore[no-any-return]
    except RuntimeError:  # neither the package's folder nor a home can be written: compiled anew in each process
        return njit(function, nogil=True)  # type: ignore[no-any-return]
