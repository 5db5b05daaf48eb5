"""Localize objects in every image below a folder: one line of JSON per image, broken images listed, resumable."""

from __future__ import annotations

import json
import shlex
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from wsol.config.base import EngineName, Objects, Precision
from wsol.config.messages import check_fraction
from wsol.data.images import SUFFIXES
from wsol.data.loader import Batch, ImageLoader, batch_size
from wsol.data.named_images import names_of, root_of
from wsol.data.unread import CONVERT, Unread, in_words, unread_under
from wsol.errors import WsolError
from wsol.geometry.boxes import COVERING, covers
from wsol.inference.localizer import Localizer
from wsol.inference.outputs import Outputs
from wsol.predictions.records import LINES, PredictedObject, Prediction, encode, to_line
from wsol.predictions.review_journal import JOURNAL_FILE
from wsol.predictions.review_sample import USUAL
from wsol.runs.run import Run
from wsol.runtime.engine import gathered, wait_for_all
from wsol.runtime.processes import part
from wsol.runtime.progress import Progress
from wsol.storage.folders import (
    is_finished,
    manifest_of,
    scratch_of,
    text_hash,
    whole_file,
    write_manifest,
)
from wsol.storage.image_list import Names, Paths, write_names
from wsol.storage.links import led_to
from wsol.storage.locks import held
from wsol.storage.shards import (
    NAMES,
    PARTS,
    Shards,
    assemble_skipped,
    batches_of,
    clear,
    open_scratch,
    skipped_of,
    unfinished,
    write_parts,
)
from wsol.storage.shared_folder import new_shared_folder
from wsol.storage.stopwatch import Stopwatch, figures_of
from wsol.text import number_of

STAGE = "predict"


def predict(
    run: str | Path,
    images: str | Path,
    out: str | Path,
    *,
    threshold: float | None = None,
    objects: Objects | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    engine: EngineName = "torch",
    quiet: bool = False,
) -> Path:
    """Localize objects in images: boxes, masks, scores and classes, in a new folder with one line of JSON per image.

    If launched as several processes, each predicts some shards of the images. The same call continues an interrupted
    prediction, with any number of processes; images that were skipped in a finished shard are not tried again.

    Args:
        run: a finished run.
        images: an image, a folder of images at any depth, a pattern (`photos/*.jpg`), or a list (.txt) of paths, one a
            line, relative to the list.
        out: folder for predictions.jsonl (in the order of the images' names), skipped.json and manifest.json.
        threshold: pixels with a foreground probability above this fraction belong to the mask; by default that of the
            run.
        objects: only the largest object of each image, or all; by default the choice of the run.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: arithmetic of the networks.
        engine: PyTorch, or onnxruntime with `run/model.onnx`, which is created on first use.
        quiet: print nothing to standard error.

    Returns:
        `out`.

    Raises:
        WsolError: not a run, no images, none can be decoded, `out` holds another result, or another command writes it.

    Example:
        `wsol.predict("runs/birds", "photos", "boxes")`
    """
    if threshold is not None:
        check_fraction("threshold", threshold)
    return _predict_into(
        Path(out),
        Path(images),
        Run.open(run),
        Choices(threshold, objects, device, precision, engine),
        Progress(quiet=quiet or not part().is_first),
    )


class Choices(NamedTuple):
    """Options of a prediction."""

    threshold: float | None
    objects: Objects | None
    device: str
    precision: Precision
    engine: EngineName


def _predict_into(out: Path, images: Path, run: Run, choices: Choices, progress: Progress) -> Path:
    threshold = choices.threshold
    root = root_of(images)
    localizer = Localizer.load(run.folder, **choices._asdict())
    engine, is_first, has_maps = localizer.engine, part().is_first, localizer.networks.has_maps
    settings: dict[str, Any] = {"box": localizer.box.model_dump(), "precision": choices.precision}
    if choices.engine != "torch":
        settings["engine"] = choices.engine
    if changes := localizer.image.changes():
        settings["image"] = changes
    if localizer.curve is not None:  # absent by default, so that older folders stay finished
        settings["score_curve"] = localizer.curve.model_dump()
    inputs = _inputs(run, images) if is_first else {}  # one process lists the images for all
    unread = unread_under([images]) if is_first and images.is_dir() else {}

    def is_made() -> bool:
        finished: bool = gathered([is_first and _is_finished(out, settings, inputs, run, threshold)], engine)[0]
        return finished

    if not is_made():  # checked before locking: a review may hold the lock, and does not change predictions
        with held(out, f"wsol {STAGE}", "name another --out"):
            if not is_made():  # another process may just have finished
                count = _make(out, images, root, localizer, settings, inputs, unread, progress)
                if count >= USUAL and has_maps and threshold is None and not run.is_calibrated:
                    progress.say(f"{STAGE}: {_next_step(run.folder, out)}")
                return out
    if is_first:
        clear(out)
    progress.say(f"{STAGE}: finished already, {out}{_not_read(unread)}")
    if is_first:
        figures = (manifest_of(out, STAGE) or {"figures": {}})["figures"]
        _warn_of_covering(figures.get("covering", 0), figures.get("images", 1), has_maps, progress)
    return out


def is_begun(out: Path) -> bool:
    """Whether the same command would continue an interrupted prediction."""
    return any((scratch_of(led_to(out)) / PARTS).glob("*.jsonl"))


def _make(
    out: Path,
    images: Path,
    root: Path,
    localizer: Localizer,
    settings: dict[str, Any],
    inputs: dict[str, str],
    unread: Unread,
    progress: Progress,
) -> int:
    engine, is_first, has_maps = localizer.engine, part().is_first, localizer.networks.has_maps
    started = time.perf_counter()
    with new_shared_folder(led_to(out), engine) as scratch:
        if is_first:
            open_scratch(scratch, STAGE, settings | {"is_bf16": engine.is_bf16}, inputs)
            _list(images, scratch / NAMES, inputs["images"])
        wait_for_all(engine)
        names = Names(scratch / NAMES)
        shards = Shards(scratch / PARTS, len(names), ".jsonl")
        watches = gathered([_predict(localizer, Paths(root, names), shards, progress)], engine)
        if is_first:
            counts = _assemble(names, shards, scratch, progress)
            speed = figures_of(watches, time.perf_counter() - started)
            del names  # its files are memory-mapped, and Windows does not rename a folder with open files
            figures = {
                "image_root": str(root.resolve()),
                "class_names": localizer.class_names,
                **_classes_without_object(localizer),
                **vars(counts),
                "not_read": {suffix: len(paths) for suffix, paths in unread.items()},
                **speed,
            }
            write_manifest(scratch, STAGE, settings, inputs, figures)
    if is_first:
        clear(out)
        progress.say(
            f"{STAGE}: {number_of(counts.images, 'image')}, {number_of(counts.objects, 'object')},"
            f" {number_of(counts.empty, 'image')} without one, {counts.skipped} skipped{_not_read(unread)}"
        )
        _warn_of_covering(counts.covering, counts.images, has_maps, progress)
        progress.say(_describe_speed(speed))
    return counts.images if is_first else 0


def _classes_without_object(localizer: Localizer) -> dict[str, list[str]]:
    names = [localizer.class_names[label] for label in sorted(localizer.networks.no_object)]
    return {"no_object": names} if names else {}


def _next_step(run: Path, out: Path) -> str:
    """The commands that measure the accuracy and learn the threshold, in a sentence."""
    review, learn = (
        shlex.join(["wsol", *words])
        for words in (
            ["review", f"{out}", "--sample", f"{USUAL}"],
            ["calibrate", f"{run}", "--reviewed", f"{out}"],
        )
    )
    return (
        f"how many of them are right? `{review}` shows {USUAL} images drawn at random, then `{learn}` estimates it and"
        " learns the threshold"
    )


def _not_read(unread: Unread) -> str:
    return f"; {in_words(unread)}" if unread else ""


def _warn_of_covering(covering: int, images: int, has_maps: bool, progress: Progress) -> None:
    if covering < images / 4:
        return
    too_low = ", or --threshold is too low" if has_maps else ""
    progress.say(
        f"warning: the boxes of {covering} of {number_of(images, 'image')} cover the whole image ({COVERING:.0%} or"
        f" more). Unless your objects do, the run has learned too little{too_low}: inspect them with `wsol report`."
    )


def _is_finished(
    out: Path, settings: dict[str, Any], inputs: dict[str, str], run: Run, threshold: float | None
) -> bool:
    has_review = (out / JOURNAL_FILE).exists()
    try:
        words = _words_of_calibration(out, settings, run, threshold)
        return is_finished(out, STAGE, settings, inputs, option="--out", words=words, may_be_removed=not has_review)
    except WsolError as error:
        if not has_review:
            raise
        kept = (
            f"It holds a review: keep {out / JOURNAL_FILE}; in the new folder its decisions count for the same images."
        )
        raise WsolError(
            error.problem, expected=error.expected, got=error.got, remedy=f"{error.remedy} {kept}"
        ) from None


def _words_of_calibration(out: Path, settings: dict[str, Any], run: Run, threshold: float | None) -> dict[str, str]:
    """Descriptions of the differences that a calibration makes: it changes threshold and scores without an option."""
    before = (manifest_of(out, STAGE) or {}).get("settings", {})
    there, now = before.get("score_curve"), settings.get("score_curve")
    has_calibration = threshold is None and run.is_calibrated
    undo = f"(`wsol calibrate {run.folder} --reset` undoes it)"
    if there == now:
        reason = f"the run was calibrated since, or the folder was made with --threshold {undo}"
        return {"settings.box.threshold": reason} if has_calibration else {}
    if now is not None:
        reason = (
            f"the run was calibrated{' again' if there else ''} since: threshold and scores are now those of the"
            f" calibration {undo}"
        )
    elif has_calibration:
        reason = f"the run was calibrated again since: only the threshold is now that of the calibration {undo}"
    else:
        reason = (
            "the folder was made with a calibration that is not used now: it was reset, belongs to other weights, or"
            " --threshold was given"
        )
    names = ("box.threshold", "score_curve", "score_curve.slope", "score_curve.intercept")
    return {f"settings.{name}": reason for name in names if name != "box.threshold" or threshold is None}


def _inputs(run: Run, images: Path) -> dict[str, str]:
    if next(names_of(images), None) is None:
        words = in_words(unread_under([images] if images.is_dir() else []))
        raise WsolError(
            f"no images {'below' if images.is_dir() else 'match'} {images}",
            expected=f"files ending in {', '.join(sorted(SUFFIXES))}",
            remedy=f"Name the folder of the images, or a list of them.{words and f' It holds {words}: {CONVERT}'}",
        )
    return {
        "images": _hash(images, names_of(images)),
        "networks": text_hash(chain(run.weight_hashes.values(), [run.maps_hash])),
    }


def _hash(images: Path, names: Iterable[str]) -> str:
    return text_hash(chain([str(root_of(images).resolve())], names))


def _list(images: Path, folder: Path, expected_hash: str) -> None:
    """Write the image names to disk, once."""
    if folder.exists():
        return
    if _hash(images, write_names(folder, names_of(images))) != expected_hash:
        shutil.rmtree(folder)
        raise WsolError(
            f"images below {images} were added or removed while they were listed",
            expected="a folder that does not change",
            remedy="Run the same command again.",
        )


def _predict(localizer: Localizer, paths: Paths, shards: Shards, progress: Progress) -> Stopwatch:
    """Predict the shards of this process that are not finished."""
    todo = unfinished(shards, part(), lambda shard: _is_whole(shards, shard))
    size = batch_size(localizer.size_px)
    orders = batches_of(shards, todo, size)
    total = len(batches_of(shards, part().of(range(len(shards))), size))
    images = ImageLoader(paths, localizer.size_px, localizer.image)
    with (
        ThreadPoolExecutor(BOX_THREADS) as pool,
        progress.task(STAGE, total, done=total - len(orders)) as advance,
    ):
        watch = Stopwatch(sum(map(len, orders)))
        lines = _lines(localizer, images.batches(orders), paths.names, pool, watch, advance)
        write_parts(shards, todo, lines, _joined, paths.names, images.broken)
    return watch


BOX_THREADS = 2
"""Enough that a GPU does not wait for boxes."""


def _lines(
    localizer: Localizer,
    batches: Iterator[Batch],
    names: Names,
    pool: ThreadPoolExecutor,
    watch: Stopwatch,
    advance: Callable[[], None],
) -> Iterator[tuple[int, str]]:
    """Index and line of every decodable image. Boxes of a batch are computed while the network runs on the next one."""
    running: list[tuple[int, Future[str]]] = []
    for batch in batches:
        watch.lap("waiting")
        outputs = localizer.outputs(batch.pixels)
        watch.lap("network")
        yield from ((number, line.result()) for number, line in running)
        running = [
            (number, pool.submit(_line, localizer, outputs, row, names[number], (height, width)))
            for row, (number, (height, width)) in enumerate(
                zip(batch.indices.tolist(), batch.image_hw.tolist(), strict=True)
            )
        ]
        watch.lap("boxes")
        advance()
    watch.lap("waiting")
    yield from ((number, line.result()) for number, line in running)
    watch.lap("boxes")


def _line(localizer: Localizer, outputs: Outputs, row: int, name: str, image_hw: tuple[int, int]) -> str:
    result = localizer.localization(outputs, row, image_hw, None)
    objects = tuple(
        PredictedObject(one.xyxy, one.score, encode(one.mask), one.label, one.class_name) for one in result.objects
    )
    return to_line(Prediction(name, image_hw, objects, result.label, result.class_name, result.top5))


def _joined(shard: int, lines: dict[int, str]) -> bytes:
    return "".join(f"{line}\n" for line in lines.values()).encode("utf-8", "surrogateescape")


def _is_whole(shards: Shards, shard: int) -> bool:
    content = shards.path(shard).read_bytes()
    count = content.count(b"\n") + len(skipped_of(shards, shard))
    return count == len(shards.items(shard)) and not content.rpartition(b"\n")[2]


@dataclass
class _Counts:
    images: int = 0
    objects: int = 0
    empty: int = 0
    skipped: int = 0
    covering: int = 0
    """Number of images that one box covers."""


def _assemble(names: Names, shards: Shards, scratch: Path, progress: Progress) -> _Counts:
    """Join all parts into one file, and the skipped images into another."""
    counts = _Counts()
    with whole_file(scratch / LINES) as partial, partial.open("wb") as file:
        for shard in range(len(shards)):
            content = shards.path(shard).read_bytes()
            rows = _rows(content, shards, shard, names)
            counts.images += len(rows)
            counts.objects += sum(len(row["objects"]) for row in rows)
            counts.empty += sum(not row["objects"] for row in rows)
            counts.covering += sum(row["is_covered"] for row in rows)
            file.write(content)
    for skipped in assemble_skipped(shards, scratch / "skipped.json"):
        counts.skipped += 1
        progress.say(f"skipped: {skipped['reason']}")
    if not counts.images:
        shutil.rmtree(shards.folder)  # else repaired files would not be tried again
        raise WsolError(
            f"none of {number_of(len(names), 'image')} can be decoded",
            expected="at least one",
            remedy="The reasons are listed above; repair the files.",
        )
    return counts


def _rows(content: bytes, shards: Shards, shard: int, names: Names) -> list[dict[str, Any]]:
    """The lines of a part.

    Raises:
        WsolError: the part does not contain each image of its shard exactly once, except the skipped ones.
    """
    skipped = {row["image"] for row in skipped_of(shards, shard)}
    expected = [name for name in (names[i] for i in shards.items(shard)) if name not in skipped]
    try:
        rows: list[dict[str, Any]] = [
            json.loads(line.decode("utf-8", "surrogateescape")) for line in content.splitlines()
        ]
        is_whole = [row["image"] for row in rows] == expected
        if is_whole and len(rows) + len(skipped) == len(shards.items(shard)):
            for row in rows:
                row["is_covered"] = any(covers(one["xyxy"], row["image_hw"]) for one in row["objects"])
            return rows
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        pass
    raise WsolError(
        f"{shards.path(shard)} is damaged",
        expected=f"the predictions of {number_of(len(expected), 'image')}",
        remedy="Remove it, and the same command makes it again.",
    )


def _describe_speed(speed: dict[str, float]) -> str:
    spent = [f"{speed.get(f'seconds_{name}', 0.0):.1f} s {what}" for name, what in SPENT.items()]
    return f"{STAGE}: {speed['images_per_second']:.1f} images a second; {', '.join(spent)}"


SPENT = {"waiting": "waiting for data", "network": "in the networks", "boxes": "waiting for boxes"}
