"""A trained run as a function: image in, box, mask and class out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8
from numpy.typing import NDArray
from PIL import Image

from wsol.config.base import EngineName, Objects, Precision
from wsol.config.options import Box
from wsol.data.images import as_pixels, from_pillow, images_under, read_image, square
from wsol.data.loader import BATCH_SIZE, ImageLoader, in_order
from wsol.errors import WsolError
from wsol.geometry.boxes import Xyxy
from wsol.geometry.objects import DetectedObject, box_object, find_objects
from wsol.inference.onnx.networks import open_onnx
from wsol.inference.outputs import Networks, Outputs
from wsol.runs.calibration import ScoreCurve, probability
from wsol.runs.run import Run
from wsol.runtime.engine import Engine

Source = str | Path | NDArray[Any] | Image.Image


@dataclass(frozen=True)
class Localization:
    """What a run says about one image; all pixels are those of the upright image."""

    image: Path | None
    """The file; None for arrays."""
    image_hw: tuple[int, int]
    objects: tuple[DetectedObject, ...]
    """Largest first; empty where nothing was found."""
    label: int | None
    class_name: str | None
    """The most probable class; None for a run without a classifier."""
    top5: tuple[tuple[str, float], ...]
    """The most probable classes and their probabilities."""

    @property
    def box(self) -> Xyxy | None:
        """The largest object's box as half-open pixel edges x0, y0, x1, y1; None where nothing was found."""
        return self.objects[0].xyxy if self.objects else None

    @property
    def score(self) -> float:
        """The largest object's: of a calibrated run the probability that its box is right; 0 where nothing was
        found.
        """
        return self.objects[0].score if self.objects else 0.0

    @property
    def mask(self) -> Bool[np.ndarray, "height width"]:
        """The pixels of all objects, at the image's own size."""
        mask = np.zeros(self.image_hw, dtype=bool)
        for found in self.objects:
            mask |= found.mask
        return mask


class Localizer:
    """Holds the networks of a run. `Localizer.load("runs/birds")("owl.jpg").box`."""

    def __init__(self, networks: Networks, box: Box, curve: ScoreCurve | None = None) -> None:
        self.networks = networks
        self.box = box
        self.curve = curve

    @classmethod
    def load(
        cls,
        run: str | Path,
        *,
        threshold: float | None = None,
        objects: Objects | None = None,
        device: str = "auto",
        precision: Precision = "auto",
        engine: EngineName = "torch",
    ) -> Localizer:
        """Load a finished run; `threshold` and `objects` replace the run's own.

        What `wsol calibrate` learned is used, unless a `threshold` is given: scores are then left as they are too.
        With `engine="onnx"`, onnxruntime computes the run's `model.onnx`, which is made on first use.

        Raises:
            WsolError: not a run, an unfinished one, or its calibration is damaged.
        """
        opened = Run.open(run)
        own = opened.box(threshold)
        if engine == "torch":
            from wsol.inference.torch_networks import load_networks  # with timm, which the other engine has no use for
            from wsol.runtime.torch_engine import choose_engine

            networks: Networks = load_networks(opened, choose_engine(device, precision), is_folded=True)
        else:
            from wsol.inference.onnx.fresh import fresh_networks

            _check_fp32(precision)
            networks = fresh_networks(opened, device)
        calibration = opened.calibration() if threshold is None else None
        if calibration is None:
            return cls(networks, _changed(own, threshold, objects))
        return cls(networks, _changed(own, calibration.threshold, objects), calibration.curve)

    @classmethod
    def from_onnx(
        cls,
        file: str | Path,
        *,
        threshold: float | None = None,
        objects: Objects | None = None,
        device: str = "auto",
    ) -> Localizer:
        """Load what `wsol export-model` wrote, alone; `threshold` and `objects` replace those of the run.

        Raises:
            WsolError: no onnxruntime, or not such a file.
        """
        networks = open_onnx(Path(file), device)
        return cls(networks, _changed(networks.metadata.box, threshold, objects))

    @property
    def engine(self) -> Engine:
        """Where tensors live that processes exchange."""
        return self.networks.engine

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of the run, by label."""
        return self.networks.class_names

    @property
    def size_px(self) -> int:
        """Images are decoded to a square of this side: the larger of what the two networks take."""
        return self.networks.size_px

    @overload
    def __call__(self, source: Source) -> Localization: ...
    @overload
    def __call__(self, source: list[Source] | tuple[Source, ...]) -> list[Localization]: ...

    def __call__(self, source: Source | list[Source] | tuple[Source, ...]) -> Localization | list[Localization]:
        """Localize one image (path, RGB array, PIL image), or a sequence of them.

        Raises:
            WsolError: not an image; a folder, which is for `folder`.
        """
        if isinstance(source, (str, Path, np.ndarray, Image.Image)):
            return self._several([source])[0]
        return [
            found for rows in in_order(len(source), BATCH_SIZE) for found in self._several([source[i] for i in rows])
        ]

    def folder(self, folder: str | Path) -> list[Localization]:
        """Localize all images below a folder, in the order of their names; broken ones are warned about and left out.

        Raises:
            WsolError: no folder.
        """
        if not Path(folder).is_dir():
            raise WsolError(f"{folder} is no folder", expected="one with images at any depth", remedy="Check the path.")
        return list(self.stream(list(images_under(Path(folder)))))

    def stream(self, paths: Sequence[Path]) -> Iterator[Localization]:
        """Localize many files one batch at a time; broken ones are warned about and left out."""
        images = ImageLoader(paths, self.size_px)
        for batch in images.batches(in_order(len(paths), BATCH_SIZE)):
            sizes = [(int(h), int(w)) for h, w in batch.image_hw]
            yield from self.localize(batch.pixels, sizes, [paths[i] for i in batch.indices.tolist()])
        for reason in images.broken.values():
            warnings.warn(reason, stacklevel=2)

    def localize(
        self,
        pixels: UInt8[np.ndarray, "batch 3 side side"],
        sizes: Sequence[tuple[int, int]],
        paths: Sequence[Path | None],
    ) -> list[Localization]:
        """Localize squashed images, given their upright (height, width)."""
        outputs = self.outputs(pixels)
        return [self.localization(outputs, i, *one) for i, one in enumerate(zip(sizes, paths, strict=True))]

    def localization(self, outputs: Outputs, i: int, image_hw: tuple[int, int], path: Path | None) -> Localization:
        """Objects and class of the i-th image of a batch."""
        probabilities = None if outputs.probabilities is None else outputs.probabilities[i]
        objects = self._objects(outputs, i, image_hw)
        if self.curve is not None:
            objects = [replace(one, score=probability(self.curve, one.score)) for one in objects]
        return Localization(path, image_hw, tuple(objects), *self._named(probabilities))

    def outputs(self, pixels: UInt8[np.ndarray, "batch 3 side side"]) -> Outputs:
        """What the networks say before any threshold."""
        return self.networks.outputs(pixels)

    def heatmaps(
        self, pixels: UInt8[np.ndarray, "batch 3 side side"], margin_fraction: float = 0.0
    ) -> Float32[np.ndarray, "batch height width"]:
        """The probability of being foreground per place; with a margin, of the middle of the images alone."""
        return self.networks.heatmaps(pixels, margin_fraction)

    def _objects(self, outputs: Outputs, i: int, image_hw: tuple[int, int]) -> list[DetectedObject]:
        if outputs.heatmaps is not None:
            colours = None if outputs.colours is None else outputs.colours[i]
            return find_objects(outputs.heatmaps[i], image_hw, self.box, colours)
        assert outputs.boxes is not None
        return box_object(outputs.boxes[i], image_hw)

    def _several(self, sources: Sequence[Source]) -> list[Localization]:
        whole = [_pixels(source) for source in sources]
        squares = np.stack([square(Image.fromarray(pixels), self.size_px) for pixels in whole]).transpose(0, 3, 1, 2)
        paths = [Path(source) if isinstance(source, (str, Path)) else None for source in sources]
        return self.localize(squares, [pixels.shape[:2] for pixels in whole], paths)

    def _named(
        self, probabilities: Float[np.ndarray, " classes"] | None
    ) -> tuple[int | None, str | None, tuple[tuple[str, float], ...]]:
        if probabilities is None:
            return None, None, ()
        labels = np.argsort(-probabilities, kind="stable")[:5]
        names = tuple((self.class_names[label], float(probabilities[label])) for label in labels)
        return int(labels[0]), names[0][0], names


def _changed(box: Box, threshold: float | None, objects: Objects | None) -> Box:
    changes = {name: value for name, value in (("threshold", threshold), ("objects", objects)) if value is not None}
    return Box(**box.model_dump() | changes)


def _check_fp32(precision: Precision) -> None:
    if precision == "bf16":
        raise WsolError(
            "precision bf16 is PyTorch's",
            expected="auto or fp32 with `--engine onnx`, whose file holds fp32",
            remedy="Leave `--precision` out.",
        )


def _pixels(source: Source) -> UInt8[np.ndarray, "height width 3"]:
    if isinstance(source, (str, Path)):
        if Path(source).is_dir():
            raise WsolError(
                f"{source} is a folder", expected="an image", remedy="Use `localizer.folder(path)`, or `wsol predict`."
            )
        return read_image(Path(source))
    if isinstance(source, Image.Image):
        return from_pillow(source)
    if isinstance(source, np.ndarray):
        return as_pixels(source)
    raise WsolError(f"expected a path, an RGB array or a PIL image, got {type(source).__name__}. Open the image first.")
