"""Prediction and pseudo masks of many files: killed, shared among processes, on a full disk, the result has the same
bytes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from quick import Cli

from wsol import WsolError
from wsol.cli.main import main
from wsol.commands import predict
from wsol.data.images import read_square
from wsol.data.named_images import names_of
from wsol.data.open import open_data
from wsol.methods.spol import cues, make_pseudo, mask_store
from wsol.methods.spol.mask_store import EMPTY, NOT_FINITE, WHOLE, PseudoStore
from wsol.models.checkpoint import load_mffnet
from wsol.models.forward import class_maps, score_maps
from wsol.models.mffnet import ScoreMaps
from wsol.models.outputs import fraction_of_peak
from wsol.predictions.records import open_predictions
from wsol.runtime.progress import Progress
from wsol.runtime.torch_engine import choose_engine
from wsol.storage import shards
from wsol.storage.image_list import Names, write_names
from wsol.storage.locks import held

IN_A_SHARD = 3
OF_STAGE_ONE = ("--workers", "0", "--pseudo.masks", "thresholds")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that few images make many shards."""
    monkeypatch.setattr(shards, "SHARD_SIZE", IN_A_SHARD)


@pytest.fixture(scope="module")
def images(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of three classes; below `train`, 16 images: the first shard is all broken, a later one in part. Read
    only."""
    root = Path(shutil.copytree(small_set, tmp_path_factory.mktemp("many") / "set"))
    first, second, *_ = sorted((root / "train").iterdir())
    for number in range(3):
        (first / f".{number}").touch()  # hidden ones are not counted
        (first / f"0 broken {number}.jpg").touch()
    (second / "0 broken, new\nline.jpg").write_bytes(b"no image")
    return root


class Whole:
    """What a command that nobody interrupted leaves, shard by shard."""

    def __init__(self, small_run: Path, images: Path, folder: Path, cli: Cli) -> None:
        self.run = folder / "run"
        shutil.copytree(small_run / "cam", self.run / "cam")
        assert cli("predict", small_run, images / "train", "--out", folder / "out") == 0
        assert cli("make-pseudo", images, "--run", self.run, *OF_STAGE_ONE) == 0
        self.predictions = folder / "out"
        self.pseudo = self.run / "pseudo"


@pytest.fixture(scope="module")
def whole(small_run: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    def cli(*words: object) -> int:
        main([str(word) for word in words])
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD_SIZE", IN_A_SHARD)
        return Whole(small_run, images, tmp_path_factory.mktemp("whole"), cli)


def check_same(folder: Path, expected: Path) -> None:
    """Every file but the manifest, which has the seconds, and nothing of what was needed on the way."""
    assert sorted(os.listdir(folder)) == sorted(os.listdir(expected))
    for name in os.listdir(expected):
        if name != "manifest.json":
            assert (folder / name).read_bytes() == (expected / name).read_bytes(), name
    assert not [path for path in folder.parent.iterdir() if path.name.endswith(".partial")]


def test_every_image_is_predicted_or_skipped_once_in_the_order_of_names(whole: Whole, images: Path) -> None:
    names = [path.relative_to(images / "train").as_posix() for path in sorted((images / "train").glob("*/[!.]*"))]
    predicted = [one.image for one in open_predictions(whole.predictions)]
    skipped = json.loads((whole.predictions / "skipped.json").read_text())
    assert len(names) == 16 and predicted == [name for name in names if "broken" not in name]
    assert [row["image"] for row in skipped] == [name for name in names if "broken" in name]
    assert [("the file is empty" in row["reason"]) for row in skipped] == [True, True, True, False]
    figures = json.loads((whole.predictions / "manifest.json").read_text())["figures"]
    assert (figures["images"], figures["skipped"]) == (12, 4)
    assert sorted(os.listdir(whole.predictions)) == ["manifest.json", "predictions.jsonl", "skipped.json"]
    masks = json.loads((whole.pseudo / "manifest.json").read_text())["figures"]
    assert (masks["usable"], masks["broken_images"]) == (12, 4)
    assert [f"train/{row['image']}" for row in skipped] == [
        row["image"] for row in json.loads((whole.pseudo / "skipped.json").read_text())
    ]
    for one, parts in ((figures, ("waiting", "network", "boxes")), (masks, ("waiting", "network", "masks"))):
        assert one["images_per_second"] == pytest.approx(16 / one["seconds"])
        assert 0 < sum(one[f"seconds_{part}"] for part in parts) <= one["seconds"] and one["processes"] == 1


def test_a_second_prediction_is_refused_while_the_first_works_and_finished_ones_are_found_by_any(
    whole: Whole, small_run: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", str(small_run), str(images / "train"), "--out"]
    with held(tmp_path / "out", "wsol predict", "wait"), pytest.raises(SystemExit) as stopped:
        main([*words, str(tmp_path / "out")])
    assert stopped.value.code == 2 and "is in use by `wsol predict`, process" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
    with held(whole.predictions, "wsol review", "wait"):  # a page is open, which changes no prediction
        main([*words, str(whole.predictions)])
    assert "finished already" in capsys.readouterr().err


def test_maps_and_a_model_are_not_written_where_another_command_works(
    small_run: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, words in (
        (tmp_path / "maps", ["evaluate", str(small_run), str(images), "--save-heatmaps", str(tmp_path / "maps")]),
        (small_run, ["export-model", str(small_run), "--format", "onnx"]),
    ):
        with held(folder, "wsol a", "wait"), pytest.raises(SystemExit) as stopped:
            main(words)
        assert stopped.value.code == 2 and f"{folder} is in use by `wsol a`" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def alone(whole: Whole, images: Path, numbers: list[int]) -> Iterator[tuple[torch.Tensor, np.ndarray]]:
    """The map of each image by itself, and its pixels."""
    network, card = load_mffnet(whole.run / "cam")
    engine, samples = choose_engine("cpu", "fp32"), open_data(images).train
    engine.place(network)
    for number in numbers:
        image = read_square(samples[number].path, card.resize_px)[0]
        pixels = torch.from_numpy(image.transpose(2, 0, 1)[None].copy())
        label = torch.tensor([samples[number].label])
        yield fraction_of_peak(class_maps(score_maps(network, card, pixels, engine), label)), image


def test_every_record_holds_the_mask_of_its_own_image(whole: Whole, images: Path, cli: Cli, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert cli("make-pseudo", images, "--run", run, "--workers", "0", "--instant.resize-px", "64") == 0
    store, engine = PseudoStore(run / "pseudo"), choose_engine("cpu", "fp32")
    model = cues.load(run, engine)
    samples = open_data(images).train
    assert len(store.usable()) >= 6, "of twelve: of some so small a map has no part"
    for number in store.usable():
        image = read_square(samples[number].path, 64)[0]
        pixels = torch.from_numpy(image.transpose(2, 0, 1)[None].copy())
        (found,) = cues.image_cues(model, pixels, torch.tensor([samples[number].label]), engine)
        expected = mask_store.upsampled(cues.keep_best_part(*found)) > 0.5
        agrees = store.masks(torch.tensor([number]))[0, 0].numpy() == expected
        assert agrees.mean() > 0.99  # another batch rounds another way


def test_every_record_holds_the_map_of_its_own_image(cli: Cli, whole: Whole, images: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole.run / "cam", run / "cam")
    assert cli("make-pseudo", images, "--run", run, *OF_STAGE_ONE) == 0
    store = PseudoStore(run / "pseudo")
    assert len(store.usable()) == 12
    for number, (share, _) in zip(store.usable(), alone(whole, images, store.usable()), strict=True):
        found = mask_store.encode(store.stored(torch.tensor([number]))[0]).int()
        assert (mask_store.encode(share).int() - found).abs().max() <= 1


def test_maps_that_cannot_be_used_are_told_apart() -> None:
    maps = torch.zeros(4, 2, 2)
    maps[1, 0, 1], maps[2, 1, 1], maps[3] = 3.0, float("nan"), float("inf")
    assert make_pseudo._states(maps).tolist() == [EMPTY, WHOLE, NOT_FINITE, NOT_FINITE]


def test_unusable_maps_are_marked_in_the_store(
    cli: Cli, small_run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def class_maps(scores: ScoreMaps, labels: torch.Tensor) -> torch.Tensor:
        return scores.fused[:, 0].abs() * torch.tensor([0.0, float("nan"), 1.0])[labels][:, None, None]

    monkeypatch.setattr(make_pseudo, "class_maps", class_maps)
    shutil.copytree(small_run / "cam", tmp_path / "run" / "cam")
    assert cli("make-pseudo", images, "--run", tmp_path / "run", *OF_STAGE_ONE) == 0
    expected = {"usable": 4, "empty": 4, "not_finite": 4, "broken_images": 4, "chosen": 0}
    assert PseudoStore(tmp_path / "run" / "pseudo").counts() == expected


def test_it_says_how_many_images_a_second_and_what_it_waited_for(
    cli: Cli, small_run: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("predict", small_run, images / "train", "--out", tmp_path / "out")
    assert cli(*words) == 0
    printed = capsys.readouterr().err
    assert "12 images, " in printed and "4 skipped" in printed and "0 broken 2.jpg: the file is empty" in printed
    assert "images a second; " in printed and " s waiting for data, " in printed and " s in the networks, " in printed
    shutil.copytree(small_run / "cam", tmp_path / "out" / "parts")  # killed before it had tidied up
    assert cli(*words) == 0
    assert "finished already" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path / "out")) == ["manifest.json", "predictions.jsonl", "skipped.json"]


def test_unreadable_types_are_counted_and_damaged_files_are_skipped(
    cli: Cli, small_run: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Telephone images, a pipe, a damaged AVIF, litter: one command, to its end, with numbers for all of them."""
    root = tmp_path / "own"
    shutil.copytree(next(path for path in (images / "train").iterdir() if not any(path.glob("0 *"))), root)
    whole = len(list(root.iterdir()))
    for name in ("a.heic", "b.HEIC", "c.cr2", "notes.txt", "@eaDir/thumb.jpg", "__MACOSX/._1.jpg", "Thumbs.db"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"")
    os.mkfifo(root / "pipe.jpg")
    container = b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(100)
    (root / "broken.jpg").write_bytes(container)
    for _ in range(2):
        assert cli("predict", small_run, root, "--out", tmp_path / "out") == 0
        assert "; 3 files of types that are not read (2 .heic, 1 .cr2)" in capsys.readouterr().err
    figures = json.loads((tmp_path / "out/manifest.json").read_text())["figures"]
    assert (figures["images"], figures["skipped"], figures["not_read"]) == (whole, 2, {".heic": 2, ".cr2": 1})
    reasons = {row["image"]: row["reason"] for row in json.loads((tmp_path / "out/skipped.json").read_text())}
    assert "a named pipe" in reasons["pipe.jpg"] and "cannot decode" in reasons["broken.jpg"]


def test_a_folder_of_types_that_are_not_read_is_refused_with_their_number(
    cli: Cli, small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/a.heic").touch()
    assert cli("predict", small_run, tmp_path / "own", "--out", tmp_path / "out") == 2
    assert "It holds 1 file of a type that is not read (1 .heic): convert them" in capsys.readouterr().err


KILLED_OFTEN = """
import json, os, random, signal, sys
import wsol.commands.predict, wsol.commands.fit
from wsol.cli.main import main
from wsol.storage import shards

def die_at(moment):
    steps = iter(range(moment))

    def mortal(do):
        def step(*given):
            if next(steps, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return do(*given)
        return step

    os.fsync, os.replace = mortal(os.fsync), mortal(os.replace)

shards.SHARD_SIZE = int(sys.argv[1])
chance, kills = random.Random(20210620), []
for words in json.loads(sys.argv[2]):
    kills.append(-1)
    status = signal.SIGKILL
    while os.WIFSIGNALED(status):
        kills[-1] += 1
        moment = chance.randrange(4, 12)
        child = os.fork()
        if child == 0:
            die_at(moment)
            sys.exit(main(words))
        status = os.waitpid(child, 0)[1]
print(json.dumps(kills))
"""
"""Forks a command that dies at a random one of the moments when a file is made safe or takes its name, again and again
until it has finished; then the next one."""


def test_killed_again_and_again_both_end_in_the_same_bytes(
    whole: Whole, small_run: Path, images: Path, tmp_path: Path
) -> None:
    shutil.copytree(small_run / "cam", tmp_path / "run" / "cam")
    commands = [
        ["predict", small_run, images / "train", "--out", tmp_path / "out"],
        ["make-pseudo", images, "--run", tmp_path / "run", *OF_STAGE_ONE],
    ]
    words = [str(IN_A_SHARD), json.dumps(commands, default=str)]
    done = subprocess.run([sys.executable, "-c", KILLED_OFTEN, *words], capture_output=True, text=True)
    assert done.returncode == 0 and "error" not in done.stderr, done.stderr
    kills = json.loads(done.stdout.splitlines()[-1])
    assert len(kills) == 2 and min(kills) >= 3, kills
    check_same(tmp_path / "out", whole.predictions)
    check_same(tmp_path / "run" / "pseudo", whole.pseudo)


LAUNCHED = """
import json, sys
from wsol.cli.main import main
from wsol.storage import shards
shards.SHARD_SIZE = int(sys.argv[1])
for words in json.loads(sys.argv[2]):
    main(words)
"""


def test_several_processes_leave_the_bytes_of_one_and_count_every_image_once(
    cli: Cli, whole: Whole, small_set: Path, small_run: Path, images: Path, tmp_path: Path
) -> None:
    processes = 2
    judge = [
        "evaluate",
        small_run,
        small_set,
        "--protocol",
        "original,spol,wsol-v1,wsol-v2",
        "--device",
        "cpu",
        "--json",
    ]
    shutil.copytree(small_run / "cam", tmp_path / "run" / "cam")
    commands = [
        ["predict", small_run, images / "train", "--out", tmp_path / "out", "--device", "cpu"],
        ["make-pseudo", images, "--run", tmp_path / "run", *OF_STAGE_ONE, "--device", "cpu"],
        ["predict", small_run, images / "train", "--out", tmp_path / "out", "--device", "cpu"],
        [*judge, tmp_path / "several.json"],
    ]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    program = ["--no-python", sys.executable, "-c", LAUNCHED, str(IN_A_SHARD), json.dumps(commands, default=str)]
    done = subprocess.run([*launcher, *program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    check_same(tmp_path / "out", whole.predictions)
    check_same(tmp_path / "run" / "pseudo", whole.pseudo)
    figures = json.loads((tmp_path / "out" / "manifest.json").read_text())["figures"]
    assert figures["processes"] == processes and figures["images_per_second"] > 0
    assert done.stdout.count("protocol original") == 1, "one process prints for all"
    assert cli(*judge, tmp_path / "one.json") == 0
    several, one = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("several", "one"))
    for theirs, ours in zip(several, one, strict=True):
        assert theirs["protocol"] == ours["protocol"] and theirs["n"] == 6
        for metric, rate in ours["metrics"].items():
            # Batches of another size may round another way.
            assert theirs["metrics"][metric]["value"] == pytest.approx(rate["value"], abs=0.5), metric


@contextmanager
def stopped_before_the_end() -> Iterator[None]:
    """Inside, a command does all parts and puts nothing together."""

    def stop(*given: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        for stage in (predict, make_pseudo):
            patch.setattr(stage, "_assemble", stop)
        yield


@pytest.fixture
def interrupted(cli: Cli, small_run: Path, images: Path, tmp_path: Path) -> Path:
    """The scratch folder of a prediction whose parts are all there."""
    with stopped_before_the_end():
        assert cli("predict", small_run, images / "train", "--out", tmp_path / "out") == 130
    return tmp_path / ".out.partial"


def test_finished_parts_are_kept_and_damaged_ones_are_made_again(
    cli: Cli, interrupted: Path, whole: Whole, small_run: Path, images: Path
) -> None:
    parts = sorted((interrupted / "parts").glob("*.jsonl"))
    assert [path.name for path in parts] == [f"{number:06}.jsonl" for number in range(6)]
    assert b"".join(path.read_bytes() for path in parts) == (whole.predictions / "predictions.jsonl").read_bytes()
    lines = parts[3].read_bytes()
    parts[3].write_bytes(lines[: len(lines) // 2])  # in the middle of a line
    parts[4].write_bytes(parts[4].read_bytes().partition(b"\n")[0] + b"\n")  # between two
    parts[5].rename(parts[5].with_name(f".{parts[5].name}.partial"))
    (parts[2].parent / "000002.skipped.json").rename(parts[2].parent / ".000002.skipped.json.partial")
    before = {path: path.stat().st_mtime_ns for path in parts[:3]}
    with stopped_before_the_end():
        assert cli("predict", small_run, images / "train", "--out", interrupted.parent / "out") == 130
    assert [path for path in before if path.stat().st_mtime_ns != before[path]] == parts[2:3]
    assert cli("predict", small_run, images / "train", "--out", interrupted.parent / "out") == 0
    check_same(interrupted.parent / "out", whole.predictions)


def test_damaged_parts_of_pseudo_masks_are_made_again(
    cli: Cli, whole: Whole, small_run: Path, images: Path, tmp_path: Path
) -> None:
    shutil.copytree(small_run / "cam", tmp_path / "run" / "cam")
    with stopped_before_the_end():
        assert cli("make-pseudo", images, "--run", tmp_path / "run", *OF_STAGE_ONE) == 130
    parts = sorted((tmp_path / "run" / ".pseudo.partial" / "parts").glob("*.npy"))
    parts[0].write_bytes(b"")
    parts[1].write_bytes(parts[1].read_bytes()[:-1])
    parts[2].write_bytes(parts[5].read_bytes())  # of another number of images
    kept = parts[3].stat().st_mtime_ns
    with stopped_before_the_end():
        assert cli("make-pseudo", images, "--run", tmp_path / "run", *OF_STAGE_ONE) == 130
    assert parts[3].stat().st_mtime_ns == kept
    assert cli("make-pseudo", images, "--run", tmp_path / "run", *OF_STAGE_ONE) == 0
    check_same(tmp_path / "run" / "pseudo", whole.pseudo)


@pytest.mark.parametrize(
    ("lines", "rest"),
    [
        pytest.param([0, 0, 2], b"", id="one of them twice"),
        pytest.param([1, 0, 2], b"", id="in another order"),
        pytest.param([0, 1], b"", id="one too few"),
        pytest.param([0, 1, 2], b'{"image', id="and half a line"),
    ],
)
def test_parts_that_do_not_hold_each_image_once_are_not_put_together(
    interrupted: Path, lines: list[int], rest: bytes
) -> None:
    part = interrupted / "parts" / "000003.jsonl"
    whole = part.read_bytes().splitlines(keepends=True)
    part.write_bytes(b"".join(whole[line] for line in lines) + rest)
    names = Names(interrupted / "names")
    assert predict._is_whole(shards.Shards(part.parent, len(names), ".jsonl"), 3) == (len(lines) == 3 and not rest)
    with pytest.raises(WsolError, match=r"000003.jsonl is damaged: expected the predictions of 3 images"):
        predict._assemble(
            names, shards.Shards(interrupted / "parts", len(names), ".jsonl"), interrupted, Progress(quiet=True)
        )
    assert not (interrupted / "predictions.jsonl").exists()


def test_other_settings_and_other_images_start_over(
    cli: Cli, interrupted: Path, small_run: Path, images: Path, whole: Whole
) -> None:
    out = interrupted.parent / "out"
    before = (interrupted / "parts" / "000003.jsonl").stat().st_mtime_ns
    with stopped_before_the_end():
        assert cli("predict", small_run, images / "train", "--out", out, "--threshold", "0.4") == 130
    assert (interrupted / "parts" / "000003.jsonl").stat().st_mtime_ns != before
    assert cli("predict", small_run, images / "test", "--out", out) == 0
    assert len(list(open_predictions(out))) == 6


def test_other_images_over_a_finished_prediction_are_described(
    cli: Cli, small_run: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("predict", small_run, images / "test", "--out", tmp_path / "out")
    assert cli(*words) == 0
    other = ("predict", small_run, images / "train", "--out", tmp_path / "out")
    assert cli(*other) == 2
    printed = capsys.readouterr().err
    assert "the images differ" in printed and "another folder with `--out`, or remove" in printed
    assert "--run" not in printed and "inputs" not in printed
    (tmp_path / "out" / "review.jsonl").touch()
    assert cli(*other) == 2
    printed = capsys.readouterr().err
    assert f"It holds a review: keep {tmp_path / 'out' / 'review.jsonl'}" in printed and "remove" not in printed


def test_the_message_never_suggests_to_remove_a_folder_of_photographs(
    cli: Cli, small_run: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(images / "test", tmp_path / "my photos")
    assert cli("predict", small_run, images / "test", "--out", tmp_path / "my photos") == 2
    printed = capsys.readouterr().err
    assert "my photos exists already: expected a new name. Name another folder." in printed and "emove" not in printed


def test_images_that_are_added_while_they_are_listed_are_reported(images: Path, tmp_path: Path) -> None:
    names = names_of(images / "test")
    digest = predict._hash(images / "test", [*names, "new.jpg"])
    with pytest.raises(WsolError, match="added or removed while they were listed"):
        predict._list(images / "test", tmp_path / "names", digest)
    assert not (tmp_path / "names").exists()
    write_names(tmp_path / "names", ["from before"])
    predict._list(images / "test", tmp_path / "names", digest)  # an interrupted prediction has its listing


def test_if_no_image_can_be_decoded_all_are_tried_again_after_they_are_fixed(
    cli: Cli, small_set: Path, small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.jpg").touch()
    assert cli("predict", small_run, folder, "--out", tmp_path / "out") == 2
    printed = capsys.readouterr().err
    assert "none of 4 images can be decoded" in printed and printed.count("the file is empty") == 4
    shutil.copy(next(small_set.rglob("*.jpg")), folder / "2.jpg")
    assert cli("predict", small_run, folder, "--out", tmp_path / "out") == 0
    assert [one.image for one in open_predictions(tmp_path / "out")] == ["2.jpg"]


def test_one_image_can_be_predicted_by_its_own_name(cli: Cli, small_set: Path, small_run: Path, tmp_path: Path) -> None:
    image = next((small_set / "test").rglob("*.jpg"))
    assert cli("predict", small_run, image, "--out", tmp_path / "out") == 0
    assert [one.image for one in open_predictions(tmp_path / "out")] == [image.name]


def test_a_list_and_a_pattern_are_predicted_and_missing_images_are_skipped(
    cli: Cli, small_set: Path, small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, image in zip(("b.jpg", "a.jpg", "c.txt.jpg"), sorted((small_set / "test").rglob("*.jpg")), strict=False):
        (tmp_path / "photos").mkdir(exist_ok=True)
        shutil.copy(image, tmp_path / "photos" / name)
    (tmp_path / "list.txt").write_text("photos/b.jpg\nphotos/absent.jpg\nphotos/a.jpg\n")
    for _ in range(2):  # the second is finished already
        assert cli("predict", small_run, tmp_path / "list.txt", "--out", tmp_path / "listed") == 0
    assert "finished already" in capsys.readouterr().err
    assert [one.image for one in open_predictions(tmp_path / "listed")] == ["photos/b.jpg", "photos/a.jpg"]
    (row,) = json.loads((tmp_path / "listed/skipped.json").read_text())
    assert row["image"] == "photos/absent.jpg"
    assert cli("predict", small_run, tmp_path / "photos/?.jpg", "--out", tmp_path / "matched") == 0
    assert [one.image for one in open_predictions(tmp_path / "matched")] == ["a.jpg", "b.jpg"]
    assert cli("predict", small_run, tmp_path / "photos/*.png", "--out", tmp_path / "none") == 2
    assert "no images match" in capsys.readouterr().err


@pytest.mark.parametrize(("threshold", "is_warned"), [(0, True), (1, False)])
def test_boxes_that_cover_the_whole_image_cause_a_warning_each_time(
    cli: Cli,
    small_set: Path,
    small_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    threshold: float,
    is_warned: bool,
) -> None:
    words = ("predict", small_run, small_set / "test", "--out", tmp_path / "out", "--threshold", threshold)
    for has_finished in (False, True):
        assert cli(*words) == 0
        printed = capsys.readouterr().err
        assert ("finished already" in printed) == has_finished
        assert ("cover the whole image (95% or more)" in printed) == is_warned
        assert ("--threshold is too low: inspect them with `wsol report`" in printed) == is_warned


@pytest.mark.parametrize(
    ("has_maps", "expected"), [(True, "too little, or --threshold is"), (False, "too little: inspect them")]
)
def test_the_warning_suggests_another_threshold_only_to_methods_that_have_one(
    has_maps: bool, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    predict._warn_of_covering(3, 12, has_maps, Progress())
    assert expected in capsys.readouterr().err, "a quarter"
    predict._warn_of_covering(2, 12, has_maps, Progress())
    assert capsys.readouterr().err == "", "some objects do fill their images"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
@pytest.mark.parametrize("pages", [3, 6, 11])
def test_a_full_disk_leaves_finished_parts_whole_and_the_same_command_finishes_when_there_is_room(
    cli: Cli,
    whole: Whole,
    small_run: Path,
    images: Path,
    tmp_path: Path,
    pages: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    size = ["-t", "tmpfs", "-o", f"size={4 * pages}k", "tmpfs", str(disk)]
    if subprocess.run(["mount", *size], capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody mount")
    try:
        assert cli("predict", small_run, images / "train", "--out", disk / "out") == 2
        assert "no space left on the disk" in capsys.readouterr().err
        found = b"".join(path.read_bytes() for path in sorted((disk / ".out.partial" / "parts").glob("[0-9]*.jsonl")))
        assert (whole.predictions / "predictions.jsonl").read_bytes().startswith(found)
        assert found.endswith(b"\n") or not found
        subprocess.run(["mount", "-o", "remount,size=20M", str(disk)], check=True)
        assert cli("predict", small_run, images / "train", "--out", disk / "out") == 0
        check_same(disk / "out", whole.predictions)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
