"""Reports of an evaluation: tables on the terminal and the curve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsol.errors import WsolError
from wsol.metrics.evaluation import Evaluation, evaluation_of
from wsol.metrics.evaluator import HUNDREDTHS, Evaluator, Row
from wsol.metrics.protocols import PROTOCOLS, ProtocolName
from wsol.reports.curve import check_curve_file, write_curve
from wsol.reports.table import evaluation_table, per_class_table, print_table
from wsol.reports.write_report import _protocols, _tiles


def row(name: str, label: int, iou: float, columns: int) -> Row:
    sweep = np.linspace(0, 0.8 if iou > 0.5 else 0, columns, dtype=np.float32)
    return Row(name, label, iou, True, True, sweep, 255 if columns == 255 else 0, 0, None, None, score=iou)


def evaluated(*protocols: ProtocolName, columns: int | None = None) -> Evaluation:
    """Two owls, one of them found, and a hawk that is found."""
    evaluator = Evaluator(
        [PROTOCOLS[name] for name in protocols], {name: 0.5 if name == "original" else None for name in protocols}
    )
    found = [("a", 0, 0.9), ("b", 0, 0.1), ("c", 1, 0.7)]
    rows = [
        {
            name: row(i, label, iou, columns or (255 if name.startswith("wsol") else len(HUNDREDTHS)))
            for name in protocols
        }
        for i, label, iou in found
    ]
    return evaluation_of("masks", evaluator, rows, expected=3, class_names=("owl", "hawk"), left_out=(), mistakes=())


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_a_table_names_protocol_number_and_threshold_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(evaluation_table(evaluated("original"), "original"))
    lines = printed(capsys)
    assert lines[0] == "protocol original, masks, n = 3, threshold 0.50"
    assert any("GT-known Loc " in line and "66.7 (0.0 to 100.0)" in line for line in lines)
    assert any("AUC of the score " in line and "100.0 (100.0 to 100.0)" in line for line in lines)
    assert lines[-2] == "The AUC compares 2 correct boxes with 1 wrong."
    assert lines[-1].startswith("Best threshold 0.81, chosen with the annotated boxes")


def of_boxes(**rights_and_wrongs: tuple[int, int]) -> Evaluation:
    """An evaluation with (right, wrong) numbers of an owl's boxes under each protocol, on the same images."""
    evaluator = Evaluator([PROTOCOLS[name] for name in rights_and_wrongs], dict.fromkeys(rights_and_wrongs, 0.5))
    n = sum(next(iter(rights_and_wrongs.values())))
    rows = [
        {name: row(f"{i}", 0, 0.9 if i < right else 0.1, 1) for name, (right, _) in rights_and_wrongs.items()}
        for i in range(n)
    ]
    return evaluation_of("boxes", evaluator, rows, expected=n, class_names=("owl",), left_out=(), mistakes=())


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [
        pytest.param(10, 10, None, id="enough"),
        pytest.param(9, 30, "9 correct boxes with 30 wrong", id="few right ones"),
        pytest.param(1, 9, "1 correct box with 9 wrong", id="one right box"),
        pytest.param(30, 1, "30 correct boxes with 1 wrong", id="one wrong box"),
        pytest.param(4, 0, None, id="no AUC"),
    ],
)
def test_an_auc_of_few_boxes_is_reported_with_their_number(
    right: int, wrong: int, expected: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    result = of_boxes(original=(right, wrong))
    print_table(evaluation_table(result, "original"))
    print_table(per_class_table(result, "original"))
    lines = printed(capsys)
    assert (f"The AUC compares {expected}." in lines) == (expected is not None)
    assert ("The AUC of a class with fewer than 10 correct or 10 wrong boxes is not reliable." in lines) == bool(
        expected
    )
    notes = " ".join([_protocols(result).caption, *(tile.name for tile in _tiles(result))])
    assert notes.count("wrong") == (0 if expected is None else 2) and (expected or "") in notes


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        pytest.param(
            {"original": (6, 0), "spol": (5, 1)}, {"GT-known Loc": "original"}, id="if all are correct there is no AUC"
        ),
        pytest.param(
            {"spol": (5, 1), "original": (6, 0)}, {"GT-known Loc": "spol", "AUC": "spol"}, id="the first protocol"
        ),
    ],
)
def test_correct_boxes_and_auc_are_of_the_same_boxes(
    boxes: dict[str, tuple[int, int]], expected: dict[str, str]
) -> None:
    names = [tile.name.partition("; ")[2] for tile in _tiles(of_boxes(**boxes))]
    found = dict(name.split(", ")[:2] for name in names)
    assert {
        name: protocol.removeprefix("protocol ") for name, protocol in found.items() if "Top" not in name
    } == expected


def test_a_best_threshold_is_reported_for_each_iou(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(evaluation_table(evaluated("wsol-v2"), "wsol-v2"))
    lines = printed(capsys)
    assert lines[0] == "protocol wsol-v2, masks, n = 3"
    assert "for IoU 0.3, 0.81 for IoU 0.5, 0.94 for IoU 0.7" in " ".join(lines)


def with_images_without_an_object() -> Evaluation:
    """An owl that is found, and two images without an object: two boxes in one of them."""
    sweep = np.zeros(len(HUNDREDTHS), np.float32)
    owl = Row("a", 0, 0.9, True, True, sweep, 0, 0, None, None, score=0.9, image_score=0.9)
    empty = [
        Row(name, 1, 0.0, n > 0, False, sweep, 0, 0, None, None, 0.1, None, False, n, None, 0.1)
        for name, n in (("b", 0), ("c", 2))
    ]
    evaluator = Evaluator([PROTOCOLS["original"]], {"original": 0.5})
    rows = [{"original": one} for one in (owl, *empty)]
    return evaluation_of("masks", evaluator, rows, expected=3, class_names=("owl", "good"), left_out=(), mistakes=())


def test_a_number_of_boxes_is_no_percentage_and_both_numbers_of_images_are_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(evaluation_table(with_images_without_an_object(), "original"))
    lines = printed(capsys)
    assert lines[0] == "protocol original, masks, n = 1 and 2 images without an object, threshold 0.50"
    (count,) = (line for line in lines if "boxes per image" in line)
    assert "1.00 (0.00 to 2.00)" in count
    assert any("nothing found" in line and "50.0 (0.0 to 100.0)" in line for line in lines)
    assert any("AUROC of the image score" in line and "100.0" in line for line in lines)
    of_report = {line[0]: line[1] for line in _protocols(with_images_without_an_object()).rows}
    assert of_report["images"] == "1" and of_report["images without an object"] == "2"
    assert of_report["images without an object: boxes per image"] == "1.00 (0.00 to 2.00)"
    assert "images without an object" not in {line[0] for line in _protocols(evaluated("original")).rows}


def test_classes_without_an_object_are_last_and_have_columns_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(per_class_table(with_images_without_an_object(), "original"))
    lines = printed(capsys)
    owl, good = (line for line in lines if line.startswith("│"))
    assert "owl" in owl and " 1 " in owl and "100.0" in owl
    assert "good" in good and " 2 " in good and "50.0" in good and "1.00" in good
    assert not any("AUROC" in line for line in lines), "a class alone has no ranking"


def test_classes_are_in_the_order_of_their_accuracy(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(per_class_table(evaluated("original"), "original"))
    owl, hawk = (line for line in printed(capsys) if line.startswith("│"))
    assert "owl" in owl and " 2 " in owl and "50.0" in owl
    assert "hawk" in hawk and " 1 " in hawk and "100.0 (100.0 to 100.0)" in hawk


@pytest.mark.parametrize("suffix", [".png", ".svg", ".PDF"])
def test_a_curve_is_a_plot_with_its_numbers_beside_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "deep" / f"curve{suffix}"
    write_curve(path, evaluated("original", "wsol-v1"))
    assert path.stat().st_size > 1000
    assert {one.name for one in path.parent.iterdir()} == {path.name, "curve.csv"}
    rows = [line.split(",") for line in path.with_suffix(".csv").read_text().splitlines()]
    assert rows[0] == ["protocol", "iou", "threshold", "accuracy"]
    assert len(rows) == 1 + 99 + 3 * 1000
    assert ["original", "0.5", "0.99", "66.6667"] in rows and ["original", "0.5", "0.01", "0"] in rows


def test_the_plot_marks_the_threshold_of_the_run(tmp_path: Path) -> None:
    write_curve(tmp_path / "one.png", evaluated("original"))
    write_curve(tmp_path / "two.png", evaluated("original", "wsol-v2"))
    one, two = (Image.open(tmp_path / name).convert("RGB") for name in ("one.png", "two.png"))
    assert two.width == 2 * one.width
    write_curve(tmp_path / "one.svg", evaluated("original"))
    assert "the run's threshold 0.50" in (tmp_path / "one.svg").read_text()


def test_boxes_have_no_curve(tmp_path: Path) -> None:
    with pytest.raises(WsolError, match="no curve"):
        write_curve(tmp_path / "c.png", evaluated("original", columns=1))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["c.gif", "c", "c.csv"])
def test_a_file_without_a_suffix_of_plots_is_refused(name: str) -> None:
    with pytest.raises(WsolError, match=r"\.png, \.svg, \.pdf"):
        check_curve_file(Path(name))
