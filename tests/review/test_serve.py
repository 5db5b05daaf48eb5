"""`wsol review` as a process: one a folder, an address that outlives a kill, a clean end."""

from __future__ import annotations

import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_data.reviews import decide, prediction, write_reviewable

from wsol.cli.main import app, main
from wsol.predictions.review_sample import read_sample, write_sample
from wsol.review.address import noted_port, port_note
from wsol.review.serve import bound
from wsol.storage.locks import held, lock_file

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return write_reviewable(tmp_path, [prediction(0), prediction(1)])


@pytest.fixture
def start() -> Iterator[Start]:
    """`start(out)`: a server in its own process, ended with the test."""
    running: list[subprocess.Popen[str]] = []

    def begin(*words: object) -> subprocess.Popen[str]:
        # Ctrl-C reaches it even where the tests themselves run in the background, whose processes ignore it.
        listening = (
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from wsol.cli.main import main;"
            " main()"
        )
        command = [sys.executable, "-c", listening, "review", *map(str, words)]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return running[-1]

    yield begin
    for one in running:
        one.kill()
        one.communicate()


def address_of(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    return server.stdout.readline().strip()


def refusal(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(["review", *map(str, words)])
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_a_killed_server_leaves_its_port_to_the_next_but_not_its_key_and_a_clean_end_leaves_nothing(
    out: Path, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(out.parent.rglob("*"))
    first = start(out)
    url = address_of(first)
    front, _, key = url.rpartition("/")
    assert front.startswith("http://127.0.0.1:") and len(key) >= 40
    port = url.split(":")[2].partition("/")[0]
    message = refusal(capsys, out)
    assert f"is in use by `wsol review`, process {first.pid} on " in message and f", port {port}: expected" in message
    assert not [path for path in out.parent.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]
    first.send_signal(signal.SIGKILL)
    first.wait()
    decide(out, "owl/0001.jpg", "accepted", (40.0, 30.0, 120.0, 90.0))
    with (out / "review.jsonl").open("a") as journal:
        journal.write('{"number":2,"ima')
    second = start(out)
    again = address_of(second).rpartition("/")
    assert again[0] == front and len(again[2]) >= 40 and again[2] != key
    second.send_signal(signal.SIGINT)
    message = second.communicate(timeout=60)[1]
    assert second.returncode == 0
    assert "removed an incomplete last line" in message and "1 of 2 images decided" in message
    (hint,) = re.findall("`wsol (export .*--reviewed .*?)`", message)
    app.parse_args(shlex.split(hint), exit_on_error=False, print_error=False)  # a whole command
    assert sorted(out.parent.rglob("*")) == sorted([*before, out / "review.jsonl"])


def test_a_review_that_does_not_begin_leaves_the_sample_as_it_was(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sample(out, ("owl/0001.jpg",))
    with bound([0]) as taken, pytest.raises(SystemExit):
        main(["review", str(out), "--sample", "2", "--port", str(taken.getsockname()[1])])
    assert "cannot be used" in capsys.readouterr().err
    assert read_sample(out) == ("owl/0001.jpg",)


def test_another_sample_than_before_is_reported_with_the_way_back(out: Path, start: Start) -> None:
    write_sample(out, ("owl/0001.jpg",))
    server = start(out, "--sample", "2")
    address_of(server)
    server.send_signal(signal.SIGINT)
    message = server.communicate(timeout=60)[1]
    assert "the sample had 1 image and has 2 now" in message and "`--sample 1` restores" in message
    assert "0 of 2 images decided" in message and f"calibrate RUN --reviewed {out}" in message
    drawn = read_sample(out)
    assert drawn is not None and len(drawn) == 2


def test_two_servers_on_one_folder_are_one_too_many(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with held(out, "wsol review", "wait") as hold:
        hold.note(port_note(4321))
        message = refusal(capsys, out)
    assert "is in use by `wsol review`" in message and "port 4321" in message and "open its page" in message


@pytest.mark.parametrize(
    "content", ['{"port": 4321, "token": "known"}', '{"port": 4321, "token": ""}', "port 4321 known"]
)
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_folder_from_somebody_else_does_not_set_the_key(out: Path, start: Start, content: str, mode: int) -> None:
    for file in (out / ".review.lock", lock_file(out)):
        file.write_text(content)
        file.chmod(mode)
    key = address_of(start(out)).rpartition("/")[2]
    assert len(key) >= 40 and "known" not in key


def test_links_instead_of_the_files_that_the_server_writes_are_not_followed(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = out.parent / "victim.txt"
    victim.write_text("a line that is not whole")
    for link in (lock_file(out), out / "review.jsonl"):
        link.symlink_to(victim)
        assert f"{link} is a link to {victim}" in refusal(capsys, out)
        link.unlink()
    assert victim.read_text() == "a line that is not whole"


@pytest.mark.parametrize(
    ("note", "port"),
    [
        pytest.param("`wsol review`, process 7 on there, port 4321", 4321, id="a server's"),
        pytest.param("`wsol predict`, process 7 on there", None, id="another command's"),
        pytest.param("", None, id="none"),
        pytest.param("port 0", None, id="no port"),
        pytest.param("port 65536", None, id="beyond all ports"),
        pytest.param("port 99999999", None, id="many digits"),
        pytest.param("port 4321 ", None, id="more behind it"),
    ],
)
def test_the_port_that_a_killed_server_noted(note: str, port: int | None) -> None:
    assert noted_port(note) == port


def test_a_port_in_use_is_reported(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with bound([0]) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} cannot be used" in refusal(capsys, out, "--port", port)
        with bound([port, 0]) as other:
            assert other.getsockname()[1] != port and other.family == socket.AF_INET
    assert "from 1 to 65535, got 70000" in refusal(capsys, out, "--port", 70000)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(
            lambda out: (out / "manifest.json").unlink(), "expected the result of `wsol predict", id="unfinished"
        ),
        pytest.param(
            lambda out: (out / "predictions.jsonl").write_text("{}\n"), "line 1: not a prediction", id="a damaged line"
        ),
        pytest.param(
            lambda out: (out / "review.jsonl").write_text("{}\n"), "line 1: not a decision", id="a damaged journal"
        ),
        pytest.param(
            lambda out: (out.parent / "images").rename(out.parent / "moved"),
            "is not a folder: expected the images",
            id="images gone",
        ),
    ],
)
def test_what_cannot_be_reviewed_is_reported(
    out: Path, spoil: Callable[[Path], object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(out)
    assert message in refusal(capsys, out)
