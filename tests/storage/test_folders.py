"""Folders and files are complete or absent, and say what made them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol.errors import WsolError
from wsol.storage.folders import (
    MANIFEST,
    file_hash,
    final_of,
    flat,
    is_finished,
    new_folder,
    read_json,
    scratch_of,
    start_over,
    text_hash,
    whole_file,
    write_json,
    write_manifest,
    write_text,
)


def python(code: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, which may die."""
    return subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False)


def finish(scratch: Path) -> None:
    """What every stage does last."""
    write_manifest(scratch, "predict", {}, {}, {})


def test_a_folder_takes_its_name_when_the_block_succeeds(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    with new_folder(folder) as scratch:
        assert not folder.exists()
        (scratch / "result.txt").write_text("whole")
        finish(scratch)
    assert {path.name for path in folder.iterdir()} == {"result.txt", MANIFEST}
    assert [path.name for path in folder.parent.iterdir()] == ["out"]


def test_a_block_that_fails_leaves_no_finished_folder_and_can_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with pytest.raises(ZeroDivisionError), new_folder(folder) as scratch:
        (scratch / "half.txt").write_text("half")
        finish(scratch)
        _ = 1 / 0
    assert not folder.exists()
    with new_folder(folder) as scratch:
        assert (scratch / "half.txt").read_text() == "half"
        finish(scratch)
    assert (folder / "half.txt").exists()


def test_a_killed_run_leaves_no_folder_that_looks_finished(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    killed = python(
        """
import os, sys
from pathlib import Path
from wsol.storage.folders import new_folder, write_manifest
with new_folder(Path(sys.argv[1])) as scratch:
    (scratch / "half.txt").write_text("half")
    write_manifest(scratch, "predict", {}, {}, {})
    os._exit(9)
""",
        folder,
    )
    assert killed.returncode == 9, killed.stderr
    assert not folder.exists()
    assert not is_finished(folder, "predict", {}, {})
    assert [path.name for path in tmp_path.iterdir()] == [".out.partial"]


def test_a_folder_without_manifest_is_a_bug_and_stays_unfinished(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="manifest"), new_folder(tmp_path / "out"):
        pass
    assert not (tmp_path / "out").exists()


def test_what_stands_there_already_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("full", "file"):
        with (
            pytest.raises(WsolError, match=f"{name} exists already.*Name another folder") as raised,
            new_folder(tmp_path / name),
        ):
            pytest.fail("the block must not run")
        assert "emove" not in str(raised.value)
    assert (tmp_path / "full" / "mine.txt").read_text() == (tmp_path / "file").read_text() == "mine"


def test_an_empty_folder_is_a_free_name(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with new_folder(tmp_path / "out") as scratch:
        finish(scratch)
    assert (tmp_path / "out" / MANIFEST).exists()


def test_starting_over_empties_the_scratch_folder(tmp_path: Path) -> None:
    (tmp_path / "scratch" / "deep").mkdir(parents=True)
    start_over(tmp_path / "scratch")
    assert list((tmp_path / "scratch").iterdir()) == []


@given(
    st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1).filter(
        lambda name: name not in (".", "..")
    )
)
def test_the_folder_follows_from_the_name_of_its_scratch_folder(name: str) -> None:
    folder = Path("/runs") / name
    assert final_of(scratch_of(folder)) == folder
    assert scratch_of(folder).name.startswith(".")


SETTINGS = {"seed": 0, "cam": {"epochs": 2, "mean": (0.5, 0.5)}, "weights": Path("a.pth")}
INPUTS = {"training": "abc"}


def test_a_finished_folder_is_recognised(tmp_path: Path) -> None:
    assert not is_finished(tmp_path, "train-cam", SETTINGS, INPUTS)
    write_manifest(tmp_path, "train-cam", SETTINGS, INPUTS, {"seconds": 3})
    assert is_finished(tmp_path, "train-cam", SETTINGS, INPUTS)


@pytest.mark.parametrize(
    ("stage", "settings", "inputs", "lines"),
    [
        pytest.param("train-cam", SETTINGS | {"seed": 1}, INPUTS, ["settings.seed: 0 there, 1 now"], id="a value"),
        pytest.param(
            "train-cam",
            SETTINGS | {"cam": {"epochs": 3, "mean": (0.5, 0.5)}},
            {"training": "xyz"},
            [
                "the training images, their classes or the options `--image` differ",
                "settings.cam.epochs: 2 there, 3 now",
            ],
            id="two values, sorted",
        ),
        pytest.param(
            "train-cam", SETTINGS | {"new": 1}, INPUTS, ["settings.new: absent there, 1 now"], id="a new name"
        ),
        pytest.param(
            "train-cam",
            SETTINGS,
            {},
            ["the training images, their classes or the options `--image` differ"],
            id="a name gone",
        ),
        pytest.param(
            "train-cam",
            SETTINGS,
            INPUTS | {"ddt": "xyz"},
            ["the file ddt that it was made from differs"],
            id="a hash without words",
        ),
    ],
)
def test_a_folder_of_other_settings_lists_every_difference(
    tmp_path: Path, stage: str, settings: dict[str, Any], inputs: dict[str, str], lines: list[str]
) -> None:
    write_manifest(tmp_path, "train-cam", SETTINGS, INPUTS, {})
    with pytest.raises(WsolError) as raised:
        is_finished(tmp_path, stage, settings, inputs)
    first, *listed = raised.value.problem.splitlines()
    assert [line.strip() for line in listed] == lines
    assert str(tmp_path) in first
    assert raised.value.remedy.startswith(f"Name another folder with `--run`, or remove {tmp_path} ")


def test_a_difference_is_reported_once_and_with_its_description(tmp_path: Path) -> None:
    write_manifest(tmp_path, "predict", {"slope": 1, "intercept": 2}, {}, {})
    words = {"settings.slope": "calibrated since", "settings.intercept": "calibrated since"}
    with pytest.raises(WsolError) as raised:
        is_finished(tmp_path, "predict", {}, {}, option="--out", words=words, may_be_removed=False)
    assert raised.value.problem.splitlines()[1:] == ["  calibrated since"]
    assert raised.value.remedy == "Name another folder with `--out`."


@pytest.mark.parametrize(("settings", "inputs"), [({"x" * 5000: 1}, {}), ({}, {"x" * 5000: "abc"})])
def test_a_name_of_any_length_in_a_manifest_is_cut_in_the_message(
    tmp_path: Path, settings: dict[str, Any], inputs: dict[str, str]
) -> None:
    write_manifest(tmp_path, "predict", settings, inputs, {})
    with pytest.raises(WsolError) as raised:
        is_finished(tmp_path, "predict", {}, {})
    (line,) = raised.value.problem.splitlines()[1:]
    assert "x" * 100 in line and len(line) < 500


def test_the_message_never_suggests_to_remove_the_result_of_another_stage(tmp_path: Path) -> None:
    write_manifest(tmp_path, "export", SETTINGS, INPUTS, {})
    with pytest.raises(WsolError, match="holds the result of export") as raised:
        is_finished(tmp_path, "predict", {}, {}, option="--out")
    assert raised.value.remedy == "Name another folder with `--out`."


@pytest.mark.parametrize("manifest", ['{"name": "my photos", "icons": []}', "[]"])
def test_a_manifest_of_another_program_is_no_result_and_nothing_to_remove(tmp_path: Path, manifest: str) -> None:
    (tmp_path / MANIFEST).write_text(manifest)
    assert not is_finished(tmp_path, "predict", {}, {})
    with pytest.raises(WsolError, match="exists already.*Name another folder"), new_folder(tmp_path):
        pytest.fail("the block must not run")


def test_a_manifest_says_its_schema_and_one_from_before_there_was_one_still_counts(tmp_path: Path) -> None:
    write_manifest(tmp_path, "train-cam", SETTINGS, INPUTS, {})
    written = json.loads((tmp_path / MANIFEST).read_text())
    assert written.pop("schema") == 1
    (tmp_path / MANIFEST).write_text(json.dumps(written))
    assert is_finished(tmp_path, "train-cam", SETTINGS, INPUTS)


def test_a_manifest_of_another_schema_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text('{"schema": 2, "stage": "train-cam", "wsol": "9", "folders": "of a new kind"}')
    with pytest.raises(WsolError, match="made by a newer wsol: expected schema 1, .* got schema 2. Upgrade"):
        is_finished(tmp_path, "train-cam", SETTINGS, INPUTS)


def test_deep_json_is_refused_and_ordinary_json_is_not(tmp_path: Path) -> None:
    for depth, is_read in ((100, True), (101, False), (100_000, False)):
        (tmp_path / "a.json").write_text("[" * depth + "]" * depth)
        if is_read:
            assert read_json(tmp_path / "a.json", "wsol fit")
        else:
            with pytest.raises(WsolError, match="is not JSON"):
                read_json(tmp_path / "a.json", "wsol fit")


def test_a_full_disk_leaves_the_old_file_whole(tmp_path: Path) -> None:
    old, new = tmp_path / "old.txt", tmp_path / "new.txt"
    old.write_text("old")
    ran = python(
        """
import resource, signal, sys
from pathlib import Path
from wsol.storage.folders import write_text
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for path in sys.argv[1:]:
    try:
        write_text(Path(path), "x" * 100_000)
    except OSError as error:
        print(error.errno)
""",
        old,
        new,
    )
    assert ran.stdout.split() == ["27", "27"], ran.stderr
    assert old.read_text() == "old"
    assert not new.exists()


@pytest.mark.parametrize("text", ["", "a\nb\n", "Käuzchen 梟", "raw byte \udcff in a name"])
def test_text_comes_back_as_it_was_written(tmp_path: Path, text: str) -> None:
    write_text(tmp_path / "a.txt", text)
    assert (tmp_path / "a.txt").read_text(encoding="utf-8", errors="surrogateescape") == text
    write_json(tmp_path / "a.json", {"text": text})
    assert read_json(tmp_path / "a.json", "wsol fit") == {"text": text}
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", "a.json"}


@pytest.mark.parametrize("text", ["raw byte \udcff", "half a character \ud83d", '\\"\udcff', "Käuzchen 梟 🦉"])
def test_json_is_utf_8_whatever_names_are_in_it(tmp_path: Path, text: str) -> None:
    write_json(tmp_path / "a.json", {text: [text]})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {text: [text]}
    assert "梟" not in text or "梟" in (tmp_path / "a.json").read_text(encoding="utf-8"), "a person can read it"


@pytest.mark.parametrize("content", [None, b"", b"{", b"\x00\x01"])
def test_json_that_is_not_there_names_the_command_that_makes_it(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "index.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WsolError, match=r"index\.json.*`wsol make-pseudo`") as raised:
        read_json(path, "wsol make-pseudo")
    assert "emove" not in str(raised.value)


names = st.text(st.characters(exclude_characters="."), max_size=3)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, min_size=1, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(names, json_values, max_size=4))
def test_flattening_loses_nothing(nested: dict[str, Any]) -> None:
    rebuilt: dict[str, Any] = {}
    for name, value in flat(nested).items():
        *groups, last = name.split(".")
        place = rebuilt
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    assert rebuilt == json.loads(json.dumps(nested))


def test_hashes_are_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one\ntwo\n")
    assert file_hash(tmp_path / "a") == text_hash(iter(["one", "two"])) == hashlib.sha256(b"one\ntwo\n").hexdigest()
    assert text_hash(iter(["\udcff"])) == hashlib.sha256(b"\xff\n").hexdigest()


def test_a_file_is_whole_or_the_earlier_one_stays(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "model.onnx"
    with whole_file(file) as partial:
        partial.write_bytes(b"first")
        assert not file.exists()
    with pytest.raises(RuntimeError), whole_file(file) as partial:
        partial.write_bytes(b"sec")
        raise RuntimeError
    assert file.read_bytes() == b"first" and list(file.parent.iterdir()) == [file]


def test_a_file_that_fails_while_it_is_written_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "part"
    with whole_file(path) as partial:
        partial.write_bytes(b"whole")
    with pytest.raises(ZeroDivisionError), whole_file(path) as partial:
        partial.write_bytes(b"half")
        _ = 1 / 0
    assert path.read_bytes() == b"whole"


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_every_file_may_be_read_by_whom_the_user_lets_read_files(tmp_path: Path, umask: int) -> None:
    ran = python(
        """
import os, sys
from pathlib import Path
import numpy as np
import torch
from wsol.storage.arrays import claimed_memmap
from wsol.storage.folders import write_json
from wsol.storage.tensors import write_tensors
from wsol.predictions.review_journal import Journal
os.umask(int(sys.argv[2]))
folder = Path(sys.argv[1])
write_tensors(folder / "model.safetensors", {"a": torch.zeros(3)})
write_json(folder / "model.json", {})
claimed_memmap(folder / "pseudo.npy", np.dtype("u1"), 3)
with Journal(folder):
    pass
(folder / "plain").touch()
""",
        tmp_path,
        umask,
    )
    assert ran.returncode == 0, ran.stderr
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == dict.fromkeys(
        ("model.safetensors", "model.json", "pseudo.npy", "review.jsonl", "plain"), 0o666 & ~umask
    )


def test_what_killed_processes_left_of_a_file_goes_when_it_is_written_again(tmp_path: Path) -> None:
    killed = python(
        """
import os, sys
from pathlib import Path
from wsol.storage.folders import whole_file
with whole_file(Path(sys.argv[1], "a.txt")) as partial:
    partial.write_text("half")
    os._exit(9)
""",
        tmp_path,
    )
    assert killed.returncode == 9 and len(list(tmp_path.glob(".a.txt.*.partial"))) == 1
    others = {
        ".b.txt.0123456789ab.partial",
        ".a.txt.partial",
        "a.txt.0123456789ab.partial",
        ".a.txt.0123456789AB.partial",
    }
    for name in others:
        (tmp_path / name).write_text("another's")
    write_text(tmp_path / "a.txt", "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", *others}


def test_unfinished_files_of_killed_processes_are_removed_when_the_work_continues(tmp_path: Path) -> None:
    scratch = scratch_of(tmp_path / "out")
    (scratch / "parts" / ".names.0123456789ab.partial").mkdir(parents=True)
    (scratch / "parts" / ".names.0123456789ab.partial" / "names.bin").write_text("half")
    (tmp_path / "victim").mkdir()
    (scratch / ".link.0123456789ab.partial").symlink_to(tmp_path / "victim")
    for name in (
        ".tmpAbc123",
        "parts/.000001.jsonl.0123456789ab.partial",
        "parts/000002.jsonl",
        "checkpoint.safetensors",
    ):
        (scratch / name).write_text("half")
    with new_folder(tmp_path / "out"):
        assert sorted(path.relative_to(scratch).as_posix() for path in scratch.rglob("*")) == [
            "checkpoint.safetensors",
            "parts",
            "parts/000002.jsonl",
        ]
        finish(scratch)
    assert (tmp_path / "victim").is_dir()


@pytest.mark.parametrize("name", ["x" * 255, "梟" * 85, "a" * 50 + "😀" * 51])
def test_a_file_may_have_as_long_a_name_as_the_disk_takes(tmp_path: Path, name: str) -> None:
    write_text(tmp_path / name, "whole")
    assert os.listdir(tmp_path) == [name]


def test_a_temporary_name_is_unpredictable_and_unique(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a") as one, whole_file(tmp_path / "a") as other:
        assert one != other and one.name.startswith(".a.") and one.suffix == ".partial"
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "a").read_text() == "one", "the last one that ends"


def test_a_file_takes_its_name_only_when_it_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, bool]] = []
    monkeypatch.setattr(
        os, "fsync", lambda number: seen.append((os.fstat(number).st_size, (tmp_path / "part").exists()))
    )
    with whole_file(tmp_path / "part") as partial:
        partial.write_bytes(b"whole")
    assert seen == [(5, False)]


@pytest.mark.parametrize("name", [".", "..", ""])
def test_the_working_directory_is_no_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WsolError, match="cannot be the name of a new folder"), new_folder(Path(name)):
        pass
