"""Settings that make a whole run a matter of seconds, and two ways to give a command: in this process, in one of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_MAPS_AND_MASKS = [
    *("--cam.resize-px", "64", "--cam.crop-px", "56", "--cam.batch-size", "4"),
    *("--seg.resize-px", "64", "--seg.crop-px", "56", "--seg.batch-size", "4"),
]
_CLASSIFIER = ["--classify.resize-px", "64", "--classify.crop-px", "56", "--classify.batch-size", "4"]
# Precision by name: `auto` takes what a busy machine finds faster, and bits are compared.
_ONCE = ["--precision", "fp32", "--epochs", "1", "--workers", "0", "--seg.rounds", "1"]
QUICK_ONCE = [*_MAPS_AND_MASKS, *_CLASSIFIER, *_ONCE]
QUICK = [*QUICK_ONCE[:-1], "2"]
QUICK_WITHOUT_CLASSIFIER = [*_MAPS_AND_MASKS, *_ONCE[:-1], "2", "--classifier"]
"""To be followed by `none` or `cam`."""

Cli = Callable[..., int]


def wsol(*words: object, cwd: Path | None = None) -> str:
    """A command in a process of its own; its standard output."""
    done = subprocess.run([sys.executable, "-m", "wsol", *map(str, words)], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
