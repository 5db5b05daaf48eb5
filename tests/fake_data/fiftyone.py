"""FiftyOne's exports for classification and detection, with images of 30 rows and 40 columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fake_data.images import write_image

HW = (30, 40)
CLASSES = ("hawk", "owl")
BOX = [0.1, 0.3, 0.3, 0.4]
"""The box 4,9,16,21."""
DETECTIONS = {
    "1": [{"label": 0, "bounding_box": BOX, "attributes": {}}],
    "2": [{"label": 1, "bounding_box": BOX}, {"label": 1, "bounding_box": [0.5, 0.5, 0.25, 0.5]}],
    "night/3": [{"label": "owl", "bounding_box": BOX}],
}


def write_labels(root: Path, labels: Mapping[str, Any], classes: Any = CLASSES) -> Path:
    """data/ and labels.json, by the names of the images without suffix."""
    for name in labels:
        write_image(root / f"data/{name}.jpg", HW)
    root.mkdir(parents=True, exist_ok=True)
    document = {"classes": classes, "labels": labels}
    (root / "labels.json").write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
    return root


def write_fiftyone(root: Path) -> Path:
    """FiftyOneImageDetectionDataset."""
    return write_labels(root, DETECTIONS)
