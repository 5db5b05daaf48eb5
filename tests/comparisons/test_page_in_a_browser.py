"""The page of a comparison in headless Chromium: filter, order, phone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_data.shown import blobs

from wsol.comparisons.comparison import Comparison
from wsol.comparisons.images import Row, cell_of
from wsol.comparisons.page import page_of
from wsol.data.ground_truth import GroundTruth
from wsol.data.samples import DataSet, Sample

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

pytestmark = pytest.mark.pipeline  # a browser


@pytest.fixture
def rows() -> list[Row]:
    """Images of which both runs have some right, the first or the second others, and none the rest."""
    cells = [(cell_of(blobs(seed)), cell_of(blobs(seed + 50))) for seed in range(12)]
    return [Row(f"{i:02}.jpg", "owl", both) for i, both in enumerate(cells)]


def shown_files(tab: Tab) -> list[str]:
    return tab.eval_on_selector_all("#rows > li .file", "all => all.map((one) => one.textContent)")


def test_images_are_filtered_and_sorted_and_a_phone_needs_no_scrolling_sideways(
    tab: Tab, rows: list[Row], made_up: Comparison, tmp_path: Path
) -> None:
    data = DataSet("COCO", tmp_path, ("owl",), (), (Sample("a", tmp_path, 0),), True, lambda: GroundTruth({}))
    (tmp_path / "index.html").write_text(page_of(made_up, rows, data))
    tab.goto((tmp_path / "index.html").as_uri())
    assert shown_files(tab) == [row.image_id for row in rows]
    tab.select_option("#order", "spread")
    assert shown_files(tab) == [row.image_id for row in sorted(rows, key=lambda row: -round(row.spread, 4))]
    tab.select_option("#order", "1")
    assert shown_files(tab) == [row.image_id for row in sorted(rows, key=lambda row: round(row.ious[1], 4))]
    tab.select_option("#order", "data")
    for which, count in (("some", lambda n: n == 1), ("none", lambda n: n == 0)):
        tab.select_option("#which", which)
        expected = [row.image_id for row in rows if count(row.correct)]
        assert shown_files(tab) == expected
        assert tab.inner_text("#count") == f"{len(expected)} of 12 images"
        assert tab.is_visible("#nothing") == (not expected)
    tab.set_viewport_size({"width": 390, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
