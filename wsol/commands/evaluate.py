"""Evaluate a run on test images with annotated boxes or masks, under the protocols of the field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8

from wsol.config.base import Precision, ProtocolName
from wsol.config.groups import first_networks
from wsol.config.messages import check_choice
from wsol.data.ground_truth import ImageTruth, Mistake
from wsol.data.image_files import check_there
from wsol.data.images import middle
from wsol.data.loader import Batch, ImageLoader, batch_size, in_order
from wsol.data.multi_label import with_each_label, with_one_label
from wsol.data.no_object import with_no_object
from wsol.data.open import columns_if_table, open_ground_truth
from wsol.data.pixel_cache import cores
from wsol.data.readers.unlabelled import CLASS_NAMES
from wsol.data.samples import DataSet, Sample
from wsol.errors import BrokenImage, WsolError
from wsol.geometry.boxes import Boxes
from wsol.geometry.contrast import Colours, colours_of
from wsol.geometry.image_threshold import brought
from wsol.geometry.objects import box_object
from wsol.inference.localizer import Localizer
from wsol.inference.no_object import possible
from wsol.inference.outputs import Outputs
from wsol.inference.torch_networks import TorchNetworks
from wsol.methods.instant import shift_of
from wsol.methods.spol import cues
from wsol.metrics.empty_images import evaluated_samples, truth_of, with_empty_images, without_truth
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
    columns: str | None = None,
    no_object: str | None = None,
    save_heatmaps: str | Path | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    quiet: bool = False,
) -> Evaluation:
    """Evaluate a run on the test images of a data set with annotated boxes or masks.

    Class activation maps are those of the labelled class; in images without an object, and for the score of an image,
    they are those of the predicted class. If launched as several processes, each evaluates a part of
    the images, and all return the evaluation of every image.

    Args:
        run: a finished run.
        data: a data set with annotated boxes or masks; its test split, if it has one.
        which: the masks of stage 3 (`seg`), the cues that its pseudo masks were made from (`cues`), or the class
            activation maps of stage 1 (`cam`).
        protocol: original, spol, wsol-v1, wsol-v2, or several separated by commas.
        threshold: pixels above this fraction belong to the mask (protocol original); by default that of the run.
        threshold_step: distance between the thresholds that wsol-v1 and wsol-v2 try.
        empty: under spol, an image without a contour is `wrong`, or `left out` as in the published code.
        images: folder of the images, if they are not where the data set expects them.
        columns: columns of a table, if they have unusual names; by default those of the run.
        no_object: classes whose images contain no object, separated by commas; by default those of the run.
        save_heatmaps: also write the heatmaps into this folder, for `evaluate_results`.
        device, precision, quiet: as for `predict`.

    Returns:
        The rates of every protocol, with 95 % intervals.

    Raises:
        WsolError: no usable ground truth, an unfinished run, a run of other classes, or an unknown protocol.

    Example:
        `wsol.evaluate("runs/birds", "CUB_200_2011").results["original"]`
    """
    check_choice("which", which, Which)
    heatmaps = None if save_heatmaps is None else Path(save_heatmaps)
    if heatmaps is not None and heatmaps.exists() and not heatmaps.is_dir():
        raise WsolError(f"{heatmaps} is a file", expected="a folder for the heatmaps", remedy="Name another one.")
    protocols = chosen_protocols(protocol, empty=empty, threshold=threshold, step=threshold_step)
    opened = Run.open(run)
    return evaluate_run(
        opened,
        open_ground_truth(
            Path(data),
            None if images is None else Path(images),
            multi_label=True,
            columns=columns or columns_if_table(Path(data), opened.config.columns),
        ),
        which=which,
        protocols=protocols,
        threshold=threshold,
        step=threshold_step,
        device=device,
        precision=precision,
        no_object=no_object,
        heatmaps=heatmaps,
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
    no_object: str | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    heatmaps: Path | None = None,
    progress: Progress,
) -> Evaluation:
    """As `evaluate`, for a run and a data set that are already open.

    Args:
        run: a finished run.
        data: a data set with ground truth. Images with several labels are evaluated once for each if the run was
            trained on such images, else left out.
        which, threshold, no_object, device, precision: as for `evaluate`.
        protocols: the protocols.
        step: distance between the thresholds that wsol-v1 and wsol-v2 try.
        heatmaps: folder to write heatmaps into.
        progress: for messages.

    Returns:
        The rates of every protocol, with 95 % intervals.

    Raises:
        WsolError: no usable ground truth, an unfinished run, or a run of other classes.
    """
    data = with_each_label(data) if run.is_multi_label else with_one_label(data)
    names = run.config.no_object if no_object is None else no_object
    data = with_no_object(data, names, must_exist=no_object is not None)
    ground_truth = with_empty_images(data, data.read_ground_truth())
    samples = evaluated_samples(data, ground_truth)
    model = _model(run, which, threshold, device, precision)
    class_names = _class_names(model, data)
    truths = [truth_of(sample, data, ground_truth) for sample in samples]
    samples = labelled_as_trained(samples, data, class_names, run.folder)
    thresholds = {one.name: one.threshold_for(model.threshold, is_imagenet=data.is_imagenet) for one in protocols}
    evaluator = Evaluator(protocols, thresholds if model.has_maps else dict.fromkeys(thresholds), step, run.config.box)
    own_samples = part().of(samples)
    images = ImageLoader([sample.path for sample in own_samples], model.size_px, run.config.image)
    of_label = {(sample.image_id, sample.label): one for sample, one in zip(samples, truths, strict=True) if one}
    worker = _Worker(evaluator, of_label, heatmaps)
    with nullcontext() if heatmaps is None else _saving(heatmaps, model.engine):
        rows = gathered(list(_rows(images, own_samples, model, worker, progress)), model.engine)
    if not rows:
        check_there(data.root, data.test)
    broken = [*images.broken.values(), *worker.broken]
    return evaluation_of(
        model.what,
        evaluator,
        rows,
        expected=len(data.test),
        class_names=class_names,
        left_out=[*without_truth(data, ground_truth), *gathered(broken, model.engine)],
        mistakes=[*data.mistakes, *ground_truth.mistakes],
        notes=_notes(run, which, threshold),
    )


def _class_names(model: _Model, data: DataSet) -> tuple[str, ...]:
    """The classes of the run, then those without an object that it does not have: any image may be without one."""
    if model.class_names == CLASS_NAMES:
        return model.class_names
    without = (name for label, name in enumerate(data.class_names) if label in data.no_object)
    return (*model.class_names, *(name for name in without if name not in model.class_names))


@contextmanager
def _saving(heatmaps: Path, engine: Engine) -> Iterator[None]:
    """Lock the folder that the heatmaps are written to."""
    with held(heatmaps, "wsol evaluate --save-heatmaps", "name another folder"):
        if part().is_first:
            remove_unfinished(heatmaps)
        wait_for_all(engine)
        yield


def _notes(run: Run, which: Which, threshold: float | None) -> list[str]:
    """A note if the threshold comes from a calibration: the numbers are too high on the images it was learned from."""
    calibration = run.calibration() if which == "seg" and threshold is None else None
    if calibration is None or calibration.threshold == run.box().threshold:
        return []
    return [
        f"the threshold {calibration.threshold:.2f} was learned from {number_of(calibration.n, 'annotated box')} of"
        f" {calibration.boxes} (`wsol calibrate`): on these images the numbers would be too high"
    ]


def labelled_as_trained(
    samples: Sequence[Sample], data: DataSet, class_names: tuple[str, ...], run: Path
) -> list[Sample]:
    """The samples with the labels of the run; a list of test images may lack some of its classes.

    Args:
        samples: samples of the data set.
        data: the data set.
        class_names: the classes of the run; for a run without classes, all labels become 0.
        run: the run folder, for the message.

    Returns:
        The samples, in the same order.

    Raises:
        WsolError: the data set has a class that the run does not have.
    """
    if class_names == CLASS_NAMES:
        return [replace(sample, label=0, others=()) for sample in samples]
    label_of = {name: label for label, name in enumerate(class_names)}
    unknown = [name for name in data.class_names if name not in label_of]
    if unknown:
        raise WsolError(
            f"{run} was trained on other classes than {data.root} has",
            expected=f"only classes of the run ({len(class_names)}: {class_names[0]}, ...)",
            got=f"{unknown[0]}",
            remedy="Name a data set with the same classes.",
        )

    def as_trained(label: int) -> int:
        return label_of[data.class_names[label]]

    return [
        replace(sample, label=as_trained(sample.label), others=tuple(map(as_trained, sample.others)))
        for sample in samples
    ]


Pixels = UInt8[np.ndarray, "batch 3 size size"]
Labels = Int64[np.ndarray, " batch"]


@dataclass(frozen=True)
class _Model:
    """What is evaluated: the outputs for a batch, and the heatmaps of its crops."""

    what: str
    outputs: Callable[[Pixels, Labels | None], Outputs]
    crop_heatmaps: Callable[[Pixels, Labels], Float32[np.ndarray, "batch height width"]]
    threshold: float
    size_px: int
    class_names: tuple[str, ...]
    engine: Engine
    has_maps: bool = True
    needs_labels: bool = True
    """Whether its outputs depend on the labels."""
    impossible: frozenset[int] = frozenset()
    """Classes that an image in which something is found cannot have."""


def _model(run: Run, which: Which, threshold: float | None, device: str, precision: Precision) -> _Model:
    if which == "cam":
        return _cam(run, threshold, device, precision)
    if which == "cues":
        return _cues(run, threshold, device, precision)
    localizer = Localizer.load(run.folder, threshold=threshold, device=device, precision=precision)
    networks = localizer.networks
    assert isinstance(networks, TorchNetworks)
    return _Model(
        networks.spec.output if networks.spec.output == "masks" else f"{run.config.method}'s {networks.spec.output}",
        networks.outputs,
        lambda pixels, labels: networks.heatmaps(pixels, CROP_MARGIN_FRACTION, labels),
        localizer.box.threshold,
        localizer.size_px,
        localizer.class_names,
        localizer.engine,
        networks.has_maps,
        (networks.spec.output == "maps" and networks.spec.needs_labels) or networks.is_emptied_by_class,
        # If the class decides, it has its own say: nothing is found in an image of these classes.
        frozenset() if networks.is_emptied_by_class else networks.no_object,
    )


def _cam(run: Run, threshold: float | None, device: str, precision: Precision) -> _Model:
    config = run.config
    if config.method != "spol":
        raise WsolError(
            f"{run.folder} was made by {config.method}",
            expected="method spol for `--which cam`, which evaluates its stage 1",
            remedy="Leave `--which` out: it evaluates the heatmaps of other methods.",
        )
    if "cam" not in first_networks(config):
        raise WsolError(
            f"{run.folder} has no stage 1, since `pseudo.masks {config.pseudo.masks}` needs none",
            expected="`--which cues` or `--which seg`",
            remedy="`--which cues` evaluates what its pseudo masks are made from.",
        )
    engine = choose_engine(device, precision)
    network, model_config = load_mffnet(run.folder / "cam")
    engine.place(network)

    def outputs(pixels: Pixels, labels: Labels | None) -> Outputs:
        scores = score_maps(network, model_config, torch.from_numpy(pixels), engine)
        probabilities = cam_probabilities(network, model_config, scores)
        wanted = probabilities.argmax(1) if labels is None else torch.from_numpy(labels)
        return Outputs(normalised_class_maps(scores, wanted).cpu().numpy(), probabilities.cpu().numpy())

    def crop_heatmaps(pixels: Pixels, labels: Labels) -> np.ndarray:
        batch = torch.from_numpy(pixels)
        scores = score_maps(network, model_config, batch, engine, margin_fraction=CROP_MARGIN_FRACTION)
        return normalised_class_maps(scores, torch.from_numpy(labels)).cpu().numpy()

    own = config.cam.threshold if threshold is None else threshold
    return _Model(
        "class activation maps", outputs, crop_heatmaps, own, model_config.resize_px, model_config.class_names, engine
    )


def _cues(run: Run, threshold: float | None, device: str, precision: Precision) -> _Model:
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
    shift = shift_of(model.model_config)

    def heatmaps(pixels: Pixels, labels: Labels | None, colours: Sequence[Colours], margin: float = 0.0) -> np.ndarray:
        wanted = None if labels is None else torch.from_numpy(labels)
        raw = run_model(model, torch.from_numpy(pixels), engine, wanted, margin_fraction=margin).heatmaps
        assert raw is not None
        return brought(shift, raw.cpu().numpy(), colours)

    def outputs(pixels: Pixels, labels: Labels | None) -> Outputs:
        colours = [*map(colours_of, pixels)]
        return Outputs(heatmaps(pixels, labels, colours), None, colours=colours)

    def crop_heatmaps(pixels: Pixels, labels: Labels) -> np.ndarray:
        colours = [*map(colours_of, middle(pixels, CROP_MARGIN_FRACTION))]
        return heatmaps(pixels, labels, colours, CROP_MARGIN_FRACTION)

    own = cues.THRESHOLD if threshold is None else threshold
    return _Model(
        "cues",
        outputs,
        crop_heatmaps,
        own,
        model.model_config.resize_px,
        model.model_config.class_names,
        engine,
    )


class _Worker:
    """Evaluates one image; collects the images whose ground truth cannot be used."""

    def __init__(
        self, evaluator: Evaluator, ground_truth: Mapping[tuple[str, int], ImageTruth], heatmaps: Path | None
    ) -> None:
        self.evaluator = evaluator
        self.ground_truth = ground_truth
        self.heatmaps = heatmaps
        self.broken: list[str] = []
        self.has_empty_images = not all(one.has_object for one in ground_truth.values())

    def __call__(self, result: ImageResult) -> dict[ProtocolName, Row] | None:
        ground_truth = self.ground_truth[result.image_id, result.label]
        if ground_truth.image_hw not in (None, result.image_hw):
            what = f"expected the (height, width) {ground_truth.image_hw} of its ground truth, got {result.image_hw}"
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
    images: ImageLoader, samples: Sequence[Sample], model: _Model, worker: _Worker, progress: Progress
) -> Iterator[dict[ProtocolName, Row]]:
    batches = in_order(len(samples), batch_size(images.size_px))
    # Threads suffice: OpenCV and the compiled component tree release the GIL.
    with progress.task("evaluate", len(batches)) as advance:
        for batch in images.batches(batches):
            outputs = _outputs(batch, [samples[i] for i in batch.indices.tolist()], model, worker)
            yield from (row for row in in_threads(worker, outputs, threads=cores()) if row is not None)
            advance()


def _outputs(batch: Batch, samples: Sequence[Sample], model: _Model, worker: _Worker) -> list[ImageResult]:
    labels = np.array([sample.label for sample in samples], np.int64)
    labels[labels >= len(model.class_names)] = 0  # a class without an object that the run does not have
    needs_crop = model.has_maps and any(protocol.geometry == "crop" for protocol in worker.evaluator.protocols)
    crops = model.crop_heatmaps(batch.pixels, labels) if needs_crop else None
    results = _results(batch, samples, labels, model.outputs(batch.pixels, labels), crops, model.impossible)
    if not (worker.has_empty_images and model.needs_labels):
        return results
    # "Nothing" has no map, and the score of an image must not depend on its label.
    unlabelled = _results(batch, samples, labels, model.outputs(batch.pixels, None), crops, model.impossible)
    return [
        replace(one, unlabelled=other) if worker.ground_truth[one.image_id, one.label].has_object else other
        for one, other in zip(results, unlabelled, strict=True)
    ]


def _results(
    batch: Batch,
    samples: Sequence[Sample],
    labels: Labels,
    outputs: Outputs,
    crop_heatmaps: Float32[np.ndarray, "batch height width"] | None,
    impossible: frozenset[int],
) -> list[ImageResult]:
    crops = [None] * len(samples) if crop_heatmaps is None else list(crop_heatmaps)
    ranks: Sequence[int | None] = [None] * len(samples)
    if outputs.probabilities is not None:
        of_objects = [possible(one, impossible, has_object=True) for one in outputs.probabilities]
        scores = np.stack(of_objects)
        for row, sample in zip(scores, samples, strict=True):
            row[[*sample.others]] = -1  # the other labels of the image are no wrong answers
        ranks = ranks_of(scores, labels)
    sizes = [(int(h), int(w)) for h, w in batch.image_hw]
    heatmaps = [None] * len(samples) if outputs.heatmaps is None else list(outputs.heatmaps)
    boxes = [None] * len(samples) if outputs.boxes is None else [*map(_box, outputs.boxes, sizes)]
    colours = [None] * len(samples) if outputs.colours is None else list(outputs.colours)
    return [
        ImageResult(
            sample.image_id, sample.label, image_hw, heatmap, boxes=box, crop_heatmap=crop, rank=rank, colours=colour
        )
        for sample, image_hw, heatmap, box, crop, rank, colour in zip(
            samples, sizes, heatmaps, boxes, crops, ranks, colours, strict=True
        )
    ]


def _box(fractions: Float32[np.ndarray, " four"], image_hw: tuple[int, int]) -> Boxes:
    return Boxes.of([one.xyxy for one in box_object(fractions, image_hw)])


def ranks_of(probabilities: Float[np.ndarray, "batch classes"], labels: Labels) -> list[int]:
    """The rank of each image's labelled class.

    Args:
        probabilities: class probabilities, shape (batch, classes).
        labels: the labelled classes, shape (batch,).

    Returns:
        0 for the most probable class. Among equal probabilities, lower labels rank first; NaN ranks last.
    """
    known = np.nan_to_num(probabilities, nan=-1.0)
    true = np.take_along_axis(known, labels[:, None], axis=1)
    is_lower = np.arange(known.shape[1]) < labels[:, None]
    is_ahead = (known > true) | ((known == true) & is_lower)
    return [int(rank) for rank in np.where(true[:, 0] < 0, known.shape[1], is_ahead.sum(axis=1))]
