"""A trained run as a function: picture in, box, mask and class out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from wsol.boxes import Xyxy
from wsol.config import Box, Objects, Precision
from wsol.data.pictures import Pictures, in_order
from wsol.engine import Engine, choose_engine
from wsol.errors import WsolError
from wsol.images import as_pixels, from_pillow, pictures_under, read_image, square
from wsol.inference import BATCH_SIZE, cam_probabilities, classifier_probabilities, foreground, score_maps
from wsol.maps import Found, find_objects
from wsol.models.checkpoint import ClassifierCard, MffCard, load_classifier, load_mffnet
from wsol.models.mffnet import MffNet, OriginalCam
from wsol.run_config import load_config

Source = str | Path | NDArray[Any] | Image.Image


@dataclass(frozen=True)
class Localization:
    """What a run says about one picture; all pixels are those of the upright picture."""

    image: Path | None
    """The file; None for arrays."""
    image_hw: tuple[int, int]
    objects: tuple[Found, ...]
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
        """Mean foreground probability over the largest object's mask; 0 where nothing was found."""
        return self.objects[0].score if self.objects else 0.0

    @property
    def mask(self) -> Bool[np.ndarray, "height width"]:
        """The pixels of all objects, at the picture's own size."""
        mask = np.zeros(self.image_hw, dtype=bool)
        for found in self.objects:
            mask |= found.mask
        return mask


@dataclass(frozen=True)
class Opinions:
    """The networks' output for a batch: foreground probability per place, probability per class."""

    heatmaps: Float32[np.ndarray, "batch height width"]
    probabilities: Float[Tensor, "batch classes"] | None


@dataclass(frozen=True)
class Namer:
    """The stand-alone classifier, or stage 1 in its place."""

    network: nn.Module
    card: MffCard | ClassifierCard

    def probabilities(
        self, pixels: UInt8[Tensor, "batch 3 side side"], engine: Engine
    ) -> Float[Tensor, "batch classes"]:
        """How probable each class is for each picture."""
        if isinstance(self.card, ClassifierCard):
            return classifier_probabilities(self.network, self.card, pixels, engine)
        assert isinstance(self.network, MffNet | OriginalCam)
        return cam_probabilities(self.network, score_maps(self.network, self.card, pixels, engine))


class Localizer:
    """Holds the networks of a run. `Localizer.load("runs/birds")("owl.jpg").box`."""

    def __init__(
        self, network: MffNet | OriginalCam, card: MffCard, namer: Namer | None, box: Box, engine: Engine
    ) -> None:
        self.network = engine.place(network)
        self.card = card
        self.namer = namer
        self.box = box
        self.engine = engine

    @classmethod
    def load(
        cls, run: str | Path, *, threshold: float | None = None, objects: Objects | None = None, device: str = "auto", precision: Precision = "auto",
    ) -> Localizer:  # fmt: skip
        """Load a finished run; `threshold` and `objects` replace the run's own.

        Raises:
            WsolError: not a run, or an unfinished one.
        """
        run = Path(run)
        config = load_config(run)
        engine = choose_engine(device, precision)
        network, card = load_mffnet(run / "seg")
        changes = {name: value for name, value in (("threshold", threshold), ("objects", objects)) if value is not None}
        return cls(
            network, card, load_namer(run, config.classifier, engine), Box(**config.box.model_dump() | changes), engine
        )

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of the run, by label."""
        return self.card.class_names

    @property
    def side_px(self) -> int:
        """Pictures are decoded to a square of this side: the larger of what the two networks take."""
        return max(self.card.resize_px, self.namer.card.resize_px if self.namer else 0)

    @overload
    def __call__(self, source: NDArray[Any] | Image.Image) -> Localization: ...
    @overload
    def __call__(self, source: str | Path) -> Any: ...
    @overload
    def __call__(self, source: Sequence[Source]) -> list[Localization]: ...

    def __call__(self, source: Source | Sequence[Source]) -> Localization | list[Localization]:
        """Localize one picture (path, RGB array, PIL image), a sequence of them, or all pictures below a folder.

        Raises:
            WsolError: not a picture. In a folder, broken pictures are warned about and left out.
        """
        if isinstance(source, (str, Path)) and Path(source).is_dir():
            return list(self.stream(list(pictures_under(Path(source)))))
        if isinstance(source, (str, Path, np.ndarray, Image.Image)):
            return self._several([source])[0]
        return [
            found for rows in in_order(len(source), BATCH_SIZE) for found in self._several([source[i] for i in rows])
        ]

    def stream(self, paths: Sequence[Path]) -> Iterator[Localization]:
        """Localize many files one batch at a time; broken ones are warned about and left out."""
        pictures = Pictures(paths, self.side_px, cache_gb=0, workers=None)
        for batch in pictures.batches(in_order(len(paths), BATCH_SIZE)):
            sizes = [(int(h), int(w)) for h, w in batch.image_hw]
            yield from self.localize(batch.pixels, sizes, [paths[i] for i in batch.indices.tolist()])
        for reason in pictures.broken.values():
            warnings.warn(reason, stacklevel=2)

    def localize(
        self, pixels: UInt8[Tensor, "batch 3 side side"], sizes: Sequence[tuple[int, int]], paths: Sequence[Path | None]
    ) -> list[Localization]:
        """Localize squashed pictures, given their upright (height, width)."""
        opinions = self.opinions(pixels)
        return [self.localization(opinions, i, *one) for i, one in enumerate(zip(sizes, paths, strict=True))]

    def localization(self, opinions: Opinions, i: int, image_hw: tuple[int, int], path: Path | None) -> Localization:
        """Objects and class of the i-th picture of a batch."""
        probabilities = None if opinions.probabilities is None else opinions.probabilities[i]
        objects = tuple(find_objects(opinions.heatmaps[i], image_hw, self.box))
        return Localization(path, image_hw, objects, *self._named(probabilities))

    def opinions(self, pixels: UInt8[Tensor, "batch 3 side side"]) -> Opinions:
        """What the networks say before any threshold."""
        return Opinions(
            self.heatmaps(pixels), self.namer.probabilities(pixels, self.engine).cpu() if self.namer else None
        )

    def heatmaps(
        self, pixels: UInt8[Tensor, "batch 3 side side"], margin_share: float = 0.0
    ) -> Float32[np.ndarray, "batch height width"]:
        """The probability of being foreground per place; with a margin, of the middle of the pictures alone."""
        scores = score_maps(self.network, self.card, pixels, self.engine, margin_share=margin_share)
        return foreground(scores).cpu().numpy()

    def _several(self, sources: Sequence[Source]) -> list[Localization]:
        whole = [_pixels(source) for source in sources]
        squares = torch.from_numpy(
            np.stack([square(Image.fromarray(pixels), self.side_px) for pixels in whole])
        ).permute(0, 3, 1, 2)
        paths = [Path(source) if isinstance(source, (str, Path)) else None for source in sources]
        return self.localize(squares, [pixels.shape[:2] for pixels in whole], paths)

    def _named(
        self, probabilities: Float[Tensor, " classes"] | None
    ) -> tuple[int | None, str | None, tuple[tuple[str, float], ...]]:
        if probabilities is None:
            return None, None, ()
        values, labels = probabilities.topk(min(5, len(probabilities)))
        names = tuple(
            (self.class_names[label], float(value))
            for value, label in zip(values.tolist(), labels.tolist(), strict=True)
        )
        return int(labels[0]), names[0][0], names


def load_namer(run: Path, classifier: str, engine: Engine) -> Namer | None:
    """What names the boxes of a run; None where it goes without."""
    if classifier == "none":
        return None
    network, card = load_mffnet(run / "cam") if classifier == "cam" else load_classifier(run / "classifier")
    return Namer(engine.place(network), card)


def _pixels(source: Source) -> UInt8[np.ndarray, "height width 3"]:
    if isinstance(source, (str, Path)):
        return read_image(Path(source))
    if isinstance(source, Image.Image):
        return from_pillow(source)
    if isinstance(source, np.ndarray):
        return as_pixels(source)
    raise WsolError(
        f"expected a path, an RGB array or a PIL image, got {type(source).__name__}. Open the picture first."
    )
