"""Heatmaps of any system: a folder with one `.npy` per image, named as wsolevaluation's code or its documentation
says.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from tokenize import TokenError

import numpy as np
from jaxtyping import Float

from wsol.errors import WsolError
from wsol.results.names import matched
from wsol.storage.folders import whole_file
from wsol.storage.links import make_below, refuse_special

SUFFIX = ".npy"
DO_SAVE = 'Save each with `numpy.save(file, heatmap.astype("float32"))`.'


def find_heatmaps(folder: Path, image_ids: Sequence[str]) -> dict[str, Path]:
    """The file of each image that has one: `<image id>.npy`, or else the same without the image's suffix.

    A folder of fewer or more levels than the image ids will do (`matched`).

    Raises:
        WsolError: no folder, no heatmap for any image, or one file for two images.
    """
    files = _files_below(folder)
    names = {image_id: (image_id + SUFFIX, os.path.splitext(image_id)[0] + SUFFIX) for image_id in image_ids}
    images_of = Counter(name for pair in names.values() for name in set(pair))
    try:
        by_file = matched((file for file in files if file.endswith(SUFFIX)), list(images_of))
    except WsolError as error:
        raise WsolError(f"{folder}: {error}") from None
    file_of = {name: folder / file for file, name in by_file.items()}
    found = {}
    for image_id, (full, short) in names.items():
        if full in file_of:
            found[image_id] = file_of[full]
        elif short in file_of:
            if images_of[short] > 1:
                raise _shared(file_of[short], image_id, names)
            found[image_id] = file_of[short]
    if image_ids and not found:
        raise _nothing(folder, files, names[image_ids[0]])
    return found


def _files_below(folder: Path) -> list[str]:
    """Paths of all files below the folder, with slashes; hidden ones are left out.

    One walk: to ask for each of 50,000 names takes longer on a network's disk.
    """
    if not folder.is_dir():
        state = "is a file" if folder.exists() else "does not exist"
        raise WsolError(f"{folder} {state}", expected=f"a folder of heatmaps (*{SUFFIX})", remedy="Check the path.")

    def refuse(error: OSError) -> None:
        raise WsolError(
            f"cannot read the folder {error.filename} ({error.strerror})",
            expected="a readable one",
            remedy="Change its permissions, or move it elsewhere.",
        )

    files = []
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        seen.add(os.path.realpath(parent))
        # A link back up would give every file again and again.
        folders[:] = sorted(
            name for name in folders if name[0] != "." and os.path.realpath(os.path.join(parent, name)) not in seen
        )
        below = Path(parent).relative_to(folder).as_posix()
        files += [name if below == "." else f"{below}/{name}" for name in sorted(names) if name[0] != "."]
    return files


def _nothing(folder: Path, files: list[str], expected: tuple[str, str]) -> WsolError:
    there = [file for file in files if file.endswith(SUFFIX)] or files
    listed = ", ".join(there[:3]) + (f" and {len(there) - 3} more" if len(there) > 3 else "")
    kind = f"{SUFFIX} files" if there and there[0].endswith(SUFFIX) else f"no {SUFFIX} file, but"
    got = f"{kind} {listed}" if there else "no file"
    return WsolError(
        f"no heatmap in {folder} belongs to an image of the truth",
        expected=f"{' or '.join(dict.fromkeys(expected))} for the first",
        got=f"{got}",
        remedy="Name the folder in which the image ids begin, or rename the files.",
    )


def _shared(file: Path, image_id: str, names: Mapping[str, tuple[str, str]]) -> WsolError:
    short = names[image_id][1]
    other = next(one for one, pair in names.items() if one != image_id and short in pair)
    return WsolError(
        f"{file} could belong to {image_id} or to {other}",
        expected="a file for each",
        remedy=f"Name them {names[image_id][0]} and {names[other][0]}.",
    )


def read_heatmap(path: Path) -> Float[np.ndarray, "height width"]:
    """Scores before thresholding: float32 or float64 as stored, bytes as shares of 255, other integers as they are.

    Axes of length 1 before or after height and width are dropped. NaN and infinity come through: protocols decide about
    them.

    Raises:
        WsolError: not a `.npy` file, or no map of numbers in it.
    """
    array = _loaded(path)
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    while array.ndim > 2 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim != 2 or array.size == 0:
        raise WsolError(
            f"{path} has the shape {array.shape}",
            expected="(height, width), one map of the image",
            remedy="Choose the channel, or take the mean over channels, and save it again.",
        )
    if array.dtype.kind in "iu":
        # Not float32: it does not tell large integers apart.
        whole = array.astype(np.float32) / 255 if array.dtype == np.uint8 else array.astype(np.float64)
        return np.ascontiguousarray(whole)
    # The map keeps its precision: wsolevaluation cuts (map * 255) to bytes in it, and a byte more or less is another
    # threshold. By size, not by type: another machine's order of bytes is turned to ours.
    precisions = {2: np.float32, 4: np.float32, 8: np.float64}
    if array.dtype.kind != "f" or array.dtype.itemsize not in precisions:
        raise WsolError(f"{path} holds {array.dtype}", expected="floats or integers", remedy=f"{DO_SAVE}")
    return np.ascontiguousarray(array, dtype=precisions[array.dtype.itemsize])


def _loaded(path: Path) -> np.ndarray:
    refuse_special(path)
    try:
        with path.open("rb") as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
    # A broken header is read as Python's words, and breaks in as many ways.
    except (OSError, ValueError, TypeError, SyntaxError, TokenError, MemoryError, OverflowError) as error:
        raise WsolError(
            f"cannot read the heatmap {path} ({str(error) or repr(error)})",
            expected="one array as numpy.save writes it, of numbers, not of objects",
            remedy=f"{DO_SAVE}",
        ) from None


def write_heatmap(folder: Path, image_id: str, heatmap: Float[np.ndarray, "height width"]) -> None:
    """Save an image's map as wsolevaluation names it, `<image id>.npy`, whole or not at all.

    Raises:
        WsolError: the image id, or a link, would lead out of the folder.
        OSError: the disk is full, read-only, ...
    """
    path = folder / (image_id + SUFFIX)
    if Path(image_id).is_absolute() or ".." in Path(image_id).parts:
        raise WsolError(
            f"cannot save the map of {image_id!r} in {folder}",
            expected="a path below it",
            remedy="Rename the image in its list.",
        )
    make_below(folder, *path.relative_to(folder).parts[:-1])
    with whole_file(path) as partial, partial.open("wb") as file:
        np.save(file, heatmap)
