"""Where the arithmetic runs: device, precision, seeds. The one door to it."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from wsol.config import Precision
from wsol.errors import WsolError
from wsol.launch import part

if TYPE_CHECKING:
    from accelerate import PartialState

Network = TypeVar("Network", bound=nn.Module)
Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Engine:
    """A device and the precision on it, with the reason for the choice."""

    device: torch.device
    is_bf16: bool
    reason: str

    def place(self, network: Network) -> Network:
        """Move a network to the device, its filters laid out channels last (faster convolutions on CPU and GPU)."""
        network.to(self.device)
        network.to(memory_format=torch.channels_last)
        return network

    def autocast(self) -> contextlib.AbstractContextManager[None]:
        """Run networks in the chosen precision; everything else stays fp32."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.is_bf16)


def choose_engine(device: str, precision: Precision) -> Engine:
    """Turn the words of the configuration into an engine.

    Raises:
        WsolError: a device that this machine, or this build of torch, has not.
    """
    chosen, reason = (_best_device()) if device == "auto" else (device, "as asked")
    try:
        found = torch.device(chosen)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError) as error:
        raise WsolError(
            f"device {chosen!r} cannot be used ({str(error).splitlines()[0]}): expected auto, cpu, cuda, cuda:N or mps. Use `--device cpu`, or install a torch built for it."
        ) from None
    # On CPUs the gradient of a depthwise convolution is many times slower in bf16 than in fp32.
    is_bf16 = precision == "bf16" or (precision == "auto" and found.type == "cuda" and torch.cuda.is_bf16_supported())
    if found.type == "cpu":
        keep_freed_memory()
    return Engine(
        found,
        is_bf16,
        f"{found} ({reason}), {'bf16' if is_bf16 else 'fp32'} ({'as asked' if precision != 'auto' else 'auto'})",
    )


def _best_device() -> tuple[str, str]:
    if torch.cuda.is_available():
        mine = part()
        return ("cuda", "a GPU is there") if mine.count == 1 else (f"cuda:{mine.local_rank}", "this process's GPU")
    if torch.backends.mps.is_available():
        return "mps", "Apple GPU"
    return "cpu", "no GPU found"


def gathered(things: Sequence[Thing], engine: Engine) -> list[Thing]:
    """What all processes have, on each of them; the order is that of the ranks."""
    if part().count == 1:
        return list(things)
    from accelerate.utils import gather_object

    _join(engine)
    return list(gather_object(list(things)))


def wait_for_all(engine: Engine) -> None:
    """Go on when every process has come this far."""
    if part().count > 1:
        _join(engine).wait_for_everyone()


def _join(engine: Engine) -> PartialState:
    from accelerate import PartialState  # seconds to import, so only where it is needed

    return PartialState(cpu=engine.device.type == "cpu")  # joins the others at the first call


def keep_freed_memory() -> None:
    """Ask glibc not to give freed blocks back to the kernel.

    A training step frees and asks again for gigabytes of activations; faulting them in anew costs a third of the step.
    """
    if sys.platform == "linux":
        m_mmap_max, m_trim_threshold, m_top_pad = -4, -1, -2
        with contextlib.suppress(OSError, AttributeError):  # another C library
            libc = ctypes.CDLL(None)
            libc.mallopt(m_mmap_max, 0)
            libc.mallopt(m_trim_threshold, 2**31 - 1)
            libc.mallopt(m_top_pad, 2**28)


def seed_of(*words: int) -> int:
    """One seed from several numbers (run's seed, stage, epoch), well mixed."""
    value = 0
    for word in words:
        value = (value * 6364136223846793005 + word + 1442695040888963407) % 2**63
    return value
