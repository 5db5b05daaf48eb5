"""What is rare: distances by the equations, the threshold of each image, and defects of generated surfaces."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from methods_quick import small_config

from wsol.cli.main import main
from wsol.demo.surfaces import DEFECTS, GOOD, write_surface_set
from wsol.methods import choose_map, rare_map
from wsol.methods.instant import build
from wsol.runs.run import Run

RARE = {"map": "rare"}


def network() -> rare_map.RareNetwork:
    torch.manual_seed(0)
    config = small_config("instant")
    found = build(config.model_copy(update={"options": RARE}), None).eval()
    assert isinstance(found, rare_map.RareNetwork)
    return found


def mahalanobis_by_hand(level: np.ndarray) -> np.ndarray:
    """The distance of each position from the mean of all, with the penalty, by the definition."""
    batch, channels, height, width = level.shape
    rows = level.transpose(0, 2, 3, 1).reshape(-1, channels).astype(np.float64)
    covariance = np.cov(rows.T, bias=True)
    covariance += rare_map.PENALTY * np.trace(covariance) / channels * np.eye(channels)
    centred = rows - rows.mean(0)
    squares = np.einsum("nc,cd,nd->n", centred, np.linalg.inv(covariance), centred) / channels
    return np.sqrt(squares).reshape(batch, height, width)


def test_the_map_is_the_geometric_mean_of_mahalanobis_distances() -> None:
    one, images = network(), torch.rand(4, 3, 96, 96)
    with torch.no_grad():
        levels = one.levels(images)
        rare_map.fill_whitening(one, rare_map.level_moments(levels[:]))
        found = one.distances(levels)
    assert len(levels) == rare_map.LEVELS
    by_hand = [torch.from_numpy(mahalanobis_by_hand(level.numpy()))[:, None].float() for level in levels]
    finer = [torch.nn.functional.interpolate(one, found.shape[1:], mode="bilinear") for one in by_hand]
    expected = torch.stack(finer).log().mean(0)[:, 0].exp()
    torch.testing.assert_close(found, expected, atol=0.03, rtol=0.03)


def test_moments_of_batches_add() -> None:
    levels = [torch.rand(4, 3, 5, 5), torch.rand(4, 2, 3, 3)]
    halves = [rare_map.level_moments([level[part] for level in levels]) for part in (slice(2), slice(2, 4))]
    both, whole = halves[0] + halves[1], rare_map.level_moments(levels)
    assert both.counts == whole.counts == (100, 36)
    for sums, expected in zip(both.products, whole.products, strict=True):
        np.testing.assert_allclose(sums, expected, rtol=1e-5)


def distances(peak: float) -> torch.Tensor:
    """A background of 1 and a blurred spot."""
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    return (1 + (peak - 1) * torch.exp(-((x - 9) ** 2 + (y - 20) ** 2) / 18))[None]


@given(st.floats(1.2, 50), st.floats(0, 60))
def test_nothing_is_found_unless_the_peak_is_above_the_floor(peak: float, floor: float) -> None:
    found = rare_map.rescaled(distances(peak), torch.tensor(floor))
    assert float(found.min()) >= 0 and float(found.max()) <= 1
    if abs(peak - floor) > 1e-3:
        assert bool((found > 0.5).any()) == (peak > floor)


def test_the_threshold_is_half_way_to_the_peak_without_a_floor() -> None:
    spot = distances(5.0)
    found = rare_map.rescaled(spot, torch.tensor(0.0))
    assert torch.equal(found > 0.5, spot > 1 + (5 - 1) / 2)


@given(st.floats(1.1, 20), st.floats(0.01, 10), st.floats(0, 12))
def test_images_with_higher_peaks_have_higher_maxima(peak: float, more: float, floor: float) -> None:
    lower, higher = (rare_map.rescaled(distances(one), torch.tensor(floor)).max() for one in (peak, peak + more))
    assert lower < higher


def test_a_constant_map_has_nothing() -> None:
    assert not (rare_map.rescaled(torch.ones(1, 8, 8), torch.tensor(0.0)) > 0.5).any()


def test_the_error_is_that_of_a_model_without_the_image() -> None:
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(20, 3)), np.arange(20) % 3
    features[:, 0] += labels
    targets = (labels[:, None] == np.arange(3)).astype(float) - (labels[:, None] == np.arange(3)).mean(0)
    centred = features - features.mean(0)
    penalty = choose_map.PENALTY * np.square(centred).sum() / 20
    errors = []
    for left_out in range(20):
        kept = np.delete(np.arange(20), left_out)
        x, y = centred[kept], targets[kept]
        weights = np.linalg.solve(x.T @ x + penalty * np.eye(3), x.T @ y)
        errors.append(targets[left_out] - centred[left_out] @ weights)
    expected = np.square(errors).sum() / np.square(targets).sum()
    assert choose_map.label_error(features, labels) == pytest.approx(expected)


def test_the_map_whose_regions_show_the_classes_is_chosen() -> None:
    random = np.random.default_rng(1)
    labels = np.arange(40) % 2

    def features(spread: float) -> np.ndarray:
        return random.normal(size=(40, 5)) * spread + labels[:, None]

    telling, nearly, weak, noise = features(0.2), features(0.25), features(2.0), random.normal(size=(40, 5))
    assert choose_map.Regions(weak, telling, noise, labels).is_rare_better()  # clearly
    assert not choose_map.Regions(nearly, telling, noise, labels).is_rare_better()  # not clearly
    assert choose_map.Regions(nearly, telling, telling, labels).is_rare_better()  # common is no better than the image
    assert not choose_map.Regions(telling, weak, noise, labels).is_rare_better()
    assert not choose_map.Regions(noise, telling, noise, np.zeros(40, int)).is_rare_better()


def test_region_means_by_hand() -> None:
    roots = torch.arange(8.0).reshape(1, 2, 2, 2)
    salience = torch.zeros(2, 4, 4)
    salience[0, :2, :2] = 1  # the first position
    salience[0, :2, 2] = 1  # half of the second
    found = choose_map.region_means(salience, roots.expand(2, 2, 2, 2))
    np.testing.assert_allclose(found, [[(0 + 0.5 * 1) / 1.5, (4 + 0.5 * 5) / 1.5], [0, 0]], rtol=1e-6)


@pytest.mark.parametrize(
    ("method", "options", "chosen"),
    [
        pytest.param("instant", [], "rare", id="by the labels"),
        pytest.param("instant", ["--instant.map", "common"], "common", id="as given"),
        pytest.param("instant", ["--no-object", GOOD], "rare", id="with images without an object"),
        pytest.param("spol", [], "rare", id="cues, by the labels"),
    ],
)
def test_small_defects_are_what_is_rare(
    surfaces: Path, tmp_path: Path, method: str, options: list[str], chosen: str
) -> None:
    words = ["--method", method, "--precision", "fp32", "--instant.resize-px", "256", *options]
    command, folder = ("fit", "instant") if method == "instant" else ("make-pseudo", "cues")
    none = ["--classifier", "none"]
    main([command, f"{surfaces}", "--run", f"{tmp_path / 'run'}", *words, *none])
    assert json.loads((tmp_path / "run" / folder / "model.json").read_text())["options"]["map"] == chosen
    main([command, f"{surfaces}", "--run", f"{tmp_path / 'run'}", *words, *none])  # finished already
    if method == "instant":
        assert (Run.open(tmp_path / "run").image_threshold is None) == (chosen == "rare")


def test_large_creatures_are_what_images_have_in_common(small_set: Path, tmp_path: Path) -> None:
    words = ["--method", "instant", "--classifier", "none", "--precision", "fp32", "--instant.resize-px", "192"]
    for name, options in (("auto", []), ("common", ["--instant.map", "common"])):
        main(["fit", f"{small_set}", "--run", f"{tmp_path / name}", *words, *options])
        main(["predict", f"{tmp_path / name}", f"{small_set / 'test'}", "--out", f"{tmp_path / f'{name}-boxes'}"])
    auto, common = ((tmp_path / f"{name}-boxes" / "predictions.jsonl").read_text() for name in ("auto", "common"))
    assert auto == common


@pytest.fixture(scope="module")
def surfaces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("surfaces")
    write_surface_set(root, textures=["leather"], train_per_class=6, test_per_class=4, areas=(0.01, 0.03))
    return root


def test_defects_are_found_and_good_surfaces_stay_empty(surfaces: Path, tmp_path: Path) -> None:
    words = ["--method", "instant", "--no-object", GOOD, "--classifier", "none", "--instant.resize-px", "256"]
    main(["fit", f"{surfaces}", "--run", f"{tmp_path / 'run'}", "--precision", "fp32", *words])
    main(["evaluate", f"{tmp_path / 'run'}", f"{surfaces}", "--json", f"{tmp_path / 'm.json'}"])
    (result,) = json.loads((tmp_path / "m.json").read_text())
    figures = {name: one["value"] for name, one in result["metrics"].items()}
    assert result["n"] == 4 * len(DEFECTS)
    assert figures["pointing_game"] >= 75 and figures["gt_known_30"] >= 60 and figures["image_auroc"] >= 90


def test_it_is_an_error_if_no_image_without_an_object_can_be_decoded(
    surfaces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Path(shutil.copytree(surfaces, tmp_path / "data"))
    for image in (data / "train" / GOOD).iterdir():
        image.write_text("no image")
    words = ["--method", "instant", "--no-object", GOOD, "--classifier", "none", "--instant.resize-px", "96"]
    with pytest.raises(SystemExit):
        main(["fit", f"{data}", "--run", f"{tmp_path / 'run'}", "--precision", "fp32", *words])
    assert "none of 18 images can be decoded" in capsys.readouterr().err


def test_other_classes_without_an_object_need_another_run(
    surfaces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", f"{surfaces}", "--run", f"{tmp_path / 'run'}", "--method", "instant", "--instant.resize-px", "96"]
    main([*words, "--precision", "fp32", "--classifier", "none", "--no-object", GOOD])
    main(words)  # as before
    with pytest.raises(SystemExit):
        main([*words, "--no-object", f"{GOOD},dent"])
    assert "no_object" in capsys.readouterr().err
