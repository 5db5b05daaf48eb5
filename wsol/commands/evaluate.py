"""Judge a run on test images that have true boxes or masks, under the field's protocols."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8

from wsol.config.base import Precision, ProtocolName
from wsol.config.groups import first_networks
from wsol.data.ground_truth import GroundTruth, Mistake, told
from wsol.data.image_files import check_there
from wsol.data.images import middle
from wsol.data.loader import BATCH_SIZE, Batch, ImageLoader, in_order
from wsol.data.open import open_ground_truth
from wsol.data.pixel_cache import cores
from wsol.data.readers.unlabelled import CLASS_NAMES
from wsol.data.samples import DataSet, Sample
from wsol.errors import BrokenImage, WsolError
from wsol.geometry.boxes import Boxes
from wsol.geometry.contrast import Colours, colours_of
from wsol.geometry.image_threshold import AROUND_OTSU, brought
from wsol.geometry.objects import box_object
from wsol.inference.localizer import Localizer
from wsol.inference.outputs import Outputs
from wsol.inference.torch_networks import TorchNetworks
from wsol.methods.spol import cues
from wsol.metrics.evaluation import Evaluation, evaluation_of
from wsol.metrics.evaluator import STEP, Evaluator, ImageResult, Row
from wsol.metrics.frames import CROP_MARGIN_FRACTION
from wsol.metrics.protocols import PROTOCOLS, Empty, Protocol, chosen_protocols
from wsol.models.checkpoint import load_mffnet
from wsol.models.forward import cam_probabilities, normalised_class_maps, run_model, score_maps
from wsol.results.heatmaps import write_heatmap
from wsol.runs.run import Run
from wsol.runtime.engine import Engine, gathered, wait_for_all
from wsol.runtime.processes import part
from wsol.runtime.progress import Progress
from wsol.runtime.threads import in_threads
from wsol.runtime.torch_engine import choose_engine
from wsol.storage.folders import remove_unfinished
from wsol.storage.locks import held
from wsol.text import number_of

Which = Literal["seg", "cam", "cues"]


def evaluate(
    run: str | Path,
    data: str | Path,
    *,
    which: Which = "seg",
    protocol: str = "original",
    threshold: float | None = None,
    threshold_step: float = STEP,
    empty: Empty = "wrong",
    images: str | Path | None = None,
    save_heatmaps: str | Path | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    quiet: bool = False,
) -> Evaluation:
    """Evaluate a run on the test images of a data set that has annotated boxes or masks. Class maps are of the true
    class.

    Launched as several processes, each evaluates its share, and all return the evaluation of every image.

    Args:
        run: a finished run.
        data: the data set with its boxes; its test split where it has one.
        which: stage 3's masks (`seg`), or what its pseudo masks were made from, by itself: `cues`, or stage 1's maps
            (`cam`).
        protocol: original, spol, wsol-v1, wsol-v2, or several separated by commas.
        threshold: where the mask begins under original; the run's own by default.
        threshold_step: how far apart the thresholds of wsol-v1 and wsol-v2 are.
        empty: under spol, an image without a contour is `wrong`, or `left out` as in the published code.
        images: where the images are, if not in the data set's usual place.
        save_heatmaps: also write the maps below this folder, as `evaluate_results` reads them.
        device, precision, quiet: as for `predict`.

    Returns:
        The rates of every protocol, with intervals.

    Raises:
        WsolError: no boxes to evaluate with, an unfinished run, a run of other classes, or no such protocol.

    Example:
        `wsol.evaluate("runs/birds", "CUB_200_2011").results["original"]`
    """
    protocols = chosen_protocols(protocol, empty=empty, threshold=threshold, step=threshold_step)
    return evaluate_run(
        Run.open(run),
        open_ground_truth(Path(data), None if images is None else Path(images)),
        which=which,
        protocols=protocols,
        threshold=threshold,
        step=threshold_step,
        device=device,
        precision=precision,
        heatmaps=None if save_heatmaps is None else Path(save_heatmaps),
        progress=Progress(quiet=quiet or not part().is_first),
    )


def evaluate_run(
    run: Run,
    data: DataSet,
    *,
    which: Which = "seg",
    protocols: Sequence[Protocol] = (PROTOCOLS["original"],),
    threshold: float | None = None,
    step: float = STEP,
    device: str = "auto",
    precision: Precision = "auto",
    heatmaps: Path | None = None,
    progress: Progress,
) -> Evaluation:
    """The same of what is open already.

    Raises:
        WsolError: no boxes to evaluate with, an unfinished run, or a run of other classes.
    """
    ground_truth = data.read_ground_truth()
    samples = [sample for sample in data.test if sample.image_id in ground_truth]
    if not samples:
        check_there(data.root, data.test)
        raise WsolError(
            f"none of the {number_of(len(data.test), 'test image')} of {data.root} has a truth that can be used",
            expected="boxes or masks by image path",
            remedy=f"{told(ground_truth.mistakes)}",
        )
    judged = _networks(run, which, threshold, device, precision)
    samples = labelled_as_trained(samples, data, judged.class_names, run.folder)
    thresholds = {one.name: one.threshold_for(judged.threshold, is_imagenet=data.is_imagenet) for one in protocols}
    evaluator = Evaluator(protocols, thresholds if judged.has_maps else dict.fromkeys(thresholds), step)
    share = part().of(samples)
    images = ImageLoader([sample.path for sample in share], judged.size_px)
    worker = _Worker(evaluator, ground_truth, heatmaps)
    with nullcontext() if heatmaps is None else _saving(heatmaps, judged.engine):
        rows = gathered(list(_rows(images, share, judged, worker, progress)), judged.engine)
    if not rows:
        check_there(data.root, data.test)
    broken = [*images.broken.values(), *worker.broken]
    missing = [f"{sample.image_id}: no true box" for sample in data.test if sample.image_id not in ground_truth]
    return evaluation_of(
        judged.what,
        evaluator,
        rows,
        expected=len(data.test),
        class_names=judged.class_names,
        left_out=[*missing, *gathered(broken, judged.engine)],
        mistakes=[*data.mistakes, *ground_truth.mistakes],
        notes=_calibrated(run, which, threshold),
    )


@contextmanager
def _saving(heatmaps: Path, engine: Engine) -> Iterator[None]:
    """Hold the folder that the maps are written to."""
    with held(heatmaps, "wsol evaluate --save-heatmaps", "name another folder"):
        if part().is_first:
            remove_unfinished(heatmaps)
        wait_for_all(engine)
        yield


def _calibrated(run: Run, which: Which, threshold: float | None) -> list[str]:
    """What makes numbers better than they are where it was done on the images that are judged."""
    found = run.calibration() if which == "seg" and threshold is None else None
    if found is None or found.threshold == run.box().threshold:
        return []
    return [
        f"the threshold {found.threshold:.2f} comes from {number_of(found.n, 'drawn box')} of {found.boxes} (`wsol"
        " calibrate`): judged on these images it would look better than it is"
    ]


def labelled_as_trained(
    samples: Sequence[Sample], data: DataSet, class_names: tuple[str, ...], run: Path
) -> list[Sample]:
    """The samples with the run's labels; a list of test images may lack some of its classes. A run without classes
    finds objects of any.

    Raises:
        WsolError: it has classes that the run does not know.
    """
    if class_names == CLASS_NAMES:
        return [replace(sample, label=0) for sample in samples]
    label_of = {name: label for label, name in enumerate(class_names)}
    unknown = [name for name in data.class_names if name not in label_of]
    if unknown:
        raise WsolError(
            f"{run} was trained on other classes than {data.root} has",
            expected=f"some of its {len(class_names)} ({class_names[0]}, ...)",
            got=f"{unknown[0]} too",
            remedy="Name the data set it was trained on.",
        )
    return [replace(sample, label=label_of[data.class_names[sample.label]]) for sample in samples]


Pixels = UInt8[np.ndarray, "batch 3 side side"]
Labels = Int64[np.ndarray, " batch"]


@dataclass(frozen=True)
class _Subject:
    """The networks of a run: what they say of a batch, and their maps of its crops."""

    what: str
    outputs: Callable[[Pixels, Labels], Outputs]
    crop_heatmaps: Callable[[Pixels, Labels], Float32[np.ndarray, "batch height width"]]
    threshold: float
    size_px: int
    class_names: tuple[str, ...]
    engine: Engine
    has_maps: bool = True


def _networks(run: Run, which: Which, threshold: float | None, device: str, precision: Precision) -> _Subject:
    if which == "cam":
        return _cam(run, threshold, device, precision)
    if which == "cues":
        return _cues(run, threshold, device, precision)
    localizer = Localizer.load(run.folder, threshold=threshold, device=device, precision=precision)
    networks = localizer.networks
    assert isinstance(networks, TorchNetworks)
    return _Subject(
        networks.spec.output if networks.spec.output == "masks" else f"{run.config.method}'s {networks.spec.output}",
        networks.outputs,
        lambda pixels, labels: networks.heatmaps(pixels, CROP_MARGIN_FRACTION, labels),
        localizer.box.threshold,
        localizer.size_px,
        localizer.class_names,
        localizer.engine,
        networks.has_maps,
    )


def _cam(run: Run, threshold: float | None, device: str, precision: Precision) -> _Subject:
    config = run.config
    if config.method != "spol":
        raise WsolError(
            f"{run.folder} was made by {config.method}",
            expected="spol for `--which cam`, which judges its stage 1",
            remedy="Leave it out: the maps of other methods are judged as they are.",
        )
    if "cam" not in first_networks(config):
        raise WsolError(
            f"{run.folder} has no stage 1, since `pseudo.masks {config.pseudo.masks}` needs none: expected `--which"
            " cues`, which judges what its masks are made from, or none."
        )
    engine = choose_engine(device, precision)
    network, model_config = load_mffnet(run.folder / "cam")
    engine.place(network)

    def outputs(pixels: Pixels, labels: Labels) -> Outputs:
        scores = score_maps(network, model_config, torch.from_numpy(pixels), engine)
        maps = normalised_class_maps(scores, torch.from_numpy(labels)).cpu().numpy()
        return Outputs(maps, cam_probabilities(network, scores).cpu().numpy())

    def crop_heatmaps(pixels: Pixels, labels: Labels) -> np.ndarray:
        batch = torch.from_numpy(pixels)
        scores = score_maps(network, model_config, batch, engine, margin_fraction=CROP_MARGIN_FRACTION)
        return normalised_class_maps(scores, torch.from_numpy(labels)).cpu().numpy()

    own = config.cam.threshold if threshold is None else threshold
    return _Subject(
        "class activation maps", outputs, crop_heatmaps, own, model_config.resize_px, model_config.class_names, engine
    )


def _cues(run: Run, threshold: float | None, device: str, precision: Precision) -> _Subject:
    config = run.config
    if config.method != "spol" or "cues" not in first_networks(config):
        raise WsolError(
            f"{run.folder} has no cues",
            expected="a run of spol with `pseudo.masks cues`",
            got=f"method {config.method} with `pseudo.masks {config.pseudo.masks}`",
            remedy="Leave `--which` out.",
        )
    engine = choose_engine(device, precision)
    model = cues.load(run.folder, engine)

    def heatmaps(pixels: Pixels, labels: Labels, colours: Sequence[Colours], margin: float = 0.0) -> np.ndarray:
        both = torch.from_numpy(pixels), torch.from_numpy(labels)
        found = run_model(model, both[0], engine, both[1], margin_fraction=margin).heatmaps
        assert found is not None
        return brought(AROUND_OTSU, found.cpu().numpy(), colours)

    def outputs(pixels: Pixels, labels: Labels) -> Outputs:
        colours = [*map(colours_of, pixels)]
        return Outputs(heatmaps(pixels, labels, colours), None, colours=colours)

    def crop_heatmaps(pixels: Pixels, labels: Labels) -> np.ndarray:
        colours = [*map(colours_of, middle(pixels, CROP_MARGIN_FRACTION))]
        return heatmaps(pixels, labels, colours, CROP_MARGIN_FRACTION)

    own = cues.THRESHOLD if threshold is None else threshold
    return _Subject(
        "cues",
        outputs,
        crop_heatmaps,
        own,
        model.model_config.resize_px,
        model.model_config.class_names,
        engine,
    )


class _Worker:
    """Judges one image; remembers those whose truth cannot be compared with."""

    def __init__(self, evaluator: Evaluator, ground_truth: GroundTruth, heatmaps: Path | None) -> None:
        self.evaluator = evaluator
        self.ground_truth = ground_truth
        self.heatmaps = heatmaps
        self.broken: list[str] = []

    def __call__(self, result: ImageResult) -> dict[ProtocolName, Row] | None:
        ground_truth = self.ground_truth[result.image_id]
        if ground_truth.image_hw not in (None, result.image_hw):
            what = f"expected the (height, width) {ground_truth.image_hw} that its truth is for, got {result.image_hw}"
            self.broken.append(str(Mistake("other size", result.image_id, what)))
            return None
        if self.heatmaps is not None and result.heatmap is not None:
            write_heatmap(self.heatmaps, result.image_id, result.heatmap)
        try:
            return self.evaluator(result, replace(ground_truth, image_hw=result.image_hw))
        except BrokenImage as error:
            self.broken.append(str(Mistake("broken mask", result.image_id, str(error))))
            return None


def _rows(
    images: ImageLoader, samples: Sequence[Sample], judged: _Subject, worker: _Worker, progress: Progress
) -> Iterator[dict[ProtocolName, Row]]:
    batches = in_order(len(samples), BATCH_SIZE)
    # Threads are enough: OpenCV and the compiled component tree release the GIL.
    with progress.task("evaluate", len(batches)) as advance:
        for batch in images.batches(batches):
            outputs = _outputs(batch, [samples[i] for i in batch.indices.tolist()], judged, worker.evaluator)
            yield from (row for row in in_threads(worker, outputs, threads=cores()) if row is not None)
            advance()


def _outputs(batch: Batch, samples: Sequence[Sample], judged: _Subject, evaluator: Evaluator) -> list[ImageResult]:
    labels = np.array([sample.label for sample in samples], np.int64)
    whole = judged.outputs(batch.pixels, labels)
    needs_crop = judged.has_maps and any(protocol.geometry == "crop" for protocol in evaluator.protocols)
    crops = judged.crop_heatmaps(batch.pixels, labels) if needs_crop else [None] * len(samples)
    ranks = [None] * len(samples) if whole.probabilities is None else ranks_of(whole.probabilities, labels)
    sizes = [(int(h), int(w)) for h, w in batch.image_hw]
    heatmaps = [None] * len(samples) if whole.heatmaps is None else list(whole.heatmaps)
    boxes = [None] * len(samples) if whole.boxes is None else [*map(_box, whole.boxes, sizes)]
    colours = [None] * len(samples) if whole.colours is None else list(whole.colours)
    return [
        ImageResult(
            sample.image_id, sample.label, image_hw, heatmap, boxes=found, crop_heatmap=crop, rank=rank, colours=seen
        )
        for sample, image_hw, heatmap, found, crop, rank, seen in zip(
            samples, sizes, heatmaps, boxes, crops, ranks, colours, strict=True
        )
    ]


def _box(shares: Float32[np.ndarray, " four"], image_hw: tuple[int, int]) -> Boxes:
    return Boxes.of([found.xyxy for found in box_object(shares, image_hw)])


def ranks_of(probabilities: Float[np.ndarray, "batch classes"], labels: Labels) -> list[int]:
    """The rank of each image's true class, 0 is first; of equally probable ones the lower label, and NaN is last."""
    known = np.nan_to_num(probabilities, nan=-1.0)
    true = np.take_along_axis(known, labels[:, None], axis=1)
    is_lower = np.arange(known.shape[1]) < labels[:, None]
    is_ahead = (known > true) | ((known == true) & is_lower)
    return [int(rank) for rank in np.where(true[:, 0] < 0, known.shape[1], is_ahead.sum(axis=1))]
