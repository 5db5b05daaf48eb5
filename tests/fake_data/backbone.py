"""A small timm model's weights, random, in a file: the initial weights of a training if no pretrained weights are
wanted."""

from __future__ import annotations

from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

NAME = "mobilenetv3_small_050"


def write_weights(folder: Path) -> Path:
    """`weights.safetensors` of `NAME`, always the same."""
    torch.manual_seed(0)
    save_file(timm.create_model(NAME).state_dict(), folder / "weights.safetensors")
    return folder / "weights.safetensors"
