"""Any stream takes what the commands say, and nothing from a file name or a file drives the terminal."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from wsol.cli.main import main
from wsol.reports.table import print_table
from wsol.runtime.progress import Progress
from wsol.runtime.terminal import visible

HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\x9b31m\u202egpj.\udce4[red]:dog:"
"""A title, a cleared screen, an overwritten line, colours (two ways), a reversed name, Latin-1, rich's markup and
emoji."""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("Käuzchen 梟 🦉\n\tindented", "Käuzchen 梟 🦉\n\tindented", id="as it is"),
        pytest.param("\x1b[2J\x07\x00\x7f\r", "\\x1b[2J\\x07\\x00\\x7f\\r", id="ASCII's control characters"),
        pytest.param("\x9b31m\x85", "\\x9b31m\\x85", id="C1: a terminal of 8 bits takes U+009B for ESC ["),
        pytest.param("\u202egpj.exe\u2066\u200f", "\\u202egpj.exe\\u2066\\u200f", id="marks that reverse the reading"),
        pytest.param("K\udce4uzchen", "K\\xe4uzchen", id="a byte that is not UTF-8"),
        pytest.param("\ud83d", "\\ud83d", id="half a character, as JSON can hold it"),
        pytest.param("\u2028", "\\u2028", id="a line break by another name"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_visible_text_can_be_encoded_and_is_unchanged(text: str) -> None:
    once = visible(text)
    once.encode("utf-8")
    assert visible(once) == once


def says_nothing_hostile(text: str) -> bool:
    return not set(text) & set(HOSTILE[:1] + "\x07\r\x9b\u202e\udce4") and "[red]:dog:" in text


def test_an_error_cannot_drive_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["export", str(tmp_path / HOSTILE), "--format", "csv", "--out", str(tmp_path / "out")])
    assert stopped.value.code == 2
    assert says_nothing_hostile(capsys.readouterr().err)


def test_a_word_too_many_cannot_either(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["check", "a", HOSTILE])
    assert says_nothing_hostile(capsys.readouterr().err)


def test_nor_can_a_line_of_progress(capsys: pytest.CaptureFixture[str]) -> None:
    Progress().say(f"skipped: {HOSTILE}")
    assert says_nothing_hostile(capsys.readouterr().err)


def test_nor_can_the_title_of_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(Table(title=f"protocol original, {HOSTILE}", caption=HOSTILE))
    assert says_nothing_hostile(capsys.readouterr().out)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("words", [["check"], ["check", "--json"], ["--help"]], ids=" ".join)
def test_no_encoding_of_the_streams_costs_the_output(
    tmp_path: Path, class_folders: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, words: list[str]
) -> None:
    data = class_folders.rename(tmp_path / "Käuzchen 梟 \udce4")
    (data / "梟").mkdir()
    (data / "梟" / "gr\u00fcn \udcff.jpg").write_bytes(b"")
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    files = [str(tmp_path / "梟.json")] if "--json" in words else []
    main([*words[:1], *([str(data)] if words[0] == "check" else []), *words[1:], *files])
    assert "Commands" in written(out, encoding) or "broken" in written(out, encoding)
    assert all(Path(file).is_file() for file in files)


def written(stream: io.TextIOWrapper, encoding: str) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode(encoding)


def test_a_path_goes_into_a_pipe_exactly_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "r\udce4w \x1b"
    code = (
        f"from pathlib import Path; from wsol.runtime.terminal import *; prepare(); print_result(Path({str(folder)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == os.fsencode(folder) + b"\n"


@pytest.mark.parametrize(
    ("redirect", "status"),
    [
        pytest.param(">&-", 0, id="standard output is closed"),
        pytest.param("2>&-", 0, id="standard error is closed"),
        pytest.param("<&- >&- 2>&-", 0, id="all are closed"),
        pytest.param(">/dev/full", 2, id="nothing can be written"),
    ],
)
def test_a_stream_that_is_not_there_costs_no_work(
    tmp_path: Path, class_folders: Path, redirect: str, status: int
) -> None:
    command = f'"{sys.executable}" -m wsol check "{class_folders}" --json "{tmp_path}/found.json" {redirect}'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
    assert done.returncode == status
    assert (tmp_path / "found.json").read_text().startswith("{\n")
