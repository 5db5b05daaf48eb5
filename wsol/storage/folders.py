"""Folders that are complete or absent: written under a temporary name, renamed at the end, with a manifest."""

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
"""Name in the scratch folder of a training."""


def scratch_of(folder: Path) -> Path:
    """The path of `folder` while it is unfinished."""
    return folder.with_name(f".{folder.name}.partial")


def final_of(scratch: Path) -> Path:
    """The absolute path of a scratch folder after it is complete."""
    return scratch.resolve().with_name(scratch.name.removeprefix(".").removesuffix(".partial"))


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a scratch folder that takes the name `folder` only if the block succeeds.

    After a failure or a kill the scratch folder stays, and the same command can continue in it. The caller must hold
    the lock of the folder (`wsol.storage.locks.held`): unfinished files of killed processes are removed.

    Args:
        folder: the final path.

    Yields:
        The scratch folder, beside `folder`. The block must write a manifest.

    Raises:
        WsolError: `folder` exists and is not empty, or it or the scratch folder is a link.
    """
    if folder.name in ("", ".."):
        raise WsolError(
            f"{folder} cannot be the name of a new folder",
            expected=f"a name such as {folder / 'out'}",
            remedy="Name another folder.",
        )
    refuse_link(folder)
    if folder.exists():
        if not folder.is_dir() or any(folder.iterdir()):
            # The message does not suggest to remove it: it may hold photographs.
            raise WsolError(f"{folder} exists already", expected="a new name", remedy="Name another folder.")
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
    """A random, unpredictable name beside `path` for an unfinished file."""
    # 50 characters of up to four bytes fit into a file name with the rest.
    return path.with_name(f".{path.name[:50]}.{secrets.token_hex(6)}.partial")


_UNFINISHED = re.compile(r"\..*\.[0-9a-f]{12}\.partial|\.tmp\w{6}")
"""Names that `partial_of` gives, and those of temporary files of safetensors."""


def remove_unfinished(folder: Path) -> None:
    """Remove unfinished files that killed processes left in a folder and below it. No other process may be writing
    there.
    """
    for above, folders, files in os.walk(folder):
        for name in filter(_UNFINISHED.fullmatch, [*folders, *files]):
            _remove(Path(above, name))


def remove_left(path: Path) -> None:
    """Remove unfinished versions of `path` that killed processes left. No other process may be writing it."""
    pattern = re.compile(rf"\.{re.escape(path.name[:50])}\.[0-9a-f]{{12}}\.partial")
    with suppress(FileNotFoundError, PermissionError):  # the folder may be writable but not readable
        for name in filter(pattern.fullmatch, os.listdir(path.parent)):
            _remove(path.with_name(name))


def _remove(path: Path) -> None:
    if path.is_dir() and not is_link(path):
        shutil.rmtree(path)
    else:
        path.unlink()


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; if the block succeeds, the file is synced to disk and renamed to `path`.

    The temporary file is newly created, so it cannot be a link; a link at `path` is replaced, not followed. Several
    processes may write the same file at once: the last one wins.

    Args:
        path: the final path; its folder is created if it does not exist.

    Yields:
        The temporary path.

    Raises:
        OSError: the disk is full, read-only, ...
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(path)
    descriptor = open_own(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    mode = os.fstat(descriptor).st_mode
    os.close(descriptor)
    try:
        yield partial
        with open(open_own(partial, os.O_RDWR), "rb+") as file:
            # safetensors replaces it by a file that only its owner can read.
            if os.fstat(file.fileno()).st_mode != mode:
                os.chmod(file.fileno() if os.chmod in os.supports_fd else partial, stat.S_IMODE(mode))
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, completely or not at all. No other process may be writing it.

    Args:
        path: the file.
        text: its content, written as UTF-8.
    """
    remove_left(path)
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="surrogateescape")


def write_json(path: Path, value: Any) -> None:
    r"""Write indented JSON, completely or not at all.

    Args:
        path: the file.
        value: what JSON can represent; other values are written as `str` gives them. UTF-8, with bytes of file names
            that are not UTF-8 as `\udcXX`.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    # Surrogates occur only inside strings, where JSON has an escape for them.
    write_text(path, re.sub("[\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text) + "\n")


@contextmanager
def opened(path: Path, made_by: str) -> Iterator[BinaryIO]:
    """Open a file that a command should have written.

    Args:
        path: the file.
        made_by: the command, for the message.

    Yields:
        The open file.

    Raises:
        WsolError: absent, not a regular file, or not readable.
    """
    try:
        # Non-blocking: opening a named pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise WsolError(
            f"no {path.name} in {path.parent}",
            expected=f"the result of `{made_by}`",
            remedy="Run that first, or name another folder.",
        ) from None
    except OSError as error:
        raise _unreadable(path, str(error.strerror), made_by) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _unreadable(path, "it is no file", made_by)
    with open(descriptor, "rb") as file:
        yield file


def _unreadable(path: Path, reason: str, made_by: str) -> WsolError:
    return WsolError(
        f"cannot read {path} ({reason})",
        expected=f"what `{made_by}` wrote",
        remedy=f"Change its permissions, or move {path.parent} away and run that again.",
    )


def read_json(path: Path, made_by: str) -> Any:
    """Read JSON that a command should have written.

    Args:
        path: the file.
        made_by: the command, for the message.

    Returns:
        The value.

    Raises:
        WsolError: absent, unreadable, not JSON, or JSON that wsol never writes: deeply nested, very long integers, text
            that is not valid Unicode.
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


MAX_DEPTH = 100
"""Levels of nested lists and objects; recursion over many more could end the process."""


def parse_json(content: bytes) -> Any:
    """Parse JSON as wsol writes it.

    Args:
        content: UTF-8; other bytes, from file names, become surrogates.

    Returns:
        The value.

    Raises:
        ValueError: not such JSON.
        RecursionError: nested too deeply for Python's parser.
    """
    text = content.decode("utf-8", "surrogateescape")
    value = json.loads(text, parse_int=_integer)
    if "\\u" in text:  # an escape may be half a character, which cannot be encoded
        json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level if isinstance(outer, list | dict) for inner in _containers_in(outer)]
        if not level:
            return value
    raise ValueError(f"more than {MAX_DEPTH} nested lists and objects")


def _containers_in(outer: list[Any] | dict[str, Any]) -> list[Any]:
    return [one for one in (outer.values() if isinstance(outer, dict) else outer) if isinstance(one, list | dict)]


def _integer(digits: str) -> int:
    if len(digits) > 20:  # more than 64 bits overflow in a conversion to float
        raise ValueError(f"an integer of {len(digits)} digits")
    return int(digits)


SCHEMA = 1
"""Schema of a manifest."""


class _Figures(BaseModel):
    """The figures that other commands read."""

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
    """Write the manifest of a finished folder.

    Args:
        folder: the folder, or its scratch folder.
        stage: the command that made it, without `wsol`.
        settings: the options that determine the result.
        inputs: hashes of the inputs by name.
        figures: counts and times of the result.
    """
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
    """Read the manifest of a finished folder.

    Args:
        folder: the folder.
        stage: the command that should have made it, for the messages.

    Returns:
        The manifest; None if there is none, or the file was not written by wsol (web pages have a file of that name).

    Raises:
        WsolError: the manifest is damaged or of another schema.
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
    """Whether `folder` already holds the result of a stage with these settings and inputs.

    Args:
        folder: the folder.
        stage: the command that makes it, without `wsol`.
        settings: the options that determine the result.
        inputs: hashes of the inputs by name.
        option: the option of the command that names the folder.
        words: descriptions of differences by name, instead of the two values.
        may_be_removed: whether the message may suggest to remove the folder.

    Returns:
        False if there is no result yet.

    Raises:
        WsolError: the folder holds the result of another stage, other settings or other inputs.
    """
    manifest = manifest_of(folder, stage)
    if manifest is None:
        return False
    if manifest["stage"] != stage:
        raise WsolError(
            f"{folder} holds the result of {manifest['stage']!s:.80}",
            expected=f"that of {stage}, or a new name",
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
            "\n".join([f"{folder} was made differently:", *changed]),
            remedy=f"Name another folder with `{option}`{remove}.",
        )
    return True


# Descriptions instead of hashes.
_WORDS = {
    "inputs.images": "the images differ (another folder, or other images in it)",
    "inputs.networks": "the run is another one, was trained again, or has another method",
    "inputs.training": "the training images, their classes or the options `--image` differ",
    "inputs.predictions": "the predictions differ",
    "inputs.review": "the review continued",
}


def differences(there: dict[str, Any], now: dict[str, Any], words: Mapping[str, str] | None = None) -> list[str]:
    """One line per value that differs; equal lines once.

    Args:
        there: the nested settings of the existing folder.
        now: those of the command.
        words: descriptions of differences by name, instead of the two values.

    Returns:
        The lines, indented, in the order of their names.
    """
    old, new, descriptions = flat(there), flat(now), _WORDS | dict(words or {})
    lines = [
        descriptions.get(name) or _difference(name, old.get(name, "absent"), new.get(name, "absent"))
        for name in sorted(new.keys() | old.keys())
        if new.get(name) != old.get(name)
    ]
    return [f"  {line}" for line in dict.fromkeys(lines)]


def _difference(name: str, there: Any, now: Any) -> str:
    if name.startswith("inputs."):
        return f"the file {name.removeprefix('inputs.'):.200} that it was made from differs"
    return f"{name:.200}: {there!s:.200} there, {now!s:.200} now"


def flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`, values as JSON returns them."""
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
        WsolError: a named pipe, a socket or a device.
    """
    refuse_special(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_hash(lines: Iterator[str]) -> str:
    """SHA-256 of lines of text, each with a newline."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()
