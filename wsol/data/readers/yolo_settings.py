"""The class names of a YOLO data set and the folders or lists of its images: `data.yaml`, Darknet's `obj.data`, or a
list of names beside label files.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from wsol.data.images import SUFFIXES
from wsol.data.readers.annotated import Split
from wsol.data.readers.written_paths import parts_of
from wsol.data.splits import split_of
from wsol.data.untrusted import is_text, short_repr
from wsol.errors import WsolError
from wsol.storage.links import refuse_special
from wsol.storage.litter import is_litter

HEAD_CHARACTERS = 1 << 16
SPLITS: Mapping[str, Split] = {"train": "train", "val": "val", "valid": "val", "test": "test"}
"""The keys of data.yaml and obj.data."""
NAME_FILES = ("classes.txt", "obj.names", "labels/classes.txt", "labels/*/classes.txt")
NOT_LABELS = frozenset({"classes.txt", "notes.txt", "README.txt"})
BESIDE = ("", "data", "obj_train_data")
"""Folders in which labels lie beside the images."""
MANY = 200
"""So many files beside images are searched for labels."""
_HAS_NAMES = re.compile(r"^['\"]?names['\"]?\s*:", re.MULTILINE)
_HAS_SPLIT = re.compile(r"^['\"]?(train|val|valid|test)['\"]?\s*:", re.MULTILINE)


@dataclass(frozen=True)
class Settings:
    """What there is to read."""

    root: Path
    file: Path
    """The file of the class names."""
    names: dict[int, str]
    entries: tuple[tuple[Split, str], ...]
    """Each split with a folder of images or a list of them, relative to `root`; training before test images."""
    has_keypoints: bool = False


def seems_yolo(root: Path) -> bool:
    """Whether `find_settings` finds class names and label files; fast."""
    if not root.is_dir():
        return root.suffix.lower() in (".yaml", ".yml") and _seems_settings(root)
    return bool(_yaml_files(root)) or (root / "obj.data").is_file() or (bool(_name_files(root)) and _has_labels(root))


def find_settings(root: Path) -> Settings:
    """The settings of a data set.

    Args:
        root: its folder, or its data.yaml.

    Raises:
        WsolError: several such files, or one that cannot be used.
    """
    if not root.is_dir():
        return _of_yaml(root)
    if found := _yaml_files(root):
        return _of_yaml(_only(root, found))
    if (root / "obj.data").is_file():
        return _of_darknet(root / "obj.data")
    files = _name_files(root)
    names = {path: _names_in(path) for path in files}
    if len({tuple(found) for found in names.values()}) > 1:
        _only(root, files)
    file = files[0]
    return Settings(root, file, _numbered(file, names[file]), tuple(_usual_entries(root)))


def _yaml_files(root: Path) -> list[Path]:
    found = (path for path in sorted(root.iterdir()) if path.suffix.lower() in (".yaml", ".yml"))
    return [path for path in found if not is_litter(path.name) and _seems_settings(path)]


def _seems_settings(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        head = file.read(HEAD_CHARACTERS)
    return bool(_HAS_NAMES.search(head) and _HAS_SPLIT.search(head))


def _only(root: Path, found: list[Path]) -> Path:
    if len(found) == 1:
        return found[0]
    names = ", ".join(path.relative_to(root).as_posix() for path in found[:5])
    raise WsolError(
        f"{root} is ambiguous",
        expected="one file with the class names of a YOLO data set",
        got=names,
        remedy="Give one data.yaml instead of the folder, or remove the others.",
    )


def _name_files(root: Path) -> list[Path]:
    return [path for pattern in NAME_FILES for path in sorted(root.glob(pattern)) if path.is_file()]


def _has_labels(root: Path) -> bool:
    folders = (root / "labels", *(path / "labels" for path in sorted(root.iterdir()) if split_of(path.name)))
    if any(path.name not in NOT_LABELS for folder in folders for path in islice(folder.rglob("*.txt"), MANY)):
        return True
    beside = (path for folder in BESIDE for path in islice((root / folder).glob("*.txt"), MANY))
    texts = (path for path in beside if path.name not in NOT_LABELS)
    return any(path.with_suffix(suffix).is_file() for path in texts for suffix in SUFFIXES)


def _usual_entries(root: Path) -> Iterator[tuple[Split, str]]:
    """`images`, its splits, or the splits that contain `images`; else the images lie beside their labels."""
    for folder, ending in ((root / "images", ""), (root / "labels", ""), (root, "/images")):
        children = [path for path in sorted(folder.iterdir()) if path.is_dir()] if folder.is_dir() else []
        splits = {path.name: part for path in children if (part := split_of(path.name))}
        if splits and (len(splits) == len(children) or ending):
            lead = "" if ending else "images/"
            yield from ((part, f"{lead}{name}{ending}") for name, part in splits.items())
            return
    yield "", "images" if (root / "images").is_dir() or (root / "labels").is_dir() else "."


# data.yaml


def _of_yaml(file: Path) -> Settings:
    document = _document(file)
    root = file.parent
    listed = document["names"]
    names = dict(enumerate(listed)) if isinstance(listed, list) else listed
    base = _existing(root, parts_of(_text(file, "path", document.get("path") or "")), Path.is_dir) or "."
    entries: list[tuple[Split, str]] = []
    for key, split in SPLITS.items():
        value = document.get(key) or []
        for written in value if isinstance(value, list) else [value]:
            entries.append((split, _entry(root, base, parts_of(_text(file, key, written)))))
    if not entries:
        raise WsolError(
            f"{file} names no images", expected="train, val or test", remedy="Write the folder of the images there."
        )
    return Settings(root, file, _checked(file, names), tuple(entries), bool(document.get("kpt_shape")))


def _document(file: Path) -> dict[str, Any]:
    refuse_special(file)
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    # A date that does not exist is a ValueError, deep nesting a RecursionError, a list as a key a TypeError.
    except (OSError, yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise WsolError(
            f"{file} is not YAML ({str(error)[:200]})", expected="names, train and val", remedy="Fix it."
        ) from None
    if not isinstance(document, dict) or not isinstance(document.get("names"), list | dict):
        raise WsolError(
            f"{file} has no class names",
            expected="names: a list, or a number and a name in each line",
            remedy="Add it.",
        )
    return document


def _text(file: Path, key: str, value: object) -> str:
    if not isinstance(value, str):
        raise WsolError(
            f"{file}, {key}", expected="a path, or a list of paths", got=short_repr(value), remedy="Fix the line."
        )
    return value


def _checked(file: Path, names: Mapping[Any, Any]) -> dict[int, str]:
    checked: dict[int, str] = {}
    for key, value in names.items():
        name = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
        if type(key) is not int or not is_text(name) or not name.strip():
            raise WsolError(
                f"{file}, names",
                expected="a name for each number",
                got=f"{short_repr(value)} for {short_repr(key)}",
                remedy="Fix the line; names such as no and on need quotes.",
            )
        checked[key] = name.strip()
    return _unique(file, checked)


def _unique(file: Path, names: dict[int, str]) -> dict[int, str]:
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        got = f"{short_repr(twice[0])} twice"
        raise WsolError(str(file), expected="every class name once", got=got, remedy="Merge the two, or rename one.")
    return names


def _entry(root: Path, base: str, parts: tuple[str, ...]) -> str:
    """A folder or list relative to the root. Paths are often of another machine: what exists of their end counts."""

    def is_there(path: Path) -> bool:
        if path.exists():
            return True
        *folders, name = path.relative_to(root).parts or (".",)
        # Annotations without their images, which are elsewhere.
        return "images" in (*folders, name) and root.joinpath(*_labels((*folders, name))).is_dir()

    for start in range(len(parts) + 1):
        for folder in dict.fromkeys((base, ".")):
            if parts[start:] and is_there(root / folder / Path(*parts[start:])):
                return (Path(folder) / Path(*parts[start:])).as_posix()
    return Path(base, *parts).as_posix()


def _labels(parts: tuple[str, ...]) -> list[str]:
    last = len(parts) - 1 - parts[::-1].index("images")
    return [*parts[:last], "labels", *parts[last + 1 :]]


def _existing(root: Path, parts: tuple[str, ...], exists: Callable[[Path], bool]) -> str | None:
    """The longest end of a path that exists below the root."""
    ends = (Path(*parts[start:]) for start in range(len(parts)))
    return next((end.as_posix() for end in ends if exists(root / end)), None)


# Names in text files


def _of_darknet(file: Path) -> Settings:
    pairs = [line.partition("=") for line in _names_in(file)]
    values = {key.strip(): value.strip() for key, _, value in pairs}
    root = file.parent
    names = _existing(root, parts_of(values.get("names", "")), Path.is_file)
    if names is None:
        raise WsolError(
            f"{file} names no list of classes",
            expected="a line `names = obj.names`, and that file",
            remedy="Restore them.",
        )
    entries = [
        (split, end)
        for key, split in SPLITS.items()
        if (end := _existing(root, parts_of(values.get(key, "")), Path.exists)) is not None
    ]
    if not entries:
        raise WsolError(
            f"{file} names no images", expected="a line `train = train.txt`, and that file", remedy="Restore them."
        )
    return Settings(root, file, _numbered(root / names, _names_in(root / names)), tuple(entries))


def _names_in(file: Path) -> list[str]:
    refuse_special(file)
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise WsolError(
            f"{file} is not text ({error})", expected="a line for each class", remedy="Restore it."
        ) from None
    return list(filter(None, lines))


def _numbered(file: Path, names: list[str]) -> dict[int, str]:
    return _unique(file, dict(enumerate(names)))
