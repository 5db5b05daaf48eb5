"""Links that somebody put into a folder which wsol writes: whatever they lead to stays as it was."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from fake_data.reviews import prediction, write_reviewable

from wsol.cli.main import main
from wsol.config.options import RunConfig
from wsol.data.readers import voc
from wsol.data.readers.csv_rows import csv_rows, header_of
from wsol.data.readers.voc_xml import parse
from wsol.errors import WsolError
from wsol.predictions.review_journal import Journal
from wsol.results.heatmaps import _loaded, write_heatmap
from wsol.runs.saved_config import save_config
from wsol.storage.arrays import claimed_memmap, writable_memmap
from wsol.storage.folders import file_hash, new_folder, whole_file, write_json, write_manifest, write_text
from wsol.storage.image_list import write_names
from wsol.storage.links import led_to, open_own
from wsol.storage.locks import held
from wsol.storage.shards import open_scratch
from wsol.storage.tensors import write_tensors
from wsol.training.log import TrainingLog
from wsol.training.state import Tally, Trained

MAP = np.ones((2, 2), dtype=np.float32)
RECORD = np.dtype("u1")


def log(folder: Path) -> None:
    with TrainingLog(folder / "scratch", "train-cam", "none", Trained()) as lines:
        lines.add(Trained(step=10), Tally(steps=10, images=1, seconds=1.0), is_epoch_over=True)


def board(folder: Path) -> None:
    pytest.importorskip("torch.utils.tensorboard.writer")
    with TrainingLog(folder / "scratch", "train-cam", "tensorboard", Trained()):
        pass


def make_folder(folder: Path) -> None:
    with new_folder(folder / "out") as scratch:
        write_manifest(scratch, "predict", {}, {}, {})


def shards(folder: Path) -> None:
    open_scratch(folder / "scratch", "predict", {}, {})
    write_text(folder / "scratch" / "parts" / "000000.jsonl", "whole")


def decide(folder: Path) -> None:
    with Journal(folder):
        pass


def draw(folder: Path) -> None:
    with whole_file(folder / "curves.png") as partial:
        partial.write_bytes(b"a chart")


def lock(folder: Path) -> None:
    with held(folder / "out", "wsol predict", "name another --out"):
        pass


def overwrite(folder: Path) -> None:
    writable_memmap(folder / "pseudo.npy")[:] = 7


class Attack(NamedTuple):
    link: str
    act: Callable[[Path], object]


OF_FILES = {
    "a text's partial of old": Attack(".a.txt.partial", lambda folder: write_text(folder / "a.txt", "ours")),
    "a text": Attack("a.txt", lambda folder: write_text(folder / "a.txt", "ours")),
    "a manifest": Attack("manifest.json", lambda folder: write_manifest(folder, "export", {}, {}, {})),
    "a manifest's partial of old": Attack(
        ".manifest.json.partial", lambda folder: write_manifest(folder, "a", {}, {}, {})
    ),
    "a calibration": Attack("calibration.json", lambda folder: write_json(folder / "calibration.json", {})),
    "a configuration": Attack("config.yaml", lambda folder: save_config(folder, RunConfig())),
    "a chart's partial of old": Attack(".curves.png.partial", draw),
    "weights": Attack(
        "model.safetensors", lambda folder: write_tensors(folder / "model.safetensors", {"a": torch.ones(1)})
    ),
    "weights' partial of old": Attack(
        ".model.safetensors.partial", lambda folder: write_tensors(folder / "model.safetensors", {"a": torch.ones(1)})
    ),
    "an array": Attack("pseudo.npy", lambda folder: claimed_memmap(folder / "pseudo.npy", RECORD, 3)),
    "an array's partial of old": Attack(
        ".pseudo.npy.partial", lambda folder: claimed_memmap(folder / "pseudo.npy", RECORD, 3)
    ),
    "an array left by a kill": Attack("pseudo.npy", overwrite),
    "a heatmap": Attack("1.jpg.npy", lambda folder: write_heatmap(folder, "1.jpg", MAP)),
    "a heatmap's partial of old": Attack(".1.jpg.npy.partial", lambda folder: write_heatmap(folder, "1.jpg", MAP)),
    "a training's log": Attack("scratch/log.jsonl", log),
    "a training's table": Attack("scratch/results.csv", log),
    "a journal": Attack("review.jsonl", decide),
    "a lock": Attack(".out.wsol", lock),
    "a shard's part": Attack("scratch/parts/000000.jsonl", shards),
}

OF_FOLDERS = {
    "a scratch folder": Attack(".out.partial", make_folder),
    "a folder": Attack("out", make_folder),
    "parts": Attack("scratch/parts", shards),
    "names": Attack(".names.partial", lambda folder: write_names(folder / "names", ["1.jpg"])),
    "a class of heatmaps": Attack("owl", lambda folder: write_heatmap(folder, "owl/1.jpg", MAP)),
    "TensorBoard's folder": Attack("tensorboard", board),
    "a lock": Attack(".out.wsol", lock),
}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")
    }


def plant(root: Path, name: str, target: Path) -> None:
    """A link in our folder, where a killed command of the same settings may have been at work."""
    (root / "scratch").mkdir(parents=True)
    open_scratch(root / "scratch", "predict", {}, {})
    link = root / name
    if link.is_dir():
        link.rmdir()
    link.symlink_to(target)


def attacked(root: Path, attack: Attack) -> None:
    try:
        attack.act(root)
    except WsolError as error:
        assert attack.link.rpartition("/")[2] in str(error) and "link" in str(error)


@pytest.mark.parametrize("is_there", [True, False], ids=["a file", "nothing yet"])
@pytest.mark.parametrize("name", OF_FILES)
def test_no_file_that_a_link_leads_to_is_written(tmp_path: Path, name: str, is_there: bool) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if is_there:
        np.save(elsewhere / "victim", np.zeros(3, dtype=RECORD))
        (elsewhere / "victim.npy").rename(elsewhere / "victim")
        if name == "a training's log":
            (elsewhere / "victim").write_text('{"step": 1}\n{"step": 99}\n')
    plant(tmp_path / "ours", OF_FILES[name].link, elsewhere / "victim")
    before = contents(elsewhere)
    attacked(tmp_path / "ours", OF_FILES[name])
    assert contents(elsewhere) == before


@pytest.mark.parametrize("is_there", [True, False], ids=["a folder", "nothing yet"])
@pytest.mark.parametrize("name", OF_FOLDERS)
def test_nothing_is_written_through_a_link(tmp_path: Path, name: str, is_there: bool) -> None:
    victim = tmp_path / "elsewhere" / "victim"
    victim.mkdir(parents=True)
    (victim / "mine.txt").write_text("mine")
    if not is_there:
        (victim / "mine.txt").unlink()
        victim.rmdir()
    plant(tmp_path / "ours", OF_FOLDERS[name].link, victim)
    before = contents(tmp_path / "elsewhere")
    attacked(tmp_path / "ours", OF_FOLDERS[name])
    assert contents(tmp_path / "elsewhere") == before


@pytest.mark.parametrize("name", ["a lock", "a journal", "a training's log", "an array left by a kill"])
def test_a_link_that_is_not_replaced_as_a_whole_is_refused(tmp_path: Path, name: str) -> None:
    link, act = OF_FILES[name]
    (tmp_path / "victim").write_text("private")
    plant(tmp_path / "ours", link, tmp_path / "victim")
    with pytest.raises(WsolError, match=f"{link} is a link to {tmp_path}/victim: .*remove the link, or name another"):
        act(tmp_path / "ours")
    assert (tmp_path / "ours" / link).is_symlink()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["a FIFO", "a folder"])
@pytest.mark.parametrize("flags", [os.O_WRONLY | os.O_APPEND | os.O_CREAT, os.O_RDWR | os.O_CREAT, os.O_RDWR])
def test_only_regular_files_are_written(tmp_path: Path, make: Callable[[Path], None], flags: int) -> None:
    make(tmp_path / "odd")
    with pytest.raises(WsolError, match="odd is no regular file"):
        open_own(tmp_path / "odd", flags)


def test_links_are_refused_where_the_system_cannot_do_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_NOFOLLOW")
    monkeypatch.setattr("wsol.storage.links._FLAGS", 0)
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    with pytest.raises(WsolError, match=f"link is a link to {tmp_path}/victim"):
        open_own(tmp_path / "link", os.O_WRONLY | os.O_CREAT)
    assert not (tmp_path / "victim").exists()
    os.close(open_own(tmp_path / "file", os.O_WRONLY | os.O_CREAT))


def test_a_report_does_not_go_where_a_link_of_the_run_leads(
    class_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "site").mkdir()
    (tmp_path / "run" / "report").symlink_to(tmp_path / "site")
    with pytest.raises(SystemExit) as stopped:
        main(["report", str(tmp_path / "run"), str(class_folders)])
    assert stopped.value.code == 2 and f"report is a link to {tmp_path / 'site'}" in capsys.readouterr().err


def test_a_training_goes_by_no_link_of_its_run(
    class_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    elsewhere.mkdir()
    run.mkdir()
    words = [
        "train-cam",
        str(class_folders),
        "--run",
        str(run),
        "--pseudo.masks",
        "thresholds",
        "--cam.resize-px",
        "64",
        "--cam.crop-px",
        "56",
    ]
    for name in (".cam.partial", "cam", ".pixels"):
        (run / name).symlink_to(elsewhere)
        with pytest.raises(SystemExit) as stopped:
            main([*words, "--cam.batch-size", "2", "--epochs", "1", "--workers", "0", "--cache-gb", "0"])
        assert stopped.value.code == 2 and f"{run / name} is a link to {elsewhere}" in capsys.readouterr().err
        (run / name).unlink()
    assert not any(elsewhere.iterdir())


@pytest.mark.parametrize("is_there", [True, False], ids=["an empty folder", "nothing yet"])
def test_an_out_that_is_the_users_own_link_is_filled_where_it_leads(tmp_path: Path, is_there: bool) -> None:
    folder = write_reviewable(tmp_path, [prediction(0)])
    disk = tmp_path / "disk"
    disk.mkdir()
    if is_there:
        (disk / "csv").mkdir()
    (tmp_path / "link").symlink_to(disk / "csv")
    words = ["export", str(folder), "--format", "csv", "--out", str(tmp_path / "link")]
    main(words)
    main(words)
    assert (tmp_path / "link").is_symlink() and led_to(tmp_path / "link") == disk / "csv"
    assert (disk / "csv" / "boxes.csv").is_file() and [path.name for path in disk.iterdir()] == ["csv"]


def test_a_run_and_a_prediction_folder_that_are_links_are_written_where_they_lead(tmp_path: Path) -> None:
    folder = write_reviewable(tmp_path, [prediction(0)])
    (tmp_path / "link").symlink_to(folder)
    with held(tmp_path / "link", "wsol review", "wait"), Journal(tmp_path / "link"):
        save_config(tmp_path / "link", RunConfig())
    assert {"review.jsonl", "config.yaml"} <= {path.name for path in folder.iterdir()}
    assert (tmp_path / "link").is_symlink()


def test_a_pipe_where_a_file_should_be_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.npy")
    os.mkfifo(tmp_path / "boxes.csv")
    os.mkfifo(tmp_path / "a.xml")
    for read in (
        lambda: file_hash(tmp_path / "boxes.csv"),
        lambda: list(csv_rows(tmp_path / "boxes.csv", ("path",))),
        lambda: header_of(tmp_path / "boxes.csv"),
        lambda: parse(tmp_path / "a.xml"),
        lambda: _loaded(tmp_path / "a.npy"),
    ):
        with pytest.raises(WsolError, match="no regular file"):
            read()
    assert not voc.recognise(tmp_path)
