"""Data sets with and without known problems: class folders below `train` and `test`."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("hawk", "owl", "wren")
Planted = dict[str, list[frozenset[str]]]
"""By kind of finding: the image ids of each item."""

HUGE_WH = (7200, 7000)


def photo(seed: int, image_wh: tuple[int, int] = (120, 96)) -> Image.Image:
    """Soft coloured blobs, different for each seed."""
    blobs = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(blobs).resize(image_wh, Image.Resampling.BICUBIC)


def jpeg(image: Image.Image, quality: int = 90, orientation: int = 1) -> bytes:
    """A JPEG as a camera writes it."""
    exif, code = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    image.save(code, "JPEG", quality=quality, **({"exif": exif} if orientation != 1 else {}))
    return code.getvalue()


def write_clean(root: Path, per_class: int = 12) -> Path:
    """Valid images in `train` and `test`; image ids `train/owl/3.jpg`. Their seeds begin at a
    million."""
    seeds = count(1_000_000)
    for split in ("train", "test"):
        for name in CLASSES:
            for number in range(per_class):
                _write(root / split / name / f"{number}.jpg", jpeg(photo(next(seeds))))
    return root


def write_broken(root: Path) -> Planted:
    """A clean data set with 200 files of known problems, and two small classes."""
    write_clean(root)
    planted: Planted = defaultdict(list)
    _plant_broken(root, planted)
    _plant_odd(root, planted)
    _plant_twins(root, planted)
    for number in range(8):
        _write(root / ("train", "test")[number % 2] / f"stray{number}.jpg", jpeg(photo(5000 + number)))
        planted["not used"].append(frozenset({f"{('train', 'test')[number % 2]}/stray{number}.jpg"}))
    return planted


def _write(path: Path, contents: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(contents)


def _places(prefix: str) -> Iterator[str]:
    """Image ids in turn through splits and classes."""
    for number in count():
        yield f"{('train', 'test')[number % 2]}/{CLASSES[number % 3]}/{prefix}{number}.jpg"


def _plant_broken(root: Path, planted: Planted) -> None:
    """55 files that cannot be decoded: empty, cut off (JPEG and PNG), of another kind."""
    contents = [b""] * 15 + [jpeg(photo(i))[: -300 - 20 * i] for i in range(25)]
    for seed in range(7):
        code = io.BytesIO()
        photo(seed).save(code, "PNG")
        contents.append(code.getvalue()[: 1000 * (seed + 1)])
    contents += [b"<html>404</html>"] * 8
    for image_id, content in zip(_places("broken"), contents, strict=False):
        _write(root / image_id, content)
        planted["broken image"].append(frozenset({image_id}))


def _plant_odd(root: Path, planted: Planted) -> None:
    """79 images that are odd by themselves."""
    grey: Callable[[int], Image.Image] = lambda seed: photo(seed).convert("L")  # noqa: E731
    odd: list[tuple[str, list[bytes]]] = [
        ("turned", [jpeg(photo(1000 + i), orientation=2 + i % 7) for i in range(20)]),
        ("tiny", [jpeg(photo(1100 + i, (90, 40 + i))) for i in range(15)]),
        ("huge", [jpeg(photo(1200 + i, HUGE_WH)) for i in range(2)]),
        ("grey", [jpeg(grey(1300 + i) if i % 2 else grey(1300 + i).convert("RGB")) for i in range(20)]),
        ("blank", [jpeg(Image.new("RGB", (100 + i, 80), (i * 20, 90, 30))) for i in range(10)]),
        ("elongated", [jpeg(photo(1400 + i, ((70, 300), (400, 80))[i % 2])) for i in range(12)]),
    ]
    for kind, contents in odd:
        for image_id, content in zip(_places(kind), contents, strict=False):
            _write(root / image_id, content)
            planted[kind].append(frozenset({image_id}))


def _plant_twins(root: Path, planted: Planted) -> None:
    """58 copies of clean images or of one another: of the file, or of its content."""
    clean = (f"train/{name}/{number}.jpg" for number in range(12) for name in CLASSES)
    where: dict[str, Callable[[str, int], str]] = {
        "in train and test": lambda name, i: f"test/{name}/twin{i}.jpg",
        "in two classes": lambda name, i: f"train/{CLASSES[CLASSES.index(name) - 1]}/twin{i}.jpg",
        "": lambda name, i: f"train/{name}/twin{i}.jpg",
    }
    changes = (
        lambda image: jpeg(image, quality=40),
        lambda image: jpeg(image.resize((190, 152))),
        lambda image: jpeg(image.crop((2, 2, 119, 95))),
        lambda image: jpeg(image.point(lambda value: value * 0.8)),
    )
    # The clean images are 36, so half of the twins have originals of their own.
    for number in range(58):
        relation = list(where)[number % 3]
        is_same = number % 2 == 0
        original = next(clean) if number < 26 else f"train/{CLASSES[number % 3]}/original{number}.jpg"
        if number >= 26:
            _write(root / original, jpeg(photo(3000 + number)))
        twin = where[relation](Path(original).parent.name, number)
        source = root / original
        _write(root / twin, source.read_bytes() if is_same else changes[number // 2 % 4](Image.open(source)))
        kind = f"same {relation}" if is_same and relation else "same image" if is_same else f"alike {relation}"
        planted[kind.strip()].append(frozenset({original, twin}))
