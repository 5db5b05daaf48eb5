"""COCO annotations as published, as Roboflow exports them, and as one file; images have 30 rows and 40 columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fake_data.images import write_image

HW = (30, 40)
HAWK, OWL = 3, 7
CATEGORIES = [
    {"id": OWL, "name": "owl", "supercategory": "birds"},
    {"id": HAWK, "name": "hawk", "supercategory": "birds"},
]


def rectangle(x: float, y: float, width: float, height: float) -> list[list[float]]:
    """The polygons of a box."""
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


def coco_of(categories_of: Mapping[str, Sequence[int]], first_id: int = 1) -> dict[str, Any]:
    """Annotations of file names: one for each category listed; the box of the n-th of all is [n, 2, 10.5, 8]."""
    images = [
        {"id": number, "file_name": name, "height": HW[0], "width": HW[1], "license": 1}
        for number, name in enumerate(categories_of, start=first_id)
    ]
    owners = [(image["id"], category) for image in images for category in categories_of[str(image["file_name"])]]
    annotations = [
        {
            "id": number,
            "image_id": image_id,
            "category_id": category,
            "bbox": [number, 2, 10.5, 8],
            "area": 84.0,
            "iscrowd": 0,
            "segmentation": rectangle(number, 2, 10, 8),
        }
        for number, (image_id, category) in enumerate(owners, start=1)
    ]
    info = {"description": "fake", "year": 2017}
    return {
        "info": info,
        "licenses": [{"id": 1}],
        "images": images,
        "annotations": annotations,
        "categories": CATEGORIES,
    }


def write_json(path: Path, document: Any) -> Path:
    """Write a file, its folders included, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


TRAIN = {"000000000009.jpg": [HAWK], "000000000025.jpg": [OWL, OWL], "000000000030.jpg": [OWL]}
TEST = {"000000000139.jpg": [HAWK], "000000000285.jpg": [OWL]}


def write_published_coco(root: Path) -> Path:
    """annotations/instances_{train,val}2017.json beside {train,val}2017, and the other annotations that come with
    them."""
    for split, categories_of, first_id in (("train2017", TRAIN, 9), ("val2017", TEST, 139)):
        write_json(root / f"annotations/instances_{split}.json", coco_of(categories_of, first_id))
        write_json(root / f"annotations/captions_{split}.json", {"images": [], "annotations": []})
        for name in categories_of:
            write_image(root / split / name, HW)
    return root


def write_roboflow_coco(root: Path, test: str = "valid", test_images: Mapping[str, Sequence[int]] = TEST) -> Path:
    """{train,valid}/_annotations.coco.json among their images; ids start anew, and category 0 is the project."""
    for split, categories_of in (("train", TRAIN), (test, test_images)):
        document = coco_of(categories_of, first_id=0)
        document["categories"] = [{"id": 0, "name": "birds", "supercategory": "none"}, *CATEGORIES]
        write_json(root / split / "_annotations.coco.json", document)
        for name in categories_of:
            write_image(root / split / name, HW)
    return root


def write_single_coco(root: Path, categories_of: str = "images", name: str = "instances.json") -> Path:
    """One file, its images in a folder beside it ("" for the same folder), and results that belong to it."""
    write_json(root / name, coco_of(TRAIN))
    write_json(root / "results.json", [{"image_id": 1, "category_id": HAWK, "bbox": [1, 2, 3, 4], "score": 0.5}])
    for image in TRAIN:
        write_image(root / categories_of / image, HW)
    return root
