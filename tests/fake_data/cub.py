"""CUB-200-2011 as published, with three classes of two training images and a test image each."""

from __future__ import annotations

from pathlib import Path

from fake_data.images import write_image

CLASSES = ("001.Black_footed_Albatross", "002.Laysan_Albatross", "004.Groove_billed_Ani")
TABLES = ("images", "image_class_labels", "train_test_split", "classes", "bounding_boxes")


def write_cub(root: Path) -> Path:
    """Write the tables and images of 60 rows and 80 columns; image n has the line `n i.0 2.0 30.0 (40 + n).0` for a
    box."""
    tables: dict[str, list[str]] = {name: [] for name in TABLES}
    for label, name in enumerate(CLASSES, start=1):
        tables["classes"].append(f"{label} {name}")
        for image in range(1, 4):
            number = len(tables["images"]) + 1
            file = f"{name}/{name[4:]}_{image:04}_{number}.jpg"
            write_image(root / "images" / file, (60, 80))
            tables["images"].append(f"{number} {file}")
            tables["image_class_labels"].append(f"{number} {label}")
            tables["train_test_split"].append(f"{number} {int(image < 3)}")
            tables["bounding_boxes"].append(f"{number} {image}.0 2.0 30.0 {40 + number}.0")
    for table, lines in tables.items():
        (root / f"{table}.txt").write_text("\n".join(lines) + "\n")
    return root
