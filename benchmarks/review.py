"""Time until `wsol review` shows the next image, with 10,000 predictions loaded.

    python benchmarks/review.py                               # drawn images of 1600 x 1200, in a temporary folder
    python benchmarks/review.py --presses 100 --width 4000    # 4000 x 3000

Headless Chromium (Debian's) presses Enter, with the pause of a fast reviewer and without any. The page itself measures
the time from the key press to the frame with the next image on the screen, including sending the decision. The 10,000
names are hard links to a few images.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
from PIL import Image

from wsol.demo.drawing import write_demo_set
from wsol.predictions.records import LINES, PredictedObject, Prediction, encode, write_lines
from wsol.storage.folders import write_manifest

if TYPE_CHECKING:
    from playwright.sync_api import Page

DISTINCT = 32
CLASSES = [f"class {number}" for number in range(200)]


def write_predictions(root: Path, count: int, width: int) -> Path:
    """`count` predictions with images of the demo set, drawn larger; returns the prediction folder."""
    (root / "set").mkdir()
    write_demo_set(root / "set", classes=4, train_per_class=DISTINCT // 4, test_per_class=1)
    images = root / "images"
    images.mkdir()
    image_hw = (width * 3 // 4, width)
    drawn = sorted((root / "set" / "train").rglob("*.jpg"))
    for number, path in enumerate(drawn):
        with Image.open(path) as image:
            image.resize(image_hw[::-1], Image.Resampling.BICUBIC).save(images / f"{number:05}.jpg", quality=92)
    for number in range(len(drawn), count):
        os.link(images / f"{number % len(drawn):05}.jpg", images / f"{number:05}.jpg")
    mask = np.zeros(image_hw, dtype=bool)
    mask[image_hw[0] // 4 : image_hw[0] // 2, width // 4 : width // 2] = True
    box = (width / 4, image_hw[0] / 4, width / 2, image_hw[0] / 2)
    rle, random = encode(mask), np.random.default_rng(0)
    out = root / "out"
    out.mkdir()
    write_lines(
        out / LINES,
        (
            Prediction(
                f"{i:05}.jpg",
                image_hw,
                (PredictedObject(box, float(random.random()), rle),),
                i % 200,
                CLASSES[i % 200],
                (),
            )
            for i in range(count)
        ),
    )
    write_manifest(out, "predict", {}, {}, {"image_root": str(images), "class_names": CLASSES})
    return out


def shown(page: Page) -> list[float]:
    """Milliseconds of each image shown so far."""
    return page.evaluate("performance.getEntriesByName('wsol-shown').map(one => one.duration)")


def press(page: Page, presses: int, pause_s: float) -> list[float]:
    """Accept images, each as soon as it is shown and the pause is over."""
    before = len(shown(page))
    for number in range(1, presses + 1):
        page.keyboard.press("Enter")
        while len(shown(page)) < before + number:
            time.sleep(0.002)
        time.sleep(pause_s)
    return shown(page)[before:]


def row(name: str, times: list[float]) -> str:
    """Format a row of the table."""
    median, late, most = np.percentile(times, [50, 95, 100])
    share = 100 * np.mean(np.array(times) < 100)
    return f"| {name} | {len(times)} | {median:.0f} | {late:.0f} | {most:.0f} | {share:.1f} |"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000, help="predictions (%(default)s)")
    parser.add_argument(
        "--presses", type=int, default=200, help="of Enter, with a pause and again without (%(default)s)"
    )
    parser.add_argument("--width", type=int, default=1600, help="of the images, in pixels (%(default)s)")
    given = parser.parse_args()
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None or given.images < 2 * given.presses + DISTINCT:
        parser.error("expected chromium on this machine, and more images than are accepted")
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name:
        out = write_predictions(Path(name), given.images, given.width)
        started = time.perf_counter()
        command = [sys.executable, "-m", "wsol", "review", str(out)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            ready = time.perf_counter() - started
            with sync_playwright() as playwright:
                chromium = playwright.chromium.launch(
                    executable_path=executable, args=["--no-sandbox", "--disable-dev-shm-usage"]
                )
                page = chromium.new_page(viewport={"width": 1280, "height": 860})
                page.goto(url)
                while not shown(page):
                    time.sleep(0.002)
                opened = page.evaluate("performance.getEntriesByName('wsol-shown')[0]")
                page.wait_for_timeout(1000)
                quick = press(page, given.presses, 0.3)
                hurried = press(page, given.presses, 0.0)
                page.wait_for_selector(
                    "#saved[data-state=saved]"
                )  # decisions are sent one after the other, so the disk limits the rate
                chromium.close()
            memory = psutil.Process(server.pid).memory_info().rss / 1e6
        finally:
            server.terminate()
            server.wait()
        written = [json.loads(line) for line in (out / "review.jsonl").read_text().splitlines()]
        assert len(written) == 2 * given.presses, "every decision is in the journal"
    print(
        f"{os.cpu_count()} cores, {given.images} predictions, images {given.width} x {given.width * 3 // 4}, window"
        " 1280 x 860"
    )
    print(
        f"ready {ready:.1f} s after the command, first image {(opened['startTime'] + opened['duration']) / 1000:.1f} s"
        f" after the page; server {memory:.0f} MB"
    )
    print("| from key to image, ms | images | median | 95 % | most | below 100 ms, % |\n|---|---|---|---|---|---|")
    print(row("with a pause of 0.3 s", quick))
    print(row("without a pause", hurried))


if __name__ == "__main__":
    main()
