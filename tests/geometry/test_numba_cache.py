"""Functions compiled by numba work without a writable folder."""

from __future__ import annotations

import pytest

from wsol.geometry import numba_cache as module
from wsol.geometry.numba_cache import compiled


def doubled(value: int) -> int:
    return 2 * value


def test_a_compiled_function_does_what_it_did() -> None:
    assert compiled(doubled)(21) == 42


def test_without_a_writable_folder_it_is_compiled_in_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def njit(function: object, **options: bool) -> object:
        asked.append(options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function 'doubled': no locator available for file")
        return function

    monkeypatch.setattr(module, "njit", njit)
    assert compiled(doubled)(21) == 42
    assert asked == [{"cache": True, "nogil": True}, {"nogil": True}]


def test_without_numba_it_is_the_function_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "njit", None)
    assert compiled(doubled) is doubled
