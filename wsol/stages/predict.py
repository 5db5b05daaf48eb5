"""Localize every picture below a folder: one line of JSON each, broken pictures listed, interrupted work continued."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from wsol.config import Objects, Precision
from wsol.data.pictures import Pictures, in_order
from wsol.errors import WsolError
from wsol.folders import (
    file_hash,
    is_finished,
    new_folder,
    read_json,
    start_over,
    text_hash,
    write_json,
    write_manifest,
)
from wsol.images import SUFFIXES, is_picture, pictures_under
from wsol.inference import BATCH_SIZE
from wsol.localizer import Localization, Localizer
from wsol.predictions import LINES, PredictedObject, Prediction, encode, to_line
from wsol.progress import Progress

STAGE = "predict"


def run(
    run: Path,
    images: Path,
    out: Path,
    *,
    threshold: float | None,
    objects: Objects | None,
    device: str,
    precision: Precision,
    progress: Progress,
) -> Path:
    """Write `out`: predictions.jsonl in the order of the pictures' names, skipped.json, manifest.json.

    Raises:
        WsolError: not a run, no pictures, none that can be decoded, or `out` holds something else.
    """
    root, paths = _pictures(images)
    localizer = Localizer.load(run, threshold=threshold, objects=objects, device=device, precision=precision)
    names = [path.relative_to(root).as_posix() for path in paths]
    weights = [run / part / "model.safetensors" for part in ("seg", "classifier", "cam")]
    settings = {"box": localizer.box.model_dump(), "precision": precision}
    inputs = {
        "pictures": text_hash(iter([str(root.resolve()), *names])),
        "networks": text_hash(file_hash(path) for path in weights if path.exists()),
    }
    if is_finished(out, STAGE, settings, inputs):
        progress.say(f"{STAGE}: finished already, {out}")
        return out
    started = time.perf_counter()
    with new_folder(out) as scratch:
        identity = {"settings": settings, "inputs": inputs}
        if (scratch / "settings.json").exists() and read_json(scratch / "settings.json", STAGE) != json.loads(
            json.dumps(identity)
        ):
            start_over(scratch)
        write_json(scratch / "settings.json", identity)
        counts = _predict_rest(localizer, paths, names, scratch, progress)
        (scratch / "settings.json").unlink()
        figures = {
            "image_root": str(root.resolve()),
            "class_names": localizer.class_names,
            **vars(counts),
            "seconds": time.perf_counter() - started,
        }
        write_manifest(scratch, STAGE, settings, inputs, figures)
    progress.say(
        f"{STAGE}: {counts.images} pictures, {counts.objects} objects, {counts.empty} pictures without one, {counts.skipped} skipped"
    )
    return out


def _pictures(images: Path) -> tuple[Path, list[Path]]:
    """The folder that names are relative to, and the files."""
    if not images.exists():
        raise WsolError(f"{images} does not exist: expected a picture or a folder of pictures. Check the path.")
    if images.is_file():
        if not is_picture(images):
            raise WsolError(
                f"{images} is no picture by its name: expected one of {', '.join(sorted(SUFFIXES))}. Rename or convert it."
            )
        return images.parent, [images]
    paths = list(pictures_under(images))
    if not paths:
        raise WsolError(
            f"no pictures below {images}: expected files ending in {', '.join(sorted(SUFFIXES))}. Name the folder that holds them."
        )
    return images, paths


@dataclass
class _Counts:
    images: int = 0
    objects: int = 0
    empty: int = 0
    skipped: int = 0

    def add(self, objects: int) -> None:
        self.images += 1
        self.objects += objects
        self.empty += objects == 0


def _predict_rest(
    localizer: Localizer, paths: list[Path], names: list[str], scratch: Path, progress: Progress
) -> _Counts:
    """Append to predictions.jsonl what an interrupted run has not written yet."""
    counts = _Counts()
    seen = _done(scratch / LINES, counts)
    skipped: list[dict[str, str]] = []
    todo = [i for i, name in enumerate(names) if name not in seen]
    batches = in_order(len(todo), BATCH_SIZE)
    pictures = Pictures([paths[i] for i in todo], localizer.side_px, cache_gb=0, workers=None)
    with (
        (scratch / LINES).open("a", encoding="utf-8", errors="surrogateescape") as file,
        progress.task(STAGE, len(batches)) as advance,
    ):
        for batch in pictures.batches(batches):
            at = [todo[i] for i in batch.indices.tolist()]
            sizes = [(int(h), int(w)) for h, w in batch.image_hw]
            for i, found in zip(at, localizer.localize(batch.pixels, sizes, [paths[i] for i in at]), strict=True):
                file.write(to_line(_prediction(names[i], found)) + "\n")
                counts.add(len(found.objects))
            file.flush()
            advance()
    for i in sorted(pictures.broken):
        skipped.append({"image": names[todo[i]], "reason": pictures.broken[i]})
        progress.say(f"skipped: {pictures.broken[i]}")
    if not counts.images:
        raise WsolError(
            f"none of {len(paths)} pictures can be decoded: expected one at least. The reasons are above; repair the files."
        )
    counts.skipped = len(skipped)
    write_json(scratch / "skipped.json", skipped)
    return counts


def _done(lines: Path, counts: _Counts) -> set[str]:
    """Names of the pictures already predicted; a line that a kill cut short is cut off."""
    names: set[str] = set()
    if not lines.exists():
        return names
    whole = 0
    with lines.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            row = json.loads(line.decode("utf-8", "surrogateescape"))
            names.add(row["image"])
            counts.add(len(row["objects"]))
            whole += len(line)
    with lines.open("r+b") as file:
        file.truncate(whole)
    return names


def _prediction(name: str, found: Localization) -> Prediction:
    objects = tuple(PredictedObject(one.xyxy, one.score, encode(one.mask)) for one in found.objects)
    return Prediction(name, found.image_hw, objects, found.label, found.class_name, found.top5)
