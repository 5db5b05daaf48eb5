"""All decoders together stay within their memory limit, and an image that does not fit is reported with its size."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsol.data import images
from wsol.data.decoder_memory import PARTS, Memory, cgroup_limits, decoder_memory, machine_bytes, needed_bytes
from wsol.data.eight_bits import BAND_PX
from wsol.data.images import image_hw, is_turned, read_fitting, read_image, read_mask, read_square
from wsol.errors import BrokenImage


def test_threads_never_hold_more_than_the_limit_and_all_get_their_memory() -> None:
    memory, held, most, lock = Memory(10), 0, 0, threading.Lock()

    def work(size: int) -> int:
        nonlocal held, most
        with memory.claimed(size):
            with lock:
                held += size
                most = max(most, held)
            time.sleep(0.001)
            with lock:
                held -= size
        return size

    sizes = [1, 10, 3, 7, 5, 10, 2, 2] * 10
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, sizes)) == sizes
    assert 5 < most <= 10 and held == 0


def test_a_large_image_is_not_overtaken_by_small_ones_for_ever() -> None:
    memory, order = Memory(10), list[str]()

    def take(name: str, size: int) -> None:
        with memory.claimed(size):
            order.append(name)

    with ThreadPoolExecutor(2) as pool:
        with memory.claimed(5):
            large = pool.submit(take, "large", 10)
            time.sleep(0.02)
            small = pool.submit(take, "small", 1)
            time.sleep(0.02)
            assert not small.done()
        large.result(), small.result()
    assert order == ["large", "small"]


def test_a_size_above_the_limit_is_an_error() -> None:
    with pytest.raises(ValueError, match="2 bytes .* limit is 1"), Memory(1).claimed(2):
        pass


def test_an_error_gives_the_memory_back() -> None:
    memory = Memory(1)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"), memory.claimed(1):
            raise ValueError("broken")


def test_all_decoders_of_a_machine_use_a_quarter_of_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = decoder_memory().limit
    assert whole == machine_bytes() // PARTS
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setattr("os.getpid", lambda: -1)  # as in another process
    assert decoder_memory().limit == whole // 4


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        pytest.param(
            "0::/a/b\n",
            {"a/memory.max": "300", "a/b/memory.max": "700", "memory.max": "max"},
            [700, 300],
            id="version 2, the group above has less",
        ),
        pytest.param("0::/a\n", {"a/memory.max": "max\n"}, [], id="version 2, no limit"),
        pytest.param("0::/host/id\n", {"memory.max": "500"}, [500], id="a container that sees the host's path"),
        pytest.param(
            "9:cpu:/\n4:memory:/a\n0::/\n",
            {"memory/a/memory.limit_in_bytes": "100\n", "memory/memory.limit_in_bytes": "9223372036854771712"},
            [100, 9223372036854771712],
            id="version 1",
        ),
        pytest.param(
            "nonsense\n3:cpu,memory:/a\n", {"memory/memory.limit_in_bytes": "4"}, [4], id="version 1, mounted together"
        ),
        pytest.param("", {}, [], id="no groups"),
    ],
)
def test_limits_of_containers_and_jobs_are_read(
    tmp_path: Path, groups: str, files: dict[str, str], expected: list[int]
) -> None:
    for name, text in files.items():
        (tmp_path / "mounted" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mounted" / name).write_text(text)
    (tmp_path / "own").write_text(groups)
    assert list(cgroup_limits(tmp_path / "own", tmp_path / "mounted")) == expected
    assert list(cgroup_limits(tmp_path / "absent", tmp_path / "mounted")) == []


def test_an_image_that_does_not_fit_is_broken_with_its_size_and_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deep.png"
    Image.fromarray(np.zeros((300, 400), np.uint16)).save(path)
    for room, fits in ((Memory(470_000), False), (Memory(4_000_000), True)):
        monkeypatch.setattr(images, "decoder_memory", lambda room=room: room)
        for read in (
            read_image,
            read_mask,
            lambda p: read_square(p, 16),
            lambda p: read_fitting(p, 20),
            image_hw,
            is_turned,
        ):
            if fits:
                read(path)
                continue
            with pytest.raises(
                BrokenImage,
                match=r"deep\.png is too large: expected at most 0\.0 GB.*400 x 300 pixels \(PNG, I;16\).*Scale it",
            ):
                read(path)


def test_a_large_jpeg_fits_since_it_is_decoded_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (4000, 3000)).save(path)
    monkeypatch.setattr(images, "decoder_memory", lambda: Memory(6_000_000))
    assert read_square(path, 64)[1] == image_hw(path) == (3000, 4000)
    with pytest.raises(BrokenImage, match="too large"):
        read_image(path)
    Image.new("RGB", (4000, 3000)).save(path, progressive=True)
    with pytest.raises(BrokenImage, match="too large"):
        read_square(path, 64)


HW = (900, 1200)
RAMP = (np.arange(HW[0] * HW[1]).reshape(HW) // 7 % 65536).astype(np.uint16)
RGB = Image.fromarray((RAMP >> 8).astype(np.uint8)).convert("RGB")
LARGE = [
    pytest.param("a.png", Image.fromarray(RAMP), {}, id="16-bit png"),
    pytest.param("a.png", Image.fromarray(RAMP), {"transparency": 7}, id="16-bit png, one grey transparent"),
    pytest.param("a.tif", Image.fromarray(RAMP.astype(np.int32)), {}, id="32-bit tiff"),
    pytest.param(
        "a.tif", Image.fromarray(RAMP.astype(np.float32)), {"compression": "tiff_adobe_deflate"}, id="float tiff"
    ),
    pytest.param("a.png", RGB.convert("L"), {}, id="grey png"),
    pytest.param("a.png", RGB.convert("1"), {}, id="1-bit png"),
    pytest.param("a.png", RGB, {}, id="png"),
    pytest.param("a.png", RGB.convert("RGBA"), {}, id="png with alpha"),
    pytest.param("a.png", RGB.convert("LA"), {}, id="grey png with alpha"),
    pytest.param("a.png", RGB.convert("P"), {"transparency": 7}, id="palette"),
    pytest.param("a.gif", RGB.convert("P"), {"transparency": 7}, id="gif"),
    pytest.param("a.tif", RGB, {"compression": "tiff_lzw", "tiffinfo": {278: HW[0]}}, id="tiff in one strip"),
    pytest.param(
        "a.tif",
        RGB.convert("CMYK"),
        {"exif": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"},
        id="CMYK tiff, rotated",
    ),
    pytest.param("a.webp", RGB, {"lossless": True, "method": 0}, id="webp"),
    pytest.param("a.bmp", RGB, {}, id="bmp"),
    pytest.param("a.jpg", RGB, {"progressive": True}, id="progressive jpeg"),
]


PEAKS = """
import re, sys
from pathlib import Path
from wsol.data.images import read_image, read_square

def status(name):
    return 1024 * int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

def peak(read, *arguments):
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    read(*arguments)
    return status("VmHWM") - before

read_square(Path(sys.argv[1]), 16)
for path in map(Path, sys.argv[1:]):
    print(peak(read_square, path, 16), peak(read_image, path))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="asks Linux for the peak of a process")
def test_the_peak_of_a_process_is_within_the_estimate(tmp_path: Path) -> None:
    """In a process of its own, a second or two: only the system can tell what libraries take, and its allocator must
    give it back at once."""
    paths, needed = [], []
    for number, (name, image, how) in enumerate(one.values for one in LARGE):
        paths.append(tmp_path / f"{number}{name}")
        image.save(paths[-1], **how)
        with Image.open(paths[-1]) as opened:
            pixels = opened.width * opened.height
            needed.append((needed_bytes(opened, pixels, 256), needed_bytes(opened, pixels, pixels)))
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run([sys.executable, "-c", PEAKS, *paths], capture_output=True, text=True, env=environment)
    if "PermissionError" in done.stderr:
        pytest.skip("the peak of a process cannot be reset here")
    peaks = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert max(map(max, peaks)) > 10 * 2**20
    bands = 40 * BAND_PX
    for peak, limit, one in zip(peaks, needed, LARGE, strict=True):
        assert peak[0] < limit[0] + bands and peak[1] < limit[1] + bands, one.id
