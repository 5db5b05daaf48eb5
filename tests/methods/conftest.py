"""A small backbone."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_data.backbone import write_weights


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the small backbone."""
    return write_weights(tmp_path_factory.mktemp("weights"))
