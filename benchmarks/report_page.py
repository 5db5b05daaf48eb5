"""How fluid a report is in headless Chromium (Debian's).

    wsol report RUN DATA --out OUT
    python benchmarks/report_page.py OUT/index.html

It tells how long a person waits: until the first pictures are drawn, after a filter or another order, after each move of the slider, and
between frames while the page is scrolled from its start to its end.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

MOVES = 60
# Until the frame after the change is on the screen.
ACT = """async ([selector, value, type]) => {
  const control = document.querySelector(selector), started = performance.now();
  control.value = value;
  control.dispatchEvent(new Event(type, { bubbles: true }));
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return performance.now() - started;
}"""
SCROLL = """async (frames) => {
  const gaps = [], root = document.documentElement;
  root.style.scrollBehavior = "auto";
  let last = performance.now();
  for (let i = 0; i < frames; i++) {
    window.scrollTo(0, (i / frames) * root.scrollHeight);
    await new Promise((done) => requestAnimationFrame(done));
    gaps.push(performance.now() - last);
    last = performance.now();
  }
  return gaps;
}"""


def main() -> None:
    """Print one line for each thing that is waited for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    file = parser.parse_args().page.resolve()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        started = time.perf_counter()
        tab.goto(f"{file.as_uri()}#pictures")
        loaded = time.perf_counter() - started
        tab.wait_for_selector("canvas[data-drawn]", state="attached")
        drawn = time.perf_counter() - started
        cards = tab.locator("#cards > li").count()
        print(f"{cards} pictures, {file.stat().st_size / 1e6:.1f} MB, Chromium {browser.version}")
        print(f"load           {1000 * loaded:7.0f} ms; first pictures drawn after {1000 * drawn:.0f} ms")
        for name, (selector, values) in {
            "class filter": ("#class", ["0", "1", ""]),
            "score filter": ("#least", ["0.3", "0.6", "0"]),
            "order": ("#order", ["name", "unsure", "worst"]),
        }.items():
            tell(name, [tab.evaluate(ACT, [selector, value, "input"]) for value in values])
        tab.evaluate("document.getElementById('cut').scrollIntoView()")
        tab.wait_for_timeout(1000)
        moves = [0.05 + 0.9 * i / MOVES for i in range(MOVES)]
        tell("slider", [tab.evaluate(ACT, ["#threshold", f"{value:.2f}", "input"]) for value in moves])
        tell("scroll, a frame", tab.evaluate(SCROLL, 300))
        tell_memory(tab)
        browser.close()


def tell(name: str, milliseconds: list[float]) -> None:
    """The median and the worst."""
    print(f"{name:15}{statistics.median(milliseconds):7.0f} ms, at worst {max(milliseconds):.0f} ms")


def tell_memory(tab: Page) -> None:
    """The script's heap; pixels of photos and canvases are elsewhere."""
    heap = tab.evaluate("performance.memory.usedJSHeapSize")
    print(f"heap           {heap / 1e6:7.0f} MB")


if __name__ == "__main__":
    main()
