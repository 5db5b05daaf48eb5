"""A second data set of photographs with exact masks: cut-outs of objects over landscapes, in class folders.

    python studies/composites.py STAMPS BACKGROUNDS OUT [--distractor]

STAMPS is the folder `stamps` of Debian's package tuxpaint-stamps-default (unpacking it is enough), BACKGROUNDS any
folder of photographs, in our study `nature` of mate-backgrounds. OUT becomes class folders with train/ and test/,
boxes.csv and masks/. No cut-out and no background is in both splits, and backgrounds do not depend on the class. The
same seed gives the same images. With `--distractor` every image also holds a vehicle, twice as large as the object of
the class; no class is of vehicles.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from wsol.data.images import images_under
from wsol.geometry.boxes import tight_box
from wsol.storage.folders import write_text

CLASSES = {
    "fish": "animals/fish",
    "flower": "plants/flowers",
    "fruit": "food/fruit",
    "insect": "animals/insects",
    "instrument": "hobbies/music",
    "mammal": "animals/mammals",
    "tool": "household/tools",
    "vegetable": "food/vegetables",
    "vehicle": "vehicles",
}
DRAWN = "cartoon"
"""Folders of drawings, which are not used."""
OPAQUE = 128
SIDES_PX = (220, 340)
SHARES = (0.35, 0.85)
"""Longer edge of an object, as a fraction of the image's shorter edge."""
DISTRACTOR, DISTRACTOR_SHARES, BESIDE_SHARES = "vehicle", (0.55, 0.8), (0.28, 0.42)
"""The distractor's class, its size, and the size of the labelled object beside it."""
TRIES = 40
"""Number of random positions for an object beside the distractor; the one with the least overlap is used."""

Rgba = Image.Image


def cutouts(folder: Path) -> list[Path]:
    """The photographs of a class, in the order of their names."""
    return [path for path in sorted(folder.rglob("*.png")) if DRAWN not in path.parts]


def halves(paths: list[Path]) -> dict[str, list[Path]]:
    """Use every third for the test split."""
    return {"train": [path for i, path in enumerate(paths) if i % 3 != 2], "test": paths[2::3]}


def background(path: Path, chance: random.Random) -> Image.Image:
    """A random crop of a photograph, between a quarter of its height and all of it."""
    photograph = Image.open(path).convert("RGB")
    width, height = (chance.randint(*SIDES_PX) for _ in range(2))
    scale = max(width / photograph.width, height / photograph.height) * chance.uniform(1, 4)
    large = photograph.resize(
        (max(round(photograph.width * scale), width), max(round(photograph.height * scale), height))
    )
    x, y = chance.randint(0, large.width - width), chance.randint(0, large.height - height)
    return large.crop((x, y, x + width, y + height))


def thing(path: Path, shorter_px: int, chance: random.Random, shares: tuple[float, float] = SHARES) -> Rgba:
    """A cut-out at a random size, rotation and brightness, cropped to its visible pixels."""
    found = Image.open(path).convert("RGBA")
    if chance.random() < 0.5:
        found = ImageOps.mirror(found)
    found = found.rotate(chance.uniform(-20, 20), expand=True, resample=Image.Resampling.BICUBIC)
    found = found.crop(found.getchannel("A").point(lambda a: 255 * (a >= OPAQUE)).getbbox())
    scale = chance.uniform(*shares) * shorter_px / max(found.size)
    found = found.resize((max(round(found.width * scale), 1), max(round(found.height * scale), 1)))
    alpha = found.getchannel("A")
    found = ImageEnhance.Brightness(found.convert("RGB")).enhance(chance.uniform(0.75, 1.2))
    found.putalpha(alpha)
    return found


def composite(
    cutout: Path, landscape: Path, chance: random.Random, distractor: Path | None = None
) -> tuple[Image.Image, np.ndarray]:
    """An object in a landscape, completely inside, and its mask; with a distractor beside or behind it."""
    whole = background(landscape, chance)
    taken = np.zeros((whole.height, whole.width), dtype=bool)
    if distractor is not None:
        large = thing(distractor, min(whole.size), chance, DISTRACTOR_SHARES)
        x, y = _position(large, whole, chance)
        whole.paste(large, (x, y), large)
        taken[y : y + large.height, x : x + large.width] = True
    found = thing(cutout, min(whole.size), chance, SHARES if distractor is None else BESIDE_SHARES)
    positions = [_position(found, whole, chance) for _ in range(1 if distractor is None else TRIES)]
    x, y = min(positions, key=lambda xy: taken[xy[1] : xy[1] + found.height, xy[0] : xy[0] + found.width].sum())
    whole.paste(found, (x, y), found)
    mask = np.zeros((whole.height, whole.width), dtype=bool)
    seen = np.asarray(found.getchannel("A")) >= OPAQUE
    mask[y : y + seen.shape[0], x : x + seen.shape[1]] = seen[: whole.height - y, : whole.width - x]
    return whole, mask


def _position(found: Rgba, whole: Image.Image, chance: random.Random) -> tuple[int, int]:
    """A random position with the object completely inside."""
    x, y = (chance.randint(0, max(room, 0)) for room in (whole.width - found.width, whole.height - found.height))
    return x, y


def write(
    stamps: Path, backgrounds: Path, out: Path, counts: dict[str, int], seed: int, *, has_distractor: bool = False
) -> None:
    """Write all images, masks and boxes."""
    distractors = halves(cutouts(stamps / CLASSES[DISTRACTOR]))
    chance, lines = random.Random(seed), ["path,x0,y0,x1,y1"]
    landscapes = halves(list(images_under(backgrounds)))
    for name, folder in CLASSES.items():
        if has_distractor and name == DISTRACTOR:
            continue
        things = halves(cutouts(stamps / folder))
        for split, count in counts.items():
            for i in range(count):
                one = things[split][i % len(things[split])]
                landscape = chance.choice(landscapes[split])
                distractor = chance.choice(distractors[split]) if has_distractor else None
                whole, mask = composite(one, landscape, chance, distractor)
                path = Path(split) / name / f"{i:03}.jpg"
                for image, target in (
                    (whole, out / path),
                    (Image.fromarray(mask), out / "masks" / path.with_suffix(".png")),
                ):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    image.save(target)
                box = tight_box(mask)
                assert box is not None, f"{one} has nothing to see"
                lines.append(f"{path.as_posix()},{','.join(f'{edge:g}' for edge in box)}")
    write_text(out / "boxes.csv", "\n".join(lines) + "\n")


def main() -> None:
    """Write the set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stamps", type=Path)
    parser.add_argument("backgrounds", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", type=int, default=30, help="training images of each class")
    parser.add_argument("--test", type=int, default=15, help="test images of each class")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--distractor", action="store_true", help="add a larger object of another kind to every image")
    given = parser.parse_args()
    for folder in (*(given.stamps / path for path in CLASSES.values()), given.backgrounds):
        if not folder.is_dir():
            parser.exit(
                2, f"error: {folder} is not a folder; see --help for the sources of cut-outs and backgrounds.\n"
            )
    if given.out.exists():
        parser.exit(2, f"error: {given.out} exists: expected a new folder. Choose another, or remove it.\n")
    counts = {"train": given.train, "test": given.test}
    write(given.stamps, given.backgrounds, given.out, counts, given.seed, has_distractor=given.distractor)


if __name__ == "__main__":
    main()
