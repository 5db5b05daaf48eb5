"""Which columns of a table hold the image, the labels and the split: by usual names, by `--columns`, or by content."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from wsol.data.readers.csv_rows import CORNERS, column_list, is_misspelt
from wsol.data.splits import SplitName, split_of
from wsol.data.untrusted import number_in, short_repr
from wsol.errors import WsolError

Role = Literal["path", "label", "split"]

OPTIONAL = (CORNERS, ("width", "height"), ("split",))
"""Groups of columns: all of a group exist, or none."""
OURS = frozenset({"path", "label", *(name for group in OPTIONAL for name in group)})

# fmt: off
USUAL_NAMES: Mapping[Role, tuple[str, ...]] = {
    "path": ("path", "image", "filename", "filenames", "filepath", "filepaths", "imagepath", "imgpath", "img",
             "imagename", "imgname", "imagefile", "imgfile", "imagefilename", "file", "files", "fname", "images",
             "photo", "imageid", "imgid", "id"),
    "label": ("label", "labels", "class", "classes", "classname", "classlabel", "category", "categories",
              "categoryname", "species", "target", "breed", "tag", "tags", "y", "classid", "labelid", "categoryid"),
    "split": ("split", "set", "subset", "fold", "partition", "phase", "usage", "dataset", "datasplit"),
}
# fmt: on
"""In lower case, without blanks and underscores. Of several names of the image the first counts."""
NUMBERS = ("classid", "labelid", "categoryid")
"""Numbers of classes: they are the labels only if there are no names."""
FLAGS: Mapping[str, SplitName] = {"isvalid": "val", "isval": "val", "isvalidation": "val", "istest": "test"}
"""Columns that are true for the images of one split; the others are training images."""
ZEROS, ONES = frozenset({"0", "0.0", "false"}), frozenset({"1", "1.0", "true"})
"""In lower case."""
ADVICE = "Or say which ones they are: `--columns image=NAME,label=NAME,split=NAME`."

ROLES: Mapping[str, Role] = {"image": "path", "path": "path", "label": "label", "split": "split"}
"""The words of `--columns`."""

_BLANKS = re.compile(r"[\W_]+")
_CHOICE = re.compile(r"\s*(image|path|label|split)\s*=", re.IGNORECASE)
_COMMA = re.compile(r",(?=\s*(?:image|path|label|split)\s*=)", re.IGNORECASE)


@dataclass(frozen=True)
class Columns:
    """The columns of a table."""

    names: Mapping[str, str]
    """Our name of a column, by its name in the table."""
    classes: tuple[str, ...] = ()
    """Columns of 0 and 1, one for each class, if there is no label."""
    flag: SplitName | None = None
    """The split of the lines in which the column `split` is true, if it holds no names."""
    doubts: tuple[str, ...] = ()

    def renamed(self, header: Sequence[str]) -> list[str]:
        """The header with our names. Another column that has one of them loses it."""
        taken = {ours for name, ours in self.names.items() if name != ours}
        return [self.names.get(name, f"({name})" if name in taken else name) for name in header]

    def split_in(self, cell: str) -> str:
        """The name of the split in a cell."""
        if self.flag is None or not cell:
            return cell
        return self.flag if cell.lower() in ONES else "train"


def chosen_columns(text: str) -> dict[Role, str]:
    """The columns that `--columns` names: `image=NAME,label=NAME,split=NAME`, each of them optional.

    Args:
        text: as given; a name may have commas.

    Raises:
        WsolError: another form, or one of them twice.
    """
    chosen: dict[Role, str] = {}
    for part in _COMMA.split(text):
        match = _CHOICE.match(part)
        role = ROLES[match[1].lower()] if match else None
        name = part[match.end() :].strip() if match else ""
        if role is None or not name or role in chosen:
            raise WsolError(
                f"--columns {short_repr(text)}",
                expected="image=NAME,label=NAME,split=NAME, each at most once",
                got=short_repr(part),
                remedy="Write the names of the columns as in the first line of the table.",
            )
        chosen[role] = name
    return chosen


def columns_of(
    table: Path, header: Sequence[str], read_rows: Callable[[], Sequence[Sequence[str]]], chosen: Mapping[Role, str]
) -> Columns:
    """The columns of a table. Those that are not found are absent from `names`.

    Args:
        table: the table, for errors.
        header: its columns.
        read_rows: reads the cells of its lines, for columns that are recognised by their content.
        chosen: the columns that the user names.

    Raises:
        WsolError: a chosen column does not exist, or several could be the label.
    """
    for role, name in chosen.items():
        if name not in header:
            raise WsolError(
                f"{table} has the columns {column_list(header, ', ')}",
                expected=f"{short_repr(name)}, the {'image' if role == 'path' else role} of --columns",
                remedy="Write the name as in the first line of the table.",
            )
    names = {name: name.lower() for name in header if name.lower() in OURS and name not in chosen.values()}
    names = {name: ours for name, ours in names.items() if ours not in chosen and (ours not in header or name == ours)}
    names |= {name: role for role, name in chosen.items()}
    cells = _Cells(header, read_rows)
    path = _found("path", header, names)
    names |= {path: "path"} if path else {}
    label = _label(table, header, names)
    names |= {label: "label"} if label else {}
    flag, doubts = None, []
    if "split" not in names.values():
        split, flag = _split(header, names)
        if split and flag is None and any(cell and split_of(cell) is None for cell in cells.of(split)):
            doubts.append(f"the column {split} of {table} holds no names of splits, so it is not used")
        elif split:
            names[split] = "split"
    others = [name for name in header if name and name not in names and _plain(name) not in USUAL_NAMES["path"]]
    if path_of(names) is None or "label" in names.values() or not others:
        return Columns(names, (), flag, tuple(doubts))
    only = others[0]
    if len(others) == 1 and _is_label(only, cells.of(only), cells.of(path_of(names) or "")):
        return Columns({**names, only: "label"}, (), flag, tuple(doubts))
    classes = tuple(name for name in others if _is_class(cells.of(name)))
    if len(classes) < 2 or not any(cell.lower() in ONES for name in classes for cell in cells.of(name)):
        return Columns(names, (), flag, tuple(doubts))
    unused = [name for name in others if name not in classes]
    if unused:
        doubts.append(
            f"{table} has no column of labels, so its classes are the columns of 0 and 1"
            f" ({column_list(classes, ', ')}), without {column_list(unused, ', ')}"
        )
    return Columns(names, classes, flag, tuple(doubts))


def path_of(names: Mapping[str, str]) -> str | None:
    """The column of the image."""
    return next((name for name, ours in names.items() if ours == "path"), None)


class _Cells:
    """The cells of a table by column, read when they are needed."""

    def __init__(self, header: Sequence[str], read_rows: Callable[[], Sequence[Sequence[str]]]) -> None:
        self._index = {name: index for index, name in enumerate(header)}
        self._read_rows = cache(read_rows)

    def of(self, name: str) -> list[str]:
        """The cells of a column."""
        index = self._index[name]
        return [row[index] if index < len(row) else "" for row in self._read_rows() if any(row)]


def _plain(name: str) -> str:
    return _BLANKS.sub("", name).casefold()


def _candidates(role: Role, header: Iterable[str], names: Mapping[str, str]) -> list[str]:
    """The columns with a usual name of the role, the most usual first; none if one is known already."""
    if role in names.values():
        return []
    rank = {name: number for number, name in enumerate(USUAL_NAMES[role])}
    return sorted(
        (name for name in header if name not in names and _plain(name) in rank), key=lambda name: rank[_plain(name)]
    )


def _found(role: Role, header: Iterable[str], names: Mapping[str, str]) -> str | None:
    return next(iter(_candidates(role, header, names)), None)


def _label(table: Path, header: Sequence[str], names: Mapping[str, str]) -> str | None:
    plain = {_plain(name) for name in header}
    found = [name for name in _candidates("label", header, names) if _plain(name) != "y" or "x" not in plain]
    found = [name for name in found if _plain(name) not in NUMBERS] or found
    if len(found) > 1:
        raise WsolError(
            f"{table} has the columns {column_list(header, ', ')}",
            expected="one column of labels",
            got=f"{len(found)} that could be: {column_list(found, ', ')}",
            remedy=f"Say which one it is: `--columns label={found[0]}`.",
        )
    return next(iter(found), None)


def _split(header: Sequence[str], names: Mapping[str, str]) -> tuple[str | None, SplitName | None]:
    if found := _found("split", header, names):
        return found, None
    flag = next((name for name in header if name not in names and _plain(name) in FLAGS), None)
    return flag, None if flag is None else FLAGS[_plain(flag)]


def _is_label(name: str, cells: Sequence[str], paths: Sequence[str]) -> bool:
    """Whether the only unknown column holds labels: some are equal, and the class is not a folder of the images."""
    distinct = {cell for cell in cells if cell}
    if any(is_misspelt(name, ours) for ours in OURS - {"label"}) or not 1 < len(distinct) < len(cells):
        return False
    has_fractions = any(number_in(cell) % 1 for cell in distinct if number_in(cell) == number_in(cell))
    return not has_fractions and not all("/" in path.replace("\\", "/").removeprefix("./") for path in paths)


def _is_class(cells: Sequence[str]) -> bool:
    return bool(cells) and all(cell.lower() in ZEROS or cell.lower() in ONES for cell in cells)
