"""The page: what it says, in which order, and that no name can change what it is."""

from __future__ import annotations

import base64
import hashlib
import string
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wsol.boxes import Boxes
from wsol.report.gallery import Shown
from wsol.report.page import write_page

HOSTILE = (
    "<img src=x onerror=alert(1)>.jpg",
    '"><script>alert(1)</script>',
    "' autofocus onfocus='alert(1)",
    "</script></style></title><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; &amp;amp; javascript:alert(1)",
    "<!-- ]]> <?php",
    "not UTF-8: \udcff\udcfe, bell \x07, escape \x1b[2J, null \x00.jpg",
    "right to left \u202egpj.exe",
)
VOID = {"meta", "link", "img"}


def picture(image_id: str = "a/one.jpg", iou: float = 0.83, score: float = 0.9, class_name: str = "owl") -> Shown:
    """As small as a picture can be and still be in thirds."""
    mask = np.zeros((6, 8), dtype=bool)
    mask[:3, 4:] = True
    plane = mask.astype(np.float32)
    return Shown(
        image_id=image_id,
        photo=np.full((6, 8, 3), 99, np.uint8),
        cam=plane,
        foreground=plane,
        known=np.ones((6, 8), np.float32),
        mask=mask,
        box=(4, 0, 8, 3),
        true_boxes=Boxes.of([(3, 0, 8, 3)]),
        iou=iou,
        score=score,
        class_name=class_name,
        predicted_name="lark",
    )


@dataclass
class Read(HTMLParser):
    """What a browser would find: elements in order, text by element, and whether every element was closed."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1] if self.open else "", data))

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    handle_pi = unknown_decl = handle_comment

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every such element."""
        return [attributes for name, attributes in self.elements if name == tag]

    def skeleton(self) -> list[tuple[str, tuple[str, ...]]]:
        """The page without its words."""
        return [(tag, tuple(attributes)) for tag, attributes in self.elements]

    def text(self) -> str:
        """The words of the page, spaces as a browser shows them."""
        return " ".join(" ".join(data for tag, data in self.texts if tag not in {"style", "script"}).split())

    def files(self) -> list[str]:
        """Which pictures, in which order: the `<bdi>` after each file's paragraph."""
        paragraphs = [i for i, (tag, it) in enumerate(self.elements) if tag == "p" and it.get("class") == "file"]
        names = [data for tag, data in self.texts if tag == "bdi"]
        assert len(paragraphs) == len(names) / 3, "class, file and predicted class of each card"
        return names[1::3]


def page(folder: Path, *shown: Shown, word: str = "word", table: list[list[str]] | None = None) -> Read:
    """Write a page with `word` wherever a caller's text goes, and read it back."""
    if table is None:
        table = [["metric", word], ["GT-known Loc", "86.4"], [word, word]]
    write_page(folder / "report.html", title=word, note=word, table=table, shown=shown, facts={word: word, "seed": "0"})
    read = Read()
    read.feed((folder / "report.html").read_text(encoding="utf-8"))
    read.close()
    assert not read.open
    return read


def named(name: str) -> Shown:
    return replace(picture(image_id=name, class_name=name), predicted_name=name + " not")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_text_wherever_it_stands(tmp_path: Path, name: str) -> None:
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
    plain = [["metric"]]
    assert (
        page(tmp_path, named(name), word="x" + name, table=plain).skeleton()
        == page(tmp_path, named("owl"), table=plain).skeleton()
    )


def test_the_page_needs_no_network_and_allows_itself_none(tmp_path: Path) -> None:
    read = page(tmp_path, picture(), picture("b.jpg"))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    for outside in ("http:", "https:", "@import", "url("):
        assert outside not in text
    for tag, attributes in read.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("src") or "data:").startswith("data:"), tag
        assert (attributes.get("href") or "#").startswith(("#", "data:")), tag
        assert attributes.keys().isdisjoint({"srcset", "action", "formaction", "poster", "background", "data", "ping"})
    images = read.of("img")
    assert len(images) == 2 * 5
    for image in images:
        assert (image["src"] or "").startswith("data:image/webp;base64,")
        assert (image["loading"], image["decoding"], image["width"], image["height"]) == ("lazy", "async", "8", "6")


def test_the_policy_names_the_one_script(tmp_path: Path) -> None:
    read = page(tmp_path, picture())
    (policy,) = (it["content"] or "" for it in read.of("meta") if it.get("http-equiv") == "Content-Security-Policy")
    (script,) = (data for tag, data in read.texts if tag == "script")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; ")
    assert f"script-src 'sha256-{digest}';" in policy
    assert read.of("script") == [{}]


def test_pictures_stand_worst_first_ties_by_confidence_then_by_name(tmp_path: Path) -> None:
    read = page(
        tmp_path,
        picture("good.jpg", iou=0.9),
        picture("tie b.jpg", iou=0.2, score=0.7),
        picture("worst.jpg", iou=0.0),
        picture("tie a.jpg", iou=0.2, score=0.7),
        picture("unsure.jpg", iou=0.2, score=0.1),
    )
    assert read.files() == ["worst.jpg", "unsure.jpg", "tie a.jpg", "tie b.jpg", "good.jpg"]
    assert "reaches an IoU of 0.5 on 1 of these 5 pictures." in read.text()


def test_the_class_filter_offers_every_class_once_with_its_count(tmp_path: Path) -> None:
    read = page(tmp_path, picture(class_name="wren"), picture(class_name="owl"), picture(class_name="wren", iou=0.1))
    options = [data for tag, data in read.texts if tag == "option"]
    assert options == ["all classes", "owl (1)", "wren (2)", "worst first", "least confident first", "by name"]
    values = [it["value"] for it in read.of("option")]
    assert [it["data-class"] for it in read.of("li") if "data-class" in it] == [values[2], values[2], values[1]]


def test_controls_that_need_a_script_stay_hidden_without_one(tmp_path: Path) -> None:
    (form,) = page(tmp_path, picture()).of("form")
    assert "hidden" in form


def test_an_empty_gallery_is_a_page_that_says_so(tmp_path: Path) -> None:
    read = page(tmp_path, word="The set is synthetic.")
    assert "There are no pictures to show." in read.text()
    assert "GT-known Loc 86.4" in read.text()
    assert not read.of("img")
    assert not read.of("form")


def test_a_page_of_nothing_is_a_page(tmp_path: Path) -> None:
    write_page(tmp_path / "report.html", title="t", note="", table=[], shown=[], facts={})
    read = Read()
    read.feed((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert not read.of("table")
    assert not read.open


BLANK = replace(picture(), mask=np.zeros((6, 8), bool), cam=np.zeros((6, 8), np.float32), box=None, iou=0.0, score=0.0)


@pytest.mark.parametrize(
    ("shown", "alts"),
    [
        pytest.param(
            picture(),
            [
                "photo labelled owl",
                "heat over the photo where the network looks for owl, warmest at the top centre",
                "pseudo mask: 25% object, 0% undecided, 75% background",
                "mask over 25% of the photo",
                "box against true box, IoU 0.83",
            ],
            id="found",
        ),
        pytest.param(
            replace(BLANK, known=np.zeros((6, 8), np.float32)),
            [
                "photo labelled owl",
                "heat over the photo where the network looks for owl, cold everywhere",
                "pseudo mask: 0% object, 100% undecided, 0% background",
                "empty mask",
                "no box found, true box only",
            ],
            id="nothing found",
        ),
        pytest.param(
            replace(picture(), true_boxes=Boxes.of([(0, 0, 1, 1), (3, 0, 8, 3)])),
            ["box against true boxes, IoU 0.83"],
            id="two true boxes",
        ),
    ],
)
def test_alternative_texts_say_what_is_seen(tmp_path: Path, shown: Shown, alts: list[str]) -> None:
    assert [it["alt"] for it in page(tmp_path, shown).of("img")][-len(alts) :] == alts


def test_a_wrong_class_is_said_in_words_and_no_class_is_not_mentioned(tmp_path: Path) -> None:
    def says(predicted_name: str | None) -> str:
        write_page(
            tmp_path / "report.html",
            title="t",
            note="n",
            table=[],
            shown=[replace(picture(), predicted_name=predicted_name)],
            facts={},
        )
        read = Read()
        read.feed((tmp_path / "report.html").read_text(encoding="utf-8"))
        return read.text()

    assert "predicted lark wrong score" in says("lark")
    assert "predicted owl score" in says("owl")
    assert "predicted" not in says(None)


def test_columns_of_numbers_stand_on_the_right(tmp_path: Path) -> None:
    rows = [
        ["", "%", "note"],
        ["IoU", "70.3 (69.1 to 71.6)", "n = 3"],
        ["none", "", ""],
        ["change", "\u22121.5", "3 seeds"],
    ]
    read = page(tmp_path, table=rows)
    cells = [(tag, it.get("class")) for tag, it in read.elements if tag in {"th", "td"}]
    assert cells[:3] == [("td", None), ("th", "number"), ("th", None)]
    assert cells[3:] == 3 * [("th", None), ("td", "number"), ("td", None)]


def test_the_page_can_be_walked_by_ear_and_by_keyboard(tmp_path: Path) -> None:
    read = page(tmp_path, picture(), picture("b.jpg"))
    assert read.of("html") == [{"lang": "en"}]
    assert [len(read.of(tag)) for tag in ("main", "nav", "h1", "title")] == [1, 1, 1, 1]
    ids = [it["id"] for _, it in read.elements if "id" in it]
    assert len(set(ids)) == len(ids)
    for _, attributes in read.elements:
        for name in ("aria-labelledby", "for"):
            assert set((attributes.get(name) or "").split()) <= set(ids)
        if (attributes.get("href") or "").startswith("#"):
            assert (attributes["href"] or "")[1:] in ids


def test_the_same_run_gives_the_same_bytes_and_leaves_no_scratch_file(tmp_path: Path) -> None:
    page(tmp_path, picture())
    first = (tmp_path / "report.html").read_bytes()
    page(tmp_path, picture())
    assert (tmp_path / "report.html").read_bytes() == first
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
