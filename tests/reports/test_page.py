"""The page: its contents and their order, and that no name changes its structure."""

from __future__ import annotations

import base64
import hashlib
import json
import string
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from fake_data.shown import HOSTILE, of_boxes, of_maps, of_thresholds, shown_image
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wsol.config.options import Box
from wsol.geometry.boxes import Boxes
from wsol.reports.charts import loss_chart
from wsol.reports.gallery import GalleryItem
from wsol.reports.page import MAP_SIZE_PX, Page, Rates, Table, Tile, card_of, coded_map, write_page

VOID = {"meta", "link", "img", "input"}
SVG_VOID = {"line", "circle", "polyline", "rect"}


@dataclass
class Read(HTMLParser):
    """What a browser would find: elements in order, text by element, and whether every element was closed."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    """Each with its elements, from the outside: `html body ... p.file bdi`."""
    open: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(".".join([tag, *(dict(attrs).get("class") or "").split()]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SVG_VOID, "no element of HTML closes itself"
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().split(".")[0] == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((" ".join(self.open), data))

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    handle_pi = unknown_decl = handle_comment

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every such element."""
        return [attributes for name, attributes in self.elements if name == tag]

    def within(self, path: str) -> list[str]:
        """The texts of the innermost elements `path`."""
        return [data for where, data in self.texts if where.endswith(path)]

    def skeleton(self) -> list[tuple[str, tuple[str, ...]]]:
        """The page without its words."""
        return [(tag, tuple(attributes)) for tag, attributes in self.elements]

    def text(self) -> str:
        """The words of the page, spaces as a browser shows them."""
        words = (data for where, data in self.texts if where.split()[-1] not in {"style", "script"})
        return " ".join(" ".join(words).split())

    def files(self) -> list[str]:
        """Which images, in which order."""
        return self.within("p.file bdi")


def page_of(*shown: GalleryItem, word: str = "word", tables: Sequence[Table] | None = None) -> Page:
    """A page with `word` wherever a caller's text goes."""
    if tables is None:
        tables = [Table(word, [["metric", word], ["GT-known Loc", "86.4"], [word, word]], word)]
    return Page(
        title=word,
        box=Box(threshold=0.4),
        cards=[card_of(one) for one in shown],
        notes=[word],
        tiles=[Tile(word, word, word)],
        tables=tables,
        charts=[replace(loss_chart("seg", [3.0, 1.0]), title=word, summary=word)],
        losses=[loss_chart("cam", [0.7])],
        rates=Rates([50.0] * 99, 51.0, 10),
        per_class=Table(word, [("class", "n"), *((one.class_name, "1") for one in shown)]),
        provenance={word: word, "seed": "0"},
        licences=[(word, word, word)],
        config=word,
        left_out=[word],
    )


def read(path: Path) -> Read:
    found = Read()
    found.feed(path.read_text(encoding="utf-8"))
    found.close()
    assert not found.open
    return found


def page(folder: Path, *shown: GalleryItem, word: str = "word", tables: Sequence[Table] | None = None) -> Read:
    write_page(folder / "report.html", page_of(*shown, word=word, tables=tables))
    return read(folder / "report.html")


def named(name: str) -> GalleryItem:
    return replace(shown_image(image_id=name, class_name=name), predicted_name=name + " not")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_text_everywhere(tmp_path: Path, name: str) -> None:
    hostile = page(tmp_path, named(name), word=name)
    harmless = page(tmp_path, named("owl"), word="owl")
    assert hostile.skeleton() == harmless.skeleton()
    assert not hostile.others
    shown_as = "".join("\ufffd" if c in "\udcff\udcfe\x07\x1b\x00" else c for c in name)
    assert hostile.files() == [shown_as]
    assert hostile.text().count(" ".join(shown_as.split())) == harmless.text().count("owl")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(st.one_of(st.characters(), st.sampled_from(string.punctuation)), min_size=1, max_size=30).filter(str.strip)
)
def test_no_name_changes_the_structure_of_the_page(tmp_path: Path, name: str) -> None:
    # A number in a table's cell sets its column to the right, so the table is kept out.
    plain = [Table("", [["metric"]])]
    assert (
        page(tmp_path, named(name), word="x" + name, tables=plain).skeleton()
        == page(tmp_path, named("owl"), tables=plain).skeleton()
    )


def test_the_page_needs_no_network_and_allows_none(tmp_path: Path) -> None:
    found = page(tmp_path, shown_image(), shown_image("b.jpg"))
    text = (tmp_path / "report.html").read_text(encoding="utf-8").replace('"http://www.w3.org/2000/svg"', "")
    for outside in ("http:", "https:", "@import", "url("):
        assert outside not in text
    for tag, attributes in found.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("src") or "data:").startswith("data:"), tag
        assert (attributes.get("href") or "#").startswith(("#", "data:")), tag
        assert attributes.keys().isdisjoint({"srcset", "action", "formaction", "poster", "background", "data", "ping"})
    images = found.of("img")
    assert len(images) == 2, "one photo a card, from which the script draws the others"
    for image in images:
        assert (image["src"] or "").startswith("data:image/webp;base64,")
        assert (image["loading"], image["decoding"], image["width"], image["height"]) == ("lazy", "async", "8", "6")


def test_the_policy_allows_only_the_script_of_the_page(tmp_path: Path) -> None:
    found = page(tmp_path, shown_image())
    (policy,) = (it["content"] or "" for it in found.of("meta") if it.get("http-equiv") == "Content-Security-Policy")
    (script,) = found.within(" script")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; ")
    assert f"script-src 'sha256-{digest}';" in policy
    assert found.of("script") == [{}]


def test_images_are_in_the_order_of_iou_then_score_then_name_and_unknown_ones_are_last(tmp_path: Path) -> None:
    found = page(
        tmp_path,
        shown_image("unknown.jpg", iou=None, score=0.0),
        shown_image("good.jpg", iou=0.9),
        shown_image("tie b.jpg", iou=0.2, score=0.7),
        shown_image("worst.jpg", iou=0.0),
        shown_image("tie a.jpg", iou=0.2, score=0.7),
        shown_image("unsure.jpg", iou=0.2, score=0.1),
    )
    assert found.files() == ["worst.jpg", "unsure.jpg", "tie a.jpg", "tie b.jpg", "good.jpg", "unknown.jpg"]
    assert "has an IoU of 0.5 or more on 1 of these 5 images that have an annotated box." in found.text()


def test_without_annotated_boxes_the_lowest_scores_are_first_and_no_iou_is_shown(tmp_path: Path) -> None:
    shown = [shown_image(f"{score}.jpg", iou=None, score=score) for score in (0.7, 0.1, 0.4)]
    found = page(tmp_path, *shown)
    assert found.files() == ["0.1.jpg", "0.4.jpg", "0.7.jpg"]
    assert "At least one box was found on each of 3 images." in found.text()
    assert "IoU" not in found.text() and "annotated, not" not in found.text()
    assert found.within("option")[-2:] == ["least confident first", "by name"]


def test_the_filters_offer_existing_values_with_their_counts(tmp_path: Path) -> None:
    shown = [shown_image(class_name="wren"), shown_image(class_name="owl"), shown_image(class_name="wren", iou=0.1)]
    found = page(tmp_path, *shown)
    assert found.within("option") == [
        *("all classes", "owl (1)", "wren (2)"),
        *("all", "IoU below 0.5 (1)", "wrong class (3)"),
        *("worst first", "least confident first", "by name"),
    ]
    values = [it["value"] for it in found.of("option")]
    assert [it["data-class"] for it in found.of("li") if "data-class" in it] == [values[2], values[2], values[1]]
    right = replace(shown_image(), predicted_name="owl", boxes=Boxes.of([]))
    assert page(tmp_path, right).within("option")[2:5] == ["all", "IoU below 0.5 (0)", "nothing found (1)"]


def test_a_class_in_the_table_leads_to_its_images(tmp_path: Path) -> None:
    found = page(tmp_path, shown_image(class_name="wren"), shown_image("b.jpg", class_name="owl"))
    links = {it["data-class"]: it["href"] for it in found.of("a") if "data-class" in it}
    assert links == {"0": "#images", "1": "#images"}


def test_controls_that_need_a_script_stay_hidden_without_one(tmp_path: Path) -> None:
    forms = page(tmp_path, shown_image()).of("form")
    assert [form["id"] for form in forms] == ["controls", "cut"]
    assert all("hidden" in form for form in forms)


def test_an_empty_gallery_is_stated_on_the_page(tmp_path: Path) -> None:
    found = page(tmp_path, word="The set is synthetic.")
    assert "There are no images to show." in found.text()
    assert "GT-known Loc 86.4" in found.text()
    assert not found.of("img")
    assert not found.of("form")


def test_an_empty_page_can_be_written(tmp_path: Path) -> None:
    write_page(tmp_path / "report.html", Page(title="t", box=Box(), cards=[]))
    assert not read(tmp_path / "report.html").of("table")


BLANK = replace(
    shown_image(iou=0.0),
    mask=np.zeros((6, 8), bool),
    cam=np.zeros((6, 8), np.float32),
    heatmap=np.zeros((6, 8), np.float32),
    boxes=Boxes.of([]),
    score=0.0,
)


@pytest.mark.parametrize(
    ("shown", "alts"),
    [
        pytest.param(
            shown_image(),
            [
                "photo labelled owl",
                "heat map of owl over the photo, highest at the top centre",
                "pseudo mask: 25% object, 0% undecided, 75% background",
                "mask over 25% of the photo",
                "box and annotated box, IoU 0.83",
            ],
            id="found",
        ),
        pytest.param(
            replace(BLANK, known=np.zeros((6, 8), np.float32)),
            [
                "photo labelled owl",
                "heat map of owl over the photo, zero everywhere",
                "pseudo mask: 0% object, 100% undecided, 0% background",
                "empty mask",
                "no box found, annotated box only",
            ],
            id="nothing found",
        ),
        pytest.param(
            replace(shown_image(), annotated_boxes=Boxes.of([(0, 0, 1, 1), (3, 0, 8, 3)])),
            ["box and annotated boxes, IoU 0.83"],
            id="two annotated boxes",
        ),
        pytest.param(shown_image(iou=None), ["1 box found"], id="no ground truth"),
        pytest.param(replace(BLANK, annotated_boxes=Boxes.of([]), iou=None), ["no box found"], id="nothing at all"),
    ],
)
def test_alternative_texts_describe_the_panels(tmp_path: Path, shown: GalleryItem, alts: list[str]) -> None:
    found = page(tmp_path, shown)
    labels = [it["aria-label"] for it in found.of("canvas")] + [it["alt"] for it in found.of("img")]
    assert labels[-len(alts) :] == alts
    assert all(it["role"] == "img" for it in found.of("canvas"))


def test_a_method_with_one_map_has_three_drawn_panels(tmp_path: Path) -> None:
    found = page(tmp_path, of_maps(shown_image()))
    assert found.within("ul.key li b") == ["Photo", "Map", "Mask", "Box"]
    assert found.within("figure.drawn figcaption") == ["Photo", "Map", "Mask"]
    assert [it["data-panel"] for it in found.of("canvas")] == ["photo", "map", "mask"]
    assert [it["aria-label"] for it in found.of("canvas")][1:] == [
        "heat map of owl over the photo, highest at the top centre",
        "mask over 25% of the photo",
    ]
    (card,) = (it for it in found.of("li") if "data-boxes" in it)
    assert "data-heat" in card and "data-score" in card and card.keys().isdisjoint({"data-cam", "data-pseudo"})
    assert "Pseudo mask" not in found.text() and "undecided" not in found.text()
    assert [form["id"] for form in found.of("form")] == ["controls", "cut"]


def test_a_gaussian_has_two_panels_between_map_and_pseudo_mask(tmp_path: Path) -> None:
    found = page(tmp_path, of_thresholds(shown_image()))
    assert found.within("figure.drawn figcaption") == [
        *("Photo", "Map", "Gaussian", "Map and Gaussian", "Pseudo mask", "Mask")
    ]
    assert [it["data-panel"] for it in found.of("canvas")] == ["photo", "map", "gaussian", "combined", "pseudo", "mask"]
    assert [it["aria-label"] for it in found.of("canvas")][2:4] == [
        "Gaussian prior over the photo, highest at the top centre",
        "larger of map and Gaussian, above one half on 31% of the photo",
    ]


@pytest.mark.parametrize(
    ("shown", "levels"),
    [
        pytest.param(of_thresholds(shown_image()), {"cam": 3, "seg": 3}, id="stages 1 and 3"),
        pytest.param(replace(of_thresholds(shown_image()), cam_levels=()), {"seg": 3}, id="stage 3"),
        pytest.param(shown_image(), {}, id="no fusion"),
        pytest.param(of_boxes(shown_image()), {}, id="no map"),
    ],
)
def test_levels_are_offered_where_a_network_fuses_them(
    tmp_path: Path, shown: GalleryItem, levels: dict[str, int]
) -> None:
    found = page(tmp_path, shown)
    (card,) = (it for it in found.of("li") if "data-boxes" in it)
    codes = {name: card.get(f"data-{name}-levels") for name in ("cam", "seg")}
    assert {name: len(code.split()) for name, code in codes.items() if code is not None} == levels
    assert ("levels" in [it.get("id") for it in found.of("input")]) == bool(levels)
    assert ("Each level alone" in found.within("ul.key li b")) == bool(levels)


def test_a_method_without_maps_has_no_slider_and_no_score(tmp_path: Path) -> None:
    found = page(tmp_path, of_boxes(shown_image("b.jpg", iou=0.4)), of_boxes(shown_image("a.jpg", iou=0.4)))
    assert found.files() == ["a.jpg", "b.jpg"]
    assert found.within("ul.key li b") == ["Photo", "Box"]
    assert [it["data-panel"] for it in found.of("canvas")] == 2 * ["photo"]
    assert found.of("img")[0]["alt"] == "box and annotated box, IoU 0.40"
    assert [form["id"] for form in found.of("form")] == ["controls"]
    assert not {"score", "threshold", "mask", "least"} & set(found.text().lower().split())
    assert found.within("option")[-2:] == ["worst first", "by name"]
    cards = [it for it in found.of("li") if "data-boxes" in it]
    assert all(it.keys().isdisjoint({"data-score", "data-heat", "data-cam", "data-pseudo"}) for it in cards)


def test_a_wrong_class_is_marked_and_a_missing_class_is_not_mentioned(tmp_path: Path) -> None:
    def says(predicted_name: str | None) -> str:
        return page(tmp_path, replace(shown_image(), predicted_name=predicted_name)).text()

    assert "predicted lark wrong score" in says("lark")
    assert "predicted owl score" in says("owl")
    assert "predicted" not in says(None)


def test_columns_of_numbers_are_aligned_right(tmp_path: Path) -> None:
    rows = [
        ["", "%", "note"],
        ["IoU", "70.3 (69.1 to 71.6)", "n = 3"],
        ["none", "", ""],
        ["change", "\u22121.5", "3 seeds"],
    ]
    found = page(tmp_path, tables=[Table("", rows)])
    cells = [(tag, it.get("class")) for tag, it in found.elements if tag in {"th", "td"}]
    assert cells[:3] == [("td", None), ("th", "number"), ("th", None)]
    assert cells[3:12] == 3 * [("th", None), ("td", "number"), ("td", None)]


def test_the_page_works_with_a_screen_reader_and_a_keyboard(tmp_path: Path) -> None:
    found = page(tmp_path, shown_image(), shown_image("b.jpg"))
    assert found.of("html") == [{"lang": "en"}]
    assert [len(found.of(tag)) for tag in ("main", "nav", "h1", "title")] == [1, 1, 1, 1]
    ids = [it["id"] for _, it in found.elements if "id" in it]
    assert len(set(ids)) == len(ids)
    for _, attributes in found.elements:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            assert set((attributes.get(name) or "").split()) <= set(ids)
        if (attributes.get("href") or "").startswith("#"):
            assert (attributes["href"] or "")[1:] in ids


def test_the_same_run_gives_the_same_bytes_and_leaves_no_scratch_file(tmp_path: Path) -> None:
    page(tmp_path, shown_image())
    first = (tmp_path / "report.html").read_bytes()
    page(tmp_path, shown_image())
    assert (tmp_path / "report.html").read_bytes() == first
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("image_hw", [(1, 1), (20, 20), (32, 17), (128, 96), (3, 400)])
def test_a_map_comes_back_from_its_code_within_half_a_step(image_hw: tuple[int, int]) -> None:
    plane = np.random.default_rng(0).random(image_hw, np.float32)
    shape, code = coded_map(plane).split(":")
    height, width = map(int, shape.split("x"))
    back = np.frombuffer(base64.b64decode(code), np.uint8).reshape(height, width) / 255
    assert max(height, width) <= MAP_SIZE_PX
    if max(image_hw) <= MAP_SIZE_PX:
        assert np.abs(back - plane).max() <= 0.5 / 255 + 1e-6
    else:
        assert abs(back.mean() - plane.mean()) < 0.02


def test_the_script_gets_the_box_settings_of_the_run(tmp_path: Path) -> None:
    (cards,) = (it for it in page(tmp_path, shown_image()).of("ul") if it.get("id") == "cards")
    settings = json.loads(cards["data-settings"] or "")
    assert {name: settings[name] for name in ("threshold", "objects", "minArea")} == {
        "threshold": 0.4,
        "objects": "largest",
        "minArea": 0.005,
    }
    assert len(settings["rates"]["hundredths"]) == 99


@pytest.mark.parametrize(
    ("ys", "y"),
    [
        pytest.param((20.0, 30.0, 146.0), 139, id="line at the top: label below"),
        pytest.param((140.0, 20.0, 20.0), 21, id="line at the bottom: label above"),
        pytest.param((20.0, 140.0, 20.0), 21, id="line at the bottom beside the mark"),
    ],
)
def test_the_label_of_a_mark_does_not_cover_the_line(ys: tuple[float, ...], y: float) -> None:
    points = tuple(zip((60.0, 100.0, 300.0), ys, strict=True))
    assert replace(loss_chart("cam", [1.0]), points=points, mark=(57.0, "run 0.05")).mark_y == y


@pytest.mark.parametrize(
    ("losses", "ticks"),
    [
        pytest.param([4.0, 2.0, 1.0], ["0", "1", "2", "3", "4"], id="falls"),
        pytest.param([0.7], ["0", "0.2", "0.4", "0.6"], id="one epoch"),
        pytest.param([0.0, 0.0], ["0", "5e-07", "1e-06"], id="loss of zero"),
        pytest.param([1.0, float("nan"), float("inf")], ["0", "0.5", "1"], id="diverged"),
    ],
)
def test_a_chart_stays_within_its_frame(losses: list[float], ticks: list[str]) -> None:
    chart = loss_chart("cam", losses)
    assert len(chart.points) == len(losses)
    assert all(44 <= x <= 308 and 12 <= y <= 146 for x, y in chart.points)
    assert [label for _, label in chart.y_ticks] == ticks
