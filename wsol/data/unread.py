"""Images of types that wsol does not read, counted by suffix, so that none is left out silently."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from wsol.data.images import files_under, is_image, open_regular
from wsol.data.samples import DataSet
from wsol.errors import BrokenImage
from wsol.text import number_of

IMAGE_SUFFIXES = frozenset(
    {
        ".avif",
        ".heic",
        ".heif",
        ".hif",
        ".jxl",
        ".jp2",
        ".j2k",
        ".jpx",
        ".jxr",
        ".ico",
        ".icns",
        ".tga",
        ".pcx",
        ".psd",
        ".xcf",
        ".svg",
        ".eps",
        ".dds",
        ".exr",
        ".hdr",
        ".pfm",
        ".dib",
        ".sgi",
        ".ras",
        ".xbm",
        ".xpm",
        ".npy",
        ".raw",
        ".dng",
        ".cr2",
        ".cr3",
        ".nef",
        ".arw",
        ".orf",
        ".rw2",
        ".raf",
        ".pef",
        ".srw",  # cameras
        ".dcm",
        ".nii",
        ".mha",
        ".mrc",
        ".czi",
        ".lif",
        ".nd2",
        ".svs",
        ".ndpi",
        ".fits",  # medicine, microscopes, telescopes
    }
)
PLAIN_SUFFIXES = frozenset(
    {
        ".txt",
        ".json",
        ".jsonl",
        ".xml",
        ".csv",
        ".tsv",
        ".yaml",
        ".yml",
        ".md",
        ".html",
        ".py",
        ".mat",
        ".npz",
        ".pkl",
        ".zip",
        ".gz",
        ".tar",
        ".cache",
        ".db",
        ".pdf",
        ".log",
        ".ini",
    }
)
"""Files beside images that are not images; there may be a million of them, so they are not opened."""
BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"II*\0", b"MM\0*")
"""First bytes of JPEG, PNG, GIF and TIFF."""
BRANDS = (b"WEBP", b"avif", b"avis", b"mif1", b"msf1", b"heic", b"heix", b"hevc")
"""Bytes 9 to 12 of WebP and the HEIF family; videos have others at this position."""
NO_SUFFIX = "without a suffix"
Unread = Mapping[str, Sequence[Path]]
"""The files of each suffix."""
CONVERT = "convert them to JPEG or PNG if they should be used."


def unread_of(data: DataSet) -> dict[str, list[Path]]:
    """The unread images in class folders, by suffix; other layouts list their images, and listed files are opened."""
    if data.kind != "class folders":
        return {}
    return unread_under(folder for folder in data.listed if folder.parent not in data.listed)


def unread_under(folders: Iterable[Path]) -> dict[str, list[Path]]:
    """Images of types that wsol does not read, below some folders, by suffix; the most frequent suffix first."""
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for folder in folders:
        for path in files_under(folder):
            if not is_image(path) and _is_image(path):
                found[path.suffix.lower() or NO_SUFFIX].append(path)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def in_words(unread: Unread) -> str:
    """In words: `12 files of types that are not read (10 .heic, 2 .cr2)`; empty if there are none."""
    if not unread:
        return ""
    count = number_of(sum(map(len, unread.values())), "file of a type that is", "files of types that are")
    return f"{count} not read ({', '.join(f'{len(paths)} {suffix}' for suffix, paths in unread.items())})"


def _is_image(path: Path) -> bool:
    suffix = path.suffix.lower()
    return suffix in IMAGE_SUFFIXES or (suffix not in PLAIN_SUFFIXES and _begins_like_one(path))


def _begins_like_one(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            beginning = file.read(12)
    except (BrokenImage, OSError):
        return False
    return beginning.startswith(BEGINNINGS) or beginning[8:] in BRANDS
