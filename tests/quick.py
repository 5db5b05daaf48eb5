"""Settings that make a whole run a matter of seconds, and two ways to give a command: in this process, in one of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

QUICK_ONCE = [
    *("--cam.resize-px", "64", "--cam.crop-px", "56", "--cam.batch-size", "4"),
    *("--seg.resize-px", "64", "--seg.crop-px", "56", "--seg.batch-size", "4"),
    *("--classify.resize-px", "64", "--classify.crop-px", "56", "--classify.batch-size", "4"),
    *("--epochs", "1", "--workers", "0", "--seg.rounds", "1"),
]
QUICK = [*QUICK_ONCE[:-1], "2"]

Cli = Callable[..., int]


def wsol(*words: object, cwd: Path | None = None) -> str:
    """A command in a process of its own; its standard output."""
    done = subprocess.run([sys.executable, "-m", "wsol", *map(str, words)], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
