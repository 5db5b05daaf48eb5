"""Work over a long list in shards: one process does each shard and writes it to a part file that is complete or absent.

The shards depend only on the list. So results and their order (and every bit of them, on a CPU with the same number of
threads) do not depend on interruptions or on the number of processes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from wsol.errors import WsolError
from wsol.runtime.processes import Part
from wsol.storage.folders import read_json, start_over, whole_file, write_json
from wsol.storage.links import make_below

Thing = TypeVar("Thing")
Skipped = dict[str, str]
"""The `image` that is in no part, and the `reason`."""

SHARD_SIZE = 256
PARTS, NAMES, SETTINGS = "parts", "names", "settings.json"
"""Entries of a scratch folder that a finished one does not have: part files, list of names, settings of the parts."""


@dataclass(frozen=True)
class Shards:
    """`total` items in shards of `SHARD_SIZE`, and their part files."""

    folder: Path
    total: int
    suffix: str

    def __len__(self) -> int:
        return -(-self.total // SHARD_SIZE)

    def items(self, shard: int) -> range:
        """The indices of the items of a shard."""
        return range(shard * SHARD_SIZE, min((shard + 1) * SHARD_SIZE, self.total))

    def path(self, shard: int) -> Path:
        """The part file of a shard."""
        return self.folder / f"{shard:06}{self.suffix}"

    def skipped_path(self, shard: int) -> Path:
        """The list of skipped items of a shard; absent if there are none."""
        return self.folder / f"{shard:06}.skipped.json"


def open_scratch(scratch: Path, stage: str, settings: dict[str, Any], inputs: dict[str, str]) -> None:
    """Prepare a scratch folder for parts; parts of other settings, inputs or shard sizes are removed.

    Args:
        scratch: the scratch folder.
        stage: the command, without `wsol`.
        settings: the options that determine the parts.
        inputs: hashes of the inputs by name.
    """
    identity = {"settings": settings, "inputs": inputs, "shard_size": SHARD_SIZE}
    marker = scratch / SETTINGS
    if not marker.exists() or read_json(marker, f"wsol {stage}") != json.loads(json.dumps(identity)):
        start_over(scratch)
        write_json(marker, identity)
    make_below(scratch, PARTS)


def clear(folder: Path) -> None:
    """Remove the working files from a finished folder."""
    for name in (PARTS, NAMES):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / SETTINGS).unlink(missing_ok=True)


def unfinished(shards: Shards, mine: Part, is_whole: Callable[[int], bool]) -> list[int]:
    """The shards that a process still has to do.

    Args:
        shards: all shards.
        mine: the process, which does every `count`-th shard.
        is_whole: whether an existing part file is complete.

    Returns:
        The indices of the shards.
    """
    return [shard for shard in mine.of(range(len(shards))) if not (shards.path(shard).exists() and is_whole(shard))]


def batches_of(shards: Shards, todo: Iterable[int], batch_size: int) -> list[range]:
    """The items of some shards in batches; no batch contains items of two shards.

    Args:
        shards: all shards.
        todo: indices of the shards.
        batch_size: maximum number of items.

    Returns:
        The indices of the items of each batch.
    """
    return [
        items[start : start + batch_size]
        for items in map(shards.items, todo)
        for start in range(0, len(items), batch_size)
    ]


def by_shard(todo: Iterable[int], found: Iterable[tuple[int, Thing]]) -> Iterator[tuple[int, dict[int, Thing]]]:
    """Group numbered results, in order, into one dictionary per shard; empty for a shard without results."""
    left = iter(todo)
    shard, things = next(left, None), dict[int, Thing]()
    for number, thing in found:
        while shard is not None and shard != number // SHARD_SIZE:
            yield shard, things
            shard, things = next(left, None), {}
        things[number] = thing
    while shard is not None:
        yield shard, things
        shard, things = next(left, None), {}


def write_parts(
    shards: Shards,
    todo: Sequence[int],
    found: Iterable[tuple[int, Thing]],
    to_bytes: Callable[[int, dict[int, Thing]], bytes],
    names: Sequence[str],
    reasons: dict[int, str],
) -> None:
    """Write each part file as soon as its results are complete.

    Args:
        shards: all shards.
        todo: indices of the shards, in order.
        found: index and result of each item, in order, without the skipped ones.
        to_bytes: the content of a part file, from the shard and its results.
        names: the names of all items.
        reasons: why an item was skipped, by its index. Entries are removed as they are written.
    """
    for shard, things in by_shard(todo, found):
        skipped = [{"image": names[i], "reason": reasons.pop(i)} for i in shards.items(shard) if i not in things]
        shards.skipped_path(shard).unlink(missing_ok=True)
        if skipped:  # before the part file, which marks the shard as finished
            write_json(shards.skipped_path(shard), skipped)
        with whole_file(shards.path(shard)) as partial:
            partial.write_bytes(to_bytes(shard, things))


def skipped_of(shards: Shards, shard: int) -> list[Skipped]:
    """The items of a finished shard that were skipped."""
    path = shards.skipped_path(shard)
    return read_skipped(path, "the same command") if path.exists() else []


def read_skipped(path: Path, made_by: str) -> list[Skipped]:
    """Read a list of skipped images.

    Args:
        path: the file.
        made_by: the command that writes it, for the message.

    Returns:
        Image and reason of each.

    Raises:
        WsolError: absent, unreadable, or not such a list.
    """
    rows: list[Skipped] = read_json(path, made_by)
    if not isinstance(rows, list) or not all(map(_is_skipped, rows)):
        raise WsolError(
            f"{path} is damaged",
            expected="a list of image and reason",
            remedy=f"Remove {path.parent}, and `{made_by}` makes it again.",
        )
    return rows


def _is_skipped(row: Any) -> bool:
    return isinstance(row, dict) and all(isinstance(row.get(name), str) for name in ("image", "reason"))


def assemble_skipped(shards: Shards, path: Path) -> Iterator[Skipped]:
    """Write the skipped items of all shards as one JSON array, and yield each; one shard is in memory at a time."""
    with whole_file(path) as partial, partial.open("wb") as file:
        lead = "[\n  "
        for shard in range(len(shards)):
            for row in skipped_of(shards, shard):
                file.write((lead + json.dumps(row, ensure_ascii=False)).encode("utf-8", "surrogateescape"))
                lead = ",\n  "
                yield row
        file.write(b"[]\n" if lead.startswith("[") else b"\n]\n")
