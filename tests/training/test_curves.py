"""The loss curves of a run as an image."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from wsol.config.options import RunConfig
from wsol.runs.saved_config import save_config
from wsol.training.curves import write_training_curves


def test_each_finished_training_has_a_curve(tmp_path: Path) -> None:
    for stage, losses in (("cam", [3.0, 2.0, 1.0]), ("seg", [0.4])):
        (tmp_path / stage).mkdir()
        rows = "".join(f"{epoch},4,1.0,{loss},8.0,0.0\n" for epoch, loss in enumerate(losses, start=1))
        text = "epoch,steps,seconds,loss,images_per_second,waiting_share\n" + rows
        (tmp_path / stage / "results.csv").write_text(text)
    save_config(tmp_path, RunConfig())
    path = write_training_curves(tmp_path)
    assert path == tmp_path / "curves.png"
    with Image.open(path) as image:
        assert image.size == (864, 384), "two of them side by side"
        assert len(image.convert("RGB").getcolors(1 << 24) or []) > 20
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_run_without_a_finished_epoch_has_no_image(tmp_path: Path) -> None:
    save_config(tmp_path, RunConfig())
    assert write_training_curves(tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
