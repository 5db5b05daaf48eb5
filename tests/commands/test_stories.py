"""What users do, through the command line, on images small enough for every day."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from quick import QUICK, QUICK_CUES, QUICK_NAMED_BY_STAGE_ONE, QUICK_NAMELESS, Cli

from wsol import Localizer, WsolError
from wsol.cli.main import main
from wsol.data.open import open_data
from wsol.methods.spol.mask_store import PseudoStore
from wsol.predictions.records import open_predictions
from wsol.runs.box_threshold import read_threshold
from wsol.runs.run import Run
from wsol.runs.saved_config import load_config

STAGES = ("cam", "pseudo", "seg", "classifier")
NETWORKS = ("cam", "seg", "classifier")


def weights_of(run: Path) -> dict[str, str]:
    return {part: hashlib.sha256((run / part / "model.safetensors").read_bytes()).hexdigest() for part in NETWORKS}


def test_a_folder_of_classes_becomes_boxes_in_another_tools_format(
    cli: Cli, small_set: Path, small_run: Path, tmp_path: Path
) -> None:
    assert all((small_run / stage / "manifest.json").exists() for stage in STAGES)
    assert cli("predict", small_run, small_set / "test", "--out", tmp_path / "out") == 0
    found = list(open_predictions(tmp_path / "out"))
    assert [one.image for one in found] == sorted(
        p.relative_to(small_set / "test").as_posix() for p in (small_set / "test").rglob("*.jpg")
    )
    assert all(one.image_hw == (90, 120) and len(one.top5) == 3 for one in found)
    for form in ("coco", "yolo"):
        assert cli("export", tmp_path / "out", "--format", form, "--out", tmp_path / form) == 0
    assert len(json.loads((tmp_path / "coco" / "instances.json").read_text())["images"]) == len(found)
    assert len(list((tmp_path / "yolo" / "labels").rglob("*.txt"))) == len(found)


@pytest.mark.parametrize("which", ["seg", "cam"])
def test_evaluation_writes_every_rate_with_its_interval_and_protocol(
    cli: Cli, small_set: Path, small_run: Path, tmp_path: Path, which: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("evaluate", small_run, small_set, "--which", which, "--json", tmp_path / "deep" / "m.json") == 0
    (judged,) = json.loads((tmp_path / "deep" / "m.json").read_text())
    assert judged["protocol"] == "original" and judged["n"] == 6
    assert judged["threshold"] == {"seg": Run.open(small_run).box().threshold, "cam": 0.2}[which]
    # Of so few images all may be right, or all wrong: then the score has nothing to rank.
    assert set(judged["metrics"]) - {"score_auc"} == {
        "gt_known",
        "gt_known_30",
        "top1_loc",
        "top5_loc",
        "mean_box_iou",
        "pointing_game",
        "mask_iou",
        "gt_known_best_threshold",
        "gt_known_otsu",
    }
    assert all(0 <= m["low"] <= m["value"] <= m["high"] <= 100 for m in judged["metrics"].values())
    shown = capsys.readouterr().out
    assert "protocol original" in shown and "GT-known Loc at the best threshold" in shown


def test_the_same_command_again_says_that_it_is_finished_and_changes_nothing(
    cli: Cli, small_set: Path, small_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in small_run.rglob("*.safetensors")}
    assert cli("fit", small_set, "--run", small_run, *QUICK) == 0
    assert capsys.readouterr().err.count("finished already") == len(STAGES)
    assert {path: path.stat().st_mtime_ns for path in small_run.rglob("*.safetensors")} == before


def test_other_settings_are_refused_and_the_difference_is_named(
    cli: Cli, small_set: Path, small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    assert cli("fit", small_set, "--run", run, *QUICK, "--cam.fusion", "add") == 2
    message = capsys.readouterr().err
    assert "settings.cam.fusion: multiply there, add now" in message and "Name another folder" in message
    assert (run / "config.yaml").read_text() == (small_run / "config.yaml").read_text(), (
        "a refused command must not change the run"
    )


def test_an_interrupted_run_continues_without_options_after_others_were_refused(
    cli: Cli,
    small_set: Path,
    small_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as stopping:
        stopping.setattr("wsol.training.loop.Interrupts", lambda tell: nullcontext(SimpleNamespace(came=True)))
        assert cli("fit", small_set, "--run", run, *QUICK) == 130
    before = (run / "config.yaml").read_text()
    assert cli("fit", small_set, "--run", run, *QUICK, "--cam.lr-new", "0.03") == 2
    assert "settings.cam.lr_new: 0.02 there, 0.03 now" in capsys.readouterr().err
    assert (run / "config.yaml").read_text() == before
    assert cli("fit", small_set, "--run", run) == 0
    assert "train-cam: continues after step 1 of 3, in epoch 1 of 1\n" in capsys.readouterr().err
    assert weights_of(run) == weights_of(small_run)


@pytest.mark.parametrize(
    ("saved", "printed"),
    [
        pytest.param(
            "cam/log.jsonl", "interrupted before anything was saved; the same command starts again", id="nothing"
        ),
        pytest.param(".cam.partial/checkpoint.safetensors", "interrupted; the same command continues", id="some steps"),
        pytest.param("cam/manifest.json", "interrupted; the same command continues", id="a stage"),
    ],
)
def test_ctrl_c_says_whether_anything_was_saved(
    saved: str,
    printed: str,
    cli: Cli,
    small_set: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: object) -> None:
        (tmp_path / "run" / saved).parent.mkdir(parents=True)
        (tmp_path / "run" / saved).touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("wsol.commands.fit.fit_method", stop)
    assert cli("fit", small_set, "--run", tmp_path / "run") == 130
    assert capsys.readouterr().err == f"{printed}\n"


@pytest.mark.parametrize(
    ("saved", "printed"),
    [
        pytest.param(
            "names/names.bin", "interrupted before anything was saved; the same command starts again", id="nothing"
        ),
        pytest.param("parts/000000.jsonl", "interrupted; the same command continues", id="a part"),
    ],
)
def test_ctrl_c_of_a_prediction_says_whether_anything_was_saved(
    saved: str,
    printed: str,
    cli: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: object, **__: object) -> None:
        (tmp_path / ".out.partial" / saved).parent.mkdir(parents=True)
        (tmp_path / ".out.partial" / saved).touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("wsol.commands.predict.predict", stop)
    assert cli("predict", tmp_path / "run", tmp_path / "images", "--out", tmp_path / "out") == 130
    assert capsys.readouterr().err == f"{printed}\n"


def test_another_seed_gives_other_weights(cli: Cli, small_set: Path, small_run: Path, tmp_path: Path) -> None:
    assert cli("fit", small_set, "--run", tmp_path / "other", *QUICK, "--seed", "1") == 0
    assert all(weights_of(tmp_path / "other")[part] != weights_of(small_run)[part] for part in NETWORKS)


def test_poisoned_boxes_and_masks_leave_the_weights_of_the_same_seed_bit_identical(
    cli: Cli, own_set: Path, small_run: Path, tmp_path: Path
) -> None:
    (own_set / "boxes.csv").write_text("path,x0,y0,x1,y1\ntrain/nonsense,9,9,1,nan\n")
    for mask in (own_set / "masks").rglob("*.png"):
        mask.write_bytes(b"no mask")
    assert cli("fit", own_set, "--run", tmp_path / "run", *QUICK) == 0
    assert weights_of(tmp_path / "run") == weights_of(small_run)


@pytest.mark.parametrize("cache_gb", [2.0, 0.0])
def test_a_broken_image_among_many_is_reported_and_skipped(
    cli: Cli, own_set: Path, tmp_path: Path, cache_gb: float, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = min((own_set / "train").rglob("*.jpg"))
    victim.write_bytes(victim.read_bytes()[:200])
    min((own_set / "test").rglob("*.jpg")).write_bytes(b"")
    run = tmp_path / "run"
    assert cli("fit", own_set, "--run", run, *QUICK, "--cache-gb", cache_gb) == 0
    name = victim.relative_to(own_set).as_posix()
    for stage in ("cam", "pseudo", "classifier"):
        assert name in [one["image"] for one in json.loads((run / stage / "skipped.json").read_text())], stage
    assert PseudoStore(run / "pseudo").counts()["broken_images"] == 1
    said = capsys.readouterr().err
    assert f"1 broken image, first {name}: see {run / 'pseudo' / 'skipped.json'}" in said
    for stage, folder in (("train-cam", "cam"), ("train-seg", "seg"), ("train-classifier", "classifier")):
        assert f"{stage}: trained, 1 broken image, first {name}: see {run / folder}" in said
    assert cli("predict", run, own_set / "test", "--out", tmp_path / "out") == 0
    assert "the file is empty" in capsys.readouterr().err
    assert len(json.loads((tmp_path / "out" / "skipped.json").read_text())) == 1
    assert len(list(open_predictions(tmp_path / "out"))) == 5
    assert cli("evaluate", run, own_set, "--json", tmp_path / "m.json") == 0
    assert json.loads((tmp_path / "m.json").read_text())[0]["n"] == 5


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_a_full_disk_is_reported_and_the_same_command_finishes_when_there_is_room(
    cli: Cli, small_set: Path, small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(disk)], capture_output=True).returncode
        != 0
    ):
        pytest.skip("this machine lets nobody mount")
    try:
        for megabytes in (20, 40, 200):  # full while each of the networks is saved
            assert cli("fit", small_set, "--run", disk / "run", *QUICK) == 2
            assert "no space left on the disk" in capsys.readouterr().err
            subprocess.run(["mount", "-o", f"remount,size={megabytes}M", str(disk)], check=True)
        assert cli("fit", small_set, "--run", disk / "run", *QUICK) == 0
        assert weights_of(disk / "run") == weights_of(small_run)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_run_without_a_classifier_leaves_boxes_unnamed(cli: Cli, small_set: Path, tmp_path: Path) -> None:
    assert cli("fit", small_set, "--run", tmp_path / "run", *QUICK_NAMELESS) == 0
    assert not (tmp_path / "run" / "classifier").exists()
    found = Localizer.load(tmp_path / "run")(next(small_set.rglob("*.jpg")))
    assert found.class_name is None and found.label is None and found.top5 == ()
    assert cli("evaluate", tmp_path / "run", small_set, "--json", tmp_path / "m.json") == 0
    assert "top1_loc" not in json.loads((tmp_path / "m.json").read_text())[0]["metrics"]


def test_stage_one_can_name_the_boxes(cli: Cli, small_set: Path, tmp_path: Path) -> None:
    assert cli("fit", small_set, "--run", tmp_path / "run", *QUICK_NAMED_BY_STAGE_ONE) == 0
    found = Localizer.load(tmp_path / "run")(next(small_set.rglob("*.jpg")))
    assert found.class_name in open_data(small_set).class_names
    assert sum(probability for _, probability in found.top5) == pytest.approx(1, abs=1e-5)


def test_the_localizer_agrees_on_a_path_an_array_a_list_and_a_folder(small_set: Path, small_run: Path) -> None:
    localizer = Localizer.load(small_run, threshold=0.3, objects="all")
    paths = sorted((small_set / "test").rglob("*.jpg"))
    singly = [localizer(path) for path in paths]
    for several in (
        localizer(paths),
        localizer.folder(small_set / "test"),
        localizer([np.asarray(Image.open(path)) for path in paths]),
    ):
        assert [one.class_name for one in several] == [one.class_name for one in singly]
        for one, other in zip(several, singly, strict=True):
            assert one.box == pytest.approx(other.box, abs=2) if other.box else one.box is None
            assert one.mask.shape == (90, 120)


def test_an_empty_result_is_a_result(small_run: Path) -> None:
    found = Localizer.load(small_run, threshold=1.0)(np.zeros((40, 50, 3), np.uint8))
    assert found.box is None and found.score == 0 and found.objects == ()
    assert found.mask.shape == (40, 50) and not found.mask.any()


def test_a_localization_cannot_be_changed(small_run: Path) -> None:
    found = Localizer.load(small_run)(np.zeros((40, 50, 3), np.uint8))
    with pytest.raises(AttributeError):
        found.label = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(["fit", "{tmp}/nowhere", "--run", "{tmp}/r"], "does not exist", id="no such folder"),
        pytest.param(["fit", "{tmp}", "--run", "{tmp}/r"], "no images in", id="no images"),
        pytest.param(
            ["fit", "{one}/owl", "--run", "{tmp}/r"],
            "holds images (1) and no class folders: expected a folder for each class",
            id="one of the classes",
        ),
        pytest.param(["fit", "{one}", "--run", "{tmp}/r"], "one class (owl): expected at least two", id="one class"),
        pytest.param(["predict", "{tmp}", "{set}", "--out", "{tmp}/o"], "is not a run", id="not a run"),
        pytest.param(["predict", "{run}", "{tmp}/nowhere", "--out", "{tmp}/o"], "does not exist", id="no images"),
        pytest.param(["predict", "{run}", "{one}/owl", "--out", "{set}"], "exists already", id="out is taken"),
        pytest.param(
            ["predict", "{run}", "{set}", "--out", "{tmp}/o", "--threshold", "3"], "between 0 and 1", id="threshold"
        ),
        pytest.param(
            ["export", "{set}", "--format", "coco", "--out", "{tmp}/o"],
            "wsol predict RUN IMAGES --out OUT",
            id="no predictions",
        ),
        pytest.param(["evaluate", "{run}", "{one2}"], "trained on other classes", id="other classes"),
        pytest.param(
            ["fit", "{set}", "--run", "{tmp}/r", "--backbone", "resnet500"], "--weights FILE", id="offline, unknown"
        ),
        pytest.param(
            ["fit", "{set}", "--run", "{tmp}/r", "--weights", "{tmp}/w"], "no weights in", id="no weights file"
        ),
        pytest.param(["fit", "{set}", "--run", "{tmp}/r", "--device", "cuda:7"], "cannot be used", id="no such device"),
        pytest.param(
            ["fit", "{set}", "--run", "{tmp}/r", "--seg.crop-px", "300"],
            "error: --seg.crop-px: expected at most --seg.resize-px, got 300 > 256. Set",
            id="crop",
        ),
        pytest.param(
            ["fit", "{set}", "--run", "{tmp}/r", "--cam.levels", "7"],
            "error: --cam.levels: expected a value less than or equal to 4, got 7. See",
            id="a wrong value",
        ),
        pytest.param(
            ["fit", "{set}", "--run", "{tmp}/r", "--epochs", "0"], "--epochs: expected at least 1, got 0", id="no epoch"
        ),
        pytest.param(
            ["fit", "{set}", "--run", "{tmp}/r", "--bakbone", "x"], "Did you mean --backbone?", id="misspelt option"
        ),
        pytest.param(
            ["fit", "{set}", "photos", "--run", "{tmp}/r"],
            "error: `wsol fit` takes no argument 'photos'. A path with spaces needs quotes",
            id="a space without quotes",
        ),
        pytest.param(
            ["export", "{set}", "--format", "coco"],
            "error: --out is missing: `wsol export` needs it. See",
            id="a missing option",
        ),
        pytest.param(
            ["predict", "{run}", "--out", "{tmp}/o"],
            "error: IMAGES is missing: `wsol predict` needs it. See",
            id="a missing path",
        ),
        pytest.param(
            ["fit", "{set}", "--runs", "{tmp}/r"],
            "--run is missing: `wsol fit` needs it. Did you mean --run instead of --runs?",
            id="a misspelt option that is needed",
        ),
        pytest.param(
            ["fit", "{set}", "--run"],
            "error: --run has no value: expected one after it.",
            id="an option without its value",
        ),
        pytest.param(["fti"], 'Did you mean "fit"?', id="misspelt command"),
    ],
)
def test_user_errors_are_reported_with_a_remedy(
    words: list[str],
    expected: str,
    cli: Cli,
    small_set: Path,
    small_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    owls = tmp_path / "one" / "owl"
    owls.mkdir(parents=True)
    Image.new("RGB", (30, 20)).save(owls / "1.png")
    shutil.copytree(owls.parent, tmp_path / "one2")
    shutil.copytree(owls, tmp_path / "one2" / "wren")
    (tmp_path / "one2" / "boxes.csv").write_text("path,x0,y0,x1,y1\nowl/1.png,1,1,9,9\n")
    places = {
        "tmp": tmp_path / "empty",
        "one": owls.parent,
        "one2": tmp_path / "one2",
        "set": small_set,
        "run": small_run,
    }
    places["tmp"].mkdir()
    assert cli(*(word.format(**places) for word in words)) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ") or "\nerror: " in printed
    assert expected in printed and "Traceback" not in printed


def test_a_checkpoint_of_another_version_is_refused(small_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    card = json.loads((run / "seg" / "model.json").read_text())
    (run / "seg" / "model.json").write_text(json.dumps(card | {"version": 99}))
    with pytest.raises(WsolError, match="made by a newer wsol: expected schema 1, .* got schema 99"):
        Localizer.load(run)


def test_a_dry_run_prints_the_configuration_and_touches_nothing(
    cli: Cli, small_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("fit", small_set, "--run", tmp_path / "r", "--recipe", "released", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert (
        "recipe: released" in shown
        and "classifier: tf_efficientnet_b7.aa_in1k" in shown
        and "lr_backbone: 0.02" in shown
    )
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("command", ["fit", "train-cam", "make-pseudo", "train-seg", "train-classifier"])
@pytest.mark.parametrize("words", [["--dry-run"], []], ids=["dry", "real"])
def test_a_list_of_images_that_are_elsewhere_is_refused_dry_or_not(
    cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, words: list[str]
) -> None:
    rows = [f"photographs/{number}.jpg,{('owl', 'hawk')[number % 2]}" for number in range(9)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    assert cli(command, tmp_path / "list.csv", "--run", tmp_path / "r", *words) == 2
    printed = capsys.readouterr()
    assert (
        f"expected files such as {tmp_path / 'photographs/0.jpg'}" in printed.err and "`--images FOLDER`" in printed.err
    )
    assert printed.out == "" and not (tmp_path / "r").exists()


@pytest.mark.parametrize("words", [["--backbone", "resnet51"], ["--classifier", "resnet51"]])
def test_a_dry_run_checks_the_names_of_networks(
    cli: Cli, small_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert cli("fit", small_set, "--run", tmp_path / "r", *words, "--dry-run") == 2
    printed = capsys.readouterr()
    assert "timm has no model 'resnet51'" in printed.err and "resnet50, " in printed.err and printed.out == ""


def test_a_dry_run_of_the_default_networks_needs_no_torch(small_set: Path, tmp_path: Path) -> None:
    code = (
        "import sys, wsol.cli.main\nwsol.cli.main.main(sys.argv[1:])\nassert 'torch' not in sys.modules and 'timm' not"
        " in sys.modules"
    )
    words = ["fit", str(small_set), "--run", str(tmp_path / "r"), "--dry-run"]
    subprocess.run([sys.executable, "-c", code, *words], check=True, stdout=subprocess.DEVNULL)


def test_help_comes_quickly_and_without_torch() -> None:
    code = (
        "import sys, wsol.cli.main\ntry: wsol.cli.main.main(['--help'])\nexcept SystemExit: pass\nassert 'torch' not in"
        " sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("words", "stream"),
    [
        pytest.param(["--help"], "stdout", id="help"),
        pytest.param(["check", "{set}"], "stdout", id="a table"),
        pytest.param(["check", "{set}", "--strict"], "stdout", id="a table and a status"),
        pytest.param(["fit", "{set}", "--run", "{tmp}/r", "--dry-run"], "stdout", id="plain lines"),
        pytest.param(["fit", "{tmp}/nowhere", "--run", "{tmp}/r"], "stderr", id="an error"),
    ],
)
def test_a_command_whose_output_is_closed_ends_silently(
    words: list[str], stream: str, class_folders: Path, tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | {stream: writing}
    filled = [word.format(set=class_folders, tmp=tmp_path) for word in words]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run([sys.executable, "-m", "wsol", *filled], env=buffered, **streams)
    os.close(writing)
    assert done.returncode == 128 + signal.SIGPIPE and not done.stdout and not done.stderr


def test_the_first_line_of_many_can_be_had_in_a_shell() -> None:
    command = f"set -o pipefail; {sys.executable} -m wsol fit --help | head -n 2"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout.count("\n") == 2 and done.stderr == "" and done.returncode in (0, 128 + signal.SIGPIPE)


@pytest.fixture(scope="module")
def cues_run(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the default stages, finished. Read only."""
    run = tmp_path_factory.mktemp("cues") / "run"
    main(["fit", str(small_set), "--run", str(run), *QUICK_CUES])
    return run


def test_the_default_has_no_stage_one_and_learns_from_the_masks_of_cues(
    cli: Cli, small_set: Path, cues_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(cues_run, tmp_path / "run"))
    assert {path.name for path in run.iterdir() if path.is_dir()} == {"cues", "pseudo", "seg", "classifier"}
    assert PseudoStore(run / "pseudo").holds_masks and read_threshold(run / "seg") is not None
    inputs = json.loads((run / "pseudo" / "manifest.json").read_text())["inputs"]
    assert inputs["cues"] == hashlib.sha256((run / "cues" / "model.safetensors").read_bytes()).hexdigest()
    assert cli("evaluate", run, small_set, "--which", "cues", "--json", tmp_path / "m.json") == 0
    assert json.loads((tmp_path / "m.json").read_text())[0]["threshold"] == 0.5
    capsys.readouterr()
    for which, printed in (("cam", "expected `--which cues`"),):
        assert cli("evaluate", run, small_set, "--which", which) == 2
        assert printed in capsys.readouterr().err
    assert cli("train-cam", small_set, "--run", run) == 2
    assert "does not use stage 1" in capsys.readouterr().err
    assert cli("report", run, small_set) == 0


def test_a_stage_one_by_itself_makes_a_run_of_its_masks(
    cli: Cli, small_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert cli("train-cam", small_set, "--run", run, *QUICK[2:8], "--epochs", "1", "--precision", "fp32") == 0
    assert load_config(run).pseudo.masks == "thresholds" and load_config(run).cam.epochs == 1
    assert cli("make-pseudo", small_set, "--run", run) == 0
    assert not PseudoStore(run / "pseudo").holds_masks
    for words in (["--pseudo.masks", "cues"], ["--recipe", "wsol"]):
        assert cli("train-cam", small_set, "--run", tmp_path / "other", *words) == 2
        assert "does not use stage 1" in capsys.readouterr().err


def test_stages_one_by_one_make_what_fit_makes(cli: Cli, small_set: Path, cues_run: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    cues, rest = QUICK_CUES[:2], QUICK_CUES[2:]
    assert cli("make-pseudo", small_set, "--run", parts, *cues, "--precision", "fp32") == 0
    assert cli("train-seg", small_set, "--run", parts, *rest) == 0
    assert cli("train-classifier", small_set, "--run", parts) == 0
    for name in ("cues", "seg", "classifier"):
        assert hash_of(cues_run / name) == hash_of(parts / name), name


def hash_of(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
