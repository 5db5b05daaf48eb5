"""Localize objects in images with a trained run: boxes, masks and classes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, overload

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8
from numpy.typing import NDArray
from PIL import Image

from wsol.config.base import EngineName, Objects, Precision
from wsol.config.image import DEFAULT_DECODING, Decoding
from wsol.config.messages import check_choice, check_fraction
from wsol.config.options import Box
from wsol.data.images import as_pixels, from_pillow, images_under, read_image, square
from wsol.data.loader import ImageLoader, batch_size, in_order
from wsol.errors import WsolError
from wsol.geometry.boxes import Xyxy
from wsol.geometry.contrast import Colours
from wsol.geometry.objects import DetectedObject, box_object, find_objects
from wsol.inference.no_object import possible
from wsol.inference.onnx.metadata import ONNX_FILE
from wsol.inference.onnx.networks import open_onnx
from wsol.inference.outputs import Heatmap, Networks, Outputs
from wsol.runs.calibration import ScoreCurve, probability
from wsol.runs.run import Run
from wsol.runtime.engine import Engine

Source = str | Path | NDArray[Any] | Image.Image


@dataclass(frozen=True)
class Localization:
    """Objects and class of one image, in pixels of the upright image."""

    image: Path | None
    """The file; None for arrays."""
    image_hw: tuple[int, int]
    """Height and width in pixels."""
    objects: tuple[DetectedObject, ...]
    """Largest first; empty if nothing was found."""
    label: int | None
    """The most probable class as an index into the run's class names; None for a run without class probabilities. An
    image with objects has a class with objects, and one without a class without, if the run has such classes."""
    class_name: str | None
    """The name of this class."""
    top5: tuple[tuple[str, float], ...]
    """The names of the most probable classes and their probabilities, at most five."""

    @property
    def box(self) -> Xyxy | None:
        """The largest object's box as half-open pixel edges x0, y0, x1, y1; None if nothing was found."""
        return self.objects[0].xyxy if self.objects else None

    @property
    def score(self) -> float:
        """The largest object's score in [0, 1]; 0 if nothing was found.

        For a calibrated run it is the probability that the box is correct.
        """
        return self.objects[0].score if self.objects else 0.0

    @property
    def mask(self) -> Bool[np.ndarray, "height width"]:
        """The pixels of all objects, at the image size."""
        mask = np.zeros(self.image_hw, dtype=bool)
        for found in self.objects:
            mask |= found.mask
        return mask


class Localizer:
    """Localizes objects in images with the networks of a run.

    Example:
        >>> localizer = Localizer.load("runs/birds")
        >>> localizer("owl.jpg").box

    Args:
        networks: the networks.
        box: how a heatmap is converted to boxes.
        curve: converts scores to probabilities; None leaves them as they are.
        image: how image files become pixels: as in the training of the run.
    """

    def __init__(
        self, networks: Networks, box: Box, curve: ScoreCurve | None = None, image: Decoding = DEFAULT_DECODING
    ) -> None:
        self.networks = networks
        self.box = box
        self.curve = curve
        self.image = image

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
        """Load a finished run.

        Args:
            run: folder of the run.
            threshold: foreground threshold, 0 to 1; by default that of `wsol calibrate` if the run is calibrated, else
                the run's. If given, calibration is not used, and scores are not converted either.
            objects: which components become boxes; by default as in the run.
            device: auto, cpu, cuda, cuda:1 or mps.
            precision: floating-point format of the networks.
            engine: `torch`, or `onnx` for onnxruntime with the run's `model.onnx`, which is made on first use.

        Raises:
            WsolError: not a run, an unfinished one, or its calibration is damaged.
        """
        check_choice("engine", engine, EngineName)
        check_choice("precision", precision, Precision)
        opened = Run.open(run)
        own = opened.box(threshold)
        if engine == "torch":
            _check_torch(opened)
            from wsol.inference.torch_networks import load_networks  # imports timm, which onnx does not need
            from wsol.runtime.torch_engine import choose_engine

            networks: Networks = load_networks(opened, choose_engine(device, precision), is_folded=True)
        else:
            from wsol.inference.onnx.fresh import fresh_networks

            _check_fp32(precision)
            networks = fresh_networks(opened, device)
        calibration = opened.calibration() if threshold is None else None
        if calibration is None:
            return cls(networks, _changed(own, threshold, objects), image=opened.config.image)
        box = _changed(own, calibration.threshold, objects)
        return cls(networks, box, calibration.curve, opened.config.image)

    @classmethod
    def from_onnx(
        cls,
        file: str | Path,
        *,
        threshold: float | None = None,
        objects: Objects | None = None,
        device: str = "auto",
    ) -> Localizer:
        """Load a file of `wsol export-model`; the run is not needed.

        Args:
            file: the ONNX file.
            threshold: foreground threshold, 0 to 1; by default that in the file.
            objects: which components become boxes; by default as in the file.
            device: auto, cpu, cuda or cuda:1.

        Raises:
            WsolError: onnxruntime is not installed, or the file is not an export of wsol.
        """
        networks = open_onnx(Path(file), device)
        return cls(networks, _changed(networks.metadata.box, threshold, objects), image=networks.metadata.image)

    @property
    def engine(self) -> Engine:
        """Device of the tensors that processes exchange."""
        return self.networks.engine

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of the run, by label."""
        return self.networks.class_names

    @property
    def size_px(self) -> int:
        """Height and width in pixels to which images are decoded: the larger input size of the networks."""
        return self.networks.size_px

    @overload
    def __call__(self, source: Source) -> Localization: ...
    @overload
    def __call__(self, source: list[Source] | tuple[Source, ...]) -> list[Localization]: ...

    def __call__(self, source: Source | list[Source] | tuple[Source, ...]) -> Localization | list[Localization]:
        """Localize objects in one image or in a sequence of images.

        Args:
            source: path, RGB array (height, width, 3) or PIL image; or a list or tuple of them. For a run with a
                window, arrays and PIL images may have more than 8 bits; for a page, give the path.

        Returns:
            The localization of the image, or a list of them.

        Raises:
            WsolError: not an image. For a folder, use `folder`.
        """
        if isinstance(source, (str, Path, np.ndarray, Image.Image)):
            return self._several([source])[0]
        if not isinstance(source, (list, tuple)):
            _pixels(source, self.image)  # which says what is expected
        batches = in_order(len(source), batch_size(self.size_px))
        return [found for rows in batches for found in self._several([source[i] for i in rows])]

    def folder(self, folder: str | Path) -> list[Localization]:
        """Localize objects in all images of a folder and its subfolders, sorted by name.

        Images that cannot be decoded are left out with a warning.

        Raises:
            WsolError: not a folder.
        """
        if not Path(folder).is_dir():
            raise WsolError(
                f"{folder} is not a folder", expected="one with images at any depth", remedy="Check the path."
            )
        return list(self.stream(list(images_under(Path(folder)))))

    def stream(self, paths: Sequence[Path]) -> Iterator[Localization]:
        """Localize objects in many files, batch by batch; files that cannot be decoded are left out with a warning."""
        images = ImageLoader(paths, self.size_px, self.image)
        for batch in images.batches(in_order(len(paths), batch_size(self.size_px))):
            sizes = [(int(h), int(w)) for h, w in batch.image_hw]
            yield from self.localize(batch.pixels, sizes, [paths[i] for i in batch.indices.tolist()])
        for reason in images.broken.values():
            warnings.warn(reason, stacklevel=2)

    def localize(
        self,
        pixels: UInt8[np.ndarray, "batch 3 size size"],
        sizes: Sequence[tuple[int, int]],
        paths: Sequence[Path | None],
    ) -> list[Localization]:
        """Localize objects in images that are resized to squares.

        Args:
            pixels: RGB squares of `size_px`.
            sizes: height and width of each upright image.
            paths: file of each image; None for arrays.
        """
        outputs = self.outputs(pixels)
        return [self.localization(outputs, i, *one) for i, one in enumerate(zip(sizes, paths, strict=True))]

    def localization(self, outputs: Outputs, i: int, image_hw: tuple[int, int], path: Path | None) -> Localization:
        """Return objects and class of the i-th image of a batch."""
        probabilities = None if outputs.probabilities is None else outputs.probabilities[i]
        objects = self._objects(outputs, i, image_hw)
        if probabilities is not None:
            probabilities = possible(probabilities, self.networks.no_object, has_object=bool(objects))
        if self.curve is not None:
            objects = [replace(one, score=probability(self.curve, one.score)) for one in objects]
        return Localization(path, image_hw, tuple(objects), *self._named(probabilities))

    def outputs(self, pixels: UInt8[np.ndarray, "batch 3 size size"]) -> Outputs:
        """Compute the networks' outputs, before any threshold."""
        return self.networks.outputs(pixels)

    def heatmaps(
        self, pixels: UInt8[np.ndarray, "batch 3 size size"], margin_fraction: float = 0.0
    ) -> Float32[np.ndarray, "batch height width"]:
        """Compute foreground probabilities; a margin (fraction of the size) is cut off each edge first."""
        return self.networks.heatmaps(pixels, margin_fraction)

    def _objects(self, outputs: Outputs, i: int, image_hw: tuple[int, int]) -> list[DetectedObject]:
        if outputs.heatmaps is not None:
            colours = None if outputs.colours is None else outputs.colours[i]
            if outputs.of_classes is not None:
                return self._of_classes(outputs.of_classes[i], image_hw, colours)
            return find_objects(outputs.heatmaps[i], image_hw, self.box, colours)
        assert outputs.boxes is not None
        return box_object(outputs.boxes[i], image_hw)

    def _of_classes(
        self, maps: Mapping[int, Heatmap], image_hw: tuple[int, int], colours: Colours | None
    ) -> list[DetectedObject]:
        """The objects of each class, largest first."""
        found = [
            replace(one, label=label, class_name=self.class_names[label])
            for label, heatmap in maps.items()
            for one in find_objects(heatmap, image_hw, self.box, colours)
        ]
        return sorted(found, key=lambda one: -int(one.mask.sum()))

    def _several(self, sources: Sequence[Source]) -> list[Localization]:
        whole = [_pixels(source, self.image) for source in sources]
        squares = np.stack([square(Image.fromarray(pixels), self.size_px) for pixels in whole]).transpose(0, 3, 1, 2)
        paths = [Path(source) if isinstance(source, (str, Path)) else None for source in sources]
        return self.localize(squares, [pixels.shape[:2] for pixels in whole], paths)

    def _named(
        self, probabilities: Float[np.ndarray, " classes"] | None
    ) -> tuple[int | None, str | None, tuple[tuple[str, float], ...]]:
        if probabilities is None:
            return None, None, ()
        labels = np.argsort(-probabilities, kind="stable")[:5]
        labels = labels[~(probabilities[labels] < 0)]  # without the classes that the image cannot have
        names = tuple((self.class_names[label], float(probabilities[label])) for label in labels)
        return int(labels[0]), names[0][0], names


def _changed(box: Box, threshold: float | None, objects: Objects | None) -> Box:
    if threshold is not None:
        check_fraction("threshold", threshold)
    if objects is not None:
        check_choice("objects", objects, Objects)
    changes = {name: value for name, value in (("threshold", threshold), ("objects", objects)) if value is not None}
    return Box(**box.model_dump() | changes)


def _check_torch(run: Run) -> None:
    if find_spec("torch") is None:
        is_exported = (run.folder / ONNX_FILE).exists()
        raise WsolError(
            "torch is not installed",
            expected="the extra `train`",
            remedy=f"Add `--engine onnx`, which uses {run.folder / ONNX_FILE}."
            if is_exported
            else "Run `pip install 'wsol[train]'`.",
        )


def _check_fp32(precision: Precision) -> None:
    if precision == "bf16":
        raise WsolError(
            "precision bf16 needs PyTorch",
            expected="auto or fp32 with `--engine onnx`",
            remedy="Omit `--precision`.",
        )


def _pixels(source: Source, decoding: Decoding) -> UInt8[np.ndarray, "height width 3"]:
    if isinstance(source, (str, Path)):
        if Path(source).is_dir():
            raise WsolError(
                f"{source} is a folder", expected="an image", remedy="Use `localizer.folder(path)`, or `wsol predict`."
            )
        return read_image(Path(source), decoding)
    if isinstance(source, Image.Image):
        return from_pillow(source, decoding)
    if isinstance(source, np.ndarray):
        return as_pixels(source, decoding)
    raise WsolError(
        "not an image",
        expected="a path, an RGB array or a PIL image",
        got=type(source).__name__,
        remedy="Open the image first.",
    )
