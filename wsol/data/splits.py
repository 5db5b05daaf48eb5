"""Recognise the splits of a data set by folder names: `train`, `test` and `val` in many spellings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple, get_args

SplitName = Literal["train", "test", "val"]

_WORDS: dict[SplitName, str] = {
    "train": "train|training|trainval|trn",
    "test": "test|testing|tst|eval|evaluation|holdout|heldout",
    "val": "val|valid|validate|validation|dev|devel|development",
}
_FILLERS = "(?:set|split|data|dataset|images?|imgs?|images?|photos?|folder)"
_NAME = re.compile(  # fillers are limited: unlimited ones take exponential time on `datasetdatasetdataset...`
    f"{_FILLERS}{{0,2}}(?:{'|'.join(f'(?P<{part}>{words})' for part, words in _WORDS.items())})"
    f"{_FILLERS}{{0,2}}[0-9]{{0,4}}"
)
_SEPARATORS = re.compile(r"[\s_.\-]+")
_TOKENS = re.compile(r"[A-Z]*[a-z]+|[A-Z]+|[^\W\d_A-Za-z]+")


class SplitFolders(NamedTuple):
    """The folder of the training images and that of the test images, None if there is no test folder."""

    train: str
    test: str | None


def split_of(name: str) -> SplitName | None:
    """The split of a folder name, ignoring case and separators: `Training_Set`, `test images`, `val2017`; else None."""
    match = _NAME.fullmatch(_SEPARATORS.sub("", name).lower())
    return None if match is None else next(part for part in get_args(SplitName) if match[part] is not None)


def words_of(name: str) -> list[str]:
    """The words of a name in lower case: `trainA`, `train_a` and `Train A` are `train` and `a`."""
    return [word.lower() for word in _TOKENS.findall(name)]


def mentioned_split(name: str) -> SplitName | None:
    """The split of a name, or of the first of its words that has one: `birds_train`, `testA`; else None."""
    return split_of(name) or next(filter(None, map(split_of, words_of(name))), None)


def split_folders(names: Iterable[str], has_folders: Callable[[str], bool]) -> SplitFolders | None:
    """The training and the test folder among sibling folders; None if they are classes, or two could be `train`.

    `train` may also be a class (of trains), which holds images. So `train` counts as a split if it holds class folders
    and there is a test folder, or if there are only split folders.

    Args:
        names: the names of the sibling folders.
        has_folders: whether a folder of this name holds folders.
    """
    parts = {name: split_of(name) for name in sorted(names)}
    trains = [name for name, part in parts.items() if part == "train"]
    trains = [name for name in trains if has_folders(name)] or trains
    if len(trains) != 1:
        return None
    tests = [name for name, part in parts.items() if part in ("test", "val")]
    is_alone = all(part is not None or name == "masks" for name, part in parts.items())
    has_classes = has_folders(trains[0])
    if not ((has_classes and tests) or (is_alone and (has_classes or tests))):
        return None
    return SplitFolders(trains[0], _best_test(tests, has_folders))


def _best_test(tests: Sequence[str], has_folders: Callable[[str], bool]) -> str | None:
    """The best test folder: with labels (Kaggle's `test` has none), `test` before `val`, a plain name before others."""

    def rank(name: str) -> tuple[bool, bool, bool, str]:
        return not has_folders(name), split_of(name) != "test", not name.lower().startswith("test"), name

    return min(tests, key=rank, default=None)
