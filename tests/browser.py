"""Headless Chromium for the tests of pages: Debian's own, driven by Playwright, whose browsers are never downloaded."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests of a process; each test opens pages of its own in it."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("no chromium on this machine: apt-get install chromium, as .ci/run does")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)  # a busy machine is slow, not wrong
    with sync_playwright() as playwright:
        # The sandbox wants a user that is not root, and /dev/shm is small in containers.
        chromium = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """What a test's pages share; whatever goes wrong in one of their scripts fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    wrong: list[str] = []
    context.on("weberror", lambda error: wrong.append(str(error.error)))
    context.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    yield context
    context.close()
    assert not wrong, wrong


@pytest.fixture
def tab(context: BrowserContext) -> Page:
    """A blank page on a desktop's screen."""
    return context.new_page()
