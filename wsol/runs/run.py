"""A run folder as one object: the only place that opens its configuration, learned thresholds and calibration."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsol.config.messages import check_fraction
from wsol.config.methods import METHODS, MethodSpec, finds_rare
from wsol.config.options import Box, RunConfig
from wsol.data.no_object import chosen_of
from wsol.errors import WsolError
from wsol.geometry.image_threshold import AROUND_OTSU, ImageThreshold
from wsol.runs.box_threshold import THRESHOLD_FILE, LearnedThreshold, read_threshold
from wsol.runs.calibration import Calibration, read_calibration
from wsol.runs.saved_config import load_config
from wsol.storage.folders import file_hash, read_json, text_hash

WEIGHTS, MODEL_CONFIG = "model.safetensors", "model.json"


@dataclass(frozen=True)
class Run:
    """A run folder. The configuration is read when it is opened, other files when they are needed."""

    folder: Path
    config: RunConfig

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """Open a run, finished or not.

        Args:
            folder: the run folder.

        Returns:
            The run.

        Raises:
            WsolError: not a run folder, or its configuration is damaged or of another schema.
        """
        return cls(Path(folder), load_config(Path(folder)))

    @property
    def spec(self) -> MethodSpec:
        """The specification of the method."""
        return METHODS[self.config.method]

    @property
    def network_folder(self) -> Path:
        """The folder of the localization network."""
        return self.folder / self.spec.folder

    @property
    def classifier_folder(self) -> Path | None:
        """The folder of the separate network that classifies; None if the localization network classifies, or none
        does.
        """
        if self.config.classifier == "none":
            return None
        if self.config.classifier != "localizer":
            return self.folder / "classifier"
        return self.folder / "cam" if self.config.method == "spol" else None

    @property
    def names_itself(self) -> bool:
        """Whether the localization network also gives the class probabilities."""
        return self.config.classifier == "localizer" and self.classifier_folder is None

    def no_object(self, class_names: Collection[str]) -> tuple[str, ...]:
        """The classes of the run whose images contain no object.

        Args:
            class_names: all classes of its networks.
        """
        return chosen_of(class_names, self.config.no_object)

    @property
    def is_emptied_by_class(self) -> bool:
        """Whether the predicted class decides that an image has no object. Maps that are relative to their maximum
        cannot: only masks and distances can be low everywhere.
        """
        return self.config.no_object is not None and self.config.method != "spol" and not self._finds_rare

    @property
    def _finds_rare(self) -> bool:
        """Whether this is instant mode, and its map is what is rare. The network knows which one was chosen."""
        if self.config.method != "instant":
            return False
        return finds_rare(_model_config(self.network_folder).get("options"))

    @property
    def is_multi_label(self) -> bool:
        """Whether its classifier was trained on images with several labels."""
        folder = self.network_folder if self.names_itself else self.classifier_folder
        return folder is not None and _model_config(folder).get("multi_label") is True

    @property
    def weight_hashes(self) -> dict[str, str]:
        """SHA-256 of the weights of each network, by its folder in the run."""
        folders = filter(None, (self.network_folder, self.classifier_folder))
        return {folder.name: file_hash(folder / WEIGHTS) for folder in folders}

    @property
    def maps_hash(self) -> str:
        """What the heatmaps depend on besides the weights: the variant of Grad-CAM, or the rule for the threshold of
        each image. Empty if nothing.
        """
        if self.spec.uses_gradients:
            return self.config.method
        rule = self.image_threshold
        return "" if rule is None else text_hash(iter([rule.model_dump_json()]))

    @property
    def learned_threshold(self) -> LearnedThreshold | None:
        """The thresholds that stage 3 learned; None if it has not yet, a threshold was given, or the method has no such
        stage.

        Raises:
            WsolError: the file is damaged.
        """
        has_learned = self.config.method == "spol" and self.config.box.threshold is None
        return read_threshold(self.network_folder) if has_learned else None

    @property
    def image_threshold(self) -> ImageThreshold | None:
        """The rule for the threshold of each image; None if all images have the same threshold.

        Raises:
            WsolError: the file is damaged.
        """
        if self.config.method == "instant":
            return None if self._finds_rare else AROUND_OTSU
        learned = self.learned_threshold
        return None if learned is None else learned.for_images

    def box(self, threshold: float | None = None) -> Box:
        """How boxes are made from heatmaps.

        Args:
            threshold: a fraction from 0 to 1; by default that of the configuration, or the learned one.

        Returns:
            Threshold, number of objects and their minimum area.

        Raises:
            WsolError: the run has not learned its threshold yet.
        """
        if threshold is not None:
            check_fraction("threshold", threshold)
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
                expected=f"the network of stage 3 in {self.network_folder}",
                remedy=f"`wsol fit DATA --run {self.folder}` continues it.",
            )
        raise WsolError(
            f"{self.folder} has no box threshold yet",
            expected=f"{self.network_folder / THRESHOLD_FILE}",
            remedy="The command that made the run continues and learns it; or give one with `--threshold`.",
        )

    @property
    def calibrated_weights(self) -> str:
        """Identity of the heatmaps that a calibration is for: SHA-256 of the localization weights, and `maps_hash`."""
        return f"{file_hash(self.network_folder / WEIGHTS)} {self.maps_hash}".rstrip()

    def calibration(self) -> Calibration | None:
        """The calibration of the run.

        Returns:
            What `wsol calibrate` learned; None if there is none, or, with a warning, if it belongs to other weights.

        Raises:
            WsolError: the file is damaged, or of another version.
        """
        calibration = read_calibration(self.folder)
        if calibration is None or calibration.weights == self.calibrated_weights:
            return calibration
        warnings.warn(
            f"{self.folder} was trained again, or given another method, since it was calibrated: the calibration is not"
            f" used. Run `wsol calibrate {self.folder} --boxes FEW` again, or remove it with `--reset`.",
            stacklevel=2,
        )
        return None

    @property
    def is_calibrated(self) -> bool:
        """Whether there is a calibration that belongs to the present weights.

        Raises:
            WsolError: the file is damaged, or of another version.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # given where the calibration is used
            return self.calibration() is not None


def _model_config(folder: Path) -> dict[str, Any]:
    """The configuration of a network; empty if it is not trained yet."""
    path = folder / MODEL_CONFIG
    # `wsol.models` would check it, but needs torch, which is not always installed.
    values = read_json(path, "wsol fit") if path.exists() else {}
    return values if isinstance(values, dict) else {}
