"""Safetensors files that are complete or absent."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from wsol.storage.folders import whole_file


def write_tensors(path: Path, tensors: Mapping[str, Tensor], notes: dict[str, str] | None = None) -> None:
    """Write a safetensors file, completely or not at all.

    Args:
        path: the file, which is replaced.
        tensors: tensors by name.
        notes: metadata.

    Raises:
        OSError: the disk is full, read-only, ...
    """
    with whole_file(path) as partial:
        try:
            save_file({name: value.contiguous() for name, value in tensors.items()}, partial, notes)
        except SafetensorError as error:
            # safetensors gives the error number of the operating system only in its text.
            code = re.search(r"os error (\d+)", str(error))
            if code is None:
                raise
            raise OSError(int(code[1]), os.strerror(int(code[1])), str(partial)) from None
