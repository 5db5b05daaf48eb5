"""`wsol report` through the command line."""

from __future__ import annotations

import html
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image
from quick import Cli

from wsol.config.options import RunConfig
from wsol.data.samples import Sample
from wsol.reports.provenance import licences_of
from wsol.reports.write_report import spread
from wsol.runs.run import Run
from wsol.runs.saved_config import load_config, save_config


def files_in(page: str) -> list[str]:
    return re.findall(r'class="file"><bdi>(.*?)</bdi>', page)


def words_of(page: str) -> str:
    """The visible text, with spaces as a browser shows them."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<(script|style).*?</\1>", "", page))).split())


@pytest.fixture(scope="module")
def page(small_set: Path, small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of a run on a data set with boxes."""
    from wsol.cli.main import main

    out = tmp_path_factory.mktemp("reported")
    main(["report", str(small_run), str(small_set), "--out", str(out)])
    assert [path.name for path in out.iterdir()] == ["index.html"]
    return (out / "index.html").read_text()


def test_the_report_holds_metrics_images_and_provenance(page: str, small_set: Path, small_run: Path) -> None:
    tests = sorted(path.relative_to(small_set).as_posix() for path in (small_set / "test").rglob("*.jpg"))
    assert sorted(files_in(page)) == tests and len(tests) == 6
    text = words_of(page)
    assert "protocol original spol wsol-v1 wsol-v2 images 6 6 6 6" in text
    assert "GT-known Loc" in text and "MaxBoxAccV2" in text and "95 % intervals" in text
    assert f"box threshold {Run.open(small_run).box().threshold:.2f}, learned from" in text
    assert "tf_efficientnet_lite0, timm's pretrained weights apache-2.0, according to timm" in text
    assert "training cam" in text and "training seg" in text and "training classifier" in text
    assert "torch 2." in text and "resize_px: 64" in page
    ious = [float(fit) for fit in re.findall(r'data-iou="([\d.]+)"', page)]
    assert len(ious) == 6 and ious == sorted(ious), "worst first"
    corners = [[float(edge) for edge in box.split()] for box in re.findall(r'data-boxes="([\d. ]+)"', page)]
    covering = sum((x1 - x0) * (y1 - y0) >= 0.95 * 90 * 120 for x0, y0, x1, y1 in corners)
    assert len(corners) == 6 and f"boxes that cover the image {covering} of 6 (at least 95% of its area)" in text


def numbers_of(page: str, name: str) -> list[int]:
    """How many maps each card has under a name."""
    return [len(codes.split()) for codes in re.findall(rf' data-{name}="([^"]+)"', page)]


def test_a_run_of_thresholds_shows_its_gaussian_and_the_levels_of_both_networks(page: str) -> None:
    assert numbers_of(page, "gaussian") == 6 * [1]
    assert numbers_of(page, "cam-levels") == numbers_of(page, "seg-levels") == 6 * [3]
    assert page.count("<figcaption>Map and Gaussian</figcaption>") == 6


def test_without_a_gaussian_its_panels_are_absent(cli: Cli, small_set: Path, small_run: Path, tmp_path: Path) -> None:
    run, config = Path(shutil.copytree(small_run, tmp_path / "run")), load_config(small_run)
    save_config(run, config.model_copy(update={"pseudo": config.pseudo.model_copy(update={"gaussian": "none"})}))
    assert cli("report", run, small_set, "--protocol", "original", "--max-images", 2) == 0
    page = (run / "report" / "index.html").read_text()
    assert numbers_of(page, "gaussian") == [] and 'data-panel="combined"' not in page
    assert 'data-panel="pseudo"' in page and numbers_of(page, "cam-levels") == [3, 3]


def test_the_numbers_and_the_gallery_are_those_of_evaluate(
    page: str, cli: Cli, small_set: Path, small_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("evaluate", small_run, small_set) == 0
    printed = capsys.readouterr().out
    for metric in ("GT-known Loc", "mean box IoU", "mask IoU"):
        (value,) = re.findall(rf"{metric} +│ +([\d.]+ \([\d.]+ to [\d.]+\))", printed)
        assert f'<bdi>{metric}</bdi></th>\n        <td class="number">{value}</td>' in page
    ious = [float(fit) for fit in re.findall(r'data-iou="([\d.]+)"', page)]
    (mean,) = re.findall(r"mean box IoU +│ +([\d.]+) ", printed)
    assert 100 * sum(ious) / 6 == pytest.approx(float(mean), abs=0.06)


def without_boxes(small_set: Path, folder: Path) -> Path:
    """Class folders without boxes; two broken images, and one of 300 x 2 pixels."""
    root = Path(shutil.copytree(small_set / "test", folder / "birds <i>"))
    first, second, third, *_ = sorted(root.rglob("*.jpg"))
    first.write_bytes(b"")
    second.write_bytes(second.read_bytes()[:100])
    Image.new("RGB", (300, 2)).save(third)
    return root


def test_without_boxes_the_least_confident_stand_first_and_nothing_is_claimed(
    cli: Cli, small_set: Path, small_run: Path, tmp_path: Path
) -> None:
    data = without_boxes(small_set, tmp_path)
    assert cli("report", small_run, data, "--out", tmp_path / "out") == 0
    page = (tmp_path / "out" / "index.html").read_text()
    text = words_of(page)
    assert "it is unknown how many of the predicted boxes are correct" in text and "no test split" in text
    assert "GT-known" not in text and "data-iou" not in page
    scores = [float(score) for score in re.findall(r'data-score="([^"]+)"', page)]
    assert len(scores) == 4 and scores == sorted(scores)
    assert "Left out: 2 images" in text and text.count("cannot decode") == 2
    assert "mean score" in text and "predicted class equals the label" in text


def test_a_run_without_a_classifier_has_a_report(cli: Cli, small_set: Path, small_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    save_config(run, load_config(run).model_copy(update={"classifier": "none"}))
    shutil.rmtree(run / "classifier")
    assert cli("report", run, small_set) == 0
    page = (run / "report" / "index.html").read_text()
    assert "<dt>predicted</dt>" not in page and "Top-1" not in page and "wrong class" not in page
    assert cli("report", run, without_boxes(small_set, tmp_path), "--out", tmp_path / "out") == 0
    assert "predicted class equals the label" not in (tmp_path / "out" / "index.html").read_text()


@pytest.fixture(scope="module")
def run_of_boxes(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of PSOL, finished. Read only."""
    from wsol.cli.main import main

    run = tmp_path_factory.mktemp("runs") / "psol"
    training = ("--training.steps", "2", "--training.batch-size", "4", "--training.resize-px", "64")
    words = ("--method", "psol", "--classifier", "none", *training, "--training.crop-px", "64", "--workers", "0")
    main(["fit", str(small_set), "--run", str(run), *words])
    return run


def test_boxes_without_maps_are_evaluated_and_what_is_absent_is_stated_once(
    cli: Cli, small_set: Path, run_of_boxes: Path, tmp_path: Path
) -> None:
    assert cli("report", run_of_boxes, small_set, "--out", tmp_path) == 0
    text = words_of((tmp_path / "index.html").read_text())
    assert (
        "psol predicts a box directly: there is no map, no mask, no threshold to move and no score to sort by." in text
    )
    assert "psol's boxes under each protocol" in text and "correct boxes, mean over IoU 0.3, 0.5 and 0.7" in text
    assert text.partition("Complete configuration")[0].count("threshold") == 1
    assert "boxes one per image, predicted without a map" in text and "method psol" in text
    assert "boxes tf_efficientnet_lite0, timm's pretrained weights apache-2.0, according to timm" in text


def test_boxes_without_maps_and_ground_truth_have_no_score(
    cli: Cli, small_set: Path, run_of_boxes: Path, tmp_path: Path
) -> None:
    data = without_boxes(small_set, tmp_path)
    assert cli("report", run_of_boxes, data, "--out", tmp_path / "out") == 0
    page = (tmp_path / "out" / "index.html").read_text()
    text = words_of(page)
    assert "predicted boxes are correct. There is no test split" in text, "such a run cannot be calibrated"
    assert "score" not in text.replace("no score to sort by", "") and "confident" not in text
    assert files_in(page) == sorted(files_in(page)) and len(files_in(page)) == 4
    assert "class images nothing found" in text


def test_some_of_many_images_are_shown_and_all_are_evaluated(
    cli: Cli, small_set: Path, small_run: Path, tmp_path: Path
) -> None:
    assert cli("report", small_run, small_set, "--max-images", 2, "--protocol", "original", "--out", tmp_path) == 0
    page = (tmp_path / "index.html").read_text()
    assert len(files_in(page)) == 2
    assert "2 of 6 images are shown, spread evenly; the metrics are over all." in words_of(page)
    assert "protocol original images 6" in words_of(page)


@pytest.mark.parametrize(
    ("total", "count", "expected"),
    [(0, 3, []), (3, 3, [0, 1, 2]), (7, 3, [0, 2, 4]), (10, 1, [0])],
)
def test_what_is_shown_is_spread_evenly(total: int, count: int, expected: list[int]) -> None:
    samples = [Sample(str(i), Path(str(i)), 0) for i in range(total)]
    assert spread(samples, count) == [samples[i] for i in expected]


@pytest.mark.parametrize("absent", ["seg", "cam", "classifier"])
def test_the_report_of_an_unfinished_run_names_what_is_missing(
    cli: Cli, small_set: Path, small_run: Path, tmp_path: Path, absent: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    shutil.rmtree(run / absent)
    assert cli("report", run, small_set) == 2
    message = capsys.readouterr().err
    assert str(run / absent) in message and "expected" in message
    assert "wsol fit" in message or "goes on and learns it" in message
    assert not (run / "report").exists()


def test_an_older_report_is_replaced_and_anything_else_is_not(
    cli: Cli, small_set: Path, small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("report", small_run, small_set, "--protocol", "original", "--out", tmp_path)
    (tmp_path / "index.html").write_text("<h1>my homepage</h1>")
    assert cli(*words) == 2
    assert "was not written by wsol report" in capsys.readouterr().err
    assert (tmp_path / "index.html").read_text() == "<h1>my homepage</h1>"
    (tmp_path / "index.html").unlink()
    assert cli(*words) == 0
    first = (tmp_path / "index.html").read_bytes()
    assert cli(*words) == 0
    assert (tmp_path / "index.html").read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_mistakes_are_reported(
    cli: Cli, small_set: Path, small_run: Path, class_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, expected in (
        ((small_run, class_folders), "was trained on other classes"),
        ((tmp_path / "no run", small_set), "is not a run"),
        ((small_run, small_set, "--max-images", 0), "--max-images: expected at least 1"),
        ((small_run, small_set, "--protocol", "orignal"), "Did you mean original?"),
    ):
        assert cli("report", *words) == 2
        assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("config", "licences"),
    [
        pytest.param(RunConfig(classifier="none"), ["apache-2.0, according to timm"], id="the bundled backbone"),
        pytest.param(
            RunConfig(backbone="vit_small_patch16_dinov3.lvd1689m", classifier="resnet50"),
            ["dinov3-license, according to timm", "apache-2.0, according to timm"],
            id="one for each",
        ),
        pytest.param(
            RunConfig(weights=Path("/somewhere/best.safetensors"), classifier="none"),
            ["unknown: a weight file does not state it"],
            id="a file",
        ),
        pytest.param(
            RunConfig(backbone="no_such_model", classifier="none"), ["unknown: timm states none"], id="unknown model"
        ),
        pytest.param(
            RunConfig(backbone="resnet50.no_such_tag", classifier="none"),
            ["unknown: timm states none"],
            id="unknown tag",
        ),
    ],
)
def test_the_licence_of_weights_is_shown_if_it_is_known(config: RunConfig, licences: list[str]) -> None:
    rows = licences_of(config)
    assert [licence for _, _, licence in rows[1:-1]] == licences
    assert not any("/somewhere" in what for _, what, _ in rows)
