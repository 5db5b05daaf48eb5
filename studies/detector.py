"""Train a standard detector on what `wsol export --format coco` wrote, and run it on other images.

    python studies/detector.py train COCO --out detector.pt                     # COCO: the exported folder
    python studies/detector.py detect detector.pt IMAGES --out found          # found/boxes.csv, found/classes.csv
    python studies/detector.py draw found/boxes.csv IMAGES --out found.jpg

The detector is torchvision's FCOS (Tian et al. 2019) on the bundled ImageNet backbone, narrow enough to train on two
cores. `wsol evaluate --boxes found/boxes.csv --classes found/classes.csv --truth DATA` evaluates it.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from pycocotools.coco import COCO
from torch import Tensor, nn
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork

from wsol.data.images import images_under, read_image
from wsol.models.backbone import feature_pyramid, normalisation, pretrained_state
from wsol.runtime.engine import keep_freed_memory

BACKBONE, WIDTH = "tf_efficientnet_lite0", 64
SIDES_PX = (192, 320)
"""Shorter edge of the resized images, and the largest longer edge."""
FEWEST_SCORE = 0.05


class Pyramid(nn.Module):
    """The last three stages of the backbone, reduced to one number of channels, from the deepest up."""

    out_channels = WIDTH

    def __init__(self, is_pretrained: bool) -> None:
        super().__init__()
        self.stages = feature_pyramid(BACKBONE, 3, pretrained_state(BACKBONE, None) if is_pretrained else None)
        self.join = FeaturePyramidNetwork(self.stages.feature_info.channels(), WIDTH)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps of strides 8, 16 and 32."""
        return self.join({str(i): level for i, level in enumerate(self.stages(images))})


def detector(classes: int, is_pretrained: bool) -> FCOS:
    """Torchvision's FCOS with one location per position, as its constructor does for five levels."""
    mean, std = normalisation(BACKBONE)
    anchors = AnchorGenerator(sizes=((8,), (16,), (32,)), aspect_ratios=((1.0,),) * 3)
    return FCOS(
        Pyramid(is_pretrained),
        classes,
        min_size=SIDES_PX[0],
        max_size=SIDES_PX[1],
        image_mean=mean,
        image_std=std,
        anchor_generator=anchors,
        score_thresh=FEWEST_SCORE,
        nms_thresh=0.5,
        detections_per_img=20,
    )


def image_tensor(path: Path) -> Tensor:
    """Upright pixels from 0 to 1, channels first."""
    return torch.from_numpy(read_image(path).copy()).permute(2, 0, 1).float() / 255


class Exported:
    """Images and boxes of an exported COCO folder."""

    def __init__(self, folder: Path, images: Path) -> None:
        self.coco = COCO(folder / "instances.json")
        self.images = images
        self.ids = sorted(self.coco.imgs)
        names = {one["id"]: one["name"] for one in self.coco.cats.values()}
        self.class_names = [names[number] for number in sorted(names)]  # ids count from 1, as the export has them

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        image_id = self.ids[index]
        found = self.coco.loadAnns(self.coco.getAnnIds([image_id]))
        boxes = torch.tensor([one["bbox"] for one in found], dtype=torch.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = torch.tensor([one["category_id"] - 1 for one in found], dtype=torch.int64)
        return image_tensor(self.images / self.coco.imgs[image_id]["file_name"]), {"boxes": boxes, "labels": labels}


def mirrored(image: Tensor, target: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """Left and right exchanged."""
    x0, y0, x1, y1 = target["boxes"].unbind(1)
    width = image.shape[2]
    return image.flip(2), target | {"boxes": torch.stack([width - x1, y0, width - x0, y1], 1)}


def train(data: Exported, epochs: int, batch_size: int, seed: int, is_pretrained: bool) -> FCOS:
    """AdamW, one cycle of the rate; half of the images mirrored."""
    keep_freed_memory()  # saves a third of a training step on a CPU
    torch.manual_seed(seed)
    order = np.random.default_rng(seed)
    model = detector(len(data.class_names), is_pretrained).train()
    steps = epochs * -(-len(data) // batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    images = [data[index] for index in range(len(data))]  # a few hundred; more would want a DataLoader
    started = time.perf_counter(), time.process_time()
    for epoch in range(epochs):
        losses = []
        for indices in np.array_split(order.permutation(len(data)), -(-len(data) // batch_size)):
            batch = [mirrored(*images[i]) if order.random() < 0.5 else images[i] for i in indices]
            loss = sum(model([one for one, _ in batch], [target for _, target in batch]).values())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            rate.step()
            losses.append(float(loss.detach()))
        spent = time.perf_counter() - started[0], time.process_time() - started[1]
        print(
            f"epoch {epoch + 1}: loss {np.mean(losses):.3f}, {spent[0]:.0f} s, {spent[1]:.0f} s of one core", flush=True
        )
    return model


@torch.inference_mode()
def detect(model: FCOS, class_names: list[str], images: Path, out: Path) -> None:
    """Write the boxes of every image and the class of its best box in the format of `wsol evaluate`."""
    model.eval()
    out.mkdir(parents=True, exist_ok=True)
    with (out / "boxes.csv").open("w", newline="") as boxes, (out / "classes.csv").open("w", newline="") as classes:
        boxes_csv, classes_csv = csv.writer(boxes), csv.writer(classes)
        boxes_csv.writerow(["path", "label", "score", "x0", "y0", "x1", "y1"])
        classes_csv.writerow(["path", "first"])
        for path in images_under(images):
            name = path.relative_to(images).as_posix()
            (found,) = model([image_tensor(path)])
            names = [class_names[label] for label in found["labels"].tolist()]
            for class_name, score, box in zip(names, found["scores"].tolist(), found["boxes"].tolist(), strict=True):
                boxes_csv.writerow([name, class_name, round(score, 4), *(round(edge, 2) for edge in box)])
            if names:
                classes_csv.writerow([name, names[0]])


def draw(boxes: Path, images: Path, out: Path, columns: int = 4, rows: int = 2) -> None:
    """Draw the best boxes of images at equal distances, side by side."""
    best: dict[str, dict[str, str]] = {}
    with boxes.open(newline="") as file:
        for row in csv.DictReader(file):
            best.setdefault(row["path"], row)
    names = sorted(best)[:: max(len(best) // (columns * rows), 1)][: columns * rows]
    width, height = 320, 240
    sheet = Image.new("RGB", (columns * width, rows * height), "white")
    for index, name in enumerate(names):
        pixels = Image.fromarray(read_image(images / name))
        scale = min(width / pixels.width, height / pixels.height)
        shown = pixels.resize((round(pixels.width * scale), round(pixels.height * scale)))
        pen = ImageDraw.Draw(shown)
        row = best[name]
        x0, y0, x1, y1 = (float(row[edge]) * scale for edge in ("x0", "y0", "x1", "y1"))
        pen.rectangle((x0, y0, x1, y1), outline="#ffb000", width=3)
        text = f"{row['label']} {float(row['score']):.2f}"
        pen.rectangle((x0, y0, x0 + pen.textlength(text) + 8, y0 + 15), fill="#ffb000")
        pen.text((x0 + 4, y0 + 2), text, fill="black")
        sheet.paste(shown, (index % columns * width, index // columns * height))
    sheet.save(out, quality=85)


def main() -> None:
    """Run one of the three commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("train", help="on an exported COCO folder")
    one.add_argument("coco", type=Path)
    one.add_argument("--images", type=Path, required=True, help="the folder that the export's README.txt names")
    one.add_argument("--out", type=Path, required=True)
    one.add_argument("--epochs", type=int, default=20)
    one.add_argument("--batch-size", type=int, default=8)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--from-scratch", action="store_true", help="start without the ImageNet weights")
    two = commands.add_parser("detect", help="boxes of new images")
    two.add_argument("detector", type=Path)
    two.add_argument("images", type=Path)
    two.add_argument("--out", type=Path, required=True)
    three = commands.add_parser("draw", help="draw some of the boxes as one image")
    three.add_argument("boxes", type=Path)
    three.add_argument("images", type=Path)
    three.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    if given.command == "train":
        data = Exported(given.coco, given.images)
        model = train(data, given.epochs, given.batch_size, given.seed, not given.from_scratch)
        torch.save({"class_names": data.class_names, "weights": model.state_dict()}, given.out)
    elif given.command == "detect":
        kept: dict[str, Any] = torch.load(given.detector, weights_only=True)
        model = detector(len(kept["class_names"]), is_pretrained=False)
        model.load_state_dict(kept["weights"])
        detect(model, kept["class_names"], given.images, given.out)
    else:
        draw(given.boxes, given.images, given.out)


if __name__ == "__main__":
    main()
