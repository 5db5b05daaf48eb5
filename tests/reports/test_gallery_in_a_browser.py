"""The report's page in headless Chromium: filters, order, slider, keyboard, phone, hostile names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from fake_data.shown import HOSTILE, blobs, of_boxes, of_maps, of_thresholds, shown_image

from wsol.config.options import Box
from wsol.geometry.objects import find_objects, resized
from wsol.reports.gallery import GalleryItem
from wsol.reports.page import PORTION, Page, Rates, Table, card_of, write_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext
    from playwright.sync_api import Page as Tab

pytestmark = pytest.mark.pipeline  # half a minute

COUNT = 100
CLASSES = ("owl", "lark", *HOSTILE)


@pytest.fixture(scope="module")
def hundred() -> list[GalleryItem]:
    """Images of a dozen classes, most of them with hostile names; some larger than the window, some tiny, some with
    nothing found."""
    sizes = [(375, 500), (500, 333), (90, 120), (240, 320), (20, 300)]
    shown = [
        blobs(
            seed,
            sizes[seed % len(sizes)],
            class_name=CLASSES[seed % len(CLASSES)],
            box=Box(threshold=1.0 if seed % 20 == 7 else 0.5),
        )
        for seed in range(COUNT)
    ]
    return shown


@pytest.fixture(scope="module")
def file(hundred: list[GalleryItem], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "index.html"
    rows = [("class", "n"), *((name, "8") for name in CLASSES)]
    page = Page(
        title="Report of <b>birds</b>",
        box=Box(threshold=0.5),
        cards=[card_of(one) for one in hundred],
        rates=Rates([float(i) for i in range(1, 100)], 50.0, COUNT),
        per_class=Table("", rows),
        config="box:\n  threshold: 0.5\n",
        provenance={"data": "made up"},
    )
    write_page(path, page)
    return path


@pytest.fixture
def asked(context: BrowserContext) -> list[str]:
    """Every address that a page requested."""
    addresses: list[str] = []
    context.on("request", lambda request: addresses.append(request.url))
    return addresses


@pytest.fixture
def report(tab: Tab, file: Path) -> Tab:
    """The page, opened, its first images drawn."""
    tab.goto(file.as_uri())
    wait_for_drawing(tab, "#cards > li:first-child")
    return tab


def shown_files(tab: Tab) -> list[str]:
    """The files of the cards that are not filtered away, in their order, after everything was asked for."""
    while tab.is_visible("#more"):
        tab.eval_on_selector("#more", "(button) => button.click()")
    return tab.eval_on_selector_all("#cards > li .file", "all => all.map((one) => one.textContent)")


def slide(tab: Tab, threshold: float) -> None:
    """Move the slider, and wait for what it changes."""
    tab.eval_on_selector(
        "#threshold", "(slider, to) => { slider.value = to; slider.dispatchEvent(new Event('input')); }", threshold
    )
    wait_for_effect(tab, threshold)


def wait_for_effect(tab: Tab, threshold: float) -> None:
    """Wait until the page shows the threshold. Not with `wait_for_function`, which the page's policy forbids."""
    tab.wait_for_selector(f"#effect >> text=/^{threshold:.2f}/")


def drawn_boxes(tab: Tab) -> dict[str, list[list[float]]]:
    """The found boxes of the images near the window, in their pixels, by file."""
    return tab.eval_on_selector_all(
        "#cards > li",
        """all => Object.fromEntries(all.filter((one) => one.querySelector("canvas").dataset.drawn).map((one) => [
             one.querySelector(".file").textContent,
             [...one.querySelectorAll(".found .line")].map((box) => {
               const [x, y, width, height] = ["x", "y", "width", "height"].map((name) => box[name].baseVal.value);
               return [x, y, x + width, y + height];
             }),
           ]))""",
    )


def wait_for_drawing(tab: Tab, selector: str = "#cards > li") -> None:
    tab.wait_for_selector(f"{selector} canvas[data-drawn]")


def expected_files(hundred: list[GalleryItem], keep: Callable[[GalleryItem], bool] = lambda one: True) -> list[str]:
    worst_first = sorted(hundred, key=lambda one: (one.iou, one.score, one.image_id))
    return [legible(one.image_id) for one in worst_first if keep(one)]


def legible(name: str) -> str:
    return "".join("\ufffd" if c in "\udcff\udcfe\x07\x1b\x00" else c for c in name)


def test_hostile_names_are_text_and_nothing_is_fetched(
    asked: list[str], report: Tab, hundred: list[GalleryItem]
) -> None:
    assert report.title() == "Report of <b>birds</b>"
    assert shown_files(report) == expected_files(hundred)
    assert report.locator("#cards script, #cards img[onerror], [onfocus], #cards b, svg[onload]").count() == 0
    assert report.locator("iframe, object, embed, link[rel=stylesheet], script[src]").count() == 0
    assert not [address for address in asked if not address.startswith(("file:", "data:"))]


def test_filters_and_orders_show_the_images_they_name(report: Tab, hundred: list[GalleryItem]) -> None:
    for class_name in CLASSES[1:4]:
        count = sum(one.class_name == class_name for one in hundred)
        report.select_option("#class", label=f"{class_name} ({count})")
        assert shown_files(report) == expected_files(hundred, lambda one, name=class_name: one.class_name == name)
    report.select_option("#class", "")
    report.select_option("#which", "wrong")
    assert shown_files(report) == expected_files(hundred, lambda one: one.iou < 0.5)
    report.select_option("#which", "empty")
    assert shown_files(report) == expected_files(hundred, lambda one: not len(one.boxes))
    report.select_option("#which", "misnamed")
    assert shown_files(report) == expected_files(hundred, lambda one: one.predicted_name != one.class_name)
    report.select_option("#which", "all")
    report.fill("#least", "0.25")
    report.fill("#most", "0.5")
    between = expected_files(hundred, lambda one: 0.25 <= round(one.score, 2) <= 0.5)
    assert shown_files(report) == between and 0 < len(between) < COUNT
    assert report.inner_text("#count") == f"{len(between)} of {COUNT} images"
    report.fill("#least", "0.99")
    assert shown_files(report) == [] and report.is_visible("#nothing")
    report.fill("#least", "")
    report.fill("#most", "")
    report.select_option("#order", "unsure")
    assert shown_files(report) == [legible(one.image_id) for one in sorted(hundred, key=lambda one: one.score)]
    report.select_option("#order", "worst")
    assert shown_files(report) == expected_files(hundred)


def test_a_class_of_the_table_shows_its_images(report: Tab, hundred: list[GalleryItem]) -> None:
    shown_files(report)  # all are in the page: further ones would push the link away from under the pointer
    report.click("#per-class a >> text=/^lark$/")
    assert shown_files(report) == expected_files(hundred, lambda one: one.class_name == "lark")
    assert report.evaluate("location.hash") == "#images"


def box_of_the_library(shown: GalleryItem, threshold: float) -> tuple[float, float, float, float] | None:
    """The largest part's box at the size at which the page shows the image, from the bytes that the page holds; scaled
    to its pixels."""
    height, width = shown.photo.shape[:2]
    codes = np.rint(shown.heatmap.clip(0, 1) * 255).astype(np.float32)
    above = (resized(codes, (height, width)) > 255 * threshold).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    if len(stats) == 1:
        return None
    x, y, w, h, _ = stats[1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))]
    across, down = shown.image_hw[1] / width, shown.image_hw[0] / height
    return x * across, y * down, (x + w) * across, (y + h) * down


def test_the_slider_redraws_boxes_as_the_library_does(report: Tab, hundred: list[GalleryItem]) -> None:
    by_name = {one.image_id: one for one in hundred}
    report.select_option("#class", "1" if report.inner_text("#class option >> nth=2").startswith("lark") else "0")
    report.evaluate("document.getElementById('controls').scrollIntoView({ behavior: 'instant' })")
    for number in (1, 2, 3):
        wait_for_drawing(report, f"#cards > li:nth-child({number})")
    own = drawn_boxes(report)
    assert len(own) >= 3
    compared = 0
    for threshold in (0.05, 0.35, 0.73, 0.99):
        slide(report, threshold)
        for name, drawn in drawn_boxes(report).items():
            one = by_name[name]
            expected, pixel = box_of_the_library(one, threshold), one.image_hw[1] / one.photo.shape[1]
            assert drawn == ([] if expected is None else [pytest.approx(expected, abs=1.01 * pixel)]), (name, threshold)
            compared += name in own and drawn != own[name]  # another may have come near since
    assert compared > 8
    assert "approximately" in report.inner_text("#effect") and "Correct: 99.0 % of 100" in report.inner_text("#effect")
    assert "about" in (report.get_attribute("#cards > li img", "alt") or "")
    report.click("#own")
    wait_for_effect(report, 0.50)
    again = drawn_boxes(report)
    assert {name: again[name] for name in own} == own
    for name, drawn in own.items():
        assert drawn == [pytest.approx(row, abs=0.06) for row in by_name[name].boxes.xyxy.tolist()], (
            "the run's own, exactly"
        )
    assert report.inner_text("#effect") == "0.50, the run\u2019s threshold. Correct: 50.0 % of 100 images."


def test_all_objects_are_redrawn_where_the_run_keeps_all(tab: Tab, tmp_path: Path) -> None:
    box = Box(threshold=0.4, objects="all", min_area=0.01)
    shown = blobs(3, box=box, name="all.jpg")
    write_page(tmp_path / "index.html", Page(title="t", box=box, cards=[card_of(shown)]))
    tab.goto((tmp_path / "index.html").as_uri())
    wait_for_drawing(tab)
    assert len(drawn_boxes(tab)["all.jpg"]) == len(shown.boxes) > 2
    for threshold in (0.3, 0.6):
        slide(tab, threshold)
        expected = find_objects(shown.heatmap, shown.image_hw, Box(threshold=threshold, objects="all", min_area=0.01))
        drawn = drawn_boxes(tab)["all.jpg"]
        assert drawn == [pytest.approx(one.xyxy, abs=4) for one in expected] and len(drawn) > 1


def test_the_keyboard_reaches_every_control_in_order_and_moves_the_slider(report: Tab) -> None:
    report.focus("a.skip")
    reached = []
    for _ in range(16):
        reached.append(report.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
        report.keyboard.press("Tab")
    controls = {"class", "which", "least", "most", "order", "threshold", "own"}
    names = [name for name in dict.fromkeys(reached) if name in controls]
    assert names == ["class", "which", "least", "most", "order", "threshold"], "own is passed by while it does nothing"
    report.focus("#threshold")
    report.keyboard.press("ArrowRight")
    wait_for_effect(report, 0.51)
    report.keyboard.press("Tab")
    assert report.evaluate("document.activeElement.id") == "own"
    report.keyboard.press("Enter")
    wait_for_effect(report, 0.50)
    assert report.evaluate("document.activeElement.id") == "threshold", "the button that had the focus is off now"


def test_a_screen_reader_finds_a_name_for_everything(report: Tab) -> None:
    for selector in ("#controls select", "#controls input", "#threshold", "#own"):
        for control in report.locator(selector).all():
            assert control.evaluate("(one) => (one.labels?.[0] ?? one).textContent.trim()")
    names = report.eval_on_selector_all(
        "canvas, img, svg[role=img]", "all => all.map((one) => one.getAttribute('aria-label') ?? one.alt)"
    )
    assert len(names) == 5 * PORTION and all(names)
    tree = report.locator("#cut").aria_snapshot()
    assert 'slider "Box threshold"' in tree and "status" in tree
    assert report.locator("h1").count() == 1 and report.locator("#cards h3").count() == PORTION


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(browser: Browser, file: Path, scheme: str) -> None:
    tab = browser.new_page(color_scheme=scheme)
    tab.goto(file.as_uri())
    ratios = tab.evaluate(CONTRASTS)
    tab.close()
    assert len(ratios) > 20
    assert min(ratios.values()) >= 4.5, min(ratios, key=ratios.get)  # WCAG 2.2, 1.4.3


CONTRASTS = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (one) => {
    for (; one; one = one.parentElement) {
      const colour = rgb(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = {};
  for (const one of document.querySelectorAll("body *")) {
    const says = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!says || one.closest("script, noscript, option, canvas, svg, button:disabled")) continue;
    if (found[one.className + one.tagName]) continue;
    const [a, b] = [light(rgb(getComputedStyle(one).color)), light(ground(one))].sort((x, y) => y - x);
    const name = (one.id || one.className) + " " + one.tagName + " in " + one.parentElement.tagName;
    found[name] = Math.min(found[name] ?? 99, (a + 0.05) / (b + 0.05));
  }
  return found;
}"""


@pytest.mark.parametrize(("width", "height"), [(320, 640), (390, 844), (820, 1180)])
def test_a_narrow_window_scrolls_in_one_direction_and_keeps_the_slider(
    browser: Browser, file: Path, width: int, height: int
) -> None:
    tab = browser.new_page(viewport={"width": width, "height": height}, has_touch=True, is_mobile=True)
    tab.goto(file.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.evaluate("document.querySelectorAll('#cards > li')[5].scrollIntoView({ behavior: 'instant' })")
    wait_for_drawing(tab, "#cards > li:nth-child(6)")
    bar = tab.locator("#cut").bounding_box()
    assert bar is not None and bar["y"] == 0 and bar["height"] < 0.3 * height
    sizes = tab.eval_on_selector_all(
        "select, input, #own", "all => all.map((one) => one.getBoundingClientRect().height)"
    )
    assert min(sizes) >= 24  # WCAG 2.2, 2.5.8
    tab.close()


def test_images_are_drawn_near_the_window_alone(report: Tab) -> None:
    report.evaluate("document.querySelectorAll('#cards > li')[44].scrollIntoView({ behavior: 'instant' })")
    wait_for_drawing(report, "#cards > li:nth-child(45)")
    report.wait_for_selector("#cards > li:first-child canvas:not([data-drawn])", state="attached")
    assert 4 <= report.locator("canvas[data-drawn]").count() <= 4 * 12
    assert report.eval_on_selector("#cards > li:first-child canvas", "(one) => one.width") == 0


# In one go: where the end of the list is near the window, more images come before a second question.
REORDER_AND_ASK = """() => {
  const order = document.getElementById("order"), more = document.getElementById("more");
  const cards = document.querySelector("#cards").children;
  order.value = "name";
  order.dispatchEvent(new Event("input", { bubbles: true }));
  const begun = cards.length;
  more.focus();
  more.click();
  return [begun, cards.length, [...cards].indexOf(document.activeElement)];
}"""


def test_more_images_are_added_by_scrolling_or_by_the_button(report: Tab) -> None:
    assert report.locator("#cards > li").count() == PORTION
    report.evaluate("document.getElementById('cards').lastElementChild.scrollIntoView({ behavior: 'instant' })")
    report.wait_for_selector(f"#cards > li:nth-child({PORTION + 1})", state="attached")
    assert report.locator("#cards > li").count() == COUNT and report.is_hidden("#more")
    begun, asked, focused = report.evaluate(REORDER_AND_ASK)
    assert begun == PORTION < COUNT, "another order begins anew"
    assert asked == COUNT and focused == PORTION, "the first that came has the focus"


def test_without_scripts_photos_and_boxes_are_there(browser: Browser, file: Path, hundred: list[GalleryItem]) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(file.as_uri())
    assert tab.locator("#controls, #cut").first.is_hidden()
    assert tab.locator("canvas").first.is_hidden()
    assert tab.locator("#cards img").first.is_visible()
    assert tab.locator("#cards > li").count() == PORTION < COUNT
    worst_first = sorted(hundred, key=lambda one: (one.iou, one.score, one.image_id))[:PORTION]
    assert tab.locator(".found .line").count() == sum(len(one.boxes) for one in worst_first)
    assert "those of the first 50 images" in tab.inner_text("main")
    context.close()


def test_reduced_motion_turns_smooth_scrolling_off(browser: Browser, file: Path) -> None:
    tab = browser.new_page(reduced_motion="reduce")
    tab.goto(file.as_uri())
    assert tab.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    tab.close()


def test_a_page_of_one_tiny_image_without_ground_truth_works(tab: Tab, tmp_path: Path) -> None:
    write_page(tmp_path / "index.html", Page(title="t", box=Box(), cards=[card_of(shown_image(iou=None))]))
    tab.goto((tmp_path / "index.html").as_uri())
    wait_for_drawing(tab)
    slide(tab, 0.3)
    assert len(drawn_boxes(tab)["a/one.jpg"]) == 1
    assert tab.locator(".iou").count() == 0


def test_the_slider_cuts_the_map_that_is_shown(tab: Tab, tmp_path: Path) -> None:
    whole = blobs(3, name="one.jpg")
    # Where the method has no map of a first stage, the panel must show what one of the same values looks like.
    pages = {"spol": replace(whole, cam=whole.heatmap), "cam": of_maps(whole)}
    seen = {}
    for name, shown in pages.items():
        write_page(tmp_path / f"{name}.html", Page(title="t", box=Box(), cards=[card_of(shown)]))
        tab.goto((tmp_path / f"{name}.html").as_uri())
        wait_for_drawing(tab)
        own = drawn_boxes(tab)["one.jpg"]
        slide(tab, 0.3)
        cut = drawn_boxes(tab)["one.jpg"]
        panels = [
            tab.locator(f"canvas[data-panel={panel}]").evaluate("(one) => one.toDataURL()")
            for panel in ("photo", "map", "mask")
        ]
        seen[name] = own, cut, panels
    assert seen["cam"] == seen["spol"]
    own, cut, (photo, heat, mask) = seen["cam"]
    assert own != cut and photo != heat != mask
    assert tab.locator("#cards canvas").count() == 3


def test_each_level_is_shown_beside_the_fused_map_and_cut_by_the_slider(tab: Tab, tmp_path: Path) -> None:
    shown = of_thresholds(replace(blobs(3, name="one.jpg"), cam=blobs(4).heatmap))
    write_page(tmp_path / "index.html", Page(title="t", box=Box(), cards=[card_of(shown)]))
    tab.goto((tmp_path / "index.html").as_uri())
    wait_for_drawing(tab)
    assert tab.locator(".levels").count() == 0
    tab.check("#levels")
    tab.wait_for_selector(".levels canvas[data-drawn]")
    planes = [*shown.cam_levels, shown.cam, *shown.heatmap_levels, shown.heatmap]
    for threshold in (0.5, 0.35):
        slide(tab, threshold)
        names = tab.eval_on_selector_all(".levels figcaption", "all => all.map((one) => one.textContent)")
        assert [name.partition(", IoU")[0] for name in names] == [
            f"Stage {stage}, {level}" for stage in (1, 3) for level in ("shallow", "middle", "deep", "fused")
        ]
        drawn = tab.eval_on_selector_all(
            ".levels .found .line",
            "all => all.map(({ x, y, width, height }) => [x, y, width, height].map((one) => one.baseVal.value))",
        )
        for plane, (x, y, width, height) in zip(planes, drawn, strict=True):
            expected = box_of_the_library(replace(shown, heatmap=plane), threshold)
            assert (x, y, x + width, y + height) == pytest.approx(expected, abs=2)
    tab.uncheck("#levels")
    assert tab.locator(".levels").first.is_hidden()


def test_boxes_without_maps_are_filtered_and_ordered_and_stay_as_they_are(
    tab: Tab, tmp_path: Path, hundred: list[GalleryItem]
) -> None:
    shown = [of_boxes(one) for one in hundred[:12]]
    write_page(tmp_path / "index.html", Page(title="t", box=Box(), cards=[card_of(one) for one in shown]))
    tab.goto((tmp_path / "index.html").as_uri())
    for number in (1, 2):
        wait_for_drawing(tab, f"#cards > li:nth-child({number})")
    assert tab.locator("#cut, #threshold, #least, #most").count() == 0
    assert shown_files(tab) == [legible(one.image_id) for one in sorted(shown, key=lambda one: (one.iou, one.image_id))]
    drawn, by_name = drawn_boxes(tab), {legible(one.image_id): one for one in shown}
    assert len(drawn) >= 2
    for name, boxes in drawn.items():
        assert boxes == [pytest.approx(row, abs=0.06) for row in by_name[name].boxes.xyxy.tolist()]
    tab.select_option("#which", "wrong")
    assert set(shown_files(tab)) == {legible(one.image_id) for one in shown if one.iou < 0.5}
    tab.select_option("#which", "all")
    tab.select_option("#order", "name")
    assert len(shown_files(tab)) == 12 and tab.inner_text("#count") == "12 of 12 images"


@pytest.mark.parametrize(
    ("kind", "width", "rows"),
    [
        pytest.param(None, 1280, [5], id="stages on a desktop"),
        pytest.param(None, 820, [3, 2], id="stages on a tablet"),
        pytest.param(None, 390, [2, 2, 1], id="stages on a phone"),
        pytest.param(of_thresholds, 1280, [7], id="a Gaussian on a desktop"),
        pytest.param(of_thresholds, 820, [3, 2, 2], id="a Gaussian on a tablet"),
        pytest.param(of_thresholds, 390, [2, 2, 2, 1], id="a Gaussian on a phone"),
        pytest.param(of_maps, 1280, [4], id="maps on a desktop"),
        pytest.param(of_maps, 820, [2, 2], id="maps on a tablet"),
        pytest.param(of_maps, 390, [2, 2], id="maps on a phone"),
        pytest.param(of_boxes, 1280, [2], id="boxes on a desktop"),
        pytest.param(of_boxes, 390, [2], id="boxes on a phone"),
    ],
)
def test_panels_stand_in_whole_rows(
    browser: Browser, tmp_path: Path, kind: Callable[[GalleryItem], GalleryItem] | None, width: int, rows: list[int]
) -> None:
    shown = blobs(3) if kind is None else kind(blobs(3))
    write_page(tmp_path / "index.html", Page(title="t", box=Box(), cards=[card_of(shown)]))
    tab = browser.new_page(viewport={"width": width, "height": 900})
    tab.goto((tmp_path / "index.html").as_uri())
    wait_for_drawing(tab)
    tops = tab.eval_on_selector_all(".panels:not(.levels) figure", "all => all.map((one) => one.offsetTop)")
    assert [tops.count(top) for top in dict.fromkeys(tops)] == rows
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.close()
