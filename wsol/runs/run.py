"""A run folder as one object: nobody else opens the files that say how it was made and how it makes boxes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from wsol.config.methods import METHODS, MethodSpec
from wsol.config.options import Box, RunConfig
from wsol.errors import WsolError
from wsol.geometry.image_threshold import AROUND_OTSU, ImageThreshold
from wsol.runs.box_threshold import FILE, LearnedThreshold, read_threshold
from wsol.runs.calibration import Calibration, read_calibration
from wsol.runs.saved_config import load_config
from wsol.storage.folders import file_hash, text_hash

WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Run:
    """A run as it was when it was opened: its configuration is read once, its other files when they are asked for."""

    folder: Path
    config: RunConfig

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """Open a run, finished or not.

        Raises:
            WsolError: not a run folder, or its configuration is damaged or of another schema.
        """
        return cls(Path(folder), load_config(Path(folder)))

    @property
    def spec(self) -> MethodSpec:
        """The facts of the method that localizes."""
        return METHODS[self.config.method]

    @property
    def network_folder(self) -> Path:
        """The folder of the network that localizes."""
        return self.folder / self.spec.folder

    @property
    def classifier_folder(self) -> Path | None:
        """The folder of a network beside that one which names the boxes; None where that one names them, or none
        does.
        """
        if self.config.classifier == "none":
            return None
        if self.config.classifier != "localizer":
            return self.folder / "classifier"
        return self.folder / "cam" if self.config.method == "spol" else None

    @property
    def names_itself(self) -> bool:
        """Whether the network that localizes gives the class probabilities, too."""
        return self.config.classifier == "localizer" and self.classifier_folder is None

    @property
    def weight_hashes(self) -> dict[str, str]:
        """SHA-256 of the weights that localize and name, by their folder in the run."""
        folders = filter(None, (self.network_folder, self.classifier_folder))
        return {folder.name: file_hash(folder / WEIGHTS) for folder in folders}

    @property
    def maps_hash(self) -> str:
        """What the maps depend on beside the weights: the way `grad-cam` makes them, or each image's own threshold.
        Empty for nothing.
        """
        if self.spec.uses_gradients:
            return self.config.method
        found = self.image_threshold
        return "" if found is None else text_hash(iter([found.model_dump_json()]))

    @property
    def learned_threshold(self) -> LearnedThreshold | None:
        """What stage 3 learned; None where it has not, or a threshold was given, or the method has no such stage.

        Raises:
            WsolError: the file is damaged.
        """
        has_learned = self.config.method == "spol" and self.config.box.threshold is None
        return read_threshold(self.network_folder) if has_learned else None

    @property
    def image_threshold(self) -> ImageThreshold | None:
        """The rule that gives each image its own threshold; None where all images have the same.

        Raises:
            WsolError: the file is damaged.
        """
        if self.config.method == "instant":
            return AROUND_OTSU
        learned = self.learned_threshold
        return None if learned is None else learned.for_images

    def box(self, threshold: float | None = None) -> Box:
        """How boxes are made of maps: with the threshold that is given here, or in the configuration, or was learned.

        Raises:
            WsolError: the run has not come to learning its threshold.
        """
        choice = self.config.box
        threshold = choice.threshold if threshold is None else threshold
        if threshold is None:
            threshold = self._learned().threshold
        return Box(threshold=threshold, objects=choice.objects, min_area=choice.min_area)

    def _learned(self) -> LearnedThreshold:
        learned = self.learned_threshold
        if learned is not None:
            return learned
        if not self.network_folder.exists():
            raise WsolError(
                f"{self.folder} is unfinished",
                expected=f"stage 3's network in {self.network_folder}",
                remedy=f"`wsol fit DATA --run {self.folder}` goes on with it.",
            )
        raise WsolError(
            f"{self.folder} has no box threshold yet",
            expected=f"{self.network_folder / FILE}",
            remedy="The command that made the run goes on and learns it; or name one with `--threshold`.",
        )

    @property
    def calibrated_weights(self) -> str:
        """What a calibration belongs to: SHA-256 of the weights that localize, and `maps_hash`."""
        return f"{file_hash(self.network_folder / WEIGHTS)} {self.maps_hash}".rstrip()

    def calibration(self) -> Calibration | None:
        """What `wsol calibrate` learned; None if there is nothing, and, with a warning, where it belongs to other
        weights.

        Raises:
            WsolError: the file is damaged, or of another version.
        """
        found = read_calibration(self.folder)
        if found is None or found.weights == self.calibrated_weights:
            return found
        warnings.warn(
            f"{self.folder} was trained again, or given another method, since it was calibrated: its calibration is not"
            f" used. Run `wsol calibrate {self.folder} --boxes FEW` again, or remove it with `--reset`.",
            stacklevel=2,
        )
        return None

    @property
    def is_calibrated(self) -> bool:
        """Whether there is a calibration, and it belongs to the weights that the run has now.

        Raises:
            WsolError: the file is damaged, or of another version.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # whoever uses it is told
            return self.calibration() is not None
