"""What all tests share: shapes checked at every call, one thread, no network, small data sets, the real one where it
is."""

from __future__ import annotations

import os

# In the environment, so that child processes obey too. Tiny networks on busy cores: threads that wait for
# one another made these tests a hundred times slower.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

from jaxtyping import install_import_hook

# Before anything imports wsol: every signature of the package is checked while the tests run, shapes included.
# The numeric tower is what mypy means by `float`: an int will do.
install_import_hook("wsol", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

import shutil  # noqa: E402
import signal  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
from browser import browser, context, tab  # noqa: E402, F401
from fake_data.cub import write_cub  # noqa: E402
from fake_data.images import write_image  # noqa: E402
from hypothesis import settings  # noqa: E402
from quick import QUICK, Cli  # noqa: E402

from wsol.cli.main import main  # noqa: E402
from wsol.demo.drawing import write_demo_set  # noqa: E402

# A deadline measures the machine's other work, not ours. The project's own check draws the same cases each time, so
# that it says what the change is worth; whoever runs the tests by hand draws new ones.
settings.register_profile("wsol", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("wsol")

NewImage = Callable[..., Path]

LONGEST = (
    "test_demo.py",
    "test_kills.py",
    "test_golden.py",
    "test_pipeline.py",
    "test_benchmarks.py",
    "test_processes.py",
)
"""The files that take minutes. They begin first, so that no process is left alone with one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order in which `--dist loadfile --no-loadscope-reorder` hands the files out."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))


@pytest.fixture(scope="session")
def cub30() -> Path:
    """The first 30 classes of CUB-200-2011, real photographs."""
    root = Path(__file__).parents[1].parent / "shared/data/cub30/CUB_200_2011"
    if not root.is_dir():
        pytest.skip(f"{root} absent")
    return root


@pytest.fixture(scope="session")
def new_image() -> NewImage:
    """`new_image(path, image_hw=(30, 40))` writes an image of random pixels, its folders included, and returns its
    path."""
    return write_image


@pytest.fixture
def soon() -> Iterator[None]:
    """What waits for ever is ended after some seconds, as an error."""

    def give_up(*_: object) -> None:
        pytest.fail("it waited")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def class_folders(tmp_path: Path, new_image: NewImage) -> Path:
    """`hawk` with two images and `owl` with three, one of them a folder deeper; no split, no truth."""
    root = tmp_path / "birds"
    for name in ("hawk/1.jpg", "hawk/2.png", "owl/1.jpg", "owl/2.jpg", "owl/night/3.jpg"):
        new_image(root / name)
    return root


@pytest.fixture
def split_folders(tmp_path: Path, new_image: NewImage) -> Path:
    """The same classes below `train` and `test`."""
    root = tmp_path / "split"
    for name in ("train/hawk/1.jpg", "train/owl/1.jpg", "train/owl/2.jpg", "test/hawk/8.jpg", "test/owl/9.jpg"):
        new_image(root / name)
    return root


@pytest.fixture
def fake_cub(tmp_path: Path) -> Path:
    """CUB-200-2011's folder layout with three classes of two training images and a test image each."""
    return write_cub(tmp_path / "CUB_200_2011")


@pytest.fixture(scope="session")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes, four training and two test images each, with boxes and masks. Read only."""
    root = tmp_path_factory.mktemp("small") / "set"
    root.mkdir()
    write_demo_set(root, classes=3, train_per_class=4, test_per_class=2, image_hw=(90, 120))
    return root


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
