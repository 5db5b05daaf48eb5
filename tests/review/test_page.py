"""The page in a browser: keys, drags and taps give the expected journal."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fake_data.reviews import decide, prediction, served, write_reviewable
from playwright.sync_api import expect

from wsol.commands.export import export
from wsol.predictions.review_journal import heads, read_journal
from wsol.predictions.review_sample import read_sample
from wsol.review.address import Address
from wsol.storage.folders import write_manifest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytestmark = pytest.mark.pipeline

HTML = '<img src=x onerror="document.title=1">.jpg'
BOX = (40.0, 30.0, 120.0, 90.0)


def shown(page: Page) -> str:
    """The name of the image on the screen."""
    expect(page.locator("#sheet")).not_to_have_class(re.compile("waiting"))
    expect(page.locator("#name")).not_to_be_empty()
    return page.locator("#name").inner_text()


def press(page: Page, key: str) -> str:
    """Press a key; the image that it was pressed on."""
    name = shown(page)
    page.keyboard.press(key)
    return name


def saved(page: Page) -> None:
    """Wait until everything is on the disk."""
    expect(page.locator("#saved")).to_have_attribute("data-state", "saved")


def spot(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a pixel of the image is on the screen."""
    area = page.locator("#boxes").bounding_box()
    assert area is not None
    return area["x"] + x * area["width"] / 160, area["y"] + y * area["height"] / 120


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag from one pixel of the image to another."""
    page.mouse.move(*spot(page, *start))
    page.mouse.down()
    page.mouse.move(*spot(page, (start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
    page.mouse.move(*spot(page, *end))
    page.mouse.up()


def decisions_of(out: Path) -> list[tuple[Any, ...]]:
    """The decisions in the journal, without numbers and times."""
    return [(one.image, one.verdict, one.boxes, one.class_name) for one in read_journal(out)]


@contextmanager
def process(out: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`wsol review` and its address."""
    command = [sys.executable, "-m", "wsol", "review", str(out), *words]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server, server.stdout.readline().strip()
    finally:
        server.kill()
        server.communicate()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A hundred predictions, 0000 the least confident."""
    return write_reviewable(tmp_path, [prediction(number) for number in range(100)])


@pytest.fixture
def address(out: Path) -> Iterator[Address]:
    with served(out) as address:
        yield address


@contextmanager
def served_to(tab: Page, out: Path) -> Iterator[Address]:
    """The server for a page that goes before it does: it would say on the console that the server is away."""
    with served(out) as address:
        yield address
        tab.close()


def hold(tab: Page, path: str) -> Callable[[], None]:
    """Hold back requests to an API path; the returned function releases the first and all later ones."""
    held: list[Route] = []
    tab.route(f"**/api/{path}", lambda route: held.append(route))

    def let_go() -> None:
        while not held:  # it is on its way
            tab.wait_for_timeout(10)
        held[0].continue_()
        tab.unroute(f"**/api/{path}")

    return let_go


def names(*numbers: int) -> list[str]:
    return [prediction(number).image for number in numbers]


def test_ten_by_keyboard_a_drag_a_reload_a_killed_server_and_nothing_is_lost(out: Path, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    expected: list[tuple[Any, ...]] = []
    with process(out) as (server, url):
        page.goto(url)
        for number in range(6):
            expected.append(
                (press(page, "Enter" if number % 2 else "Space"), "accepted", (BOX,), prediction(number).class_name)
            )
        expected.append((press(page, "x"), "rejected", (BOX,), prediction(6).class_name))
        assert [image for image, *_ in expected] == names(*range(7))
        assert press(page, "ArrowRight") == names(7)[0]
        press(page, "c")
        page.keyboard.type("OW")
        page.keyboard.press("Enter")
        expected.append((shown(page), "corrected", (BOX,), "owl"))
        press(page, "Enter")  # says no more than was said
        press(page, "1")
        page.keyboard.press("Shift+ArrowLeft")
        page.keyboard.press("Shift+ArrowDown")
        page.keyboard.press("Alt+ArrowRight")
        expected.append((press(page, "Enter"), "corrected", ((39.0, 31.0, 120.0, 91.0),), "hawk"))
        press(page, "d")
        expected.append((shown(page), "empty", (), "owl"))
        assert "background image" in page.locator("#count").inner_text()
        press(page, "Enter")
        assert shown(page) == names(11)[0] and page.locator("#far").inner_text() == "10 of 100 decided"

        drag(page, (80, 60), (90, 70))
        expected.append((shown(page), "corrected", ((50.0, 40.0, 130.0, 100.0),), "tit"))
        drag(page, (130, 70), (150, 75))  # its right edge
        expected.append((shown(page), "corrected", ((50.0, 40.0, 150.0, 100.0),), "tit"))
        drag(page, (50, 40), (20, 10))  # its corner
        expected.append((shown(page), "corrected", ((20.0, 10.0, 150.0, 100.0),), "tit"))
        press(page, "n")
        drag(page, (5.2, 105.5), (30.5, 115))
        expected.append((shown(page), "corrected", ((20.0, 10.0, 150.0, 100.0), (5.0, 105.0, 31.0, 115.0)), "tit"))
        assert page.locator("#verdict").inner_text() == "corrected"
        saved(page)
        page.reload()
        page.select_option("#filter", "c")
        while shown(page) != names(11)[0]:
            press(page, "ArrowRight")
        assert page.locator("#boxes .box").count() == 2, "the boxes are where they were dragged to"
        page.select_option("#filter", "u")
        saved(page)
        assert decisions_of(out) == expected

        last = shown(page)  # before the kill: what has not come does not come any more
        server.send_signal(signal.SIGKILL)
        server.wait()
        press(page, "x")
        assert last == names(12)[0]
        expected.append((last, "rejected", (BOX,), "hawk"))
        expect(page.locator("#saved")).to_have_attribute("data-state", "away")
        expect(page.locator("#saved")).to_contain_text("1 not saved")
    with process(out) as (_, again):
        assert again != url and again.rpartition("/")[0] == url.rpartition("/")[0]
        expect(page.locator("#saved")).to_contain_text(
            "1 not saved: another server is running: open the address that it printed"
        )
        assert decisions_of(out) == expected[:-1]
        anew = context.new_page()
        anew.goto(again)
        shown(anew)
        saved(page)  # by itself: the new key is this browser's now
        assert shown(page) == names(13)[0]  # by now, whether or not it had come before the kill
        anew.close()
        assert decisions_of(out) == expected
        page.keyboard.press("u")
        expected.append((last, "undecided", (BOX,), "hawk"))
        expect(page.locator("#name")).to_have_text(last)
        saved(page)
        assert decisions_of(out) == expected
    context.close()
    folder = export(out, "coco", out.parent / "coco", reviewed=True)
    written = json.loads((folder / "instances.json").read_text())
    holds = {image: (verdict, boxes) for image, verdict, boxes, _ in expected}
    assert sorted(one["file_name"] for one in written["images"]) == sorted(
        image for image, (verdict, _) in holds.items() if verdict in ("accepted", "corrected", "empty")
    )
    by_id = {one["id"]: one["file_name"] for one in written["images"]}
    for one in written["annotations"]:
        x, y, width, height = one["bbox"]
        assert (x, y, x + width, y + height) in holds[by_id[one["image_id"]]][1]


def test_two_windows_do_not_overwrite_each_other(out: Path, address: Address, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1000, "height": 800})
    one, two = context.new_page(), context.new_page()
    for page in (one, two):
        page.goto(address.url)
        assert shown(page) == names(0)[0]
    # Neither hears of the other before it decides.
    for page in (one, two):
        page.route("**/api/changes*", lambda route: route.fulfill(json={"seen": 0, "changes": []}))
    press(one, "x")
    saved(one)
    drag(two, (80, 60), (90, 70))
    two.wait_for_selector("#notice:not([hidden])")
    assert "Another window has already decided" in two.locator("#notice").inner_text()
    assert two.locator("#verdict").inner_text() == "rejected", "it shows the current state"
    assert decisions_of(out) == [(names(0)[0], "rejected", (BOX,), "hawk")]
    two.keyboard.press("Enter")  # now that it knows, it may
    saved(two)
    assert decisions_of(out)[1:] == [(names(0)[0], "accepted", (BOX,), "hawk")]
    # And an answer brings along what the others did: 0001 is not offered again.
    press(one, "Enter")
    saved(one)
    press(two, "ArrowLeft")
    press(two, "x")
    saved(two)
    press(two, "ArrowRight")
    assert shown(two) == names(2)[0]
    context.close()


def test_undo_by_key_and_button_also_after_a_reload(out: Path, address: Address, tab: Page) -> None:
    tab.goto(address.url)
    press(tab, "Enter")
    press(tab, "x")
    saved(tab)
    tab.reload()
    assert shown(tab) == names(2)[0]
    tab.keyboard.press("Control+z")
    expect(tab.locator("#name")).to_have_text(names(1)[0])
    tab.get_by_role("button", name="Undo").click()
    expect(tab.locator("#name")).to_have_text(names(0)[0])
    assert tab.locator("#verdict").inner_text() == "undecided"
    tab.keyboard.press("u")
    expect(tab.locator("#notice")).to_contain_text("nothing to undo")
    assert [one.undoes for one in read_journal(out)] == [None, None, 2, 1]


def test_a_box_moved_again_before_the_first_is_saved_is_there_when_one_comes_back(
    out: Path, address: Address, tab: Page
) -> None:
    tab.goto(address.url)
    shown(tab)
    drag(tab, (80, 60), (90, 70))
    saved(tab)
    let_go = hold(tab, "decide")
    drag(tab, (90, 70), (95, 70))
    press(tab, "ArrowRight")
    assert press(tab, "ArrowLeft") == names(1)[0] and shown(tab) == names(0)[0]
    let_go()
    saved(tab)
    press(tab, "x")
    saved(tab)
    moved = ((55.0, 40.0, 135.0, 100.0),)
    assert decisions_of(out)[-1][:3] == (names(0)[0], "rejected", moved)


def test_keys_before_an_undo_is_answered_decide_about_no_other_image(out: Path, address: Address, tab: Page) -> None:
    tab.goto(address.url)
    press(tab, "Enter")
    saved(tab)
    let_go = hold(tab, "undo")
    for key in ("u", "x", "Enter"):
        tab.keyboard.press(key)
    expect(tab.locator("#saved")).to_have_attribute("data-state", "saving")
    let_go()
    expect(tab.locator("#name")).to_have_text(names(0)[0])
    saved(tab)
    press(tab, "u")
    expect(tab.locator("#notice")).to_contain_text("nothing to undo")
    assert press(tab, "Enter") == names(0)[0] and shown(tab) == names(1)[0]
    saved(tab)
    assert {line[0] for line in decisions_of(out)} == {names(0)[0]} and decisions_of(out)[-1][1] == "accepted"


def test_two_undos_before_an_answer_end_at_what_was_undone_and_skip_nothing(
    out: Path, address: Address, tab: Page
) -> None:
    tab.goto(address.url)
    press(tab, "Enter")
    saved(tab)
    shown(tab)
    let_go = hold(tab, "undo")
    tab.keyboard.press("u")
    tab.keyboard.press("u")
    expect(tab.get_by_role("button", name="Accept")).to_be_disabled()
    tab.keyboard.press("ArrowRight")  # goes nowhere before the answer
    let_go()
    expect(tab.locator("#notice")).to_contain_text("nothing to undo")
    assert press(tab, "Enter") == names(0)[0] and shown(tab) == names(1)[0]


def test_an_undo_of_an_earlier_image_is_reported_and_the_page_stays(out: Path, address: Address, tab: Page) -> None:
    tab.goto(address.url)
    for _ in range(2):
        press(tab, "Enter")
    shown(tab)
    saved(tab)
    let_go = hold(tab, "undo")
    tab.keyboard.press("u")
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("ArrowLeft")
    assert shown(tab) == names(1)[0]
    tab.keyboard.press("ArrowLeft")
    assert shown(tab) == names(0)[0]
    let_go()
    expect(tab.locator("#notice")).to_contain_text("Undone")
    assert shown(tab) == names(0)[0]
    tab.get_by_role("button", name="Show it").click()
    expect(tab.locator("#name")).to_have_text(names(1)[0])
    assert tab.locator("#verdict").inner_text() == "undecided"


def test_a_drag_that_outlasts_its_image_changes_no_other(out: Path, address: Address, tab: Page) -> None:
    tab.goto(address.url)
    press(tab, "Enter")
    shown(tab)
    saved(tab)
    tab.mouse.move(*spot(tab, 80, 60))
    tab.mouse.down()
    tab.mouse.move(*spot(tab, 90, 70))
    tab.keyboard.press("u")
    expect(tab.locator("#name")).to_have_text(names(0)[0])
    tab.mouse.move(*spot(tab, 95, 75))
    tab.mouse.up()
    press(tab, "Enter")
    shown(tab)
    saved(tab)
    assert {line[0] for line in decisions_of(out)} == {names(0)[0]} and decisions_of(out)[-1][1:3] == (
        "accepted",
        (BOX,),
    )


def test_the_image_that_is_left_is_found_by_its_own_filter(tmp_path: Path, tab: Page) -> None:
    with served_to(tab, write_reviewable(tmp_path, [prediction(number) for number in range(2)])) as address:
        tab.goto(address.url)
        for key in ("Enter", "x"):
            press(tab, key)
        tab.wait_for_selector("#empty:not([hidden])")
        tab.select_option("#filter", "r")
        assert shown(tab) == names(1)[0]


def test_a_box_is_drawn_anew_in_one_decision_and_undone_in_one(out: Path, address: Address, tab: Page) -> None:
    tab.goto(address.url)
    notice = tab.locator("#notice")
    press(tab, "b")
    expect(notice).to_contain_text("a box that replaces the selected one")
    drag(tab, (10, 20), (60, 70))
    expect(notice).to_be_hidden()
    assert tab.locator("#boxes .box").count() == 1
    press(tab, "b")
    press(tab, "Enter")
    saved(tab)
    anew = [(names(0)[0], "corrected", (box,), "hawk") for box in ((10.0, 20.0, 60.0, 70.0), (40.0, 30.0, 120.0, 90.0))]
    assert decisions_of(out) == [anew[0], (*anew[1][:1], "accepted", *anew[1][2:])], "in the middle it is as predicted"
    press(tab, "u")
    expect(tab.locator("#verdict")).to_have_text("corrected")
    saved(tab)
    assert decisions_of(out)[-1] == anew[0]


def test_deleting_ends_drawing_anew_or_another_box_would_go(out: Path, address: Address, tab: Page) -> None:
    tab.goto(address.url)
    press(tab, "n")
    drag(tab, (2, 100), (30, 118))
    for key in ("2", "b", "d"):
        press(tab, key)
    expect(tab.locator("[data-do=redraw]")).to_have_attribute("aria-pressed", "false")
    drag(tab, (2, 2), (20, 20))
    saved(tab)
    assert decisions_of(out)[-1] == (names(0)[0], "accepted", ((40.0, 30.0, 120.0, 90.0),), "hawk")


def test_the_hint_about_drawing_disappears_and_an_overlapping_box_is_reported(
    out: Path, address: Address, tab: Page
) -> None:
    tab.goto(address.url)
    notice = tab.locator("#notice")
    press(tab, "n")
    expect(notice).to_contain_text("another box (b replaces the selected one, d deletes it)")
    drag(tab, (2, 100), (30, 118))
    expect(notice).to_be_hidden()
    press(tab, "n")
    drag(tab, (50, 40), (110, 80))
    expect(notice).to_contain_text("It overlaps box 1. To delete that box, press 1, then d")
    press(tab, "b")  # the third is chosen
    drag(tab, (100, 2), (150, 20))
    expect(notice).to_be_hidden()
    press(tab, "Escape")
    press(tab, "b")
    expect(notice).to_contain_text("Select a box first")
    press(tab, "1")
    press(tab, "d")
    expect(notice).to_be_hidden()
    saved(tab)
    assert decisions_of(out)[-1][2] == ((2.0, 100.0, 30.0, 118.0), (100.0, 2.0, 150.0, 20.0))


def test_after_a_reload_back_says_how_to_see_decided_images(out: Path, address: Address, tab: Page) -> None:
    tab.goto(address.url)
    press(tab, "ArrowLeft")
    expect(tab.locator("#notice")).to_have_text("This is the first image.")
    press(tab, "Enter")
    saved(tab)
    tab.reload()
    assert press(tab, "ArrowLeft") == names(1)[0]
    expect(tab.locator("#notice")).to_have_text(
        "There is no earlier undecided image. Set Show to all to see the others."
    )
    tab.select_option("#filter", "")
    press(tab, "ArrowLeft")
    expect(tab.locator("#name")).to_have_text(names(0)[0])


def test_a_key_that_is_held_down_decides_once(out: Path, address: Address, tab: Page) -> None:
    tab.goto(address.url)
    shown(tab)
    for _ in range(5):
        tab.keyboard.down("Enter")  # without a release these are repetitions
    saved(tab)
    assert len(decisions_of(out)) == 1


def test_arrows_go_to_the_next_image_whatever_is_chosen_and_move_a_box_with_shift_or_alt_alone(
    out: Path, address: Address, tab: Page
) -> None:
    tab.goto(address.url)
    keys = tab.locator("#box-keys")
    press(tab, "n")
    drag(tab, (5, 5), (20, 20))
    expect(keys).to_be_visible()
    press(tab, "ArrowRight")
    assert shown(tab) == names(1)[0]
    expect(keys).to_be_hidden()
    press(tab, "ArrowLeft")
    assert shown(tab) == names(0)[0]
    for key in ("Shift+ArrowRight", "Alt+ArrowLeft"):  # neither the first of two boxes, nor the browser's way back
        press(tab, "Escape")
        tab.keyboard.press(key)
        expect(tab.locator("#notice")).to_contain_text("Select a box first")
    press(tab, "ArrowDown")
    assert shown(tab) == names(1)[0]
    tab.keyboard.down("Shift")
    for _ in range(3):  # without a release the last two are repetitions
        tab.keyboard.down("ArrowRight")
    tab.keyboard.up("ArrowRight")
    tab.keyboard.up("Shift")
    expect(keys).to_be_visible()  # the only box was meant
    tab.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    press(tab, "ArrowUp")
    assert shown(tab) == names(0)[0]
    saved(tab)
    assert decisions_of(out) == [
        (names(0)[0], "corrected", (BOX, (5.0, 5.0, 20.0, 20.0)), "hawk"),
        (names(1)[0], "corrected", ((61.0, 30.0, 141.0, 90.0),), "owl"),
    ]


def test_names_and_classes_with_markup_are_text(tmp_path: Path, tab: Page) -> None:
    hostile = '"><script>document.title="2"</script>'
    line = prediction(0, image=HTML).__class__(HTML, (120, 160), prediction(0).objects, 0, hostile, ((hostile, 1.0),))
    with served_to(tab, write_reviewable(tmp_path, [line], (hostile, "owl"))) as address:
        tab.goto(address.url)
        assert shown(tab) == HTML and tab.locator("#class").inner_text() == hostile
        assert tab.title() == f"{HTML} - wsol review"
        tab.keyboard.press("c")
        assert tab.locator("#class-list li").first.inner_text().startswith(hostile)
        assert tab.locator("script").count() == 1 and tab.locator("img").count() == 1


def test_a_image_that_changed_since_is_not_shown_and_can_only_be_rejected(
    out: Path, address: Address, browser: Browser
) -> None:
    (out.parent / "images" / names(0)[0]).write_bytes(b"no image")
    page = browser.new_page()
    page.goto(address.url)
    page.wait_for_selector("#empty:not([hidden])")
    assert "cannot decode" in page.locator("#empty").inner_text()
    page.keyboard.press("Enter")
    assert page.get_by_role("button", name="Accept").is_disabled()
    press(page, "x")
    assert shown(page) == names(1)[0]
    saved(page)
    assert [(image, verdict) for image, verdict, *_ in decisions_of(out)] == [(names(0)[0], "rejected")]
    page.close()


def test_a_phone_taps_and_drags(out: Path, address: Address, browser: Browser) -> None:
    phone = browser.new_context(
        viewport={"width": 390, "height": 844}, device_scale_factor=2, is_mobile=True, has_touch=True
    )
    page = phone.new_page()
    page.goto(address.url)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing reaches beyond the screen"
    for name in ("Accept", "Nothing here", "Reject", "Undo", "Draw", "Replace", "Next", "Back"):
        area = page.get_by_role("button", name=name, exact=True).bounding_box()
        assert area is not None and min(area["width"], area["height"]) >= 44 and area["y"] + area["height"] <= 844
    shown(page)
    page.get_by_role("button", name="Accept").tap()
    shown(page)
    touch = phone.new_cdp_session(page)
    for kind, x, y in (("touchStart", 80, 60), ("touchMove", 85, 65), ("touchMove", 90, 70), ("touchEnd", 0, 0)):
        screen_x, screen_y = spot(page, x, y)
        points = [] if kind == "touchEnd" else [{"x": screen_x, "y": screen_y}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.get_by_role("button", name="Next").tap()
    saved(page)
    assert decisions_of(out) == [
        (names(0)[0], "accepted", (BOX,), "hawk"),
        (names(1)[0], "corrected", ((50.0, 40.0, 130.0, 100.0),), "owl"),
    ]
    phone.close()


def test_the_help_begins_at_its_top_and_can_be_closed_on_a_phone(address: Address, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 700})
    page.goto(address.url)
    shown(page)
    page.locator("#help-button").click()
    for place in (page.get_by_role("heading", name="Keys"), page.get_by_role("button", name="Close")):
        area = place.bounding_box()
        assert area is not None and area["y"] >= 0 and area["y"] + area["height"] <= 700
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    page.close()


def test_a_screen_reader_finds_names_for_everything(out: Path, address: Address, tab: Page) -> None:
    tab.goto(address.url)
    shown(tab)
    words = "Box 1 of 1: left 40, top 30, 80 wide, 60 high. Shift and arrow keys move it, Alt and arrow keys resize it"
    box = tab.get_by_role("button", name=words)
    box.focus()
    tab.keyboard.press("Shift+ArrowRight")
    assert tab.get_by_role("button", name="left 41, top 30").count() == 1
    tab.keyboard.press("Escape")
    saved(tab)
    expect(tab.locator("#said")).to_contain_text("box moved")
    assert tab.get_by_role("progressbar", name="Images decided").count() == 1
    assert tab.get_by_role("combobox", name="Show").count() == 1
    tab.keyboard.press("?")
    assert tab.get_by_role("dialog", name="Keys").is_visible()
    unnamed = tab.evaluate(
        "[...document.querySelectorAll('button, select, input')].filter(e => !(e.ariaLabel || e.textContent.trim() ||"
        " e.labels?.length)).length"
    )
    assert unnamed == 0


# The class of the folder


@pytest.fixture
def misfiled(tmp_path: Path) -> Path:
    """Three predicted as hawks; the first two lie in other folders."""
    images = ("owl/0.jpg", "tit/1.jpg", "hawk/2.jpg")
    lines = [replace(prediction(n), image=name, label=0, class_name="hawk") for n, name in enumerate(images)]
    return write_reviewable(tmp_path, lines)


def test_the_folders_class_is_taken_by_a_key_and_by_a_button_and_given_back_by_undo(misfiled: Path, tab: Page) -> None:
    line = tab.locator("#given-line")
    with served_to(tab, misfiled) as address:
        tab.goto(address.url)
        shown(tab)
        assert tab.locator("#class").inner_text() == "hawk" and "folder: owl" in line.inner_text()
        press(tab, "f")
        expect(tab.locator("#class")).to_have_text("owl")
        expect(line).to_be_hidden()
        assert tab.locator("#verdict").inner_text() == "corrected"
        saved(tab)
        tab.keyboard.press("u")
        expect(tab.locator("#class")).to_have_text("hawk")
        expect(line).to_be_visible()
        assert tab.locator("#verdict").inner_text() == "undecided"
        press(tab, "1")
        tab.keyboard.press("Shift+ArrowRight")
        tab.keyboard.press("f")  # before the pause that makes the step a change
        press(tab, "Enter")
        assert shown(tab) == "tit/1.jpg"
        tab.get_by_role("button", name="folder: tit").click()
        expect(tab.locator("#class")).to_have_text("tit")
        press(tab, "Enter")  # goes on; the button is not pressed again
        assert shown(tab) == "hawk/2.jpg"
        expect(line).to_be_hidden()
        press(tab, "f")
        expect(tab.locator("#notice")).to_contain_text("class is the one shown")
        saved(tab)
    moved = (41.0, 30.0, 121.0, 90.0)
    assert decisions_of(misfiled) == [
        ("owl/0.jpg", "corrected", (BOX,), "owl"),
        ("owl/0.jpg", "undecided", (BOX,), "hawk"),
        ("owl/0.jpg", "corrected", (moved,), "hawk"),
        ("owl/0.jpg", "corrected", (moved,), "owl"),
        ("tit/1.jpg", "corrected", (BOX,), "tit"),
    ]


def chosen(out: Path) -> list[tuple[Any, ...]]:
    """Of each line whether a person chose the class, too."""
    return [(one.image, one.verdict, one.class_name, one.is_class_chosen) for one in read_journal(out)]


def test_the_predicted_class_is_kept_against_the_folders_and_given_up_by_undo(misfiled: Path, tab: Page) -> None:
    mark, keep = tab.locator("#chosen"), tab.get_by_role("button", name="keep predicted class")
    with served_to(tab, misfiled) as address:
        tab.goto(address.url)
        shown(tab)
        expect(mark).to_be_hidden()
        press(tab, "k")
        expect(mark).to_have_text("your choice")
        expect(keep).to_be_hidden()
        expect(tab.locator("#said")).to_have_text("class hawk kept")
        assert tab.locator("#verdict").inner_text() == "accepted"
        press(tab, "k")
        expect(tab.locator("#notice")).to_contain_text("hawk is already your choice")
        saved(tab)
        tab.keyboard.press("u")
        expect(mark).to_be_hidden()
        expect(keep).to_be_visible()
        assert (keep.bounding_box() or {})["height"] < 50, "one row, its key beside its words"
        assert tab.locator("#verdict").inner_text() == "undecided"
        press(tab, "k")
        saved(tab)
        tab.reload()
        assert shown(tab) == "tit/1.jpg", "it is decided"
        keep.click()
        expect(mark).to_be_visible()
        tab.select_option("#filter", "")
        press(tab, "ArrowLeft")
        assert shown(tab) == "owl/0.jpg"
        expect(mark).to_be_visible()
        press(tab, "f")  # second thoughts
        expect(tab.locator("#class")).to_have_text("owl")
        tab.select_option("#filter", "u")
        assert shown(tab) == "hawk/2.jpg"
        expect(keep).to_be_hidden()
        press(tab, "k")
        expect(tab.locator("#notice")).to_contain_text("class is the one shown")
        saved(tab)
    assert chosen(misfiled) == [
        ("owl/0.jpg", "accepted", "hawk", True),
        ("owl/0.jpg", "undecided", "hawk", False),
        ("owl/0.jpg", "accepted", "hawk", True),
        ("tit/1.jpg", "accepted", "hawk", True),
        ("owl/0.jpg", "corrected", "owl", True),
    ]


def test_the_class_that_is_there_can_be_chosen_in_the_list(misfiled: Path, tab: Page) -> None:
    with served_to(tab, misfiled) as address:
        tab.goto(address.url)
        press(tab, "c")
        tab.keyboard.press("Escape")  # chooses nothing
        press(tab, "c")
        tab.keyboard.type("hawk")
        tab.keyboard.press("Enter")
        expect(tab.locator("#chosen")).to_be_visible()
        press(tab, "c")
        tab.keyboard.type("hawk")
        tab.keyboard.press("Enter")  # says no more than was said
        press(tab, "Enter")
        press(tab, "Enter")  # accepts, and chooses nothing
        shown(tab)
        saved(tab)
    assert chosen(misfiled) == [("owl/0.jpg", "accepted", "hawk", True), ("tit/1.jpg", "accepted", "hawk", False)]
    folder = export(misfiled, "csv", misfiled.parent / "csv", reviewed=True, classes="folder")
    rows = (folder / "boxes.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows[1:]] == [["owl/0.jpg", "hawk"], ["tit/1.jpg", "tit"]]


def test_a_screen_reader_gets_the_class_of_the_folder(misfiled: Path, tab: Page) -> None:
    with served_to(tab, misfiled) as address:
        tab.goto(address.url)
        shown(tab)
        expect(tab.locator("#said")).to_have_text("hawk, folder owl, undecided, 1 box")
        press(tab, "f")
        expect(tab.locator("#said")).to_have_text("class owl, from the folder")
        tab.keyboard.press("?")
        assert "folder" in tab.get_by_role("dialog", name="Keys").inner_text()


def test_a_phone_takes_the_folders_class(misfiled: Path, browser: Browser) -> None:
    phone = browser.new_context(
        viewport={"width": 390, "height": 844}, device_scale_factor=2, is_mobile=True, has_touch=True
    )
    page = phone.new_page()
    with served(misfiled) as address:
        page.goto(address.url)
        shown(page)
        button = page.get_by_role("button", name="folder: owl")
        area = button.bounding_box()
        assert area is not None and area["height"] >= 44 and area["x"] + area["width"] <= 390
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        button.tap()
        expect(page.locator("#class")).to_have_text("owl")
        saved(page)
    assert decisions_of(misfiled) == [("owl/0.jpg", "corrected", (BOX,), "owl")]
    phone.close()


def test_a_image_that_cannot_be_shown_has_no_class_to_take(misfiled: Path, browser: Browser) -> None:
    (misfiled.parent / "images/owl/0.jpg").write_bytes(b"no image")
    page = browser.new_page()
    with served(misfiled) as address:
        page.goto(address.url)
        page.wait_for_selector("#empty:not([hidden])")
        expect(page.locator("#given-line")).to_be_hidden()
        page.keyboard.press("f")
        page.close()
    assert decisions_of(misfiled) == []


def test_filters_show_what_they_say_and_an_end_is_an_end(tmp_path: Path, tab: Page) -> None:
    out = write_reviewable(tmp_path, [prediction(number) for number in range(3)])
    with served_to(tab, out) as address:
        tab.goto(address.url)
        for key in ("Enter", "x", "Enter"):
            press(tab, key)
        tab.wait_for_selector("#empty:not([hidden])")
        assert "All 3 images are decided" in tab.locator("#empty").inner_text()
        tab.select_option("#filter", "r")
        assert shown(tab) == names(1)[0]
        tab.select_option("#filter", "c")
        assert "There is no corrected image" in tab.locator("#empty").inner_text()
        tab.select_option("#filter", "")
        assert shown(tab) in names(0, 1, 2)
        saved(tab)
    assert len(decisions_of(out)) == 3


# Nothing here


def test_nothing_here_by_key_and_button_removes_all_boxes_goes_on_and_is_undone(
    out: Path, address: Address, tab: Page
) -> None:
    tab.goto(address.url)
    press(tab, "n")
    drag(tab, (2, 100), (30, 118))
    saved(tab)
    assert press(tab, "e") == names(0)[0] and shown(tab) == names(1)[0]
    expect(tab.locator("#said")).to_contain_text("undecided")
    tab.get_by_role("button", name="Nothing here").click()
    assert shown(tab) == names(2)[0]
    expect(tab.locator("#far")).to_have_text("2 of 100 decided")
    saved(tab)
    tab.keyboard.press("u")
    expect(tab.locator("#name")).to_have_text(names(1)[0])
    expect(tab.locator("#boxes .box")).to_have_count(1)
    expect(tab.locator("#verdict")).to_have_text("undecided")
    press(tab, "d")  # the same, box by box
    expect(tab.locator("#verdict")).to_have_text("nothing here")
    press(tab, "e")  # says no more than was said
    shown(tab)
    saved(tab)
    both = (BOX, (2.0, 100.0, 30.0, 118.0))
    assert decisions_of(out) == [
        (names(0)[0], "corrected", both, "hawk"),
        (names(0)[0], "empty", (), "hawk"),
        (names(1)[0], "empty", (), "owl"),
        (names(1)[0], "undecided", (BOX,), "owl"),
        (names(1)[0], "empty", (), "owl"),
    ]
    folder = export(out, "coco", out.parent / "coco", reviewed=True)
    written = json.loads((folder / "instances.json").read_text())
    assert [one["file_name"] for one in written["images"]] == names(0, 1) and written["annotations"] == []


def test_an_image_in_which_nothing_was_found_is_confirmed_or_given_a_box(tmp_path: Path, tab: Page) -> None:
    lines = [replace(prediction(number, image=f"{number}.jpg"), objects=()) for number in range(3)]
    out = write_reviewable(tmp_path, lines)
    with served_to(tab, out) as address:
        tab.goto(address.url)
        shown(tab)
        assert tab.locator("#score").inner_text() == "nothing found"
        press(tab, "e")
        press(tab, "Enter")  # accepting what is shown says the same
        press(tab, "n")
        drag(tab, (10, 20), (60, 70))
        saved(tab)
        tab.select_option("#filter", "e")
        assert shown(tab) == "0.jpg"
        press(tab, "ArrowRight")
        assert press(tab, "x") == "1.jpg"
        press(tab, "x")
        expect(tab.locator("#empty")).to_have_text('There is no image marked "nothing here".')
        saved(tab)
    assert [line[:3] for line in decisions_of(out)] == [
        ("0.jpg", "empty", ()),
        ("1.jpg", "empty", ()),
        ("2.jpg", "corrected", ((10.0, 20.0, 60.0, 70.0),)),
        ("1.jpg", "rejected", ()),
        ("0.jpg", "rejected", ()),
    ]


@pytest.mark.parametrize("width", [320, 390, 740, 860, 1000, 1160, 1280])
def test_all_buttons_are_on_the_screen(address: Address, browser: Browser, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 700})
    page.goto(address.url)
    shown(page)
    for button in page.locator("footer button").all():
        area = button.bounding_box()
        assert area is not None and area["x"] >= 0 and area["x"] + area["width"] <= width
    page.close()


@pytest.fixture
def with_good(tmp_path: Path) -> Path:
    """A box in the folder of images without an object, an image whose class has no object, and one of an owl."""
    lines = [
        replace(prediction(0, image="good/0.jpg"), label=1, class_name="owl"),
        replace(prediction(1, image="1.jpg"), objects=(), label=0, class_name="good"),
        replace(prediction(2, image="owl/2.jpg"), label=1, class_name="owl"),
    ]
    names = ["good", "owl", "tit"]
    out = write_reviewable(tmp_path, [replace(line, top5=()) for line in lines], tuple(names))
    figures = {"image_root": str(tmp_path / "images"), "class_names": names, "no_object": ["good"]}
    write_manifest(out, "predict", {}, {}, figures)
    return out


@pytest.mark.parametrize("key", ["e", "f", "click"])
def test_the_folder_of_images_without_an_object_is_named_and_followed(with_good: Path, tab: Page, key: str) -> None:
    with served_to(tab, with_good) as address:
        tab.goto(address.url)
        assert shown(tab) == "1.jpg", "the score of nothing is 0"
        expect(tab.locator("#given-line")).to_be_hidden()
        press(tab, "ArrowRight")
        assert shown(tab) == "good/0.jpg"
        line = tab.locator("#given-empty-button")
        expect(line).to_contain_text("folder: good")
        expect(tab.locator("#given-button")).to_be_hidden()
        expect(tab.locator("#said")).to_contain_text("folder good")
        if key == "click":
            line.click()
        else:
            press(tab, key)
        assert shown(tab) == "owl/2.jpg"
        expect(tab.locator("#given-line")).to_be_hidden()
        saved(tab)
    assert decisions_of(with_good) == [("good/0.jpg", "empty", (), "owl")]


def test_a_box_drawn_in_an_image_of_a_class_without_objects_needs_a_class_of_objects(
    with_good: Path, tab: Page
) -> None:
    with served_to(tab, with_good) as address:
        tab.goto(address.url)
        press(tab, "n")
        drag(tab, (10, 20), (60, 70))
        expect(tab.get_by_role("dialog", name="Class of this image")).to_be_visible()
        assert tab.locator("#class-list li").all_inner_texts() == ["owl", "tit"]
        tab.keyboard.type("tit")
        tab.keyboard.press("Enter")
        saved(tab)
    assert decisions_of(with_good) == [("1.jpg", "corrected", ((10.0, 20.0, 60.0, 70.0),), "tit")]


def test_a_sample_is_gone_through_and_calibrates(out: Path, browser: Browser) -> None:
    decide(out, prediction(3).image, "accepted", BOX)  # of before
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    with process(out, "--sample", "5") as (_, url):
        page.goto(url)
        drawn = read_sample(out)
        assert drawn is not None and len(drawn) == 5 and prediction(3).image not in drawn
        expect(page.locator("#notice")).to_contain_text("correct every box")
        expect(page.locator("#folder")).to_contain_text("random sample of 5")
        seen = []
        for number in range(5):
            assert page.locator("#far").inner_text() == f"{number} of 5 decided"
            seen.append(press(page, "x" if number == 2 else "Enter"))
            saved(page)
        assert tuple(seen) == drawn
        expect(page.locator("#empty")).to_contain_text("wsol calibrate RUN --reviewed")
        for _ in range(6):  # one more than there is to undo: what was decided elsewhere stays
            page.keyboard.press("u")
            saved(page)
        expect(page.locator("#far")).to_have_text("0 of 5 decided")
        page.close()
    assert heads(read_journal(out))[prediction(3).image].verdict == "accepted"
    assert not [line for line in decisions_of(out) if line[1] == "undecided" and line[0] not in drawn]
