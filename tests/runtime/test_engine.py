"""Which precision a measurement chooses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from wsol.runtime import torch_engine as engines
from wsol.runtime.engine import Engine
from wsol.runtime.torch_engine import choose_engine, measured

CPU = Engine(torch.device("cpu"), False, "cpu (no GPU found), fp32 (auto)")


@pytest.mark.parametrize(
    ("has_bf16", "fp32_ms", "bf16_ms", "is_bf16"),
    [
        pytest.param(True, 20, 5, True, id="much faster"),
        pytest.param(True, 5, 20, False, id="slower"),
        pytest.param(True, 10, 10, False, id="as fast: not worth its rounding"),
        pytest.param(False, 20, 1, False, id="emulated"),
    ],
)
def test_bf16_is_chosen_if_it_is_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool, fp32_ms: int, bf16_ms: int, is_bf16: bool
) -> None:
    monkeypatch.setattr(engines, "has_bf16", lambda device: has_bf16)
    milliseconds = {True: bf16_ms, False: fp32_ms}
    monkeypatch.setattr(engines, "_seconds", lambda work, engine: milliseconds[engine.is_bf16] / 1000)
    chosen = measured(CPU, lambda engine: None)
    assert chosen.is_bf16 == is_bf16
    if has_bf16:
        word = "bf16" if is_bf16 else "fp32"
        assert (
            chosen.reason.startswith(f"cpu (no GPU found), {word} (measured: bf16 ")
            and "times as fast" in chosen.reason
        )


@pytest.mark.parametrize(
    ("fp32_seconds", "bf16_seconds", "passes", "is_told"),
    [
        pytest.param(2, 4, 4, True, id="bf16 loses in the first round, and that is enough"),
        pytest.param(4, 2, 8, True, id="where it may win it has to do so three times"),
        pytest.param(0.02, 0.01, 8, False, id="nobody waits for so little"),
    ],
)
def test_a_measurement_says_that_it_takes_time_and_ends_when_it_is_decided(
    monkeypatch: pytest.MonkeyPatch, fp32_seconds: float, bf16_seconds: float, passes: int, is_told: bool
) -> None:
    seen: list[str] = []

    def seconds(work: object, engine: Engine) -> float:
        seen.append("bf16" if engine.is_bf16 else "fp32")
        return bf16_seconds if engine.is_bf16 else fp32_seconds

    monkeypatch.setattr(engines, "has_bf16", lambda device: True)
    monkeypatch.setattr(engines, "_seconds", seconds)
    measured(CPU, lambda engine: None, tell=lambda: seen.append("printed"))
    assert seen == ["fp32", *["printed"] * is_told, "bf16", *["fp32", "bf16"] * ((passes - 2) // 2)]


def test_an_earlier_choice_is_kept_and_reported() -> None:
    assert CPU.with_bf16(False) is CPU
    assert CPU.with_bf16(True) == replace(CPU, is_bf16=True, reason="cpu (no GPU found), bf16 (as at the start)")


def test_a_cpu_computes_in_fp32_unless_asked() -> None:
    assert not choose_engine("cpu", "auto").is_bf16
    assert choose_engine("cpu", "bf16").is_bf16


def test_this_machine_says_whether_it_has_bf16() -> None:
    assert engines.has_bf16(torch.device("cpu")) in (True, False)
    assert not engines.has_bf16(torch.device("meta"))
