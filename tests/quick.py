"""Settings that make a whole run a matter of seconds, and the type of the `cli` fixture."""

from __future__ import annotations

from collections.abc import Callable

QUICK = [
    *("--cam.resize-px", "64", "--cam.crop-px", "56", "--cam.batch-size", "4"),
    *("--seg.resize-px", "64", "--seg.crop-px", "56", "--seg.batch-size", "4"),
    *("--classify.resize-px", "64", "--classify.crop-px", "56", "--classify.batch-size", "4"),
    *("--epochs", "1", "--workers", "0"),
]

Cli = Callable[..., int]
