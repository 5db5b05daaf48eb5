"""The benchmarks: their plain peers compute what wsol computes, and the commands print their tables."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from quick import QUICK, QUICK_NAMELESS
from torch import nn

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.append(str(BENCHMARKS))  # where `python benchmarks/engine.py` finds its neighbours

import engine  # noqa: E402
import fit as timed_fit  # noqa: E402
import memory  # noqa: E402
import plain  # noqa: E402

import wsol  # noqa: E402
from wsol import Localizer, RunConfig  # noqa: E402
from wsol.cli.main import main  # noqa: E402
from wsol.config.methods import Cam, Pseudo, Seg  # noqa: E402
from wsol.data.crops import standardised  # noqa: E402
from wsol.data.images import read_square  # noqa: E402
from wsol.data.samples import Sample  # noqa: E402
from wsol.demo.drawing import write_demo_set  # noqa: E402
from wsol.geometry.boxes import Boxes, iou  # noqa: E402
from wsol.methods.spol.gaussian_prior import fit_gaussians, render, targets  # noqa: E402
from wsol.methods.spol.losses import joint, masked_bce  # noqa: E402
from wsol.models.checkpoint import load_mffnet  # noqa: E402
from wsol.models.mffnet import ScoreMaps, class_logits  # noqa: E402
from wsol.models.outputs import fraction_of_peak  # noqa: E402
from wsol.runs.saved_config import save_config  # noqa: E402

SIZE_PX = 64


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes, four training and two test images each. Read only."""
    root = tmp_path_factory.mktemp("benchmarked") / "set"
    root.mkdir()
    write_demo_set(root, classes=3, train_per_class=4, test_per_class=2, image_hw=(90, 120))
    return root


@pytest.fixture(scope="module")
def small_run(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on it. Read only."""
    run = tmp_path_factory.mktemp("benchmarked") / "run"
    # All networks see images at one size: from a larger one, squashed twice, the plain side would not get the same
    # pixels.
    main(["fit", str(small_set), "--run", str(run), *QUICK, "--seg.scale", "1"])
    return run


def blob_maps(seed: int, blobs: int) -> torch.Tensor:
    """A small map of some round, separate hills."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32] + 0.5
    places = random.permutation([(8, 8), (8, 24), (24, 8), (24, 24)])[:blobs] + random.uniform(-2, 2, (blobs, 2))
    hills = [np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * random.uniform(1.5, 3) ** 2)) for a, b in places]
    return torch.tensor(np.max(hills, axis=0), dtype=torch.float32)[None]


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 4), st.sampled_from([1.0, 10.0]))
def test_plain_pseudo_masks_are_ours_but_for_single_pixels_on_the_borders(
    seed: int, blobs: int, divisor: float
) -> None:
    heatmaps, chosen = fraction_of_peak(blob_maps(seed, blobs)), Pseudo(gaussian_divisor=divisor)
    fine = torch.from_numpy(plain.at_full_size(heatmaps[0].numpy(), (256, 256)))[None]
    value, weight = targets(fine, render(fit_gaussians(heatmaps, chosen), (256, 256)), chosen)
    ours = torch.where(weight == 0, plain.UNKNOWN, value * plain.FOREGROUND)[0].numpy()
    assert np.mean(plain.pseudo_mask(heatmaps[0].numpy(), (256, 256), chosen) != ours) < 0.0002


def test_a_map_without_a_value_gives_a_plain_mask_of_background() -> None:
    mask = plain.pseudo_mask(np.zeros((8, 8), np.float32), (30, 40), Pseudo())
    assert mask.shape == (30, 40) and (mask == plain.BACKGROUND).all()


def test_the_soft_mask_holds_what_the_three_values_are_cut_from_within_a_step() -> None:
    heatmap, image_hw, chosen = blob_maps(0, 2)[0].numpy(), (60, 80), Pseudo()
    is_foreground = plain.pseudo_mask(heatmap, image_hw, chosen) == plain.FOREGROUND
    soft, cut = plain.soft_mask(heatmap, image_hw, chosen), round(255 * chosen.foreground)
    assert is_foreground[soft > cut + 1].all() and not is_foreground[soft < cut - 1].any()
    assert (soft > cut + 1).any() and (soft < cut - 1).any()


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        pytest.param(np.zeros((6, 8)), None, id="nothing"),
        pytest.param(np.pad(np.ones((2, 3)), ((1, 3), (2, 3))), [2, 1, 5, 3], id="one rectangle"),
        pytest.param(np.pad(np.ones((2, 3)), ((4, 0), (5, 0))) + np.eye(6, 8) * 0, [5, 4, 8, 6], id="at the edge"),
    ],
)
def test_the_plain_box_is_the_largest_contours(mask: NDArray[np.float64], expected: list[int] | None) -> None:
    assert plain.box_of(mask.astype(np.float32), 0.5) == expected


def test_the_plain_losses_are_ours() -> None:
    torch.manual_seed(0)
    scores = random_scores()
    labels = torch.tensor([0, 2])
    logits = [class_logits(one, is_rectified=True) for one in scores]
    assert torch.equal(plain.class_loss(answering(*scores), torch.zeros(2), labels), joint(*logits, labels))
    masks = torch.tensor([plain.BACKGROUND, plain.UNKNOWN, plain.FOREGROUND])[torch.randint(3, (2, 8, 8))]
    fine = nn.functional.interpolate(scores[0][:, :1], (8, 8), mode="bilinear", align_corners=False)[:, 0]
    expected = masked_bce(fine, (masks == plain.FOREGROUND).float(), (masks != plain.UNKNOWN).float())
    assert torch.allclose(plain.mask_loss(answering(scores[0][:, :1], None), torch.zeros(2), masks), expected)


def random_scores() -> tuple[torch.Tensor, torch.Tensor]:
    """Score maps of a fused and a deep branch, two images and three classes."""
    return torch.randn(2, 3, 4, 4), torch.randn(2, 3, 2, 2)


def answering(fused: torch.Tensor, deep: torch.Tensor | None) -> nn.Module:
    """A network that always says the same."""

    class Answer(nn.Module):
        def forward(self, images: torch.Tensor) -> ScoreMaps:
            return ScoreMaps(fused, deep)

    return Answer()


def test_plain_training_sees_our_pixels_mirrored_or_not_and_masks_move_along(small_run: Path, tmp_path: Path) -> None:
    pixels = np.zeros((90, 120, 3), np.uint8)
    pixels[20:70, 10:50] = 200
    paths = [str(tmp_path / "image.png"), str(tmp_path / "mask.png")]
    Image.fromarray(pixels).save(paths[0])
    Image.fromarray(np.where(pixels[..., 0] > 0, plain.FOREGROUND, plain.BACKGROUND).astype(np.uint8)).save(paths[1])
    job = plain.TrainJob(str(small_run), "cam", paths[:1], [2], paths[1:], 1, "")
    card = load_mffnet(small_run / "cam")[1]
    squares = torch.from_numpy(read_square(Path(paths[0]), SIZE_PX)[0].copy()).permute(2, 0, 1)[None]
    ours = standardised(squares, card.mean, card.std)[0]
    whole = plain.LabelledImages(job, card, Cam(resize_px=SIZE_PX, crop_px=SIZE_PX))
    torch.manual_seed(0)
    seen = [whole[0] for _ in range(12)]
    assert all(label == 2 for _, label in seen)
    assert {min((0, 1), key=lambda way: (image - (ours, ours.flip(2))[way]).abs().max()) for image, _ in seen} == {0, 1}
    assert all(min((image - one).abs().max() for one in (ours, ours.flip(2))) < 0.02 for image, _ in seen)
    masked = plain.MaskedImages(job, card, Seg(resize_px=SIZE_PX, crop_px=56))
    for image, mask in (masked[0] for _ in range(12)):
        is_bright = image[0] > (100 / 255 - card.mean[0]) / card.std[0]
        assert (is_bright == (mask == plain.FOREGROUND)).float().mean() > 0.95


def test_plain_prediction_finds_our_boxes(small_set: Path, small_run: Path, tmp_path: Path) -> None:
    paths = sorted((small_set / "test").rglob("*.jpg"))
    plain.predict(plain.PredictJob(str(small_run), list(map(str, paths)), str(tmp_path / "boxes.jsonl")))
    rows = [json.loads(line) for line in (tmp_path / "boxes.jsonl").read_text().splitlines()]
    found = Localizer.load(small_run)(paths)
    assert [row["image"] for row in rows] == list(map(str, paths))
    assert [row["label"] for row in rows] == [one.label for one in found]
    for row, one in zip(rows, found, strict=True):
        if row["xyxy"] is None or one.box is None:
            assert row["xyxy"] == one.box
        else:
            assert iou(Boxes.of([tuple(map(float, row["xyxy"]))]), Boxes.of([one.box])).item() > 0.9


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 80))
def test_chosen_images_are_spread_over_the_classes(labels: list[int], count: int) -> None:
    samples = [Sample(str(i), Path(str(i)), label) for i, label in enumerate(labels)]
    numbers = engine.spread(samples, count)
    assert numbers == sorted(set(numbers)) and len(numbers) == min(max(count, len(set(labels))), len(labels))
    chosen, all_ = Counter(labels[i] for i in numbers), Counter(labels)
    most = max(chosen.values())
    assert all(chosen[label] >= min(most - 1, all_[label]) and chosen[label] > 0 for label in all_)


def test_speeds_are_read_from_what_a_training_left(tmp_path: Path) -> None:
    rows = ["epoch,seconds,images_per_second,waiting_share", "1,8,20,0.5", "2,5,32,0.2", "3,4,40,0.5", ""]
    (tmp_path / "results.csv").write_text("\n".join(rows))
    # 25 s in all: 16 for the first epoch of 160 images, reading the images included. Without waiting, the later ones
    # would give 40 and 80.
    assert engine._speeds_of(tmp_path, 25.0) == engine.Speeds(step=80.0, first=10.0, later=40.0)


@pytest.mark.parametrize(
    ("is_training", "passes"), [pytest.param(False, 1, id="forward"), pytest.param(True, 3, id="and backward")]
)
def test_operations_of_a_convolution_are_counted(is_training: bool, passes: int) -> None:
    two = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 1))
    first, second = 2 * 3 * 3 * 3 * 8 * 16**2, 2 * 8 * 4 * 16**2
    # The first layer's pixels need no gradient.
    expected = first * min(passes, 2) + second * passes
    assert engine.flops_per_image(two, 16, is_training=is_training) == expected


def test_folders_of_images_grow_by_links(tmp_path: Path) -> None:
    folders = memory.write_images(tmp_path, [2, 5, 6], 16)
    found = [sorted(file.name for file in folder.glob("*/*.jpg")) for folder in folders]
    assert [len(set(names)) for names in found] == [2, 5, 6] and set(found[0]) < set(found[1]) < set(found[2])
    assert cv2.imread(str(next(folders[2].glob("*/*.jpg")))).shape == (16, 16, 3)


def test_the_peak_is_that_of_the_process() -> None:
    hold = "held = b'x' * 100_000_000; import time; time.sleep(1); del held; time.sleep(0.5)"
    assert 100 < memory.peak_mb_of([sys.executable, "-c", hold]) < 150


def test_a_command_that_fails_has_no_peak() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        memory.peak_mb_of([sys.executable, "-c", "raise SystemExit(3)"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["--only", "a,x"], "expected some of a,b,c,d,e", id="no such part"),
        pytest.param(["--epochs", "1"], "expected two epochs at least", id="no later epoch"),
        pytest.param(["--counts", "5,2"], "expected rising positive numbers", id="falling numbers"),
        pytest.param([], "no pseudo masks in", id="no run"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    words: list[str],
    said: str,
    small_set: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["engine.py", str(small_set), "--run", str(tmp_path / "no run"), *words])
    with pytest.raises(SystemExit) as stopped:
        engine.main()
    assert stopped.value.code == 2 and said in capsys.readouterr().err


def seconds_here(name: str, words: dict[str, object]) -> float:
    """`engine.seconds_of` in this process; the table of a GPU is made with that itself."""
    started = time.perf_counter()
    getattr(wsol, name)(**json.loads(json.dumps(words, default=str)), quiet=True)
    return time.perf_counter() - started


@pytest.mark.pipeline
def test_one_command_prints_all_tables(
    small_set: Path, small_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--epochs", "2", "--images", "8", "--predicted", "3", "--repetitions", "1", "--counts", "2,4"]
    monkeypatch.setattr(sys, "argv", ["engine.py", str(small_set), "--run", str(small_run), *words])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(engine, "seconds_of", seconds_here)
    engine.main()
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert "cores" in lines[0] and "torch" in lines[1] and "engine.py" in lines[2]
    firsts = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    for first in (
        "stage 1, a later epoch",
        "stage 3, a step, early layers frozen",
        "stage 3, a step",
        "from map to file, ms",
        "plain",
        "wsol predict",
        "2",
        "4",
    ):
        assert first in firsts
    ratios = [line.split("|")[4] for line in lines if line.startswith("| stage")]
    assert len(ratios) == 12 and all(float(ratio) > 0 for ratio in ratios)
    assert lines[-1].endswith("not measured: no GPU here")
    tables = [line for line in lines if line.startswith("|")]
    widths = [
        {line.count("|") for line in printed.split("\n\n")[i].splitlines() if line[:1] == "|"} for i in range(1, 5)
    ]
    assert tables and all(len(width) == 1 for width in widths)


ANOTHER_WSOL = """
import sys
from pathlib import Path
stage = Path(sys.argv[sys.argv.index("--run") + 1]) / "seg"
stage.mkdir(parents=True)
(stage / "manifest.json").touch()
"""


@pytest.mark.pipeline
def test_a_fit_is_timed_stage_by_stage_and_beside_another(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other" / "wsol").mkdir(parents=True)
    (tmp_path / "other" / "wsol" / "__init__.py").touch()
    (tmp_path / "other" / "wsol" / "__main__.py").write_text(ANOTHER_WSOL)
    for name, value in (("BATCH_SIZE", 2), ("TURNS", 1), ("TRAINING_PX", 64)):
        monkeypatch.setattr(timed_fit, name, value)
    words = ["fit.py", small_set, "--run", tmp_path / "run", "--beside", tmp_path / "other", *QUICK_NAMELESS]
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    timed_fit.main()
    printed = capsys.readouterr().out
    rows = [line.split("|")[1:-1] for line in printed.splitlines() if line.startswith("| ")]
    assert [row[0].strip() for row in rows] == ["stage", "cues", "pseudo", "seg"]
    assert all(float(row[2]) > 0 and float(row[3].strip().rstrip("%")) > 0 for row in rows[1:])
    assert "times as long" in printed and (tmp_path / "run-beside" / "seg" / "manifest.json").exists()


@pytest.mark.pipeline
def test_the_table_of_a_gpu_can_be_printed_without_one(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def in_two_epochs(run: Path, config: RunConfig) -> None:
        groups = {name: getattr(config, name).model_copy(update={"least_steps": 0}) for name in ("cam", "seg")}
        save_config(run, config.model_copy(update=groups))

    monkeypatch.setattr(engine, "save_config", in_two_epochs)
    asked = engine.Given(small_set, tmp_path, tmp_path, 2, 8, 3, 1, [2])
    engine.print_card(asked, "cpu", backbone="resnet10t", size_px=32, batch_size=4, images=24, matmul_side=64)
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row[0].strip().partition(",")[0] for row in rows] == ["resnet10t", *["training"] * 3, "prediction"]
    assert all(float(cell) > 0 for row in rows[1:] for cell in row[1:2])
    assert all(0 <= float(row[4].strip().rstrip("%")) <= 100 for row in rows[1:])
