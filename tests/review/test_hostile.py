"""Everything that a stranger could send to the page: refused, or harmless."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fake_data.reviews import prediction, served, write_reviewable

from wsol.predictions.review_journal import JOURNAL_FILE, read_journal
from wsol.review import connections
from wsol.review.address import Address
from wsol.review.app import MAX_BODY_BYTES

HTML = '<img src=x onerror="alert(1)">.jpg'
SECRET = b"the secret beside the images"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two predictions, one with a hostile name, and a file that must stay where it is."""
    root = tmp_path_factory.mktemp("hostile")
    (root / "secret.txt").write_bytes(SECRET)
    lines = [prediction(0), prediction(1, image=HTML)]
    return write_reviewable(root, lines, ("hawk", "owl", "</script><script>alert(1)</script>"))


@pytest.fixture(scope="module")
def address(out: Path) -> Iterator[Address]:
    with served(out) as address:
        yield address


@pytest.fixture(autouse=True)
def nothing_was_decided(out: Path) -> Iterator[None]:
    yield
    assert read_journal(out) == []


def send(address: Address, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
    """A request as a stranger may build it: only what is named is sent."""
    connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=20)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in ({"Host": f"127.0.0.1:{address.port}"} | given).items():
        if value:
            connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    if body is not None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the server has seen enough
            connection.send(body)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)


def key(address: Address) -> dict[str, str]:
    return {"Cookie": f"wsol-review-{address.port}=the-key"}


def own(address: Address) -> dict[str, str]:
    """What our page sends along."""
    return key(address) | {
        "Content-Type": "application/json",
        "X-Wsol-Review": "1",
        "Origin": f"http://127.0.0.1:{address.port}",
    }


def decision_body(**changes: Any) -> bytes:
    words = {
        "image": 0,
        "base": 0,
        "is_rejected": False,
        "boxes": [[1, 2, 30, 40]],
        "class_name": "owl",
        "session": "s",
        "id": "i",
        "seen": 0,
    }
    return json.dumps(words | changes).encode()


def test_who_has_the_key_gets_the_page_and_a_cookie_that_stays_here(address: Address) -> None:
    answer = send(address, "GET", "/review/the-key")
    assert answer.status == 200 and b"<!doctype html>" in answer.body
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    for path in ("/", "/page/page.js", "/page/page.css", "/api/overview", "/api/images/0", "/images/0/480"):
        answer = send(address, "GET", path, **key(address))
        assert answer.status == 200, path
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "set-cookie" not in answer.headers and "server" not in answer.headers


READ = ("/", "/page/page.js", "/api/overview", "/api/images/0", "/api/changes?since=0", "/images/0/480")


@pytest.mark.parametrize("path", READ)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 403, id="no key"),
        pytest.param({"Cookie": "wsol-review-{port}=another"}, 403, id="a wrong key"),
        pytest.param({"Cookie": "wsol-review-{port}="}, 403, id="an empty key"),
        pytest.param({"Cookie": "wsol-review-1=the-key"}, 403, id="the key of another port"),
        pytest.param({"Cookie": "a=\x01;;;=; wsol-review-{port}"}, 403, id="no cookie at all"),
        pytest.param({"Cookie": "good", "Host": "evil.example"}, 421, id="a foreign name (DNS rebinding)"),
        pytest.param({"Cookie": "good", "Host": "evil.example:{port}"}, 421, id="a foreign name with our port"),
        pytest.param({"Cookie": "good", "Host": "127.0.0.1"}, 421, id="no port"),
        pytest.param(
            {"Cookie": "good", "Host": "127.0.0.1.evil.example:{port}"}, 421, id="a name that begins like ours"
        ),
        pytest.param({"Cookie": "good", "Host": "[::1]:{port}"}, 421, id="another address"),
        pytest.param({"Cookie": "good", "Sec-Fetch-Site": "same-site"}, 403, id="a page of another port"),
        pytest.param({"Cookie": "good", "Sec-Fetch-Site": "cross-site"}, 403, id="a page of another site"),
    ],
)
def test_a_stranger_reads_nothing(address: Address, path: str, headers: dict[str, str], status: int) -> None:
    good = f"wsol-review-{address.port}=the-key"
    given = {name: good if value == "good" else value.format(port=address.port) for name, value in headers.items()}
    answer = send(address, "GET", path, **given)
    assert answer.status == status
    assert len(answer.body) < 200 and b"hawk" not in answer.body


@pytest.mark.parametrize("host", ["", "evil.example", "127.0.0.1:1"])
def test_not_even_the_key_opens_the_door_under_another_name(address: Address, host: str) -> None:
    answer = send(address, "GET", "/review/the-key", Host=host)
    assert answer.status in (400, 421) and "set-cookie" not in answer.headers


@pytest.mark.parametrize("token", ["", "the-ke", "the-key2", "the-key/", "THE-KEY", "the-key%00", "..", "%2e%2e/"])
def test_a_wrong_key_opens_nothing(address: Address, token: str) -> None:
    answer = send(address, "GET", f"/review/{token}")
    assert answer.status == 403 and "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/page/../secret.txt",
        "/page/%2e%2e/secret.txt",
        "/page/..%2fsecret.txt",
        "/page/....//secret.txt",
        "/page//etc/passwd",
        "/page/__init__.py",
        "/page/app.py",
        "/page/page.html",
        "/images/../secret.txt",
        "/images/0/../../secret.txt",
        "/images/..%2f..%2fsecret.txt/480",
        "/images/hawk/0000.jpg",
        "/images/-1/480",
        "/images/2/480",
        "/images/99999999999999999999999999/480",
        "/images/0/481",
        "/images/0/99999999999999999999",
        "/images/0x0/480",
        "/api/images/2",
        "/api/images/-1",
        "/api/images/..",
        "/api/changes?since=-1",
        "/api/changes?since=1e9",
        "/api/changes?since=99999999999999999999999",
        "/review.jsonl",
        "/api/decide",
        "/favicon.ico",
        "//evil.example/",
        "/\\evil.example",
    ],
)
def test_paths_lead_nowhere(address: Address, path: str) -> None:
    answer = send(address, "GET", path, **key(address))
    assert answer.status in (404, 405, 422)
    assert SECRET not in answer.body and b"root:" not in answer.body and b"import" not in answer.body


@pytest.mark.parametrize("path", ["/api/decide", "/api/undo"])
@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({"Cookie": ""}, 403, id="no key"),
        pytest.param({"X-Wsol-Review": ""}, 403, id="a form of another page"),
        pytest.param({"Origin": "http://evil.example"}, 403, id="a foreign page"),
        pytest.param({"Origin": "http://127.0.0.1:1"}, 403, id="a page of another port"),
        pytest.param({"Origin": "null"}, 403, id="a page in a sandbox"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, 403, id="another port, according to the browser"),
        pytest.param({"Content-Type": "text/plain"}, 415, id="text, as a form may send"),
        pytest.param({"Content-Type": ""}, 415, id="no type"),
        pytest.param({"Host": "evil.example"}, 421, id="a foreign name"),
    ],
)
def test_a_stranger_writes_nothing(address: Address, path: str, changes: dict[str, str], status: int) -> None:
    answer = send(address, "POST", path, decision_body(), **(own(address) | changes))
    assert answer.status == status


def test_requests_from_elsewhere_are_refused(address: Address) -> None:
    answer = send(address, "OPTIONS", "/api/decide", Origin="http://evil.example", Access_Control_Request_Method="POST")
    assert answer.status == 403
    assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "POST", "BREW"])
def test_other_methods_do_nothing(address: Address, method: str) -> None:
    assert send(address, method, "/api/overview", b"{}", **own(address)).status == 405


DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b"{", 400, id="half"),
        pytest.param(b"\xff\xfe\x00", 400, id="bytes"),
        pytest.param(DEEP, 400, id="very deep"),
        pytest.param(b'{"a":' * 30_000, 400, id="very deep objects"),
        pytest.param(b"[" + b"9" * 5000 + b"]", 400, id="a number of 5000 digits"),
        pytest.param(b"[]", 422, id="a list"),
        pytest.param(b"null", 422, id="null"),
        pytest.param(b"x" * (MAX_BODY_BYTES + 1), 413, id="too long"),
        pytest.param(b"x" * 20_000_000, 413, id="20 MB"),
        pytest.param(decision_body(more=1), 422, id="a word more"),
        pytest.param(decision_body(image="0"), 422, id="an image by a word"),
        pytest.param(decision_body(image="../secret.txt"), 422, id="an image by a path"),
        pytest.param(decision_body(image=-1), 422, id="an image below 0"),
        pytest.param(decision_body(image=2), 422, id="no such image"),
        pytest.param(decision_body(image=10**30), 422, id="a huge number"),
        pytest.param(decision_body(image=True), 422, id="true instead of an image"),
        pytest.param(decision_body(image=None), 422, id="no image"),
        pytest.param(decision_body(base=1.5), 422, id="half a number"),
        pytest.param(decision_body(boxes=[[1, 2, 3]]), 422, id="three edges"),
        pytest.param(decision_body(boxes=[[1, 2, 3, "4"]]), 422, id="an edge as a word"),
        pytest.param(decision_body(boxes=[[1, 2, 3, 10**400]]), 422, id="an edge beyond all floats"),
        pytest.param(decision_body(boxes=[[1, 2, 3, True]]), 422, id="true instead of an edge"),
        pytest.param(decision_body(boxes="all"), 422, id="boxes as a word"),
        pytest.param(decision_body(boxes={}), 422, id="boxes as an object"),
        pytest.param(decision_body(boxes=[[-5, 2, 30, 40]]), 422, id="outside to the left"),
        pytest.param(decision_body(boxes=[[1, 2, 161, 40]]), 422, id="outside to the right"),
        pytest.param(decision_body(boxes=[[30, 2, 1, 40]]), 422, id="swapped"),
        pytest.param(decision_body(boxes=[[1, 2, 1, 40]]), 422, id="no area"),
        pytest.param(decision_body(boxes=[[float("nan"), 2, 30, 40]]), 400, id="NaN"),
        pytest.param(decision_body(boxes=[[1, 2, float("inf"), 40]]), 400, id="infinity"),
        pytest.param(decision_body().replace(b"30", b"1e999"), 400, id="infinity in digits"),
        pytest.param(decision_body(boxes=[[1, 2, 30, 40]] * 1001), 422, id="a thousand and one boxes"),
        pytest.param(decision_body(class_name="<b>"), 422, id="unknown class"),
        pytest.param(decision_body(class_name=["owl"]), 422, id="a list for a class"),
        pytest.param(decision_body(class_name=7), 422, id="a number for a class"),
        pytest.param(decision_body(session=""), 422, id="no session"),
        pytest.param(decision_body(session="a\nb"), 422, id="a line break in the session"),
        pytest.param(decision_body(id="i" * 65), 422, id="a long id"),
        pytest.param(decision_body(is_rejected="no"), 422, id="a word for a fact"),
        pytest.param(decision_body(is_class_chosen="yes"), 422, id="a word for a choice"),
        pytest.param(decision_body(base=7), 409, id="a base that never was"),
    ],
)
def test_what_is_no_decision_is_refused(address: Address, body: bytes, status: int) -> None:
    answer = send(address, "POST", "/api/decide", body, **own(address))
    assert answer.status == status
    assert send(address, "GET", "/api/overview", **key(address)).status == 200, "and the page goes on"


def test_a_body_of_unknown_length_is_cut_off(address: Address) -> None:
    head = "".join(
        f"{name}: {value}\r\n" for name, value in (own(address) | {"Host": f"127.0.0.1:{address.port}"}).items()
    )
    with socket.create_connection(("127.0.0.1", address.port), timeout=20) as connection:
        connection.sendall(f"POST /api/decide HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        try:
            for _ in range(400):
                connection.sendall(chunk)
        except OSError:
            return  # closed on us, as it should be
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "noise",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", id="TLS"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", id="two hosts"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n", id="a huge header"),
        pytest.param(b"GET / HTTP/9\r\n\r\n", id="no such protocol"),
        pytest.param(b"\r\n" * 1000, id="nothing"),
    ],
)
def test_noise_is_no_request(address: Address, noise: bytes) -> None:
    with socket.create_connection(("127.0.0.1", address.port), timeout=20) as connection:
        first = b""
        with contextlib.suppress(OSError):  # hung up on us
            connection.sendall(noise)
            connection.shutdown(socket.SHUT_WR)
            first = connection.recv(12)
    assert first[9:12] in (b"", b"400", b"421", b"431")
    assert send(address, "GET", "/api/overview", **key(address)).status == 200


def test_names_stay_data(address: Address) -> None:
    for path in ("/", "/api/images/1", "/api/overview"):
        answer = send(address, "GET", path, **key(address))
        is_page = path == "/"
        assert answer.headers["content-type"].startswith("text/html" if is_page else "application/json")
        assert not (is_page and (b"onerror" in answer.body or b"alert(" in answer.body))
    shown = json.loads(send(address, "GET", "/api/images/1", **key(address)).body)
    assert shown["image"] == HTML


def half_requests(address: Address) -> dict[str, bytes]:
    """Of somebody without the key, none of which comes to its end."""
    host = f"Host: 127.0.0.1:{address.port}\r\n".encode()
    return {
        "nothing": b"",
        "a head": b"GET / HTTP/1.1\r\n" + host + b"X: ",
        "a body": b"POST /api/decide HTTP/1.1\r\n" + host + b"Content-Length: 100\r\n\r\n{",
        "one, and the half of another": b"GET / HTTP/1.1\r\n" + host + b"\r\nGET / HTTP/1.1\r\n",
    }


KINDS = ("nothing", "a head", "a body", "one, and the half of another")


@pytest.mark.parametrize("kind", KINDS)
def test_three_hundred_half_requests_do_not_keep_the_owner_out(address: Address, kind: str) -> None:
    with contextlib.ExitStack() as stack:
        strangers = [
            stack.enter_context(socket.create_connection(("127.0.0.1", address.port), timeout=20)) for _ in range(300)
        ]
        for one in strangers:
            with contextlib.suppress(OSError):  # closed already, for one that came later
                one.sendall(half_requests(address)[kind])
        for _ in range(3):
            assert send(address, "GET", "/api/overview", **key(address)).status == 200
        assert sum(map(is_closed, strangers)) >= 300 - connections.MAX_CONNECTIONS, (
            "or a thousand would leave no descriptors"
        )


def is_closed(connection: socket.socket) -> bool:
    """Whether the other end has hung up."""
    connection.setblocking(False)
    try:
        while connection.recv(10_000):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_who_does_not_come_to_an_end_is_hung_up_on(
    address: Address, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "TIMEOUT_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", address.port), timeout=20) as stranger:
        stranger.sendall(half_requests(address)[kind])
        began, seen = time.monotonic(), b""
        with contextlib.suppress(OSError):
            while time.monotonic() < began + 10:
                stranger.sendall(b"x")  # a byte now and then does not help
                stranger.settimeout(0.05)
                with contextlib.suppress(TimeoutError):
                    more = stranger.recv(10_000)
                    seen += more
                    if not more:
                        break
    assert time.monotonic() < began + 5
    assert seen.count(b"HTTP/1.1 403") == (kind in ("a body", "one, and the half of another"))


def test_who_does_not_read_the_answers_is_hung_up_on(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "TIMEOUT_SECONDS", 0.3)
    one = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{address.port}\r\n\r\n".encode()
    with socket.socket() as stranger:
        # Seconds even so: megabytes fit into the system's buffers before the server has to wait.
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stranger.settimeout(60)
        stranger.connect(("127.0.0.1", address.port))
        with pytest.raises(ConnectionError):  # not a timeout
            while True:
                stranger.sendall(one * 100)
    assert send(address, "GET", "/api/overview", **key(address)).status == 200


def test_a_client_that_leaves_is_no_line_in_the_log(address: Address) -> None:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("uvicorn.error").addHandler(handler)
    head = (
        "".join(f"{name}: {value}\r\n" for name, value in own(address).items()) + f"Host: 127.0.0.1:{address.port}\r\n"
    )
    requests = [
        f"POST /api/decide HTTP/1.1\r\n{head}Content-Length: 100\r\n\r\n" + '{"image"',
        f"POST /api/undo HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n",
        f"GET /images/0/2560 HTTP/1.1\r\n{head}\r\n",
        f"GET / HTTP/1.1\r\n{head}\r\n" * 20,
        f"GET / HTTP/1.1\r\n{head}",
    ]
    try:
        for request in requests:
            for is_reset in (False, True):
                with socket.create_connection(("127.0.0.1", address.port), timeout=20) as connection:
                    if is_reset:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    connection.sendall(request.encode())
                    time.sleep(0.05)  # the server is in the middle of it
        assert send(address, "GET", "/api/overview", **key(address)).status == 200
    finally:
        logging.getLogger("uvicorn.error").removeHandler(handler)
    assert lines == []


@pytest.mark.pipeline
def test_ten_thousand_requests_and_it_still_answers(address: Address) -> None:
    """From four strangers at once; one request in five has the key."""
    host = f"Host: 127.0.0.1:{address.port}\r\n"
    good = f"Cookie: {key(address)['Cookie']}\r\n"
    one = [f"GET /images/{i}/480 HTTP/1.1\r\n{host}{good if i == 0 else ''}\r\n".encode() for i in range(5)]
    found: list[int] = []

    def hammer() -> None:
        with socket.create_connection(("127.0.0.1", address.port), timeout=60) as connection:
            answers = connection.makefile("rb")
            for _ in range(25):
                connection.sendall(b"".join(one) * 20)
                for _ in range(100):
                    found.append(int(answers.readline().split()[1]))
                    headers = dict(line.lower().split(b": ", 1) for line in iter(answers.readline, b"\r\n"))
                    answers.read(int(headers[b"content-length"]))

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 10_000 and found.count(200) == 2000 and found.count(403) == 8000
    assert send(address, "GET", "/api/overview", **key(address)).status == 200


def test_files_outside_the_image_folder_are_never_opened(tmp_path: Path) -> None:
    from wsol.errors import WsolError
    from wsol.review import serve

    for name in ("../secret.jpg", "/etc/passwd"):
        root = tmp_path / str(len(name))
        out = write_reviewable(root, [prediction(0)])
        text = (out / "predictions.jsonl").read_text()
        (out / "predictions.jsonl").write_text(text.replace("hawk/0000.jpg", name))
        with pytest.raises(WsolError, match="below the image root"):
            serve.review(out, quiet=True)
        assert not (out / JOURNAL_FILE).exists()
