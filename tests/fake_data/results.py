"""Results of other systems, in their file formats: heatmaps, COCO results, tables, and predictions of our
own."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fake_data.run_lengths import no_mask
from wsol.predictions.records import LINES, PredictedObject, Prediction, write_lines
from wsol.storage.folders import write_manifest

Naming = Literal["code", "documentation"]


def write_heatmaps(root: Path, maps: Mapping[str, NDArray[Any]], naming: Naming = "code") -> Path:
    """As wsolevaluation's code names them (`x.JPEG.npy`), or its documentation (`x.npy`)."""
    for image_id, heatmap in maps.items():
        file = root / f"{image_id if naming == 'code' else os.path.splitext(image_id)[0]}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, heatmap)
    root.mkdir(parents=True, exist_ok=True)
    return root


def write_table(file: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """A CSV table with a header."""
    with file.open("w", encoding="utf-8", newline="") as text:
        csv.writer(text).writerows([columns, *rows])
    return file


def write_coco_results(file: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """COCO's results format: a bare list."""
    file.write_text(json.dumps([*rows]), encoding="utf-8")
    return file


def write_instances(root: Path, images: Mapping[int, str], categories: Mapping[int, str]) -> Path:
    """The instances.json that `wsol export` writes beside results.json."""
    content = {
        "images": [{"id": number, "file_name": name, "width": 40, "height": 30} for number, name in images.items()],
        "categories": [{"id": number, "name": name, "supercategory": ""} for number, name in categories.items()],
        "annotations": [],
    }
    (root / "instances.json").write_text(json.dumps(content), encoding="utf-8")
    return root / "instances.json"


def predicted(
    image: str, *boxes: tuple[tuple[float, float, float, float], float], top5: Sequence[str] = ()
) -> Prediction:
    """A line of predictions.jsonl; the masks are empty."""
    rle = no_mask((30, 40))
    objects = tuple(PredictedObject(xyxy, score, rle) for xyxy, score in boxes)
    ranked = tuple((name, 0.5 / place) for place, name in enumerate(top5, start=1))
    return Prediction(image, (30, 40), objects, 0 if top5 else None, top5[0] if top5 else None, ranked)


def write_predictions(root: Path, predictions: Sequence[Prediction]) -> Path:
    """A finished folder of `wsol predict`."""
    root.mkdir(parents=True, exist_ok=True)
    write_lines(root / LINES, predictions)
    write_manifest(root, "predict", {}, {}, {"image_root": "/images", "class_names": ["hawk", "owl"]})
    return root
