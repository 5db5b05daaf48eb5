"""Devices, precision and gradients of several processes, as PyTorch has them."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from wsol.config.base import Precision
from wsol.errors import WsolError
from wsol.runtime.engine import Engine, gathered, joined, keep_freed_memory
from wsol.runtime.processes import part


def choose_engine(device: str, precision: Precision) -> Engine:
    """Turn the words of the configuration into an engine.

    Raises:
        WsolError: a device that this machine, or this build of torch, has not.
    """
    chosen, reason = (_best_device()) if device == "auto" else (device, "as asked")
    if device == "cuda" and part().count > 1:
        chosen = f"cuda:{part().local_rank}"
    elif device.startswith("cuda:") and part().count > 1:
        raise WsolError(
            f"device {device} cannot be that of {part().count} processes",
            expected="auto, cuda or cpu",
            remedy="Each process takes a GPU of its own; hide others with CUDA_VISIBLE_DEVICES.",
        )
    try:
        found = torch.device(chosen)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError) as error:
        raise WsolError(
            f"device {chosen!r} cannot be used ({str(error).splitlines()[0]})",
            expected="auto, cpu, cuda, cuda:N or mps",
            remedy="Use `--device cpu`, or install a torch built for it.",
        ) from None
    is_bf16 = precision == "bf16" or (precision == "auto" and found.type == "cuda" and has_bf16(found))
    if found.type == "cpu":
        keep_freed_memory()
    return Engine(
        found,
        is_bf16,
        f"{found} ({reason}), {'bf16' if is_bf16 else 'fp32'} ({'as asked' if precision != 'auto' else 'auto'})",
    )


def has_bf16(device: torch.device) -> bool:
    """Whether the hardware itself computes in bf16; emulated, it only loses."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):  # newer than the oldest torch that will do
        found = torch.cpu.get_capabilities()
        return bool(found.get("amx_bf16") or found.get("avx512_bf16"))
    return False


CLEARLY_FASTER = 1.2


NOTICEABLE_SECONDS = 0.3
"""A first pass of more makes the measurement one that people wait for."""


def measured(
    engine: Engine, work: Callable[[Engine], object], repetitions: int = 3, tell: Callable[[], None] = lambda: None
) -> Engine:
    """The engine in the precision, fp32 or bf16, in which `work` is faster; the reason tells by how much. All processes
    take the first's.

    On CPUs bf16 wins for some networks and loses for others: the gradient of a depthwise convolution is several times
    slower in it. Where it takes a noticeable time, `tell` is called soon after the beginning.
    """
    if not has_bf16(engine.device):
        return replace(engine, is_bf16=False)
    best = {False: float("inf"), True: float("inf")}
    for repetition in range(repetitions + 1):  # interleaved, so that other work on the machine meets both
        for is_bf16 in best:
            seconds = _seconds(work, replace(engine, is_bf16=is_bf16))
            if repetition > 0:  # the first warms up
                best[is_bf16] = min(best[is_bf16], seconds)
            elif not is_bf16 and seconds > NOTICEABLE_SECONDS:
                tell()
        # Of all processes, since all have to make as many passes; nan after the warming up.
        ratio, *_ = gathered([best[False] / best[True]], engine)
        if ratio < 1:  # bf16 would have to win by a fifth: no need to wait for more of its slow passes
            break
    is_bf16 = ratio > CLEARLY_FASTER
    where = engine.reason.rpartition(", ")[0]
    return replace(
        engine,
        is_bf16=is_bf16,
        reason=f"{where}, {'bf16' if is_bf16 else 'fp32'} (measured: bf16 {ratio:.2f} times as fast as fp32)",
    )


def _seconds(work: Callable[[Engine], object], engine: Engine) -> float:
    started = time.perf_counter()
    work(engine)
    if engine.device.type == "cuda":
        torch.cuda.synchronize(engine.device)
    return time.perf_counter() - started


def _best_device() -> tuple[str, str]:
    if torch.cuda.is_available():
        mine = part()
        return ("cuda", "a GPU is there") if mine.count == 1 else (f"cuda:{mine.local_rank}", "this process's GPU")
    if torch.backends.mps.is_available():
        return "mps", "Apple GPU"
    return "cpu", "no GPU found"


def summed(values: Tensor, engine: Engine) -> Tensor:
    """The sum over all processes, on each of them."""
    if part().count == 1:
        return values
    total: Tensor = joined(engine).reduce(values, "sum")
    return total


def averaging(network: nn.Module, engine: Engine) -> nn.Module:
    """The network whose gradients are means over all processes (DistributedDataParallel); itself where there is one
    process.
    """
    if part().count == 1:
        return network
    # Its layout of 1x1 filters is not ours; the copy that this costs is small.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    prepared: nn.Module = joined(engine).prepare(network)
    return prepared


def gradients_kept_apart(network: nn.Module, *, apart: bool) -> contextlib.AbstractContextManager[None]:
    """Inside, gradients of an `averaging` network are added up in each process; the next backward pass outside sends
    their sum.
    """
    no_sync = getattr(network, "no_sync", None)
    return no_sync() if apart and no_sync is not None else contextlib.nullcontext()
