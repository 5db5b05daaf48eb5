"""What importing costs: nothing heavy before it is used."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import wsol

HEAVY = ("torch", "timm", "torchvision", "cv2", "pycocotools", "PIL", "numpy", "jinja2")


def loaded_after(statement: str) -> set[str]:
    """Top-level packages in a fresh interpreter after a statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    return set(
        json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    )


@pytest.mark.parametrize("module", ["wsol", "wsol.cli.main", "wsol.config.options", "wsol.models.weights"])
def test_torch_is_not_imported_before_it_is_needed(module: str) -> None:
    assert not loaded_after(f"import {module}") & {"torch", "timm", "torchvision", "cv2"}


def test_the_package_itself_imports_nothing_heavy() -> None:
    assert not loaded_after("import wsol") & set(HEAVY)


def test_every_public_name_is_there() -> None:
    for name in wsol.__all__:
        assert getattr(wsol, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = wsol.nonsense


def test_dir_shows_every_public_name_before_one_is_used() -> None:
    code = "import wsol\nassert set(wsol.__all__) <= set(dir(wsol)), sorted(set(wsol.__all__) - set(dir(wsol)))"
    subprocess.run([sys.executable, "-c", code], check=True)
