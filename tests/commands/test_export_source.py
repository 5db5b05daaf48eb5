"""Whose images an export copies: it says so first, and asks where it cannot be sure that they are meant."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import get_args

import pytest
from fake_data.predictions import CORPUS, line, ones, write_predictions
from PIL import Image

from wsol.cli.main import main
from wsol.commands.export import COPY_IMAGES, Format, export
from wsol.errors import WsolError
from wsol.predictions.records import LINES
from wsol.storage.folders import MANIFEST

COPYING = tuple(COPY_IMAGES)
OTHERS = tuple(format for format in get_args(Format) if format not in COPY_IMAGES)


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    return write_predictions(tmp_path).folder


@pytest.fixture
def stolen(tmp_path: Path) -> Path:
    """A stranger's prediction folder: one of the images is a link to somebody's private one."""
    folder = write_predictions(tmp_path, (line("a.jpg", 0, ones((40, 60), (1, 1, 9, 9))),)).folder
    (tmp_path / "private").mkdir()
    (tmp_path / "images/a.jpg").rename(tmp_path / "private/a.jpg")
    (tmp_path / "images/a.jpg").symlink_to(tmp_path / "private/a.jpg")
    return folder


@pytest.mark.parametrize("format", get_args(Format))
def test_an_export_that_contains_pixels_names_their_folder_before_it_copies(
    tmp_path: Path, predictions: Path, format: Format, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(tmp_path / "images/a")  # so that copying fails, and what was said before is seen
    if format in COPY_IMAGES:
        with pytest.raises(WsolError, match="no image at"):
            export(predictions, format, tmp_path / "out")
        said = f"export: {COPY_IMAGES[format]} {7 if format == 'crops' else 8} images from {tmp_path / 'images'}\n"
        assert capsys.readouterr().err == said
    else:
        export(predictions, format, tmp_path / "out")
        assert "from" not in capsys.readouterr().err


@pytest.mark.parametrize("format", COPYING)
def test_a_link_out_of_the_image_root_is_not_followed_unless_the_root_is_named(
    tmp_path: Path, stolen: Path, format: Format
) -> None:
    with pytest.raises(
        WsolError, match=r"is a link to .*private/a.jpg: expected an image inside .* `--images .*images`"
    ):
        export(stolen, format, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / ".out.partial").rglob("*.jpg"))
    assert list(export(stolen, format, tmp_path / "out", images=tmp_path / "images").rglob("*.jpg"))


@pytest.mark.parametrize("format", COPYING)
def test_nor_is_a_folder_that_is_a_link(tmp_path: Path, stolen: Path, format: Format) -> None:
    (tmp_path / "images/a.jpg").unlink()
    (tmp_path / "images/b").symlink_to(tmp_path / "private")
    text = (stolen / LINES).read_text()
    (stolen / LINES).write_text(text.replace("a.jpg", "b/a.jpg"))
    with pytest.raises(WsolError, match="is a link to"):
        export(stolen, format, tmp_path / "out")


@pytest.mark.parametrize("format", COPYING)
def test_links_that_stay_inside_and_a_root_that_is_a_link_are_followed(
    tmp_path: Path, predictions: Path, format: Format
) -> None:
    (tmp_path / "images/a/owl.jpg").rename(tmp_path / "images/b/real.jpg")
    (tmp_path / "images/a/owl.jpg").symlink_to("../b/real.jpg")
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    (tmp_path / "images").symlink_to("elsewhere")
    assert export(predictions, format, tmp_path / "out").is_dir()


@pytest.mark.parametrize("format", OTHERS)
def test_a_format_without_pixels_does_not_ask(tmp_path: Path, stolen: Path, format: Format) -> None:
    assert export(stolen, format, tmp_path / "out").is_dir()


@pytest.mark.parametrize("of", ["", MANIFEST, LINES], ids=["the folder", "its manifest", "its lines"])
@pytest.mark.parametrize("format", COPYING)
def test_predictions_of_another_user_need_the_images_named(
    tmp_path: Path, predictions: Path, monkeypatch: pytest.MonkeyPatch, format: Format, of: str
) -> None:
    theirs, real = predictions / of, Path.stat

    def stat(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = real(path, follow_symlinks=follow_symlinks)
        return os.stat_result((*found[:4], found.st_uid + 1, *found[5:10])) if path == theirs else found

    monkeypatch.setattr(Path, "stat", stat)
    with pytest.raises(WsolError, match="belongs to another user .*: expected your own predictions, .* `--images"):
        export(predictions, format, tmp_path / "out")
    assert export(predictions, format, tmp_path / "out", images=tmp_path / "images").is_dir()


@pytest.mark.parametrize("format", get_args(Format))
def test_images_that_moved_are_found_below_the_folder_named(tmp_path: Path, predictions: Path, format: Format) -> None:
    (tmp_path / "images").rename(tmp_path / "moved")
    arguments = ["export", str(predictions), "--format", format, "--out", str(tmp_path / "out"), "--images"]
    main([*arguments, str(tmp_path / "moved")])
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    assert manifest["settings"] == {"format": format, "images": str(tmp_path / "moved")}
    assert manifest["figures"]["images"] == len(CORPUS)
    assert str(tmp_path / "moved") in (tmp_path / "out/README.txt").read_text()


def test_a_folder_of_images_that_is_none_is_an_error_before_anything_is_written(
    tmp_path: Path, predictions: Path
) -> None:
    with pytest.raises(WsolError, match="--images .* is no folder: expected"):
        export(predictions, "yolo", tmp_path / "out", images=tmp_path / "nowhere")
    assert not (tmp_path / ".out.partial").exists()


def test_an_export_can_be_repeated_and_another_root_is_another_export(tmp_path: Path, predictions: Path) -> None:
    shutil.copytree(tmp_path / "images", tmp_path / "others")
    export(predictions, "yolo", tmp_path / "out", images=tmp_path / "images")
    assert export(predictions, "yolo", tmp_path / "out", images=tmp_path / "images") == tmp_path / "out"
    with pytest.raises(WsolError, match="images: .*images there, .*others now"):
        export(predictions, "yolo", tmp_path / "out", images=tmp_path / "others")


def test_class_folders_keep_their_say_when_the_root_has_another_name(tmp_path: Path) -> None:
    """`--classes folder` goes by the folder that was predicted on, whatever it is called now."""
    folder = write_predictions(tmp_path, (line("a.jpg", 0, ones((40, 60), (1, 1, 9, 9))),)).folder
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["figures"]["image_root"] = str(tmp_path / "Käuzchen 梟")
    (folder / MANIFEST).write_text(json.dumps(manifest))
    out = export(folder, "crops", tmp_path / "out", images=tmp_path / "images", classes="folder")
    (crop,) = (out / "crops").rglob("*.jpg")
    assert crop.parent.name == "Käuzchen 梟"
    with Image.open(crop) as image:
        assert image.size == (8, 8)
