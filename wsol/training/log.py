"""Logs of a training: a line per ten steps (log.jsonl), a row per epoch (results.csv), and TensorBoard if chosen."""

from __future__ import annotations

import csv
import io
import json
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from wsol.config.base import Track
from wsol.errors import WsolError
from wsol.storage.folders import write_text
from wsol.storage.links import make_below, open_own, refuse_link
from wsol.training.state import Tally, Trained

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

LINES, ROWS = "log.jsonl", "results.csv"
STEPS_PER_LINE = 10


class TrainingLog:
    """Log files of one training in `folder`. A resumed training removes the lines after its checkpoint."""

    def __init__(self, folder: Path, name: str, track: Track, trained: Trained) -> None:
        self.rows = folder / ROWS
        self.name = name
        self.board = None if track == "none" else _board(make_below(folder.parent, "tensorboard", name), trained.step)
        refuse_link(folder / LINES)
        _cut_after(folder / LINES, trained.step)
        lines = open_own(folder / LINES, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.lines = os.fdopen(lines, "a", encoding="utf-8")
        self.window = Tally()

    def add(self, trained: Trained, steps: Tally, *, is_epoch_over: bool) -> None:
        """Log some steps that are already counted in `trained`."""
        self.window.include(steps)
        if self.window.steps >= STEPS_PER_LINE or is_epoch_over:
            self._write_line(trained.step, len(trained.epochs) + (not is_epoch_over))
        if is_epoch_over:
            write_text(self.rows, _table(trained))

    def _write_line(self, step: int, epoch: int) -> None:
        figures = self.window.figures()
        row = {"stage": self.name, "epoch": epoch, "step": step, **figures}
        self.lines.write(json.dumps(row | {"at": datetime.now().astimezone().isoformat(timespec="seconds")}) + "\n")
        self.lines.flush()
        if self.board is not None:
            for name, value in figures.items():
                self.board.add_scalar(name, value, step)
        self.window = Tally()

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.lines.close()
        if self.board is not None:
            self.board.close()


def _cut_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines(keepends=True):
        if not line.endswith("\n") or not _is_up_to(line, step):
            break
        kept.append(line)
    write_text(path, "".join(kept))


def _is_up_to(line: str, step: int) -> bool:
    try:
        return bool(json.loads(line)["step"] <= step)
    except (ValueError, KeyError, TypeError, RecursionError):  # damaged; the lines after it are removed too
        return False


def _table(trained: Trained) -> str:
    text = io.StringIO()
    names = ["epoch", "steps", "seconds", *Tally().figures()]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for number, epoch in enumerate(trained.epochs, start=1):
        writer.writerow({"epoch": number, "steps": epoch.steps, "seconds": round(epoch.seconds, 1), **epoch.figures()})
    return text.getvalue()


def _board(folder: Path, step: int) -> SummaryWriter:
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError:
        raise WsolError(
            "TensorBoard is not installed",
            expected="the extra `track` for `--track tensorboard`",
            remedy="Install it with `pip install 'wsol[track]'`, or omit `--track`.",
        ) from None
    return SummaryWriter(str(folder), purge_step=step + 1)
