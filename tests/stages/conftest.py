"""Small sets and quick settings for stories through the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from quick import QUICK, Cli

from wsol.cli import main


@pytest.fixture
def cli() -> Cli:
    """`cli("fit", data, ...)`: the exit code of a command in this process."""

    def call(*words: object) -> int:
        try:
            main([str(word) for word in words])
        except SystemExit as exit_:
            return int(exit_.code or 0)
        return 0

    return call


@pytest.fixture
def own_set(small_set: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(small_set, tmp_path / "own set ü"))


@pytest.fixture(scope="session")
def small_run(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over `small_set`, finished. Read only."""
    run = tmp_path_factory.mktemp("runs") / "small"
    main(["fit", str(small_set), "--run", str(run), *QUICK])
    return run
