"""The parts of a data set by the names of their folders: `train` and `test`, as data sets write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple, get_args

Part = Literal["train", "test", "val"]

_WORDS: dict[Part, str] = {
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


class Halves(NamedTuple):
    """The folder to train on and the folder to test on, None where there is no other."""

    train: str
    test: str | None


def part_of(name: str) -> Part | None:
    """The part that a name means, whatever its capitals and separators: `Training_Set`, `test images`, `val2017`."""
    match = _NAME.fullmatch(_SEPARATORS.sub("", name).lower())
    return None if match is None else next(part for part in get_args(Part) if match[part] is not None)


def words_of(name: str) -> list[str]:
    """The words of a name in small letters: `trainA`, `train_a` and `Train A` are `train` and `a`."""
    return [word.lower() for word in _TOKENS.findall(name)]


def mentions_part(name: str) -> Part | None:
    """The part that a name or the first of its words means: `birds_train`, `testA`."""
    return part_of(name) or next(filter(None, map(part_of, words_of(name))), None)


def halves_of(names: Iterable[str], has_folders: Callable[[str], bool]) -> Halves | None:
    """The split that folders beside one another are; None where they are classes, or where two of them could be
    `train`.

    A class of trains holds images, so one of them must hold folders (of classes), and a test folder stands beside
    `train`, or nothing but further parts.
    """
    parts = {name: part_of(name) for name in sorted(names)}
    trains = [name for name, part in parts.items() if part == "train"]
    trains = [name for name in trains if has_folders(name)] or trains
    if len(trains) != 1:
        return None
    tests = [name for name, part in parts.items() if part in ("test", "val")]
    is_alone = all(part is not None or name == "masks" for name, part in parts.items())
    has_classes = has_folders(trains[0])
    if not ((has_classes and tests) or (is_alone and (has_classes or tests))):
        return None
    return Halves(trains[0], _best_test(tests, has_folders))


def _best_test(tests: Sequence[str], has_folders: Callable[[str], bool]) -> str | None:
    """The first that has labels (Kaggle's `test` has none), a test rather than a validation, a plain name rather than
    another.
    """

    def rank(name: str) -> tuple[bool, bool, bool, str]:
        return not has_folders(name), part_of(name) != "test", not name.lower().startswith("test"), name

    return min(tests, key=rank, default=None)
