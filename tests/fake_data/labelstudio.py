"""Label Studio's JSON and JSON-MIN with images of 30 rows and 40 columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

from fake_data.images import write_image

HW = (30, 40)
SIZE = {"original_width": HW[1], "original_height": HW[0], "image_rotation": 0}
Region = dict[str, Any]


def rectangle(label: str, x: float = 10, y: float = 30, width: float = 30, height: float = 40, **more: Any) -> Region:
    """In percent; by default the box 4,9,16,21."""
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": 0, "rectanglelabels": [label]} | more
    return _region("rectanglelabels", value)


def polygon(label: str, *points: tuple[float, float]) -> Region:
    """In percent."""
    value = {"points": [list(point) for point in points], "closed": True, "polygonlabels": [label]}
    return _region("polygonlabels", value)


def brush(label: str, rle: Sequence[int]) -> Region:
    return _region("brushlabels", {"format": "rle", "rle": list(rle), "brushlabels": [label]})


def choice(label: str) -> Region:
    region = _region("choices", {"choices": [label]})
    return {key: value for key, value in region.items() if key not in SIZE} | {"from_name": "choice"}


def _region(kind: str, value: dict[str, Any]) -> Region:
    number = crc32(json.dumps([kind, value]).encode())
    return SIZE | {"id": f"{number:010}", "type": kind, "from_name": "label", "to_name": "image", "value": value}


def task(image: str, *regions: Region, **more: Any) -> dict[str, Any]:
    """A task with one annotation."""
    annotation = {"id": 7, "completed_by": 1, "result": list(regions), "was_cancelled": False, "ground_truth": False}
    return {"id": 3, "annotations": [annotation | more], "predictions": [], "data": {"image": image, "note": "x"}}


def minimal(image: str, *regions: Region, **more: Any) -> dict[str, Any]:
    """The same as JSON-MIN."""
    labels = [one["value"] | {k: SIZE[k] for k in ("original_width", "original_height")} for one in regions]
    known = {"image": image, "id": 3, **({"label": labels} if labels else {}), **more}
    return known | {"annotator": 1, "annotation_id": 7, "created_at": "2026", "updated_at": "2026", "lead_time": 1.5}


SQUARE = ((10, 20), (50, 20), (50, 60), (10, 60))
"""The corners of the box 4,6,20,18."""
REGIONS: Mapping[str, tuple[Region, ...]] = {
    "1.jpg": (rectangle("hawk"),),
    "2.jpg": (rectangle("owl"), polygon("owl", *SQUARE)),
    "night/3.jpg": (polygon("owl", *SQUARE),),
}


def write_tasks(file: Path, tasks: Sequence[Mapping[str, Any]]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(tasks), encoding="utf-8")
    return file


def write_labelstudio(root: Path, name: str = "project-1-at-2026-12-01.json") -> Path:
    """The exported tasks beside `images`."""
    for image in REGIONS:
        write_image(root / "images" / image, HW)
    write_tasks(root / name, [task(f"/data/local-files/?d=images/{image}", *found) for image, found in REGIONS.items()])
    return root
