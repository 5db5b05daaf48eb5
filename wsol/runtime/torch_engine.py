"""Devices, precision, and gradients averaged over processes, with PyTorch."""

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
    """Choose device and precision.

    Args:
        device: auto, cpu, cuda, cuda:N or mps.
        precision: fp32, bf16, or auto: bf16 on GPUs that support it.

    Returns:
        The engine.

    Raises:
        WsolError: this machine, or this build of torch, does not have the device.
    """
    chosen, reason = (_best_device()) if device == "auto" else (device, "as asked")
    if device == "cuda" and part().count > 1:
        chosen = f"cuda:{part().local_rank}"
    elif device.startswith("cuda:") and part().count > 1:
        raise WsolError(
            f"{part().count} processes cannot share device {device}",
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
    """Whether the hardware supports bf16; emulation would be slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):  # absent in the oldest supported torch
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
    return False


CLEARLY_FASTER = 1.2


NOTICEABLE_SECONDS = 0.3
"""A measurement whose first pass takes longer is reported."""


def measured(
    engine: Engine, work: Callable[[Engine], object], repetitions: int = 3, tell: Callable[[], None] = lambda: None
) -> Engine:
    """Choose the faster precision, fp32 or bf16, by measurement.

    On CPUs bf16 is faster for some networks and slower for others: the gradient of a depthwise convolution takes
    several times as long.

    Args:
        engine: the device.
        work: the computation, for example a training step.
        repetitions: number of passes in each precision, after one to warm up.
        tell: called early if the measurement takes a noticeable time.

    Returns:
        The engine; its reason says by how much bf16 was faster. All processes use the choice of the first one.
    """
    if not has_bf16(engine.device):
        return replace(engine, is_bf16=False)
    best = {False: float("inf"), True: float("inf")}
    for repetition in range(repetitions + 1):  # interleaved: other load on the machine affects both
        for is_bf16 in best:
            seconds = _seconds(work, replace(engine, is_bf16=is_bf16))
            if repetition > 0:  # the first warms up
                best[is_bf16] = min(best[is_bf16], seconds)
            elif not is_bf16 and seconds > NOTICEABLE_SECONDS:
                tell()
        # The same for all processes, which must make the same number of passes; nan after the warm-up.
        ratio, *_ = gathered([best[False] / best[True]], engine)
        if ratio < 1:  # bf16 would have to be clearly faster: no more of its slow passes
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
    """The sum over all processes, on each process."""
    if part().count == 1:
        return values
    total: Tensor = joined(engine).reduce(values, "sum")
    return total


def averaging(network: nn.Module, engine: Engine) -> nn.Module:
    """The network with gradients averaged over all processes (DistributedDataParallel); unchanged for one process."""
    if part().count == 1:
        return network
    # Its memory layout of 1x1 filters differs from ours; the copy costs little.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    prepared: nn.Module = joined(engine).prepare(network)
    return prepared


def gradients_kept_apart(network: nn.Module, *, apart: bool) -> contextlib.AbstractContextManager[None]:
    """A context in which the gradients of an `averaging` network accumulate in each process; the next backward pass
    outside averages them.
    """
    no_sync = getattr(network, "no_sync", None)
    return no_sync() if apart and no_sync is not None else contextlib.nullcontext()
