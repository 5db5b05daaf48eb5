"""A network on disk: `model.safetensors` and the configuration `model.json`. Nothing is ever unpickled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, FiniteFloat, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from wsol.config.base import STAGE, Config, Fusion, Levels, Method
from wsol.errors import WsolError
from wsol.models.backbone import State, feature_pyramid, whole_model
from wsol.models.mffnet import DROPOUT, MffNet, OriginalCam, build_mffnet
from wsol.storage.folders import read_json, write_json
from wsol.storage.schema import check_schema
from wsol.storage.tensors import write_tensors

VERSION: Literal[1] = 1
"""Schema of `model.json`."""

_CHANGED = ("acol", "spg", "adl", "i2c", "tap")
"""Methods whose networks were others before `feature` was in their files."""
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
SidePx = Annotated[int, Field(ge=1, le=16_384)]
Name = Annotated[str, Field(max_length=200)]
Means = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
Deviations = tuple[_Positive, _Positive, _Positive]


class MffConfig(Config):
    """Configuration of an `MffNet` or, with one level, an `OriginalCam`."""

    kind: Literal["mffnet"] = "mffnet"
    version: Literal[1] = VERSION
    backbone: Name
    outputs: Annotated[int, Field(ge=1, le=1_000_000)]
    fusion: Fusion
    levels: Levels
    attention: bool
    auxiliary: bool
    mean: Means
    std: Deviations
    resize_px: SidePx
    class_names: tuple[str, ...]
    multi_label: bool = False
    """Whether it was trained on images with several labels."""

    @model_validator(mode="after")
    def _each_output_has_a_name(self) -> MffConfig:
        if self.outputs not in (1, len(self.class_names)):  # 1: a class-agnostic mask
            raise ValueError(f"{self.outputs} outputs for {len(self.class_names)} class names")
        return self


class ClassifierConfig(Config):
    """Configuration of a separate timm classifier."""

    kind: Literal["classifier"] = "classifier"
    version: Literal[1] = VERSION
    backbone: Name
    mean: Means
    std: Deviations
    resize_px: SidePx
    class_names: tuple[str, ...]
    multi_label: bool = False
    """Whether it was trained on images with several labels."""


class MethodConfig(Config):
    """Configuration of the network of any other method, which is built in `wsol.methods`."""

    kind: Literal["method"] = "method"
    version: Literal[1] = VERSION
    method: Method
    options: dict[str, Any]
    """Options of the method's own group."""
    backbone: Name
    output_stride: Literal[8, 16, 32]
    feature: Name = STAGE
    """As `training.feature`; files of older versions lack it."""
    mean: Means
    std: Deviations
    resize_px: SidePx
    class_names: tuple[str, ...]
    multi_label: bool = False
    """Whether it was trained on images with several labels."""


ModelConfig = MffConfig | ClassifierConfig | MethodConfig
ConfigType = TypeVar("ConfigType", MffConfig, ClassifierConfig, MethodConfig)


def build(model_config: MffConfig, state: State | None = None, *, dropout: float = DROPOUT) -> MffNet | OriginalCam:
    """Build the network of stage 1 or stage 3.

    Args:
        model_config: its configuration.
        state: pretrained weights of the backbone; random if None.
        dropout: dropout probability in training.
    """
    pyramid = feature_pyramid(model_config.backbone, model_config.levels, state)
    channels = pyramid.feature_info.channels()  # type: ignore[union-attr,operator]  # timm adds it to the module
    return build_mffnet(
        pyramid,
        channels,
        model_config.outputs,
        fusion=model_config.fusion,
        attention=model_config.attention,
        auxiliary=model_config.auxiliary,
        dropout=dropout,
    )


def save(folder: Path, network: nn.Module, model_config: ModelConfig) -> None:
    """Write a network to disk.

    Args:
        folder: where `model.safetensors` and `model.json` are written.
        network: has the weights.
        model_config: the configuration that builds the network again.
    """
    write_tensors(folder / "model.safetensors", network.state_dict())
    write_json(folder / "model.json", model_config.model_dump())


def load_mffnet(folder: Path) -> tuple[MffNet | OriginalCam, MffConfig]:
    """Load a network of stage 1 or stage 3.

    Args:
        folder: folder with `model.json` and `model.safetensors`.

    Returns:
        The network on the CPU in eval mode, and its configuration.

    Raises:
        WsolError: absent, of another version, or damaged.
    """
    model_config = read_model_config(folder, MffConfig)
    with built_of(folder):
        network = build(model_config)
    fill(network, folder)
    return network, model_config


def load_classifier(folder: Path) -> tuple[nn.Module, ClassifierConfig]:
    """Load a separate classifier (stage 4).

    Args:
        folder: folder with `model.json` and `model.safetensors`.

    Returns:
        The network on the CPU in eval mode, and its configuration.

    Raises:
        WsolError: absent, of another version, or damaged.
    """
    model_config = read_model_config(folder, ClassifierConfig)
    with built_of(folder):
        network = whole_model(model_config.backbone, len(model_config.class_names), None)
    fill(network, folder)
    return network, model_config


def read_model_config(folder: Path, kind: type[ConfigType]) -> ConfigType:
    """Read the configuration of a network on disk.

    Args:
        folder: folder with `model.json` and `model.safetensors`.
        kind: the expected class.

    Raises:
        WsolError: absent, of another version or kind, or damaged.
    """
    if not (folder / "model.json").is_file() or not (folder / "model.safetensors").is_file():
        raise WsolError(
            f"no checkpoint in {folder}",
            expected="model.safetensors and model.json",
            remedy=f"Train one with `wsol fit DATA --run {folder.parent}`, or name another run.",
        )
    values = read_json(folder / "model.json", "wsol fit")
    if not isinstance(values, dict):
        raise WsolError(
            f"{folder / 'model.json'} is not a configuration",
            expected="a file written by `wsol fit`",
            got=f"a {type(values).__name__}",
            remedy=f"Remove {folder} and run it again.",
        )
    check_schema(values.get("version"), VERSION, folder / "model.json", "wsol fit")
    if "feature" not in values and values.get("method") in _CHANGED:
        raise WsolError(
            f"{folder} was made by an older version, in which {values['method']} was another network",
            expected="a network of this version",
            remedy=f"Remove {folder} and run `wsol fit` again.",
        )
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise WsolError(
            f"{folder / 'model.json'} is not a {kind.__name__} ({error.errors()[0]['msg']})",
            expected="a file written by `wsol fit`",
            remedy=f"Remove {folder} and run it again.",
        ) from None


@contextmanager
def built_of(folder: Path) -> Iterator[None]:
    """Convert errors while a network is built from the configuration in `folder`.

    Raises:
        WsolError: no network has this configuration, or it does not fit into the memory.
    """
    try:
        yield
    except (RuntimeError, MemoryError, OverflowError, ValueError, TypeError, AssertionError) as error:
        raise WsolError(
            f"{folder / 'model.json'} describes a network that cannot be built"
            f" ({str(error).partition(chr(10))[0]:.200})",
            expected="a file written by `wsol fit`",
            remedy=f"Remove {folder} and run it again.",
        ) from None


def fill(network: nn.Module, folder: Path) -> None:
    """Load weights on disk into a network, and set eval mode.

    Args:
        network: the network, changed in place.
        folder: folder with `model.safetensors`.

    Raises:
        WsolError: the file is damaged, or of another network.
    """
    try:
        network.load_state_dict(load_file(folder / "model.safetensors"))
    except (SafetensorError, RuntimeError, OSError, KeyError, TypeError, ValueError, MemoryError) as error:
        raise WsolError(
            f"{folder / 'model.safetensors'} is damaged or of another network"
            f" ({str(error).partition(chr(10))[0]:.200})",
            expected="the weights of model.json",
            remedy=f"Remove {folder} and run `wsol fit` again.",
        ) from None
    network.eval()
