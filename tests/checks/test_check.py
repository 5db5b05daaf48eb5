"""Every planted problem is found, kind by kind, nothing else is, and the output names it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_data.broken import CLASSES, HUGE_WH, Planted, jpeg, photo, write_broken, write_clean
from fake_data.cub import write_cub
from PIL import Image
from quick import Cli

from wsol.checks.findings import ADVICE, Findings
from wsol.checks.run import check_data
from wsol.data.open import open_ground_truth
from wsol.runtime.progress import Progress
from wsol.runtime.terminal import visible

SAYS_NOTHING_OF_IMAGES = {"no truth"}


def found_in(root: Path, **how: int) -> Findings:
    return check_data(open_ground_truth(root), Progress(quiet=True), **how)


def by_kind(findings: Findings) -> Planted:
    """Image ids of each item, in the form of the generator."""
    return {
        finding.kind: [frozenset(sample.image_id for sample in item.samples) for item in finding.items]
        for finding in findings.found
        if finding.kind not in SAYS_NOTHING_OF_IMAGES
    }


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only."""
    return write_clean(tmp_path_factory.mktemp("clean") / "set")


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Planted]:
    """Read only."""
    root = tmp_path_factory.mktemp("broken") / "set"
    return root, write_broken(root)


@pytest.fixture
def own(clean: Path, tmp_path: Path) -> Path:
    """A clean data set that a test may damage."""
    return Path(shutil.copytree(clean, tmp_path / "own"))


def test_two_hundred_planted_problems_are_found_and_nothing_else(broken: tuple[Path, Planted]) -> None:
    root, planted = broken
    found = by_kind(found_in(root))
    assert sum(map(len, planted.values())) == 200
    assert len(planted) == 14
    for kind in planted.keys() | found.keys():
        assert Counter(found.get(kind, [])) == Counter(planted.get(kind, [])), kind


def test_a_clean_data_set_has_no_problems(clean: Path) -> None:
    findings = found_in(clean)
    assert [finding.kind for finding in findings.found] == ["no truth"]
    assert not findings.is_wrong


def test_the_first_finding_is_the_most_severe(broken: tuple[Path, Planted]) -> None:
    severities = [finding.severity for finding in found_in(broken[0]).found]
    assert severities == sorted(severities, key=["error", "warn", "info"].index)
    assert set(severities) == {"error", "warn", "info"}


Spoil = Callable[[Path], object]


def keep(folder: Path, images: int) -> None:
    for path in sorted(folder.iterdir())[images:]:
        path.unlink()


def add(folder: Path, images: int) -> None:
    for number in range(images):
        (folder / f"more{number}.jpg").write_bytes(jpeg(photo(number)))


def write_boxes(root: Path, *lines: str) -> None:
    rows = [f"{path.relative_to(root).as_posix()},1,1,50,50" for path in sorted((root / "test").rglob("*.jpg"))]
    (root / "boxes.csv").write_text("\n".join(("path,x0,y0,x1,y1", *rows, *lines)) + "\n")


def write_masks(root: Path) -> None:
    for path in (root / "test").rglob("*.jpg"):
        mask = root / "masks" / path.relative_to(root).with_suffix(".png")
        mask.parent.mkdir(parents=True, exist_ok=True)
        photo(1).convert("L").save(mask)


def remove_classes(root: Path) -> None:
    for split in ("train", "test"):
        for name in CLASSES[1:]:
            shutil.rmtree(root / split / name)


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [
        pytest.param(lambda root: keep(root / "train/owl", 9), "small class", ["owl: 9 images"], id="nine images"),
        pytest.param(lambda root: keep(root / "train/owl", 10), "small class", [], id="ten images"),
        pytest.param(lambda root: keep(root / "train/owl", 0), "empty class", ["owl: 0 images"], id="none"),
        pytest.param(lambda root: keep(root / "train/owl", 0), "small class", [], id="an empty class is not small too"),
        pytest.param(
            lambda root: keep(root / "train/owl", 1),
            "imbalance",
            ["owl: 1 image, the largest has 12"],
            id="12 times as many",
        ),
        pytest.param(
            lambda root: (keep(root / "train/owl", 2), add(root / "train/hawk", 8)),
            "imbalance",
            [],
            id="10 times as many",
        ),
        pytest.param(remove_classes, "one class", ["hawk"], id="one class"),
        pytest.param(write_boxes, "wrong in the ground truth", [], id="good boxes"),
        pytest.param(write_boxes, "no truth", [], id="there is a ground truth"),
        pytest.param(
            lambda root: write_boxes(root, "test/owl/3.jpg,9,9,1,1", "test/owl/99.jpg,1,1,2,2"),
            "wrong in the truth",
            ["swapped corners", "unknown image"],
            id="bad boxes",
        ),
        pytest.param(
            lambda root: (root / "boxes.csv").write_text("path,x0,y0,x1,y1\ntest/hawk/0.jpg,1,1,5,5\n"),
            "no true box",
            ["test/hawk/1.jpg"],
            id="a box for one image",
        ),
        pytest.param(
            lambda root: (root / "boxes.csv").write_text("path;x0\n"),
            "unusable ground truth",
            ["boxes.csv"],
            id="no table of boxes",
        ),
        pytest.param(
            lambda root: (root / "train/wren/0.jpg").write_bytes(b""),
            "broken image",
            ["wren/0.jpg: the file is empty"],
            id="an empty file",
        ),
        pytest.param(
            lambda root: (root / "train/wren/x.jpg").symlink_to("gone"),
            "missing image",
            ["wren/x.jpg: it does not exist"],
            id="a link to nothing",
        ),
        pytest.param(
            lambda root: (root / "train/wren/0.jpg").write_bytes(
                jpeg(photo(1).convert("1").resize((9, 9)).point(lambda _: 0))
            ),
            "grey",
            [],
            id="blank is not grey too",
        ),
        pytest.param(
            lambda root: (write_boxes(root), (root / "test/wren/0.jpg").write_bytes(b"")),
            "wrong in the truth",
            [],
            id="a broken image is no mistake of the truth",
        ),
        pytest.param(lambda root: write_masks(root), "not used", [], id="masks are used"),
        pytest.param(
            lambda root: (root / "other.jpg").write_bytes(b""), "not used", ["other.jpg"], id="beside the splits"
        ),
    ],
)
def test_classes_and_ground_truth_are_checked(own: Path, spoil: Spoil, kind: str, words: list[str]) -> None:
    spoil(own)
    items = {finding.kind: finding.items for finding in found_in(own).found}.get(kind, ())
    assert bool(items) == bool(words)
    assert [word for word in words if not any(word in str(item) for item in items)] == []
    if kind != "no true box":
        assert len(items) == len(words)


def test_one_image_in_train_and_in_test_of_another_class_is_reported_under_both(own: Path) -> None:
    shutil.copy(own / "train/hawk/0.jpg", own / "test/owl/copy.jpg")
    pair = [frozenset({"train/hawk/0.jpg", "test/owl/copy.jpg"})]
    assert by_kind(found_in(own)) == {"same in train and test": pair, "same in two classes": pair}


def test_the_first_test_image_is_not_a_training_image(own: Path) -> None:
    shutil.copy(own / "train/wren/9.jpg", own / "test/hawk/0.jpg")
    assert list(by_kind(found_in(own))) == ["same in train and test", "same in two classes"]


def test_without_a_split_nothing_is_in_train_and_test(own: Path) -> None:
    shutil.copy(own / "train/hawk/0.jpg", own / "train/hawk/copy.jpg")
    assert by_kind(found_in(own / "train")) == {"same image": [frozenset({"hawk/0.jpg", "hawk/copy.jpg"})]}


def test_a_copy_of_a_file_and_a_smaller_one_are_one_group_of_three(own: Path) -> None:
    shutil.copy(own / "train/hawk/0.jpg", own / "train/hawk/copy.jpg")
    (own / "train/hawk/small.jpg").write_bytes(jpeg(photo(1_000_000).resize((100, 80))))
    found = by_kind(found_in(own))
    assert found["same image"] == [frozenset({"train/hawk/0.jpg", "train/hawk/copy.jpg"})]
    assert found["alike"] == [frozenset({"train/hawk/0.jpg", "train/hawk/copy.jpg", "train/hawk/small.jpg"})]


def test_near_duplicates_among_too_many_images_are_reported_as_not_compared(own: Path) -> None:
    (own / "train/hawk/small.jpg").write_bytes(jpeg(photo(1_000_000).resize((100, 80))))
    assert list(by_kind(found_in(own, compared=73))) == ["alike"]
    findings = found_in(own, compared=72)
    assert list(by_kind(findings)) == ["not compared"]
    assert findings["not compared"][0].what == "73 images, more than 72: near duplicates were not searched for"


def test_a_list_of_test_images_can_be_checked(tmp_path: Path) -> None:
    write_cub(tmp_path / "cub")
    table = tmp_path / "cub/train_test_split.txt"
    table.write_text("".join(f"{line.split()[0]} 0\n" for line in table.read_text().splitlines()))
    assert {"one class", "small class", "empty class"}.isdisjoint(by_kind(found_in(tmp_path / "cub")))


def test_images_without_a_usable_label_are_reported(tmp_path: Path) -> None:
    write_clean(tmp_path)
    lines = [f"train/{name}/{number}.jpg,{name}" for name in CLASSES for number in range(12)]
    (tmp_path / "labels.csv").write_text("\n".join(("path,label", *lines, "train/owl/3.jpg,hawk")) + "\n")
    findings = found_in(tmp_path / "labels.csv")
    assert len(findings["no usable label"]) == 1
    assert "train/owl/3.jpg" in findings["no usable label"][0].what
    assert not findings["not used"]


# Stories through the command line.


def test_the_table_has_one_row_per_kind_with_advice(
    cli: Cli, broken: tuple[Path, Planted], capsys: pytest.CaptureFixture[str]
) -> None:
    root, planted = broken
    assert cli("check", root) == 0
    shown = capsys.readouterr().out
    rows = [
        line.split("│")[1:-1] for line in shown.splitlines() if line.startswith("│ ") and line.split("│")[1].strip()
    ]
    table = {row[1].strip(): (row[0].strip(), int(row[2])) for row in rows}
    assert table.pop("no truth") == ("info", 1)
    assert table == {kind: (ADVICE[kind][0], len(items)) for kind, items in planted.items()}  # type: ignore[index]
    assert shown.startswith("class folders ") and "the file is empty" in shown and "Repair or remove them" in shown


def test_json_holds_everything(cli: Cli, broken: tuple[Path, Planted], tmp_path: Path) -> None:
    assert cli("check", broken[0], "--json", tmp_path / "deep/found.json") == 0
    found = json.loads((tmp_path / "deep/found.json").read_text())
    assert found["is_wrong"] and found["classes"] == 3 and set(found["images"]) == {"train", "test"}
    by_kind = {one["kind"]: one for one in found["findings"]}
    for kind, items in broken[1].items():
        assert by_kind[kind]["count"] == len(items) == len(by_kind[kind]["items"])
        assert {frozenset(item["images"]) for item in by_kind[kind]["items"]} == set(items)
        assert by_kind[kind]["severity"] in ("error", "warn", "info") and by_kind[kind]["what_to_do"].endswith(".")


def test_images_of_types_that_are_not_read_are_counted(cli: Cli, own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("train/owl/a.heic", "train/owl/b.HEIC", "test/hawk/c.nef", "test/hawk/labels.txt"):
        (own / name).write_bytes(b"")
    assert cli("check", own) == 0
    shown = capsys.readouterr().out
    assert "type not read" in shown and "2 .heic, first" in shown and "1 .nef, first" in shown
    assert cli("fit", own, "--run", own.parent / "run", "--dry-run") == 0
    assert "3 files of types that are not read (2 .heic, 1 .nef)" in capsys.readouterr().out


@pytest.mark.usefixtures("soon")
def test_a_pipe_among_the_images_is_a_broken_one(own: Path) -> None:
    os.mkfifo(own / "train/owl/pipe.jpg")
    assert [str(item) for item in found_in(own)["broken image"]] == ["train/owl/pipe.jpg: it is a named pipe"]


def test_grey_of_unusual_depth_is_not_blank(own: Path) -> None:
    values = np.linspace(10, 200, 120 * 96).reshape(96, 120)
    for name, dtype, factor in (("10.png", np.uint16, 4), ("12.png", np.uint16, 16), ("int.tif", np.int32, 1)):
        Image.fromarray((values * factor).astype(dtype)).save(own / "train/owl" / name)
    found = found_in(own)
    assert not found["blank"] and not found["dark"] and len(found["grey"]) == 3


@pytest.mark.parametrize("bits", [10, 12])
def test_colours_without_their_upper_bits_are_reported_as_dark_and_not_as_blank(own: Path, bits: int) -> None:
    values = np.repeat(np.linspace(10, 250, 120 * 96).reshape(96, 120, 1), 3, axis=2) * 2 ** (bits - 8)
    cv2.imwrite(str(own / "train/owl/deep.png"), values.astype(np.uint16))
    found = found_in(own)
    assert [item.samples[0].image_id for item in found["dark"]] == ["train/owl/deep.png"]
    assert not found["blank"]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        pytest.param(lambda root: None, 0, id="clean"),
        pytest.param(lambda root: (root / "stray.jpg").write_bytes(b""), 0, id="an info"),
        pytest.param(lambda root: keep(root / "train/owl", 9), 1, id="a warning"),
        pytest.param(lambda root: (root / "train/owl/0.jpg").write_bytes(b""), 1, id="an error"),
    ],
)
def test_strict_exits_with_1_from_a_warning_on(
    cli: Cli, own: Path, spoil: Spoil, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(own)
    assert cli("check", own) == 0
    assert ("with --strict it would be 1" in capsys.readouterr().err) == (code == 1)
    assert cli("check", own, "--strict", "--json", tmp_path / "f.json", "--page", tmp_path / "f.html") == code
    assert (tmp_path / "f.json").exists() and (tmp_path / "f.html").exists()


def test_a_finding_has_a_severity_and_an_order(clean: Path) -> None:
    severities = [severity for severity, _ in ADVICE.values()]
    assert severities == sorted(severities, key=["error", "warn", "info"].index)
    assert Findings.of(open_ground_truth(clean), {}).found == ()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(["{tmp}/nowhere"], "does not exist", id="no such folder"),
        pytest.param(["{tmp}/empty"], "no images in", id="no images"),
        pytest.param(["{own}", "--json", "{tmp}"], "--json {tmp} is a folder", id="a folder for JSON"),
        pytest.param(["{own}", "--page", "{tmp}"], "--page {tmp} is a folder", id="a folder for the page"),
        pytest.param(
            ["{own}", "--json", "{tmp}/a", "--page", "{tmp}/empty/../a"], "expected two files", id="one file for both"
        ),
        pytest.param(["{own}", "--strickt"], "Did you mean --strict?", id="misspelt option"),
    ],
)
def test_mistakes_in_the_command_are_reported(
    cli: Cli, own: Path, tmp_path: Path, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"tmp": tmp_path, "own": own}
    assert cli("check", *(word.format(**places) for word in words)) == 2
    told = capsys.readouterr()
    assert expected.format(**places) in told.err and not told.out


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_reported(cli: Cli, own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own / "train/owl").chmod(0)
    try:
        assert cli("check", own) == 2
        assert "expected a readable" in capsys.readouterr().err
    finally:
        (own / "train/owl").chmod(0o755)


def test_an_unreadable_folder_is_reported_to_root_as_well(
    cli: Cli, own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> object:
        raise PermissionError(13, "Permission denied", str(own / "train"))

    monkeypatch.setattr("wsol.data.readers.class_folders.read", refuse)
    assert cli("check", own) == 2
    assert f"cannot read {own / 'train'}" in capsys.readouterr().err


def test_no_torch_is_imported(clean: Path) -> None:
    code = f"import sys; from wsol.cli.main import main; main(['check', {str(clean)!r}]); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


# The page.


class Read(HTMLParser):
    """Elements and words of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def count(self) -> Counter[str]:
        return Counter(tag for tag, _ in self.elements)


def page_of(cli: Cli, root: Path, folder: Path) -> Read:
    assert cli("check", root, "--page", folder / "page.html") == 0
    return Read(folder / "page.html")


def test_the_page_shows_every_kind_with_its_first_images(
    cli: Cli, broken: tuple[Path, Planted], tmp_path: Path
) -> None:
    page = page_of(cli, broken[0], tmp_path)
    text = " ".join(" ".join(page.words).split())
    for kind, items in broken[1].items():
        assert kind in page.words or f"{kind} " in page.words
        assert any(image_id in text for item in items for image_id in item)
    assert "The first 24 of 55:" in text
    # Broken images cannot be shown; the 8 images outside the classes can.
    images = {kind: sum(map(len, items[:24])) for kind, items in broken[1].items() if kind != "broken image"}
    assert page.count()["img"] == sum(images.values())
    assert text.count("cannot be shown") == 24


def test_the_page_fetches_nothing_and_runs_nothing(cli: Cli, broken: tuple[Path, Planted], tmp_path: Path) -> None:
    page = page_of(cli, broken[0], tmp_path)
    assert page.count()["script"] == 0
    for tag, attributes in page.elements:
        address = attributes.get("src") or attributes.get("href") or "#"
        assert address.startswith(("#", "data:")), tag
        assert not [name for name in attributes if name.startswith("on")]
    (policy,) = (it["content"] for tag, it in page.elements if it.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'; img-src data:")
    assert "script-src" not in policy


def test_thumbnails_keep_the_aspect_ratio_and_are_never_enlarged(cli: Cli, own: Path, tmp_path: Path) -> None:
    (own / "train/owl/long.jpg").write_bytes(jpeg(photo(1, (1000, 100))))
    (own / "train/owl/small.jpg").write_bytes(jpeg(photo(2, (30, 40))))
    images = {
        it["alt"]: (it["width"], it["height"]) for tag, it in page_of(cli, own, tmp_path).elements if tag == "img"
    }
    assert images == {"elongated: train/owl/long.jpg": ("160", "16"), "tiny: train/owl/small.jpg": ("30", "40")}


HOSTILE = (
    "<img src=x onerror=alert(1)>",
    '"><script>alert(1)<|script>',
    "' autofocus onfocus='alert(1)",
    "{{ 7 * 7 }}{% raw %}[red][" + "/red]".replace("/", "|"),
    "bell \x07, escape \x1b[2J, not UTF-8 \udcff",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_hold_markup_stay_names(
    cli: Cli, own: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def spoilt(name: str) -> tuple[Counter[str], str, str]:
        for split in ("train", "test"):
            (own / split / "owl").rename(own / split / name)
        (own / "train" / name / f"{name}.jpg").write_bytes(jpeg(photo(1, (30, 40))))
        (own / "train" / name / f"{name}2.jpg").write_bytes(b"")
        page = page_of(cli, own, tmp_path)
        assert cli("check", own, "--json", tmp_path / "f.json") == 0
        table = capsys.readouterr().out
        for split in ("train", "test"):
            (own / split / name / f"{name}.jpg").unlink(missing_ok=True)
            (own / split / name).rename(own / split / "owl")
        (own / "train/owl" / f"{name}2.jpg").unlink()
        return page.count(), " ".join(page.words), table

    harmless, hostile = spoilt("word"), spoilt(name)
    assert hostile[0] == harmless[0], "the same elements"
    legible = "".join("\ufffd" if c in "\x07\x1b\udcff" else c for c in name)
    assert legible in hostile[1]
    assert not {"\x07", "\x1b", "\udcff"} & set(hostile[1] + hostile[2])
    assert "".join(visible(name).split()) in "".join(hostile[2].replace("│", "").split())


def test_the_real_photographs_of_cub_hold_two_pairs(cub30: Path) -> None:
    found = by_kind(found_in(cub30))
    assert {kind: len(items) for kind, items in found.items() if kind != "wrong in the truth"} == {
        "alike in train and test": 1,
        "alike": 1,
        "grey": 2,
    }


def test_a_huge_image_is_above_the_limit() -> None:
    assert HUGE_WH[0] * HUGE_WH[1] > 50e6
