"""Response times of a report page in headless Chromium (Debian's).

    wsol report RUN DATA --out OUT    # a run with maps; a thousand images by default
    python benchmarks/report_page.py OUT/index.html

Measures the time until the first images are drawn, after a filter or another order, after each move of the slider, and
between frames while the page is scrolled by half a window each. It also prints the CPU time of the page's main thread:
on a busy machine the waiting time depends on other work.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from pathlib import Path

from playwright.sync_api import CDPSession, sync_playwright

MOVES = 60
# Waits until the frame after the change is on the screen.
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
    window.scrollBy(0, 500);
    await new Promise((done) => requestAnimationFrame(done));
    gaps.push(performance.now() - last);
    last = performance.now();
  }
  return gaps;
}"""


def main() -> None:
    """Print one line per action."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, help="index.html of a report")
    file = parser.parse_args().page.resolve()
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None or not file.is_file():
        parser.error(f"expected chromium on this machine, and a report at {file}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.set_default_timeout(300_000)
        clock = Clock(tab.context.new_cdp_session(tab))
        started = time.perf_counter()
        tab.goto(f"{file.as_uri()}#images")
        loaded = time.perf_counter() - started
        tab.wait_for_selector("canvas[data-drawn]", state="attached")
        drawn = time.perf_counter() - started
        print(f"{tab.inner_text('#count')}, {file.stat().st_size / 1e6:.1f} MB, Chromium {browser.version}")
        print(
            f"load {1000 * loaded:.0f} ms, first images drawn after {1000 * drawn:.0f} ms ({clock.lap():.0f} ms of"
            " processor time)"
        )
        print(f"{'':16}{'wait, median':>14}{'at worst':>10}{'processor, mean':>17}")
        for name, (selector, values) in {
            "class filter": ("#class", ["0", "1", ""]),
            "score filter": ("#least", ["0.3", "0.6", "0"]),
            "order": ("#order", ["name", "unsure", "name"]),
        }.items():
            tell(name, [tab.evaluate(ACT, [selector, value, "input"]) for value in values], clock)
        tab.evaluate("document.getElementById('cut').scrollIntoView()")
        tab.wait_for_timeout(1000)
        clock.lap()
        moves = [0.05 + 0.9 * i / MOVES for i in range(MOVES)]
        tell("slider", [tab.evaluate(ACT, ["#threshold", f"{value:.2f}", "input"]) for value in moves], clock)
        tell("scroll, a frame", tab.evaluate(SCROLL, 300), clock)
        heap = tab.evaluate("performance.memory.usedJSHeapSize")
        print(f"heap of the script {heap / 1e6:.0f} MB; pixels of photos and canvases are elsewhere")
        browser.close()


class Clock:
    """CPU time of the page's main thread in milliseconds, by lap."""

    def __init__(self, session: CDPSession) -> None:
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        self.session = session
        self.last = 0.0

    def lap(self) -> float:
        """CPU time since the last lap."""
        metrics = {one["name"]: one["value"] for one in self.session.send("Performance.getMetrics")["metrics"]}
        now = 1000 * metrics["TaskDuration"]
        spent, self.last = now - self.last, now
        return spent


def tell(name: str, milliseconds: list[float], clock: Clock) -> None:
    """Print waiting time and CPU time of an action."""
    processor = clock.lap() / len(milliseconds)
    print(f"{name:16}{statistics.median(milliseconds):11.0f} ms{max(milliseconds):7.0f} ms{processor:14.1f} ms")


if __name__ == "__main__":
    main()
