"""Functions compiled by numba; the compiled code is cached on disk if possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    from numba import njit
except ModuleNotFoundError:  # the base install: the same results from the interpreter, slower
    njit = None


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function at its first call, to run without the GIL; without numba, return it unchanged."""
    if njit is None:
        return function
    try:
        return njit(function, cache=True, nogil=True)  # type: ignore[no-any-return]
    except RuntimeError:  # neither the package folder nor the home folder is writable: compile in each process
        return njit(function, nogil=True)  # type: ignore[no-any-return]
