"""A network on disk: `model.safetensors` and the `model.json` that builds it. Nothing is ever unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from wsol.config import Config, Fusion, Method
from wsol.errors import WsolError
from wsol.folders import read_json, write_json
from wsol.models.backbone import feature_pyramid, whole_model
from wsol.models.mffnet import DROPOUT, MffNet, OriginalCam, build_mffnet
from wsol.tensors import write_tensors

VERSION: Literal[1] = 1


class MffCard(Config):
    """What builds an `MffNet` or, with one level, an `OriginalCam`."""

    kind: Literal["mffnet"] = "mffnet"
    version: Literal[1] = VERSION
    backbone: str
    outputs: int
    fusion: Fusion
    levels: int
    attention: bool
    auxiliary: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize_px: int
    class_names: tuple[str, ...]


class ClassifierCard(Config):
    """What builds a stand-alone timm classifier."""

    kind: Literal["classifier"] = "classifier"
    version: Literal[1] = VERSION
    backbone: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize_px: int
    class_names: tuple[str, ...]


class MethodCard(Config):
    """What builds the network of a method beside SPOL; how is the method's own business (`wsol.methods`)."""

    kind: Literal["method"] = "method"
    version: Literal[1] = VERSION
    method: Method
    options: dict[str, Any]
    """The method's group of the configuration."""
    backbone: str
    output_stride: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize_px: int
    class_names: tuple[str, ...]


Card = MffCard | ClassifierCard | MethodCard
CardType = TypeVar("CardType", MffCard, ClassifierCard, MethodCard)


def build(
    card: MffCard, state: dict[str, torch.Tensor] | None = None, *, dropout: float = DROPOUT
) -> MffNet | OriginalCam:
    """The network of a card; `state` are pretrained weights of its backbone, `dropout` matters in training alone."""
    pyramid = feature_pyramid(card.backbone, card.levels, state)
    channels = pyramid.feature_info.channels()  # type: ignore[union-attr,operator]  # timm attaches it to the module
    return build_mffnet(
        pyramid, channels, card.outputs, fusion=card.fusion, attention=card.attention, auxiliary=card.auxiliary, dropout=dropout,
    )  # fmt: skip


def save(folder: Path, network: nn.Module, card: Card) -> None:
    """Write weights and card."""
    write_tensors(folder / "model.safetensors", network.state_dict())
    write_json(folder / "model.json", card.model_dump())


def load_mffnet(folder: Path) -> tuple[MffNet | OriginalCam, MffCard]:
    """Load a stage 1 or stage 3 network, ready to predict.

    Raises:
        WsolError: absent, of another version, or damaged.
    """
    card = read_card(folder, MffCard)
    network = build(card)
    fill(network, folder)
    return network, card


def load_classifier(folder: Path) -> tuple[nn.Module, ClassifierCard]:
    """Load a stage 4 network, ready to predict.

    Raises:
        WsolError: absent, of another version, or damaged.
    """
    card = read_card(folder, ClassifierCard)
    network = whole_model(card.backbone, len(card.class_names), None)
    fill(network, folder)
    return network, card


def read_card(folder: Path, kind: type[CardType]) -> CardType:
    """The card of a network on disk.

    Raises:
        WsolError: absent, of another version or kind, or damaged.
    """
    if not (folder / "model.json").exists() or not (folder / "model.safetensors").exists():
        raise WsolError(
            f"no checkpoint in {folder}: expected model.safetensors and model.json. Train one with `wsol fit DATA --run {folder.parent}`, or name another run."
        )
    values = read_json(folder / "model.json", "wsol fit")
    if not isinstance(values, dict):
        raise WsolError(
            f"{folder / 'model.json'} holds a {type(values).__name__}: expected what `wsol fit` wrote. "
            f"Remove {folder} and run it again."
        )
    if values.get("version") != VERSION:
        raise WsolError(
            f"{folder} has checkpoint version {values.get('version')}: this wsol reads version {VERSION}. Install the wsol that wrote it, or train again."
        )
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise WsolError(
            f"{folder / 'model.json'} is not a {kind.__name__} ({error.errors()[0]['msg']}): expected what `wsol fit` wrote. Remove {folder} and run it again."
        ) from None


def fill(network: nn.Module, folder: Path) -> None:
    """Put the weights on disk into a network, and make it ready to predict.

    Raises:
        WsolError: damaged, or of another network.
    """
    try:
        network.load_state_dict(load_file(folder / "model.safetensors"))
    except (SafetensorError, RuntimeError) as error:
        raise WsolError(
            f"{folder / 'model.safetensors'} is damaged or of another network ({str(error).splitlines()[0]}): expected the weights of model.json. Remove {folder} and run `wsol fit` again."
        ) from None
    network.eval()
