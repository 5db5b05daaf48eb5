"""Settings that make a whole run a matter of seconds, and two ways to give a command: in this process, in one of its
own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_STAGE_ONE = ["--cam.resize-px", "64", "--cam.crop-px", "56", "--cam.batch-size", "4"]
_CUES = ["--instant.resize-px", "64"]
_STAGE_THREE = ["--seg.resize-px", "64", "--seg.crop-px", "56", "--seg.batch-size", "4"]
_CLASSIFIER = ["--classify.resize-px", "64", "--classify.crop-px", "56", "--classify.batch-size", "4"]
# Precision by name: `auto` takes what a busy machine finds faster, and bits are compared.
_ONCE = ["--precision", "fp32", "--epochs", "1", "--workers", "0"]

QUICK = ["--pseudo.masks", "thresholds", *_STAGE_ONE, *_STAGE_THREE, *_CLASSIFIER, *_ONCE]
"""Every network that SPOL has: its stage 1, its masks from it, stage 3, a classifier."""
QUICK_CUES = [*_CUES, *_STAGE_THREE, *_CLASSIFIER, *_ONCE]
"""The default: masks from cues, and no stage 1."""
QUICK_NAMELESS = [*_CUES, *_STAGE_THREE, *_ONCE, "--classifier", "none"]
QUICK_NAMED_BY_STAGE_ONE = [*_CUES, *_STAGE_ONE, *_STAGE_THREE, *_ONCE, "--classifier", "localizer"]

Cli = Callable[..., int]


def wsol(*words: object, cwd: Path | None = None) -> str:
    """A command in a process of its own; its standard output."""
    done = subprocess.run([sys.executable, "-m", "wsol", *map(str, words)], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
