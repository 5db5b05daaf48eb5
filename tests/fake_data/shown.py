"""Synthetic gallery items, so that pages can be tested without a run."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from wsol.config.options import Box
from wsol.geometry.boxes import Boxes, Xyxy, iou
from wsol.geometry.objects import find_objects
from wsol.reports.gallery import GalleryItem

HOSTILE = (
    "<img src=x onerror=alert(1)>.jpg",
    '"><script>alert(1)</script>',
    "' autofocus onfocus='alert(1)",
    "</script></style></title><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; &amp;amp; javascript:alert(1)",
    "<!-- ]]> <?php",
    "not UTF-8: \udcff\udcfe, bell \x07, escape \x1b[2J, null \x00.jpg",
    "right to left \u202egpj.exe",
    "Käuzchen 梟 🦉",
)


def shown_image(
    image_id: str = "a/one.jpg", iou: float | None = 0.83, score: float = 0.9, class_name: str = "owl"
) -> GalleryItem:
    """An item of 6 x 8 pixels, small but divisible into thirds."""
    mask = np.zeros((6, 8), dtype=bool)
    mask[:3, 4:] = True
    plane = mask.astype(np.float32)
    return GalleryItem(
        image_id=image_id,
        image_hw=(6, 8),
        photo=np.full((6, 8, 3), 99, np.uint8),
        cam=plane,
        foreground=plane,
        known=np.ones((6, 8), np.float32),
        heatmap=plane,
        mask=mask,
        boxes=Boxes.of([(4, 0, 8, 3)]),
        annotated_boxes=Boxes.of([] if iou is None else [(3, 0, 8, 3)]),
        iou=iou,
        score=score,
        class_name=class_name,
        predicted_name="lark",
    )


def blobs(
    seed: int, image_hw: tuple[int, int] = (375, 500), box: Box | None = None, class_name: str = "owl", name: str = ""
) -> GalleryItem:
    """An image with a smooth random map, and the boxes that the product finds in it."""
    random = np.random.default_rng(seed)
    box = box or Box(threshold=0.5)
    coarse = random.random((6, 6), np.float32) ** 2
    heatmap = cv2.resize(coarse, (32, 32), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    found = find_objects(heatmap, image_hw, box)
    height, width = image_hw
    scale = min(1.0, 320 / max(image_hw))
    shown_wh = round(width * scale), round(height * scale)
    photo = cv2.resize(random.integers(0, 255, (12, 16, 3), np.uint8), shown_wh, interpolation=cv2.INTER_CUBIC)
    true_box: Xyxy = (0.25 * width, 0.25 * height, 0.75 * width, 0.75 * height)
    boxes, annotated_boxes = Boxes.of([one.xyxy for one in found]), Boxes.of([true_box])
    mask = np.zeros(image_hw, bool)
    for one in found:
        mask |= one.mask
    return GalleryItem(
        image_id=name or f"{class_name}/{seed:04d}.jpg",
        image_hw=image_hw,
        photo=photo,
        cam=heatmap,
        foreground=(heatmap > 0.5).astype(np.float32),
        known=(np.abs(heatmap - 0.5) > 0.1).astype(np.float32),
        heatmap=heatmap,
        mask=np.asarray(cv2.resize(mask.astype(np.uint8), shown_wh, interpolation=cv2.INTER_NEAREST) > 0),
        boxes=boxes,
        annotated_boxes=annotated_boxes,
        iou=float(iou(Boxes(boxes.xyxy[:1]), annotated_boxes).max(initial=0.0)),
        score=float(random.random()),
        class_name=class_name,
        predicted_name=class_name if seed % 3 else "lark",
    )


def of_maps(shown: GalleryItem) -> GalleryItem:
    """The same item for a method with a map and without earlier stages."""
    return replace(shown, cam=None, foreground=None, known=None)


def of_thresholds(shown: GalleryItem) -> GalleryItem:
    """The same item for pseudo masks from thresholds with a Gaussian, and networks that fuse three levels."""
    assert shown.cam is not None and shown.heatmap is not None
    heatmaps = tuple(np.roll(shown.heatmap, step, axis=1) for step in (1, 2, 3))
    return replace(
        shown,
        gaussian=np.asarray(np.roll(cv2.GaussianBlur(shown.cam, (3, 3), 1), -1, axis=1)),
        cam_levels=tuple(np.roll(shown.cam, step, axis=0) for step in (1, 2, 3)),
        heatmap_levels=heatmaps,
    )


def of_boxes(shown: GalleryItem) -> GalleryItem:
    """The same item for a method that predicts boxes without maps."""
    return replace(of_maps(shown), heatmap=None, score=None)
