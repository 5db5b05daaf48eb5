"""`wsol fit` and its single stages."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from wsol.cli.common import Choices, DryRun, Epochs, Freeze, Images, RunFolder, report_lines
from wsol.config.groups import groups_of, needs_labels, networks_of, options_read, stage_folders
from wsol.config.options import RunConfig
from wsol.errors import WsolError
from wsol.runtime.processes import part
from wsol.runtime.terminal import print_result


def fit(
    data: Path,
    *,
    run: RunFolder,
    epochs: Epochs = None,
    freeze: Freeze = None,
    dry_run: DryRun = False,
    images: Images = None,
    config: Choices = None,
) -> None:
    """Train on images with class labels: all stages of the recipe, or another `--method`. The same command continues an
    interrupted run.

    Parameters
    ----------
    data
        A folder with one folder per class (below train/ and test/ if you have a split), a CSV table (path,label), COCO
        JSON, PASCAL VOC, YOLO, CVAT for images, Label Studio, FiftyOne, or CUB-200-2011, ImageNet-1K and the lists of
        wsolevaluation as published.
    """
    _stage("fit", data, images, run, _ForTrainings(epochs, freeze), dry_run, config)


def train_cam(
    data: Path,
    *,
    run: RunFolder,
    epochs: Epochs = None,
    freeze: Freeze = None,
    dry_run: DryRun = False,
    images: Images = None,
    config: Choices = None,
) -> None:
    """Stage 1: train the classifier that gives the class activation maps. A new run then makes its pseudo masks from
    these maps (`--pseudo.masks thresholds`).

    Parameters
    ----------
    data
        As for `wsol fit`.
    """
    _stage("train_cam", data, images, run, _ForTrainings(epochs, freeze), dry_run, config)


def make_pseudo(
    data: Path, *, run: RunFolder, dry_run: DryRun = False, images: Images = None, config: Choices = None
) -> None:
    """Stage 2: make pseudo masks, from cues that need no training or from the maps of stage 1.

    Parameters
    ----------
    data
        As for `wsol fit`.
    """
    _stage("make_pseudo", data, images, run, _ForTrainings(), dry_run, config)


def train_seg(
    data: Path,
    *,
    run: RunFolder,
    epochs: Epochs = None,
    freeze: Freeze = None,
    dry_run: DryRun = False,
    images: Images = None,
    config: Choices = None,
) -> None:
    """Stage 3: train class-agnostic segmentation on the pseudo masks.

    Parameters
    ----------
    data
        As for `wsol fit`.
    """
    _stage("train_seg", data, images, run, _ForTrainings(epochs, freeze), dry_run, config)


def train_classifier(
    data: Path,
    *,
    run: RunFolder,
    epochs: Epochs = None,
    freeze: Freeze = None,
    dry_run: DryRun = False,
    images: Images = None,
    config: Choices = None,
) -> None:
    """Stage 4: fine-tune the classifier that gives the boxes their classes.

    Parameters
    ----------
    data
        As for `wsol fit`.
    """
    _stage("train_classifier", data, images, run, _ForTrainings(epochs, freeze), dry_run, config)


def _stage(
    name: str,
    data: Path,
    images: Path | None,
    run: Path,
    for_trainings: _ForTrainings,
    dry_run: bool,
    given: RunConfig | None,
) -> None:
    from importlib.util import find_spec

    from wsol.data.no_object import with_no_object
    from wsol.data.open import open_data
    from wsol.data.unread import in_words, unread_of
    from wsol.runs.outside import check_outside
    from wsol.runs.saved_config import is_begun, preview, to_yaml, with_stage_one

    if name == "train_cam":
        given = with_stage_one(run, given)
    given = for_trainings.added_to(run, given or RunConfig())
    config = preview(run, given)
    if dry_run:
        data_set = with_no_object(
            open_data(
                data,
                images,
                needs_labels=needs_labels(config),
                multi_label=config.uses_several_labels,
                columns=config.columns,
            ),
            config.no_object,
        )
        check_outside(run, data_set)
        _check_names(config)
        report_lines("note", data_set.notes(), "see `wsol check`")
        unread = in_words(unread_of(data_set))
        print_result(f"# {data_set.describe()}{unread and f'; {unread}'}\n{to_yaml(config)}".removesuffix("\n"))
        return
    if find_spec("torch") is None:
        raise WsolError("training needs torch", expected="the extra `train`", remedy="Run `pip install 'wsol[train]'`.")
    from wsol.models.weights import check_weights

    # Before the import of torch, which takes seconds: without a network the error comes at once.
    networks = {
        "fit": networks_of(config),
        "train_cam": ("cam",),
        "train_seg": ("seg",),
        "train_classifier": ("classifier",),
    }
    check_weights(run, config, networks.get(name, ()))
    import wsol

    try:
        folder = getattr(wsol, name)(data, run, given, images=images)
    except KeyboardInterrupt as stop:
        if str(stop) or any(map(is_begun, (run / stage for stage in stage_folders(config)))):
            raise
        raise KeyboardInterrupt("interrupted before anything was saved; the same command starts again") from None
    if part().is_first:
        print_result(folder or "nothing to do: this configuration trains no classifier")


def _check_names(config: RunConfig) -> None:
    from wsol.models.weights import BUNDLED

    # The list of names needs timm, whose import takes seconds; the default name needs no check.
    if config.backbone != BUNDLED or config.classifier not in ("same", "localizer", "none", BUNDLED):
        from wsol.models.backbone import check_names

        check_names(config)


class _ForTrainings(NamedTuple):
    """Options that apply to every training stage."""

    epochs: int | None = None
    freeze: int | None = None

    def added_to(self, run: Path, given: RunConfig) -> RunConfig:
        """The configuration with these options in each training stage that does not set its own."""
        given = _for_all(run, given, "epochs", self.epochs, 1, {"steps": None})
        return _for_all(run, given, "freeze", self.freeze, 0, {})


def _for_all(
    run: Path, given: RunConfig, name: str, value: int | None, least: int, defaults: dict[str, object]
) -> RunConfig:
    from wsol.runs.saved_config import preview

    if value is None:
        return given
    if value < least:
        raise WsolError(
            f"--{name}", expected=f"at least {least}", got=f"{value}", remedy="Leave it out for the recipe's own."
        )
    values = given.model_dump(exclude_unset=True)
    config = preview(run, given)
    trained = [group for group in groups_of(config) if name in options_read(config, group)]
    if not trained:
        raise WsolError(
            f"method {config.method} trains nothing",
            expected=f"no --{name}",
            got=f"--{name} {value}",
            remedy="Choose another `--method`, or leave it out.",
        )
    for group in trained:
        values[group] = {name: value} | defaults | values.get(group, {})
    return RunConfig.model_validate(values)
