"""YOLO: images beside label files, as Ultralytics documents it, as Roboflow, LabelImg, CVAT (Darknet) and `wsol export`
write it.

A label file has a line `class x_centre y_centre width height` or `class x1 y1 x2 y2 x3 y3 ...` for each object, in
fractions of the image; an image whose label file is empty or absent has no label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wsol.data.ground_truth import Mistake
from wsol.data.images import files_under, images_under, is_image
from wsol.data.readers.annotated import AnnotatedImage, Split, data_set
from wsol.data.readers.written_paths import WrittenPaths, parts_of, without_digits
from wsol.data.readers.yolo_rows import read_label_file
from wsol.data.readers.yolo_settings import NOT_LABELS, Settings, find_settings, seems_yolo
from wsol.data.samples import DataSet
from wsol.errors import WsolError
from wsol.storage.links import refuse_special

KIND = "YOLO"


def recognise(root: Path) -> bool:
    """Whether there is a data.yaml with names and splits, or a list of class names beside label files."""
    return seems_yolo(root)


def read(root: Path, images: Path | None = None) -> DataSet:
    """Read images, labels and split; boxes and polygons are read later.

    Nothing outside `root` is read, wherever `path` in data.yaml points to; `images` may be elsewhere.

    Args:
        root: the folder, or its data.yaml.
        images: the folder of the images, if they are not below `root`.

    Raises:
        WsolError: no class names, or no folder of images.
    """
    settings = find_settings(root)
    doubts: list[str] = []
    found = _held_out_once(_listed(settings, images, doubts))
    if not found:
        raise WsolError(
            f"no images in the YOLO data set {settings.file}",
            expected=f"images in {', '.join(name for _, name in settings.entries) or 'images/'}",
            remedy="Give the folder of the images with `--images FOLDER`.",
        )
    files, orphans = _label_files(settings, found)
    base = "images/" if all(virtual.startswith("images/") for virtual in found) else ""

    def read_images() -> Iterator[AnnotatedImage]:
        for virtual, (path, split) in found.items():
            file = files[virtual]
            shapes, problem = read_label_file(file, settings.names, has_keypoints=settings.has_keypoints)
            yield AnnotatedImage(virtual.removeprefix(base), path, str(file), split, shapes=shapes, problem=problem)

    return data_set(
        KIND,
        root,
        read_images,
        in_fractions=True,
        declared=tuple(settings.names.values()),
        mistakes=[Mistake("missing image", str(path), "expected an image of this name") for path in orphans],
        doubts=tuple(doubts),
    )


def label_path(image: str) -> str:
    """The label file of an image: its last folder `images` becomes `labels`; else it is beside the image."""
    *folders, name = image.split("/")
    if "images" in folders:
        folders[len(folders) - 1 - folders[::-1].index("images")] = "labels"
    return "/".join([*folders, f"{name.rpartition('.')[0]}.txt"])


@dataclass(frozen=True)
class _Listed:
    """An image of a split: its path in the data set, which gives its label file, and where it is on this disk."""

    virtual: str
    path: Path
    split: Split


def _listed(settings: Settings, images: Path | None, doubts: list[str]) -> Iterator[_Listed]:
    for split, name in settings.entries:
        if name.lower().endswith(".txt"):
            yield from _of_list(settings, images, split, name)
            continue
        folder = settings.root / name if images is None else _elsewhere(images, name)
        if not folder.is_dir():
            doubts.append(f"{settings.file} names {name} for {split or 'its images'}, which does not exist: left out")
            continue
        # One folder with the images of all splits: the label files tell to which an image belongs.
        is_shared = folder == images and len(settings.entries) > 1
        for path in images_under(folder):
            virtual = f"{name}/{path.relative_to(folder).as_posix()}".removeprefix("./")
            if not is_shared or (settings.root / label_path(virtual)).is_file():
                yield _Listed(virtual, path, split)


def _elsewhere(images: Path, name: str) -> Path:
    """The folder of an entry below another folder of images: `images/train` may be there with or without `images`."""
    for folder in (images / name, images / name.removeprefix("images/"), images / name.removesuffix("/images")):
        if folder.is_dir():
            return folder
    return images


def _of_list(settings: Settings, images: Path | None, split: Split, name: str) -> Iterator[_Listed]:
    """The images of a list file. Its paths may be of another machine: what exists of their end counts."""
    table = settings.root / name
    refuse_special(table)
    try:
        lines = table.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WsolError(
            f"cannot read the list {table} ({error})",
            expected="the path of an image in each line",
            remedy="Restore it.",
        ) from None
    folder = images or settings.root
    paths = WrittenPaths(folder)
    for line in filter(None, map(str.strip, lines)):
        parts = parts_of(line)
        if parts and is_image(Path(parts[-1])):
            ends = ["/".join(parts[start:]) for start in range(len(parts))]
            found = paths.find(line)
            virtual = next((end for end in ends if (settings.root / label_path(end)).is_file()), found or ends[0])
            yield _Listed(virtual, folder / (found or virtual), split)


def _held_out_once(listed: Iterator[_Listed]) -> dict[str, tuple[Path, Split]]:
    """The images by their path in the data set, each in one split: one that is listed for training too is a test
    image. If all are, there is no split.
    """
    found: dict[str, tuple[Path, Split]] = {}
    trained: set[str] = set()
    for one in listed:
        if one.split in ("train", ""):
            trained.add(one.virtual)
        found[one.virtual] = one.path, one.split
    if trained and all(found[virtual][1] in ("test", "val") for virtual in trained):
        return {virtual: (found[virtual][0], "") for virtual in found if virtual in trained}
    return found


def _label_files(settings: Settings, found: Mapping[str, object]) -> tuple[dict[str, Path], list[Path]]:
    """The label file of each image, and label files without an image. Label Studio's have the name of the upload, with
    digits in front of that of the image.
    """
    files = {virtual: settings.root / label_path(virtual) for virtual in found}
    used = {*files.values()}
    spare: dict[Path, Path] = {}
    for folder in {label_path(f"{name}/x").rpartition("/")[0] for _, name in settings.entries}:
        if "labels" in folder.split("/") and (settings.root / folder).is_dir():
            texts = (path for path in files_under(settings.root / folder) if path.suffix == ".txt")
            spare |= {
                path: path.with_name(without_digits(path.name))
                for path in texts
                if path not in used and path.name not in NOT_LABELS
            }
    uploaded = {file: path for path, file in spare.items() if file != path and not file.exists()}
    files = {virtual: uploaded.get(file, file) for virtual, file in files.items()}
    return files, sorted(spare.keys() - {*files.values()})
