"""A second kind of photographs with true masks: cut-outs of things laid over landscapes, class by class.

    python studies/composites.py STAMPS BACKGROUNDS OUT

STAMPS is the folder `stamps` of Debian's package tuxpaint-stamps-default (unpacking it is enough), BACKGROUNDS any folder of photographs,
in our study `nature` of mate-backgrounds. OUT becomes class folders with train/ and test/, boxes.csv and masks/. No cut-out and no
background stands on both sides, and backgrounds know nothing of classes. The same seed gives the same pictures.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from wsol.boxes import tight_box
from wsol.folders import write_text
from wsol.images import pictures_under

CLASSES = {
    "fish": "animals/fish", "flower": "plants/flowers", "fruit": "food/fruit", "insect": "animals/insects", "instrument": "hobbies/music",
    "mammal": "animals/mammals", "tool": "household/tools", "vegetable": "food/vegetables", "vehicle": "vehicles",
}  # fmt: skip
DRAWN = "cartoon"
"""Folders of drawings, which are left out."""
OPAQUE = 128
SIDES_PX = (220, 340)
SHARES = (0.35, 0.85)
"""Longer side of a thing, as a share of the picture's shorter side."""

Rgba = Image.Image


def cutouts(folder: Path) -> list[Path]:
    """The photographs of a class, in the order of their names."""
    return [path for path in sorted(folder.rglob("*.png")) if DRAWN not in path.parts]


def halves(paths: list[Path]) -> dict[str, list[Path]]:
    """Every third for the test."""
    return {"train": [path for i, path in enumerate(paths) if i % 3 != 2], "test": paths[2::3]}


def background(path: Path, chance: random.Random) -> Image.Image:
    """A piece of a photograph, somewhere between all of it and a quarter of its height."""
    photograph = Image.open(path).convert("RGB")
    width, height = (chance.randint(*SIDES_PX) for _ in range(2))
    scale = max(width / photograph.width, height / photograph.height) * chance.uniform(1, 4)
    large = photograph.resize(
        (max(round(photograph.width * scale), width), max(round(photograph.height * scale), height))
    )
    x, y = chance.randint(0, large.width - width), chance.randint(0, large.height - height)
    return large.crop((x, y, x + width, y + height))


def thing(path: Path, shorter_px: int, chance: random.Random) -> Rgba:
    """A cut-out at a random size, turn and brightness, cropped to what can be seen."""
    found = Image.open(path).convert("RGBA")
    if chance.random() < 0.5:
        found = ImageOps.mirror(found)
    found = found.rotate(chance.uniform(-20, 20), expand=True, resample=Image.Resampling.BICUBIC)
    found = found.crop(found.getchannel("A").point(lambda a: 255 * (a >= OPAQUE)).getbbox())
    scale = chance.uniform(*SHARES) * shorter_px / max(found.size)
    found = found.resize((max(round(found.width * scale), 1), max(round(found.height * scale), 1)))
    alpha = found.getchannel("A")
    found = ImageEnhance.Brightness(found.convert("RGB")).enhance(chance.uniform(0.75, 1.2))
    found.putalpha(alpha)
    return found


def picture(cutout: Path, landscape: Path, chance: random.Random) -> tuple[Image.Image, np.ndarray]:
    """A thing in a landscape, all of it inside, and its mask."""
    whole = background(landscape, chance)
    found = thing(cutout, min(whole.size), chance)
    x, y = (chance.randint(0, max(room, 0)) for room in (whole.width - found.width, whole.height - found.height))
    whole.paste(found, (x, y), found)
    mask = np.zeros((whole.height, whole.width), dtype=bool)
    seen = np.asarray(found.getchannel("A")) >= OPAQUE
    mask[y : y + seen.shape[0], x : x + seen.shape[1]] = seen[: whole.height - y, : whole.width - x]
    return whole, mask


def write(stamps: Path, backgrounds: Path, out: Path, counts: dict[str, int], seed: int) -> None:
    """Write all pictures, masks and boxes."""
    chance, lines = random.Random(seed), ["path,x0,y0,x1,y1"]
    landscapes = halves(list(pictures_under(backgrounds)))
    for name, folder in CLASSES.items():
        things = halves(cutouts(stamps / folder))
        for split, count in counts.items():
            for i in range(count):
                one = things[split][i % len(things[split])]
                whole, mask = picture(one, chance.choice(landscapes[split]), chance)
                path = Path(split) / name / f"{i:03}.jpg"
                for image, place in (
                    (whole, out / path),
                    (Image.fromarray(mask), out / "masks" / path.with_suffix(".png")),
                ):
                    place.parent.mkdir(parents=True, exist_ok=True)
                    image.save(place)
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
    parser.add_argument("--train", type=int, default=30, help="pictures of each class to train on")
    parser.add_argument("--test", type=int, default=15, help="pictures of each class to judge")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for folder in (*(given.stamps / path for path in CLASSES.values()), given.backgrounds):
        if not folder.is_dir():
            parser.exit(2, f"error: {folder} is no folder: see --help for where cut-outs and backgrounds come from.\n")
    if given.out.exists():
        parser.exit(2, f"error: {given.out} exists: expected a new folder. Name another, or remove it.\n")
    write(given.stamps, given.backgrounds, given.out, {"train": given.train, "test": given.test}, given.seed)


if __name__ == "__main__":
    main()
