"""Heatmaps of any system: a folder with one `.npy` per image, named as in wsolevaluation's code or documentation."""

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
    """Find the heatmap file of each image: `<image id>.npy`, or else the same without the image's suffix.

    The folder may have fewer or more levels than the image ids (see `matched`).

    Args:
        folder: the folder of heatmaps.
        image_ids: the requested images.

    Returns:
        Files by image id; images without a file are left out.

    Raises:
        WsolError: no folder, no heatmap for any image, or one file for two images.
    """
    files = _files_below(folder)
    names = {image_id: (image_id + SUFFIX, os.path.splitext(image_id)[0] + SUFFIX) for image_id in image_ids}
    images_of = Counter(name for pair in names.values() for name in set(pair))
    try:
        by_file = matched((file for file in files if file.endswith(SUFFIX)), list(images_of))
    except WsolError as error:
        raise WsolError(
            f"{folder}: {error.problem}", expected=error.expected, got=error.got, remedy=error.remedy
        ) from None
    file_of = {name: folder / file for file, name in by_file.items()}
    by_id = {}
    for image_id, (full, short) in names.items():
        if full in file_of:
            by_id[image_id] = file_of[full]
        elif short in file_of:
            if images_of[short] > 1:
                raise _ambiguous(file_of[short], image_id, names)
            by_id[image_id] = file_of[short]
    if image_ids and not by_id:
        raise _no_heatmap(folder, files, names[image_ids[0]])
    return by_id


def _files_below(folder: Path) -> list[str]:
    """Paths of all files below the folder, with slashes; hidden files are left out.

    The folder is walked once: to look up 50,000 names takes longer on a network disk.
    """
    if not folder.is_dir():
        state = "is a file" if folder.exists() else "does not exist"
        raise WsolError(f"{folder} {state}", expected=f"a folder of heatmaps (*{SUFFIX})", remedy="Check the path.")

    def refuse(error: OSError) -> None:
        raise WsolError(
            f"cannot read the folder {error.filename} ({error.strerror})",
            expected="a readable folder",
            remedy="Change its permissions, or move it.",
        )

    files = []
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        seen.add(os.path.realpath(parent))
        # A link to a parent folder would list every file again and again.
        folders[:] = sorted(
            name for name in folders if name[0] != "." and os.path.realpath(os.path.join(parent, name)) not in seen
        )
        below = Path(parent).relative_to(folder).as_posix()
        files += [name if below == "." else f"{below}/{name}" for name in sorted(names) if name[0] != "."]
    return files


def _no_heatmap(folder: Path, files: list[str], expected: tuple[str, str]) -> WsolError:
    examples = [file for file in files if file.endswith(SUFFIX)] or files
    listed = ", ".join(examples[:3]) + (f" and {len(examples) - 3} more" if len(examples) > 3 else "")
    kind = f"{SUFFIX} files" if examples and examples[0].endswith(SUFFIX) else f"no {SUFFIX} file, but"
    return WsolError(
        f"no heatmap in {folder} belongs to an image of the ground truth",
        expected=f"{' or '.join(dict.fromkeys(expected))} for the first",
        got=f"{kind} {listed}" if examples else "no file",
        remedy="Give the folder to which the image ids are relative, or rename the files.",
    )


def _ambiguous(file: Path, image_id: str, names: Mapping[str, tuple[str, str]]) -> WsolError:
    short = names[image_id][1]
    other = next(one for one, pair in names.items() if one != image_id and short in pair)
    return WsolError(
        f"{file} could belong to {image_id} or to {other}",
        expected="one file for each",
        remedy=f"Name them {names[image_id][0]} and {names[other][0]}.",
    )


def read_heatmap(path: Path) -> Float[np.ndarray, "height width"]:
    """Read a heatmap: float32 or float64 as stored, bytes divided by 255, other integers unchanged.

    Axes of length 1 before or after height and width are dropped. NaN and infinity are kept; each protocol has its own
    rule for them.

    Args:
        path: a `.npy` file.

    Returns:
        Scores before thresholding, height x width.

    Raises:
        WsolError: not a `.npy` file, or not a map of numbers.
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
        # Not float32: it cannot represent large integers exactly.
        whole = array.astype(np.float32) / 255 if array.dtype == np.uint8 else array.astype(np.float64)
        return np.ascontiguousarray(whole)
    # The map keeps its precision: wsolevaluation truncates (map * 255) to bytes in it, and another byte is another
    # threshold. By size, not by type: this converts a foreign byte order to that of this machine.
    precisions = {2: np.float32, 4: np.float32, 8: np.float64}
    if array.dtype.kind != "f" or array.dtype.itemsize not in precisions:
        raise WsolError(f"{path} holds {array.dtype}", expected="floats or integers", remedy=DO_SAVE)
    return np.ascontiguousarray(array, dtype=precisions[array.dtype.itemsize])


def _loaded(path: Path) -> np.ndarray:
    refuse_special(path)
    try:
        with path.open("rb") as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
    # The header is parsed as Python source, so that a broken one can raise any of these.
    except (OSError, ValueError, TypeError, SyntaxError, TokenError, MemoryError, OverflowError) as error:
        raise WsolError(
            f"cannot read the heatmap {path} ({str(error) or repr(error)})",
            expected="one array as numpy.save writes it, of numbers, not of objects",
            remedy=DO_SAVE,
        ) from None


def write_heatmap(folder: Path, image_id: str, heatmap: Float[np.ndarray, "height width"]) -> None:
    """Save a heatmap under wsolevaluation's name, `<image id>.npy`, completely or not at all.

    Args:
        folder: the folder of heatmaps.
        image_id: the image.
        heatmap: scores before thresholding, height x width.

    Raises:
        WsolError: the image id, or a link, leads out of the folder.
        OSError: the disk is full, read-only, ...
    """
    path = folder / (image_id + SUFFIX)
    if Path(image_id).is_absolute() or ".." in Path(image_id).parts:
        raise WsolError(
            f"cannot save the map of {image_id!r} in {folder}",
            expected="a path below the folder",
            remedy="Rename the image in its list.",
        )
    make_below(folder, *path.relative_to(folder).parts[:-1])
    with whole_file(path) as partial, partial.open("wb") as file:
        np.save(file, heatmap)
