"""Folders that are complete or absent: written under a temporary name, renamed last, described by a manifest."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from wsol.errors import WsolError
from wsol.storage.links import is_link, open_own, refuse_link, refuse_special
from wsol.storage.schema import check_schema
from wsol.version import __version__

MANIFEST = "manifest.json"
CHECKPOINT = "checkpoint.safetensors"
"""In the scratch folder of a training."""


def scratch_of(folder: Path) -> Path:
    """Where the unfinished `folder` lives."""
    return folder.with_name(f".{folder.name}.partial")


def final_of(scratch: Path) -> Path:
    """The absolute path that a scratch folder takes when it is complete."""
    return scratch.resolve().with_name(scratch.name.removeprefix(".").removesuffix(".partial"))


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a scratch folder that takes the name `folder` only if the block succeeds.

    After a failure or a kill the scratch folder stays, so that the same command can go on in it. Only one process at a
    time may be here (`wsol.storage.locks.held`): what a killed one left of unfinished files is removed.

    Raises:
        WsolError: something that is not ours already stands at `folder`, or a link, be it in the place of the scratch
            folder.
    """
    if folder.name in ("", ".."):
        raise WsolError(
            f"{folder} is no name for a new folder",
            expected=f"one that can be made, such as {folder / 'out'}",
            remedy="Name it.",
        )
    refuse_link(folder)
    if folder.exists():
        if not folder.is_dir() or any(folder.iterdir()):
            # Not a word of removing it: it may hold photographs.
            raise WsolError(f"{folder} exists already", expected="a free name", remedy="Name another folder.")
        folder.rmdir()
    scratch = scratch_of(folder)
    refuse_link(scratch)
    scratch.mkdir(parents=True, exist_ok=True)
    remove_unfinished(scratch)
    yield scratch
    if not (scratch / MANIFEST).exists():
        raise RuntimeError(f"{scratch} has no {MANIFEST}: a stage writes it last")
    os.replace(scratch, folder)


def start_over(scratch: Path) -> None:
    """Empty a scratch folder whose contents belong to another configuration."""
    shutil.rmtree(scratch)
    scratch.mkdir()


def partial_of(path: Path) -> Path:
    """A name beside `path` that nobody can know before, for what is not finished."""
    # As many letters as fit into a file name with the rest, if each takes four bytes.
    return path.with_name(f".{path.name[:50]}.{secrets.token_hex(6)}.partial")


_UNFINISHED = re.compile(r"\..*\.[0-9a-f]{12}\.partial|\.tmp\w{6}")
"""What `partial_of` gives, and the file that safetensors makes for itself."""


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes left of unfinished files, here and below. To be called where no other process can be
    writing here.
    """
    for above, folders, files in os.walk(folder):
        for name in filter(_UNFINISHED.fullmatch, [*folders, *files]):
            _remove(Path(above, name))


def remove_left(path: Path) -> None:
    """Remove what killed processes left of an unfinished `path`. To be called where no other process can be writing
    it.
    """
    pattern = re.compile(rf"\.{re.escape(path.name[:50])}\.[0-9a-f]{{12}}\.partial")
    with suppress(FileNotFoundError, PermissionError):  # of a folder that may be written and not read
        for name in filter(pattern.fullmatch, os.listdir(path.parent)):
            _remove(path.with_name(name))


def _remove(path: Path) -> None:
    if path.is_dir() and not is_link(path):
        shutil.rmtree(path)
    else:
        path.unlink()


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; what was written there takes its name, safe on the disk, only if the block
    succeeds.

    The temporary file is new and nobody else's, so no link leads it elsewhere; a link at `path` is replaced, and not
    followed. Several processes may write the same file at once: the last one wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(path)
    made = open_own(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    mode = os.fstat(made).st_mode
    os.close(made)
    try:
        yield partial
        with open(open_own(partial, os.O_RDWR), "rb+") as file:
            # safetensors puts a file of its own there, which only its owner can read.
            if os.fstat(file.fileno()).st_mode != mode:
                os.chmod(file.fileno() if os.chmod in os.supports_fd else partial, stat.S_IMODE(mode))
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file that is whole or not there. Of several processes that write the same one, none may be writing it
    now.
    """
    remove_left(path)
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="surrogateescape")


def write_json(path: Path, value: Any) -> None:
    r"""Write JSON that a person can read, whole or not at all; UTF-8, with bytes of file names that are not as
    `\udcXX`.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    # They stand in strings alone, where JSON has an escape for them.
    write_text(path, re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


@contextmanager
def opened(path: Path, made_by: str) -> Iterator[BinaryIO]:
    """Open a file that `made_by` (a command) should have left at `path`.

    Raises:
        WsolError: absent, not a file, or it may not be read.
    """
    try:
        # Non-blocking: to open a pipe waits for somebody who writes into it.
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise WsolError(
            f"no {path.name} in {path.parent}",
            expected=f"the result of `{made_by}`",
            remedy="Run that first, or name another folder.",
        ) from None
    except OSError as error:
        raise _unreadable(path, str(error.strerror), made_by) from None
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise _unreadable(path, "it is no file", made_by)
    with open(number, "rb") as file:
        yield file


def _unreadable(path: Path, reason: str, made_by: str) -> WsolError:
    return WsolError(
        f"cannot read {path} ({reason})",
        expected=f"what `{made_by}` wrote",
        remedy=f"Change its permissions, or move {path.parent} away and run that again.",
    )


def read_json(path: Path, made_by: str) -> Any:
    """Read JSON that `made_by` (a command) should have left at `path`.

    Raises:
        WsolError: absent, unreadable, not JSON, or JSON that wsol never writes: very deep, long whole numbers, text
            that no file could hold.
    """
    with opened(path, made_by) as file:
        content = file.read()
    try:
        return parse_json(content)
    except (ValueError, RecursionError) as error:
        raise WsolError(
            f"{path} is not JSON ({error})",
            expected=f"what `{made_by}` wrote",
            remedy=f"Move {path.parent} away and run that again, or name another folder.",
        ) from None


DEEPEST = 100
"""Lists and objects within one another; recursion over more could end the process."""


def parse_json(content: bytes) -> Any:
    """JSON as wsol writes it: UTF-8, where bytes of file names that are not stay what they are.

    Raises:
        ValueError: it is not.
        RecursionError: too deep for Python's reader.
    """
    text = content.decode("utf-8", "surrogateescape")
    value = json.loads(text, parse_int=_whole)
    if "\\u" in text:  # an escape may name half a character, which cannot be written again
        json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")
    inside = [value]
    for _ in range(DEEPEST):
        inside = [one for outer in inside if isinstance(outer, list | dict) for one in _within(outer)]
        if not inside:
            return value
    raise ValueError(f"more than {DEEPEST} lists and objects within one another")


def _within(outer: list[Any] | dict[str, Any]) -> list[Any]:
    return [one for one in (outer.values() if isinstance(outer, dict) else outer) if isinstance(one, list | dict)]


def _whole(digits: str) -> int:
    if len(digits) > 20:  # beyond 64 bits they overflow where a float is made of them
        raise ValueError(f"a whole number of {len(digits)} digits")
    return int(digits)


SCHEMA = 1
"""Of a manifest."""


class _Figures(BaseModel):
    """What came out, as far as other commands read it."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)
    seconds: float = 0
    engine: str = ""
    images: NonNegativeInt = 0
    covering: NonNegativeInt = 0
    image_root: str = ""
    class_names: list[str] = []


class _Manifest(BaseModel):
    model_config = ConfigDict(strict=True)
    stage: str
    wsol: str
    settings: dict[str, Any]
    inputs: dict[str, str]
    figures: _Figures


def write_manifest(
    folder: Path, stage: str, settings: dict[str, Any], inputs: dict[str, str], figures: dict[str, Any]
) -> None:
    """Describe a finished folder: what made it (`settings`, `inputs`) and what came out (`figures`)."""
    write_json(
        folder / MANIFEST,
        {
            "schema": SCHEMA,
            "stage": stage,
            "wsol": __version__,
            "settings": settings,
            "inputs": inputs,
            "figures": figures,
        },
    )


def manifest_of(folder: Path, stage: str) -> dict[str, Any] | None:
    """The manifest of a folder that wsol finished; None where there is none, or somebody else's (web pages have a file
    of that name).

    Raises:
        WsolError: a damaged one, or one of another schema.
    """
    path, made_by = folder / MANIFEST, f"wsol {stage}"
    if not path.is_file():
        return None
    manifest = read_json(path, made_by)
    if not isinstance(manifest, dict) or not {"stage", "wsol"} <= manifest.keys():
        return None
    check_schema(manifest.get("schema", 1), SCHEMA, path, made_by)
    empty: dict[str, Any] = {"settings": {}, "inputs": {}, "figures": {}}
    try:
        _Manifest.model_validate(empty | manifest)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise WsolError(
            f"{path} is damaged ({'.'.join(map(str, first['loc']))}: {first['msg']})",
            expected=f"what `{made_by}` wrote",
            remedy=f"Move {folder} away and run that again, or name another folder.",
        ) from None
    return empty | manifest


def is_finished(
    folder: Path,
    stage: str,
    settings: dict[str, Any],
    inputs: dict[str, str],
    *,
    option: str = "--run",
    words: Mapping[str, str] | None = None,
    may_be_removed: bool = True,
) -> bool:
    """Whether `folder` already holds this stage's result for these settings.

    `option` names the folder on the command line; `words` tell a difference better than its two values do.

    Raises:
        WsolError: it holds a result, but of another stage, other settings or inputs.
    """
    manifest = manifest_of(folder, stage)
    if manifest is None:
        return False
    if manifest["stage"] != stage:
        raise WsolError(
            f"{folder} holds the result of {manifest['stage']!s:.80}",
            expected=f"that of {stage}, or a free name",
            remedy=f"Name another folder with `{option}`.",
        )
    changed = differences(
        {name: manifest[name] for name in ("settings", "inputs")},
        {"settings": settings, "inputs": inputs},
        words,
    )
    if changed:
        remove = f", or remove {folder} (and what was made from it) to redo it" if may_be_removed else ""
        raise WsolError(
            "\n".join([f"{folder} was made otherwise:", *changed, f"Name another folder with `{option}`{remove}."])
        )
    return True


# Hashes tell a person nothing.
_WORDS = {
    "inputs.images": "the images are others (another folder, or some came or went)",
    "inputs.networks": "the run is another one, was trained again, or finds by another method",
    "inputs.training": "the training images or their classes are others",
    "inputs.predictions": "the predictions are others",
    "inputs.review": "the review went on",
}


def differences(there: dict[str, Any], now: dict[str, Any], words: Mapping[str, str] | None = None) -> list[str]:
    """A line for each value that is not the same, in `words` where there are some for its name; equal lines once."""
    found, wanted, said = flat(there), flat(now), _WORDS | dict(words or {})
    lines = [
        said.get(name) or _difference(name, found.get(name, "absent"), wanted.get(name, "absent"))
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name) != found.get(name)
    ]
    return [f"  {line}" for line in dict.fromkeys(lines)]


def _difference(name: str, there: Any, now: Any) -> str:
    if name.startswith("inputs."):
        return f"{name.removeprefix('inputs.')}, which it was made from: another file"
    return f"{name}: {there!s:.200} there, {now!s:.200} now"


def flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`, values as JSON would give them back."""
    pairs: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, dict):
            pairs |= flat(value, f"{prefix}{name}.")
        else:
            pairs[f"{prefix}{name}"] = json.loads(json.dumps(value, default=str))
    return pairs


def file_hash(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        WsolError: it is a named pipe, a socket or a device.
    """
    refuse_special(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_hash(lines: Iterator[str]) -> str:
    """SHA-256 of lines of text."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()
