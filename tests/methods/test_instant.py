"""Instant mode against slow references: component, combination and Otsu's threshold; and a run without labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from fake_data.backbone import NAME
from hypothesis import given, settings
from hypothesis import strategies as st
from methods_quick import small_config

from wsol.cli.main import main
from wsol.methods import instant
from wsol.predictions.records import open_predictions


def test_the_map_is_the_geometric_mean_of_the_common_component_and_the_norm() -> None:
    torch.manual_seed(0)
    network = instant.build(small_config("instant"), None).eval()
    assert isinstance(network, instant.InstantNetwork)
    images = torch.rand(3, 3, 96, 96)
    with torch.no_grad():
        features = network.features.rectified(images)
        instant.fill(network, instant.moments_of_roots(features))
        maps = network.combined(features).numpy()
    rows = features.permute(0, 2, 3, 1).double().numpy()  # by the equations, position by position
    roots = np.sqrt(rows).reshape(-1, rows.shape[-1])
    values, vectors = np.linalg.eigh(np.cov(roots.T, bias=True))
    xi = vectors[:, values.argmax()]
    p = (np.sqrt(rows) - roots.mean(0)) @ xi
    if np.corrcoef(p.ravel(), np.linalg.norm(roots, axis=1))[0, 1] < 0:
        p = -p
    for found, common, norm in zip(maps, p, np.linalg.norm(rows, axis=3), strict=True):
        common = common.clip(0) / common.max()
        joined = np.sqrt(common * (norm - norm.min()) / (norm.max() - norm.min()))
        finer = torch.nn.functional.interpolate(
            torch.from_numpy(joined)[None, None], scale_factor=instant.UPSAMPLING, mode="bilinear"
        )[0, 0].numpy()
        np.testing.assert_allclose(found, finer / finer.max(), atol=2e-2)


def variance_between(values: np.ndarray, threshold: float) -> float:
    """Reference: Otsu 1979, Eq. 14."""
    high, low = values[values > threshold], values[values <= threshold]
    return 0.0 if not len(high) or not len(low) else len(high) * len(low) * (high.mean() - low.mean()) ** 2


@settings(max_examples=50)
@given(st.lists(st.integers(0, 100), min_size=4, max_size=40))
def test_otsu_splits_at_the_largest_between_class_variance(numbers: list[int]) -> None:
    values = np.array(numbers) / 100
    (threshold,) = instant.otsu(torch.tensor(values)[None, None]).tolist()
    best = max(variance_between(values, at) for at in np.unique(values))
    assert variance_between(values, threshold) == pytest.approx(best, rel=1e-4, abs=1e-9)


def test_otsu_agrees_with_opencv() -> None:
    codes = np.concatenate(
        [np.random.default_rng(0).normal(60, 15, 3000), np.random.default_rng(1).normal(170, 30, 1000)]
    )
    codes = codes.clip(0, 255).astype(np.uint8)[None, :]
    expected, _ = cv2.threshold(codes, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    (found,) = instant.otsu(torch.from_numpy(codes)[None].float()).tolist()
    assert np.array_equal(codes > found, codes > expected)


def test_the_threshold_of_each_map_becomes_one_half_and_the_order_of_values_is_kept() -> None:
    maps = (
        torch.rand(4, 8, 8, generator=torch.Generator().manual_seed(0)) ** torch.tensor([0.5, 1, 2, 4])[:, None, None]
    )
    maps = maps / maps.amax((1, 2), keepdim=True)
    split = instant.split_at_half(maps)
    assert torch.equal(split > 0.5, maps > instant.otsu(maps)[:, None, None])
    assert torch.equal(split.flatten(1).argsort(), maps.flatten(1).argsort())
    assert split.amin() >= 0 and torch.allclose(split.amax((1, 2)), torch.ones(4))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_map_without_contrast_has_no_object(value: float) -> None:
    assert not (instant.split_at_half(torch.full((1, 4, 4), value)) > 0.5).any()


@pytest.mark.parametrize(("count", "sample", "expected"), [(3, 10, [0, 1, 2]), (10, 5, [0, 2, 4, 6, 8]), (7, 1, [0])])
def test_the_sample_is_evenly_spaced(count: int, sample: int, expected: list[int]) -> None:
    assert instant.evenly_spaced(count, sample) == expected


def flat_folder(small_set: Path, folder: Path) -> Path:
    """The training images without their classes, one of them a folder deeper, with their boxes."""
    (folder / "more").mkdir(parents=True)
    lines = ["path,x0,y0,x1,y1"]
    boxes = {line.split(",")[0]: line.split(",")[1:] for line in (small_set / "boxes.csv").read_text().splitlines()[1:]}
    for number, path in enumerate(sorted((small_set / "train").rglob("*.jpg"))):
        name = f"more/{number}.jpg" if number == 0 else f"{number}.jpg"
        shutil.copy(path, folder / name)
        lines.append(",".join([name, *boxes[path.relative_to(small_set).as_posix()]]))
    (folder / "boxes.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_images_without_labels_get_boxes_exports_metrics_and_a_report(
    small_set: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, run, boxes = flat_folder(small_set, tmp_path / "images"), tmp_path / "run", tmp_path / "boxes"
    quick = ["--backbone", NAME, "--weights", str(weights), "--instant.resize-px", "64"]
    main(["fit", str(images), "--run", str(run), "--method", "instant", *quick, "--precision", "fp32"])
    main(["predict", str(run), str(images), "--out", str(boxes), "--precision", "fp32"])
    predictions = list(open_predictions(boxes))
    assert len(predictions) == 12 and all(one.class_name is None for one in predictions)
    assert any(one.objects for one in predictions)
    main(["export", str(boxes), "--format", "coco", "--out", str(tmp_path / "coco")])
    main(["evaluate", str(run), str(images), "--precision", "fp32"])
    main(["evaluate", str(run), str(small_set), "--precision", "fp32"])  # with classes that the run does not have
    assert capsys.readouterr().out.count("Best threshold") == 2
    main(["report", str(run), str(images), "--precision", "fp32"])
    assert (run / "report" / "index.html").is_file()


@pytest.mark.parametrize(
    "words",
    [[], ["--method", "cam"], ["--method", "instant", "--classifier", "same"]],
    ids=["the default", "a method that learns classes", "a classifier"],
)
def test_a_method_that_needs_labels_refuses_a_folder_without_and_suggests_one_that_does_not(
    words: list[str], small_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = flat_folder(small_set, tmp_path / "images")
    with pytest.raises(SystemExit) as stopped:
        main(["fit", str(images), "--run", str(tmp_path / "run"), *words, "--dry-run"])
    assert stopped.value.code == 2
    assert (
        "holds images (12) and no class folders" in (message := capsys.readouterr().err)
        and "--method instant" in message
    )


def test_a_run_cannot_be_exported_and_the_error_says_so(
    small_set: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    quick = ["--backbone", NAME, "--weights", str(weights), "--instant.resize-px", "64"]
    main(["fit", str(small_set), "--run", str(run), "--method", "instant", *quick, "--precision", "fp32"])
    with pytest.raises(SystemExit) as stopped:
        main(["export-model", str(run), "--format", "onnx"])
    assert stopped.value.code == 2 and "instant cannot be exported" in capsys.readouterr().err
    assert not (run / "model.onnx").exists()
