"""Device, precision, seeds, and communication between processes. Imports no torch: onnxruntime does not need it."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any, TypeVar

from wsol.runtime.processes import part

Network = TypeVar("Network")
Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Engine:
    """A device, its precision, and the reason for the choice (`wsol.runtime.torch_engine.choose_engine`)."""

    device: Any
    """A `torch.device`, or without PyTorch an object with the same `type`."""
    is_bf16: bool
    reason: str

    def place(self, network: Network) -> Network:
        """Move a network to the device, in channels-last memory format (faster convolutions on CPU and GPU)."""
        import torch

        assert isinstance(network, torch.nn.Module)
        network.to(self.device)
        network.to(memory_format=torch.channels_last)
        return network

    def sent(self, pixels: Any) -> Any:
        """The tensor on the device; a GPU copies it asynchronously."""
        if self.device.type == "cuda":
            return pixels.pin_memory().to(self.device, non_blocking=True)
        return pixels.to(self.device)

    def with_bf16(self, is_bf16: bool) -> Engine:
        """The same device with the precision that an interrupted training began with."""
        if is_bf16 == self.is_bf16:
            return self
        where = self.reason.rpartition(", ")[0]
        return replace(self, is_bf16=is_bf16, reason=f"{where}, {'bf16' if is_bf16 else 'fp32'} (as at the start)")

    def autocast(self) -> contextlib.AbstractContextManager[None]:
        """A context in which networks run in the chosen precision; everything else stays fp32."""
        import torch

        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.is_bf16)


WITHOUT_TORCH = Engine(SimpleNamespace(type="cpu"), False, "cpu, fp32 (onnxruntime)")
"""The engine of networks that onnxruntime computes."""


def gathered(things: Sequence[Thing], engine: Engine) -> list[Thing]:
    """The things of all processes, in the order of the ranks, on each process."""
    if part().count == 1:
        return list(things)
    from accelerate.utils import gather_object

    joined(engine)
    return list(gather_object(list(things)))


def wait_for_all(engine: Engine) -> None:
    """Wait until every process has come this far."""
    if part().count > 1:
        joined(engine).wait_for_everyone()


def joined(engine: Engine) -> Any:
    """The Accelerate object of all processes."""
    from accelerate import Accelerator, InitProcessGroupKwargs  # seconds to import, so only where it is needed

    # A process may wait hours for the shards of a slower one, or for the first one to assemble them. The launcher
    # notices a dead process.
    patience = InitProcessGroupKwargs(timeout=timedelta(days=7))
    _close_at_exit()
    # The engine sets the precision, not `accelerate config`.
    return Accelerator(cpu=engine.device.type == "cpu", mixed_precision="no", kwargs_handlers=[patience])


@cache
def _close_at_exit() -> None:
    """Close the connections to other processes before the interpreter exits; further calls do nothing."""
    atexit.register(_close)


def _close() -> None:
    import torch

    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def keep_freed_memory() -> None:
    """Configure glibc not to return freed memory to the kernel.

    A training step frees and allocates gigabytes of activations; page faults for them would take a third of its time.
    """
    if sys.platform == "linux":
        m_mmap_max, m_trim_threshold, m_top_pad = -4, -1, -2
        with contextlib.suppress(OSError, AttributeError):  # another C library
            libc = ctypes.CDLL(None)
            libc.mallopt(m_mmap_max, 0)
            libc.mallopt(m_trim_threshold, 2**31 - 1)
            libc.mallopt(m_top_pad, 2**28)


def seed_of(*numbers: int) -> int:
    """One well-mixed seed from several numbers (seed of the run, stage, epoch)."""
    value = 0
    for number in numbers:
        value = (value * 6364136223846793005 + number + 1442695040888963407) % 2**63
    return value
