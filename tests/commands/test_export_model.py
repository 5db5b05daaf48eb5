"""Out of PyTorch: the file answers as the run does, finds the same boxes, and stands alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from quick import Cli
from torch import nn

from wsol import Localizer, WsolError
from wsol.commands import export_model
from wsol.config.image import Decoding
from wsol.config.options import Box, RunConfig
from wsol.geometry.image_threshold import THRESHOLDS, ImageThreshold
from wsol.inference.onnx import export as onnx_export
from wsol.inference.onnx import fresh
from wsol.inference.onnx import metadata as onnx_file
from wsol.inference.onnx.networks import OnnxNetworks, open_onnx
from wsol.models.backbone import whole_model
from wsol.models.checkpoint import ClassifierConfig, MffConfig, build, save
from wsol.models.mffnet import ScoreMaps
from wsol.predictions.records import open_predictions
from wsol.runs.run import Run
from wsol.runs.saved_config import save_config
from wsol.runtime.engine import WITHOUT_TORCH
from wsol.runtime.progress import Progress

pytest.importorskip("onnxscript", reason="the extra `export` is not installed")

SIZE_PX, CLOSE = 64, 1e-5
QUIET = Progress(quiet=True)
BOX = Box(threshold=0.25, objects="all", min_area=0.125)


def seen(network: nn.Module) -> nn.Module:
    """The network with batch norms that have seen something."""
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.rand(4, 3, SIZE_PX, SIZE_PX) - 0.5)
    return network


def toy_run(run: Path, classifier: str, classifier_px: int = SIZE_PX, seed: int = 0) -> Path:
    """A run of random networks, made in no time; the three networks are normalised differently."""
    torch.manual_seed(seed)
    names = ("owl", "Käuzchen 梟", "raw \udcff")
    common: dict[str, Any] = {"backbone": "test_resnet", "class_names": names}
    mff = {"fusion": "multiply", "levels": 3, "attention": True, "auxiliary": True, "resize_px": SIZE_PX}
    seg = MffConfig(**common, **mff, outputs=1, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    cam = MffConfig(
        **common, **(mff | {"resize_px": classifier_px}), outputs=3, mean=(0.6, 0.6, 0.6), std=(0.3, 0.3, 0.3)
    )
    naming = ClassifierConfig(**common, mean=(0.1, 0.2, 0.3), std=(0.5, 0.5, 0.5), resize_px=classifier_px)
    found, named = build(seg), build(cam)
    for network, scale in ((found, 3000), (named, 300)):
        with torch.no_grad():
            network.class_layer.weight *= scale  # random features multiplied are small, and any answer would be near
    for folder, network, card in (
        ("seg", found, seg),
        ("cam", named, cam),
        ("classifier", whole_model("test_resnet", 3, None), naming),
    ):
        (run / folder).mkdir(parents=True)
        save(run / folder, seen(network), card)  # type: ignore[arg-type]
    save_config(run, RunConfig(classifier=classifier, box=BOX))
    return run


def images(count: int, size_px: int = SIZE_PX) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(256, size=(count, 3, size_px, size_px), dtype=np.uint8)


RUNS = {  # classifier, the side it takes, inputs, outputs
    "two sizes": ("same", 96, ["pixels", "classifier_pixels"], ["heatmap", "probabilities"]),
    "stage one names": ("localizer", SIZE_PX, ["pixels"], ["heatmap", "probabilities"]),
    "no names": ("none", SIZE_PX, ["pixels"], ["heatmap"]),
}


@pytest.fixture(scope="module", params=RUNS)
def toy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Each kind of run, exported and checked. Read only: an export takes seconds."""
    classifier, size_px, _, _ = RUNS[request.param]
    run = toy_run(tmp_path_factory.mktemp("toy") / "run", classifier, size_px)
    export_model.export_model(run, check=True, quiet=True)
    return request.param, run


def test_the_file_reads_images_as_the_run_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run.open(toy_run(tmp_path / "run", "none"))
    decoding = Decoding(window="0,4095", page=2)
    chosen = Run(run.folder, run.config.model_copy(update={"image": decoding}))
    metadata = onnx_export.run_metadata(chosen, onnx_export.load_graph(chosen))
    assert onnx_file.read_metadata(metadata.as_metadata(), tmp_path).image == decoding
    assert fresh._is_of(metadata, chosen) and not fresh._is_of(metadata, run)
    older = {name: text for name, text in metadata.as_metadata().items() if name != "image"}
    assert fresh._is_of(onnx_file.read_metadata(older, tmp_path), run)

    session = SimpleNamespace(get_outputs=lambda: [SimpleNamespace(name="heatmap")])
    opened = OnnxNetworks(session, metadata, WITHOUT_TORCH)
    monkeypatch.setattr("wsol.inference.localizer.open_onnx", lambda file, device: opened)
    assert Localizer.from_onnx(tmp_path / "model.onnx").image == decoding


def test_the_file_answers_as_the_run_does(toy: tuple[str, Path]) -> None:
    name, run = toy
    _, size_px, inputs, outputs = RUNS[name]
    networks = open_onnx(run / "model.onnx")
    assert [one.name for one in networks.session.get_inputs()] == inputs
    assert [one.name for one in networks.session.get_outputs()] == outputs
    ours, theirs = Localizer.load(run), Localizer.from_onnx(run / "model.onnx")
    assert ours.size_px == theirs.size_px == size_px and ours.class_names == theirs.class_names
    pixels = images(5, size_px)
    one, other = ours.outputs(pixels), theirs.outputs(pixels)
    assert one.heatmaps.std() > 0.01, "or anything would be close"
    np.testing.assert_allclose(other.heatmaps, one.heatmaps, atol=CLOSE)
    np.testing.assert_allclose(theirs.heatmaps(pixels, 0.1), ours.heatmaps(pixels, 0.1), atol=CLOSE)
    assert (one.probabilities is None) == (other.probabilities is None) == (name == "no names")
    if one.probabilities is not None and other.probabilities is not None:
        np.testing.assert_allclose(other.probabilities, one.probabilities, atol=CLOSE, rtol=0)


def test_any_batch_height_and_width_will_do(toy: tuple[str, Path]) -> None:
    graph = onnx_export.load_graph(Run.open(toy[1]))
    checked = export_model.compared(graph, toy[1] / "model.onnx")
    assert len({(one.batch, one.image_hw) for one in checked}) == 3
    assert {one.output for one in checked} == set(graph.outputs)
    assert all(one.largest < CLOSE for one in checked)
    session = open_onnx(toy[1] / "model.onnx").session
    for one in session.get_inputs():
        prefix = one.name.replace("pixels", "")
        assert one.type == "tensor(uint8)" and one.shape == ["batch", 3, f"{prefix}height", f"{prefix}width"]


def test_the_file_says_what_it_is(toy: tuple[str, Path]) -> None:
    name, run = toy
    metadata = open_onnx(run / "model.onnx").metadata
    assert (
        metadata.heatmap.mean == (0.5, 0.4, 0.3)
        and metadata.heatmap.std == (0.2, 0.3, 0.4)
        and metadata.heatmap.resize_px == SIZE_PX
    )
    assert metadata.box == BOX and "Apache-2.0" in metadata.licence and "uint8 RGB" in metadata.pixels
    naming = {"stage one names": "cam", "no names": None}.get(name, "classifier")
    assert sorted(metadata.weights) == sorted(filter(None, ["seg", naming]))
    if metadata.probabilities is not None:
        assert metadata.probabilities.mean == ((0.6, 0.6, 0.6) if naming == "cam" else (0.1, 0.2, 0.3))
        assert metadata.probabilities.resize_px == RUNS[name][1]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A run without names, not exported."""
    return toy_run(tmp_path / "run", "none")


def test_answers_too_far_apart_leave_what_was_there(
    toy: tuple[str, Path], tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = toy[1]
    other = shutil.copytree(run, tmp_path / "other")
    shutil.rmtree(other / "seg")
    shutil.copytree(toy_run(tmp_path / "third", "none", seed=1) / "seg", other / "seg")
    monkeypatch.setattr(export_model, "write_onnx", lambda graph, card, path: shutil.copy(run / "model.onnx", path))
    (other / "model.onnx").write_bytes(b"earlier")
    assert cli("export-model", other, "--format", "onnx", "--check") == 2
    printed = capsys.readouterr().err
    assert "outputs of the file differ" in printed and "heatmap            3 x 64 x 64" in printed
    assert (other / "model.onnx").read_bytes() == b"earlier"
    assert not list(other.glob(".*"))


def test_the_runs_file_is_made_on_first_use_and_again_when_the_weights_change(bare: Path) -> None:
    file = bare / "model.onnx"
    Localizer.load(bare, engine="onnx")
    made = file.stat().st_mtime_ns
    Localizer.load(bare, engine="onnx", threshold=0.3)
    assert file.stat().st_mtime_ns == made
    shutil.rmtree(bare / "seg")
    shutil.copytree(toy_run(bare.parent / "other", "none", seed=1) / "seg", bare / "seg")
    ours, theirs = Localizer.load(bare), Localizer.load(bare, engine="onnx")
    np.testing.assert_allclose(theirs.outputs(images(2)).heatmaps, ours.outputs(images(2)).heatmaps, atol=CLOSE)


def test_the_file_of_a_run_is_made_again_when_the_shift_of_its_heatmaps_changes(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Localizer.load(bare, engine="onnx")
    before = Localizer.load(bare).outputs(images(2)).heatmaps
    assert before is not None
    fits = ImageThreshold(threshold=0.3, fits=tuple(float(one) for one in 0.9 - np.abs(THRESHOLDS - 0.1)))
    monkeypatch.setattr(Run, "image_threshold", property(lambda run: fits))
    ours, theirs = (Localizer.load(bare, engine=engine).outputs(images(2)).heatmaps for engine in ("torch", "onnx"))
    assert ours is not None and theirs is not None
    np.testing.assert_allclose(theirs, ours, atol=10 * CLOSE)
    assert np.abs(ours - before).max() > 0.05


def test_the_rule_for_boxes_is_the_files_unless_asked(toy: tuple[str, Path]) -> None:
    assert Localizer.from_onnx(toy[1] / "model.onnx").box == Localizer.load(toy[1]).box == BOX
    changed = Localizer.from_onnx(toy[1] / "model.onnx", threshold=0.75, objects="largest").box
    assert changed == Box(threshold=0.75, objects="largest", min_area=0.125)


MISTAKES: list[Any] = [
    pytest.param(lambda run: Localizer.load(run, engine="onnx", precision="bf16"), "bf16 needs PyTorch", id="bf16"),
    pytest.param(lambda run: open_onnx(run / "nothing.onnx"), "Check the path", id="no file"),
    pytest.param(lambda run: open_onnx(run / "config.yaml"), "cannot be opened", id="not ONNX"),
    pytest.param(lambda run: export_model.export_model(run / "seg", quiet=True), "is not a run", id="not a run"),
]


@pytest.mark.parametrize(("call", "words"), MISTAKES)
def test_mistakes_are_reported(bare: Path, call: Callable[[Path], object], words: str) -> None:
    with pytest.raises(WsolError) as raised:
        call(bare)
    assert words in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"no onnx " * 99, None], ids=["empty", "something else", "half"])
def test_a_broken_file_is_reported(toy: tuple[str, Path], tmp_path: Path, content: bytes | None) -> None:
    whole = (toy[1] / "model.onnx").read_bytes()
    (tmp_path / "model.onnx").write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(WsolError, match="cannot be opened .* Export it again"):
        open_onnx(tmp_path / "model.onnx")


def test_a_gpu_that_onnxruntime_lacks_is_reported(toy: tuple[str, Path]) -> None:
    import onnxruntime

    open_onnx(toy[1] / "model.onnx", "cpu")
    with pytest.raises(WsolError, match="device 'mps' cannot be used"):
        open_onnx(toy[1] / "model.onnx", "mps")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(WsolError, match="device 'cuda:1' cannot be used"):
            open_onnx(toy[1] / "model.onnx", "cuda:1")


@pytest.mark.parametrize("absent", ["onnx", "onnxscript", "onnxruntime"])
def test_without_the_extra_its_name_is_reported(
    absent: str, bare: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None if name == absent else object())
    assert cli("export-model", bare, "--format", "onnx", "--check") == 2
    assert f"needs {absent}" in (printed := capsys.readouterr().err) and "pip install 'wsol[export]'" in printed
    with pytest.raises(WsolError, match=f"needs {absent}"):
        Localizer.load(bare, engine="onnx")
    assert not (bare / "model.onnx").exists()


class OneSize(nn.Module):
    """A network that knows its image's size."""

    def forward(self, images: torch.Tensor) -> ScoreMaps:
        assert images.shape[2] == 96, "expected 96 rows"
        return ScoreMaps(images, None)


def test_a_network_that_accepts_only_one_size_is_reported(bare: Path) -> None:
    graph = onnx_export.load_graph(Run.open(bare))
    card = onnx_export.run_metadata(Run.open(bare), graph)
    graph.model = OneSize()  # type: ignore[assignment]
    with pytest.raises(WsolError, match="test_resnet cannot be exported for images of any size"):
        onnx_export.write_onnx(graph, card, bare / "model.onnx")


def test_a_size_that_pytorch_itself_does_not_accept_is_reported(toy: tuple[str, Path]) -> None:
    graph = onnx_export.load_graph(Run.open(toy[1]))
    graph.model = OneSize()  # type: ignore[assignment]
    with pytest.raises(WsolError, match="does not accept images of 64 x 64 .expected 96 rows"):
        export_model.compared(graph, toy[1] / "model.onnx")


def test_the_licence_of_the_weights_is_reported_if_it_is_known(bare: Path) -> None:
    graph = onnx_export.load_graph(Run.open(bare))
    graph.model_config = graph.model_config.model_copy(update={"backbone": "resnet50"})
    assert "weights of resnet50: apache-2.0" in onnx_export.run_metadata(Run.open(bare), graph).licence
    save_config(bare, RunConfig(classifier="none", weights=Path("somebody.safetensors"), box=BOX))
    assert "weights of resnet50: not known" in onnx_export.run_metadata(Run.open(bare), graph).licence


ALONE = """
import json, os, sys
from wsol import Localizer
localizer = Localizer.from_onnx(sys.argv[1], threshold=float(sys.argv[2]))
found = localizer(sys.argv[3])
assert "timm" not in sys.modules and os.environ["ORT_DISABLE_TELEMETRY"] == "1"
print(json.dumps([found.box, found.class_name]))
"""


def test_real_photographs_get_the_same_boxes_from_both_engines(
    cub30: Path, small_run: Path, tmp_path: Path, cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    photographs, run, file = tmp_path / "photographs", tmp_path / "run", tmp_path / "alone" / "birds.onnx"
    photographs.mkdir()
    for folder in sorted((cub30 / "images").iterdir())[:12]:
        photograph = sorted(folder.iterdir())[0]
        (photographs / photograph.name).symlink_to(photograph)
    shutil.copytree(small_run, run)
    assert cli("export-model", run, "--format", "onnx", "--out", file, "--check") == 0
    assert str(file) in (shown := capsys.readouterr().out) and "probabilities" in shown
    shutil.copy(file, run / "model.onnx")
    # A run of one epoch puts its masks anywhere: this threshold gives each image an inside and an outside.
    threshold = float(np.median([Localizer.load(run).outputs(images(4)).heatmaps]))
    for engine in ("torch", "onnx"):
        words = ("--engine", engine, "--threshold", threshold, "--objects", "all", "--out", tmp_path / engine)
        assert cli("predict", run, photographs, *words) == 0
    both = list(zip(*(open_predictions(tmp_path / engine) for engine in ("torch", "onnx")), strict=True))
    assert len(both) == 12 and sum(len(one.objects) for one, _ in both) >= 6
    for one, other in both:
        assert (one.image, one.class_name, len(one.objects)) == (other.image, other.class_name, len(other.objects))
        for ours, theirs in zip(one.objects, other.objects, strict=True):
            assert theirs.xyxy == pytest.approx(ours.xyxy, abs=1) and theirs.score == pytest.approx(
                ours.score, abs=1e-3
            )
    photograph = min(photographs.iterdir())
    ours = Localizer.load(run, threshold=threshold)(photograph)
    theirs = Localizer.from_onnx(file, threshold=threshold)(photograph)
    assert (ours.mask & theirs.mask).sum() >= 0.999 * (ours.mask | theirs.mask).sum()
    shutil.rmtree(run)
    alone = subprocess.run(
        [sys.executable, "-c", ALONE, file, str(threshold), photograph],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"ORT_DISABLE_TELEMETRY": ""},
    )
    box, class_name = json.loads(alone.stdout)
    assert box == pytest.approx(theirs.box) and class_name == theirs.class_name


def test_another_engine_over_a_finished_prediction_is_refused_with_the_difference(
    toy: tuple[str, Path], small_set: Path, tmp_path: Path, cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("predict", toy[1], small_set / "test", "--out", tmp_path / "out")
    assert cli(*words) == 0
    assert cli(*words, "--engine", "onnx") == 2
    assert "engine: absent there, onnx now" in capsys.readouterr().err
