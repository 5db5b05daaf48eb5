"""What people read of a judgement: tables on the terminal and the curve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsol.errors import WsolError
from wsol.metrics.evaluation import Evaluation, evaluation_of
from wsol.metrics.judge import HUNDREDTHS, Judge, Row
from wsol.metrics.protocols import PROTOCOLS, ProtocolName
from wsol.report.curve import check_curve_file, write_curve
from wsol.report.table import evaluation_table, per_class_table, print_table


def row(name: str, label: int, iou: float, columns: int) -> Row:
    sweep = np.linspace(0, 0.8 if iou > 0.5 else 0, columns, dtype=np.float32)
    return Row(name, label, iou, True, True, sweep, 255 if columns == 255 else 0, 0, None, None, score=iou)


def evaluated(*protocols: ProtocolName, columns: int | None = None) -> Evaluation:
    """Two owls, one of them found, and a hawk that is found."""
    judge = Judge(
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
    return evaluation_of("masks", judge, rows, expected=3, class_names=("owl", "hawk"), left_out=(), mistakes=())


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_a_table_names_protocol_number_and_threshold_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(evaluation_table(evaluated("original"), "original"))
    lines = printed(capsys)
    assert lines[0] == "protocol original, masks, n = 3, threshold 0.50"
    assert any("GT-known Loc " in line and "66.7 (0.0 to 100.0)" in line for line in lines)
    assert any("AUC of the score " in line and "100.0 (100.0 to 100.0)" in line for line in lines)
    assert lines[-1].startswith("Best threshold 0.81, chosen with the true boxes")


def test_a_best_threshold_is_told_for_each_iou(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(evaluation_table(evaluated("wsol-v2"), "wsol-v2"))
    lines = printed(capsys)
    assert lines[0] == "protocol wsol-v2, masks, n = 3"
    assert "for IoU 0.3, 0.81 for IoU 0.5, 0.94 for IoU 0.7" in " ".join(lines)


def test_classes_come_the_fewest_found_first(capsys: pytest.CaptureFixture[str]) -> None:
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


def test_the_plot_marks_the_own_threshold(tmp_path: Path) -> None:
    write_curve(tmp_path / "one.png", evaluated("original"))
    write_curve(tmp_path / "two.png", evaluated("original", "wsol-v2"))
    one, two = (Image.open(tmp_path / name).convert("RGB") for name in ("one.png", "two.png"))
    assert two.width == 2 * one.width
    write_curve(tmp_path / "one.svg", evaluated("original"))
    assert "own threshold 0.50" in (tmp_path / "one.svg").read_text()


def test_boxes_have_no_curve(tmp_path: Path) -> None:
    with pytest.raises(WsolError, match="no curve"):
        write_curve(tmp_path / "c.png", evaluated("original", columns=1))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["c.gif", "c", "c.csv"])
def test_a_plot_has_a_suffix_of_a_plot(name: str) -> None:
    with pytest.raises(WsolError, match=r"\.png, \.svg, \.pdf"):
        check_curve_file(Path(name))
