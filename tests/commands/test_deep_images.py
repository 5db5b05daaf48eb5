"""A set of 16-bit images gives what the same images of 8 bits give, in every command, if its window is chosen."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from fake_data.tiff import write_tiff
from PIL import Image
from quick import Cli

import wsol
from wsol.cli.main import main
from wsol.config.image import Decoding
from wsol.data.images import image_hw, read_image
from wsol.predictions.records import open_predictions, read_lines
from wsol.review.images import Thumbnails
from wsol.runs.run import Run

OPTIONS = ("--method", "instant", "--instant.resize-px", "64", "--precision", "fp32", "--workers", "0")
CHOSEN = ("--image.window", "100,2140", "--image.page", "2")
DECODING = Decoding(window="100,2140", page=2)


def deep(pixels: np.ndarray) -> np.ndarray:
    """16-bit values from which the window 100 to 2140 makes the same pixels again."""
    return (pixels.astype(np.uint16) * 8 + 100).astype(np.uint16)


class Sets:
    """The same images of 8 bits, and as the second page of 16-bit TIFF files; and a run on each."""

    def __init__(self, small_set: Path, folder: Path) -> None:
        self.shallow, self.deep = folder / "shallow", folder / "deep"
        self.runs = {"shallow": folder / "shallow run", "deep": folder / "deep run"}
        for path in sorted(small_set.rglob("*")):
            if path.suffix.lower() in (".jpg", ".png") and "masks" not in path.parts:
                below = path.relative_to(small_set).with_suffix(".tif")
                pixels = read_image(path)
                for root in (self.shallow, self.deep):
                    (root / below).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(self.shallow / below)
                write_tiff(self.deep / below, [np.zeros_like(deep(pixels)), deep(pixels)])
        main(["fit", str(self.shallow), "--run", str(self.runs["shallow"]), *OPTIONS])
        main(["fit", str(self.deep), "--run", str(self.runs["deep"]), *OPTIONS, *CHOSEN])

    @property
    def image(self) -> Path:
        return min(self.deep.rglob("*.tif"))


@pytest.fixture(scope="module")
def sets(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Sets:
    return Sets(small_set, tmp_path_factory.mktemp("deep"))


@pytest.fixture(scope="module")
def predicted(sets: Sets) -> Path:
    out = sets.deep.parent / "predicted"
    main(["predict", str(sets.runs["deep"]), str(sets.deep), "--out", str(out)])
    return out


def test_training_sees_the_window_and_the_page(sets: Sets) -> None:
    weights = [(run / "instant" / "model.safetensors").read_bytes() for run in sets.runs.values()]
    assert weights[0] == weights[1]


def test_prediction_uses_those_of_the_training(sets: Sets, predicted: Path, tmp_path: Path, cli: Cli) -> None:
    assert cli("predict", sets.runs["shallow"], sets.shallow, "--out", tmp_path / "out") == 0
    ours, theirs = (list(read_lines(folder / "predictions.jsonl")) for folder in (predicted, tmp_path / "out"))
    assert ours == theirs
    assert any(line.objects for line in ours)


def test_python_uses_them_for_files_and_arrays(sets: Sets) -> None:
    localizer = wsol.Localizer.load(sets.runs["deep"])
    expected = wsol.Localizer.load(sets.runs["shallow"])(sets.shallow / sets.image.relative_to(sets.deep)).box
    assert expected is not None
    stored = deep(read_image(sets.image, DECODING))
    assert localizer(sets.image).box == localizer(stored).box == localizer.folder(sets.image.parent)[0].box == expected


def test_another_window_is_refused_in_the_same_run(
    sets: Sets, tmp_path: Path, cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(sets.runs["deep"], tmp_path / "run"))
    assert cli("fit", sets.deep, "--run", run, *OPTIONS, *CHOSEN) == 0
    assert cli("fit", sets.deep, "--run", run, "--image.window", "0,9") == 2
    assert "--image" in capsys.readouterr().err
    assert Run.open(run).config.image == DECODING, "a refused command changes nothing"


def test_a_run_of_an_older_version_has_the_default(sets: Sets, tmp_path: Path, cli: Cli) -> None:
    run = Path(shutil.copytree(sets.runs["shallow"], tmp_path / "run"))
    values = yaml.safe_load((run / "config.yaml").read_text())
    del values["image"]
    (run / "config.yaml").write_text(yaml.safe_dump(values))
    assert Run.open(run).config.image == Decoding()
    assert cli("fit", sets.shallow, "--run", run) == 0, "it is finished, and of the same images"
    assert cli("predict", run, sets.shallow, "--out", tmp_path / "out") == 0
    assert "image" not in json.loads((tmp_path / "out" / "manifest.json").read_text())["settings"]


def test_pages_and_exports_show_the_same_pixels(sets: Sets, predicted: Path, tmp_path: Path, cli: Cli) -> None:
    predictions = open_predictions(predicted)
    assert predictions.image == DECODING
    expected = read_image(sets.image, DECODING)
    jpeg = Thumbnails(predictions.image).jpeg(sets.image, image_hw(sets.image), 480)
    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert np.abs(shown.astype(int) - expected).mean() < 6
    for format in ("yolo", "crops"):
        assert cli("export", predicted, "--format", format, "--out", tmp_path / format) == 0
        files = [path for path in (tmp_path / format).rglob("*") if path.suffix in (".tif", ".jpg")]
        assert files and all(read_image(path).max() > 60 for path in files), "black without page and window"
    copy = tmp_path / "yolo" / "images" / sets.image.relative_to(sets.deep)
    np.testing.assert_array_equal(read_image(copy), expected)


def test_a_report_shows_the_same_pixels(sets: Sets) -> None:
    from wsol.reports.gallery import _photo

    photo = _photo(sets.image, image_hw(sets.image), Run.open(sets.runs["deep"]).config.image)
    assert photo.max() > 60 and _photo(sets.image, image_hw(sets.image), Decoding()).max() == 0


def test_a_check_notes_pages_until_one_is_chosen(
    sets: Sets, tmp_path: Path, cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    count = len(list(sets.deep.rglob("*.tif")))
    assert len(wsol.check(sets.deep, quiet=True)["several pages"]) == count
    assert len(wsol.check(sets.deep, quiet=True)["blank"]) == count
    assert cli("check", sets.deep, *CHOSEN, "--json", tmp_path / "a.json", "--page", tmp_path / "a.html") == 0
    kinds = [one["kind"] for one in json.loads((tmp_path / "a.json").read_text())["findings"]]
    assert not {"several pages", "blank", "dark", "broken image"} & {*kinds}
    absent = wsol.check(sets.deep, image=Decoding(page=3), quiet=True)["broken image"]
    assert len(absent) == count and "2 pages" in str(absent[0])


def test_predictions_with_a_damaged_window_are_refused(predicted: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(predicted, tmp_path / "out"))
    manifest = json.loads((folder / "manifest.json").read_text())
    for wrong in ({"window": "9,1"}, {"page": 0}, {"other": 1}, "text"):
        manifest["settings"]["image"] = wrong
        (folder / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(wsol.WsolError, match="image"):
            open_predictions(folder)
