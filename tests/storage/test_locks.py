"""Of two commands that would write one folder, the second is printed who works there, and nothing is left of a lock."""

from __future__ import annotations

import errno
import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fake_data.reviews import prediction, write_reviewable
from filelock import FileLock

from wsol.cli.main import main
from wsol.errors import WsolError
from wsol.storage.folders import new_folder, write_manifest
from wsol.storage.locks import held, lock_file

HOLD = """
import multiprocessing, sys, time
from pathlib import Path
from wsol.storage.locks import held
with held(Path(sys.argv[1]), "wsol fit", "wait"):
    # As images are decoded.
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(20,), daemon=True).start()
    print("held", flush=True)
    time.sleep(60)
"""


def names(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


def hold(folder: Path, otherwise: str = "name another --out") -> None:
    """Take it and let it go."""
    with held(folder, "wsol predict", otherwise):
        pass


@contextmanager
def another(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the folder."""
    with subprocess.Popen([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_refused_command_names_the_other_one_and_a_killed_command_releases_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    with another(folder) as process:
        expected = (
            f"{folder} is in use by `wsol fit`, process {process.pid} on {platform.node()}: expected one command at a"
            " time. Wait for it, stop it, or name another --out."
        )
        with pytest.raises(WsolError, match=re.escape(expected)):
            hold(folder)
        process.send_signal(signal.SIGKILL)
        process.wait()
    hold(folder)
    assert names(tmp_path) == ["deep"], "the killed one made it"


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("fit", "{data}", "--run", "{out}"), id="fit"),
        pytest.param(("train-cam", "{data}", "--run", "{out}"), id="train-cam"),
        pytest.param(("demo", "--out", "{out}"), id="demo"),
        pytest.param(("export", "{predictions}", "--format", "csv", "--out", "{out}"), id="export"),
        pytest.param(("review", "{predictions}"), id="review"),
        pytest.param(("report", "{run}", "{data}", "--out", "{out}"), id="report"),
        pytest.param(("calibrate", "{run}", "--boxes", "{data}"), id="calibrate"),
        pytest.param(("calibrate", "{run}", "--reset"), id="calibrate --reset"),
    ],
)
def test_every_command_that_writes_a_folder_asks_for_it_first(
    words: tuple[str, ...], class_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("schema: 3\nmethod: spol\n")
    (tmp_path / "run" / "calibration.json").write_text("{}")
    paths = {
        "data": class_folders,
        "predictions": write_reviewable(tmp_path, [prediction(0)]),
        "run": tmp_path / "run",
        "out": tmp_path / "new",
    }
    before = names(tmp_path)
    with held(paths["out"], "a", "b"), held(paths["predictions"], "a", "b"), held(paths["run"], "a", "b"):
        with pytest.raises(SystemExit) as stopped:
            main([word.format(**paths) for word in words])
        assert stopped.value.code == 2 and f"is in use by `a`, process {os.getpid()}" in capsys.readouterr().err
    assert names(tmp_path) == before


def test_a_second_export_is_refused_and_the_first_ends_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from wsol.commands import export

    words = [
        "export",
        str(write_reviewable(tmp_path, [prediction(0)])),
        "--format",
        "csv",
        "--out",
        str(tmp_path / "csv"),
    ]
    write = export.WRITERS["csv"]

    def write_while_another_tries(*arguments: object) -> dict[str, int]:
        capsys.readouterr()
        assert subprocess.run([sys.executable, "-m", "wsol", *words], capture_output=True).returncode == 2
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setitem(export.WRITERS, "csv", write_while_another_tries)
    main(words)
    monkeypatch.undo()
    main(words)
    assert len((tmp_path / "csv" / "boxes.csv").read_text().splitlines()) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"csv", "out", "images"}


def test_neither_a_lock_file_nor_an_empty_folder_is_left(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), held(tmp_path / "deep" / "run", "wsol fit", "wait"):
        assert names(tmp_path) == ["deep", "deep/.run.wsol"]
        raise ZeroDivisionError
    assert names(tmp_path) == []
    with held(tmp_path / "deep" / "run", "wsol fit", "wait"), new_folder(tmp_path / "deep" / "run") as scratch:
        write_manifest(scratch, "fit", {}, {}, {})
    assert names(tmp_path) == ["deep", "deep/run", "deep/run/manifest.json"]


def test_a_folder_stays_held_while_it_takes_its_name(tmp_path: Path) -> None:
    with held(tmp_path / "out", "wsol predict", "wait"):
        with new_folder(tmp_path / "out") as scratch:
            write_manifest(scratch, "predict", {}, {}, {})
        with pytest.raises(WsolError, match="is in use"):
            hold(tmp_path / "out")
    hold(tmp_path / "out")


def test_one_folder_has_one_lock_by_whatever_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk" / "out").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "out")
    (tmp_path / "other").symlink_to(tmp_path / "disk")
    (tmp_path / "dangling").symlink_to(tmp_path / "disk" / "new")
    monkeypatch.chdir(tmp_path / "disk" / "out")
    with held(tmp_path / "link", "wsol predict", "wait"):
        for name in (Path(), Path("../out"), tmp_path / "other" / "out", tmp_path / "disk" / "out"):
            with pytest.raises(WsolError, match="is in use"):
                hold(name)
    assert lock_file(tmp_path / "dangling") == lock_file(tmp_path / "disk" / "new")
    assert lock_file(Path("/")) == Path("/.wsol")
    assert names(tmp_path / "disk") == ["out"]


def test_only_the_first_of_several_processes_takes_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with held(tmp_path / "run", "wsol fit", "wait"):
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setenv("RANK", "1")
        hold(tmp_path / "run")
        monkeypatch.setenv("RANK", "0")
        with pytest.raises(WsolError, match="is in use"):
            hold(tmp_path / "run")
        assert names(tmp_path) == [".run.wsol"]


def test_the_lock_of_another_user_is_no_reason_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "not yours")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    hold(tmp_path / "run")  # nothing may be written here at all: the command tells it
    lock_file(tmp_path / "run").write_text("`wsol fit`, process 7 on there")
    with pytest.raises(WsolError, match=r"another user.*\(`wsol fit`, process 7 on there\).* remove .*\.run\.wsol"):
        hold(tmp_path / "run")
    assert names(tmp_path) == [".run.wsol"]


@pytest.mark.parametrize("reason", [errno.EACCES, errno.EROFS])
def test_where_the_folder_above_cannot_be_written_the_lock_lies_inside(
    tmp_path: Path, reason: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a run that is a disk of its own."""
    acquire = FileLock.acquire

    def refuse_above(lock: FileLock) -> None:
        if Path(lock.lock_file).parent == tmp_path:
            raise OSError(reason, os.strerror(reason))
        acquire(lock)

    monkeypatch.setattr(FileLock, "acquire", refuse_above)
    (tmp_path / "run").mkdir()
    with held(tmp_path / "run", "wsol fit", "wait"):
        assert names(tmp_path) == ["run", "run/.wsol"]
        with pytest.raises(WsolError, match="is in use"):
            hold(tmp_path / "run")
    assert names(tmp_path) == ["run"]


@pytest.mark.parametrize("reason", [errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.ENOSPC])
def test_if_nothing_can_be_locked_the_command_continues(
    tmp_path: Path, reason: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr("fcntl.flock", refuse)
    with held(tmp_path / "run", "wsol fit", "wait"), held(tmp_path / "run", "wsol fit", "wait") as one:
        (tmp_path / "run").mkdir()
        one.note("port 1")
    assert "run" in names(tmp_path)


def test_a_note_of_others_is_shown_without_what_a_terminal_would_obey(tmp_path: Path) -> None:
    with held(tmp_path / "out", "wsol review", "wait") as first:
        first.note("port 4321")
        with pytest.raises(WsolError, match=f"`wsol review`, process {os.getpid()} on .*, port 4321:"):
            hold(tmp_path / "out")
        lock_file(tmp_path / "out").write_bytes(b"\x1b[2J\xff" + b"x" * 10_000)
        with pytest.raises(WsolError) as raised:
            hold(tmp_path / "out")
        assert "\x1b" not in str(raised.value) and len(str(raised.value)) < 1000


def test_what_a_killed_one_noted_is_there_for_the_next(tmp_path: Path) -> None:
    lock_file(tmp_path / "out").write_text("`wsol review`, process 7 on there, port 4321")
    with held(tmp_path / "out", "wsol review", "wait") as hold:
        assert hold.left.endswith("port 4321")
    with held(tmp_path / "out", "wsol review", "wait") as hold:
        assert hold.left == ""
