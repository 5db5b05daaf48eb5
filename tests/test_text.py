"""Numbers with words that agree."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from wsol.text import number_of

PACKAGE = Path(__file__).parents[1] / "wsol"


@pytest.mark.parametrize(
    ("n", "words", "expected"),
    [
        pytest.param(1, ("image",), "1 image", id="one"),
        pytest.param(2, ("image",), "2 images", id="several"),
        pytest.param(0, ("box",), "0 boxes", id="none"),
        pytest.param(3, ("class",), "3 classes", id="a hissing word"),
        pytest.param(1, ("image has", "images have"), "1 image has", id="a verb with one"),
        pytest.param(2, ("image has", "images have"), "2 images have", id="a verb with several"),
    ],
)
def test_words_agree_with_their_number(n: int, words: tuple[str, ...], expected: str) -> None:
    assert number_of(n, *words) == expected


def counts_in(path: Path) -> list[str]:
    """What a string counts by itself: a value in it that is a length or a count, and the noun that follows."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            for value, after in zip(node.values, node.values[1:], strict=False):
                noun = isinstance(after, ast.Constant) and re.match(
                    r" (images|boxes|classes|objects|mistakes|drawn boxes|pseudo masks)\b", str(after.value)
                )
                if isinstance(value, ast.FormattedValue) and value.format_spec is None and noun:
                    found.append(f"{path.name}:{node.lineno}: {ast.unparse(value.value)}{noun[0]}")
    return found


KNOWN = {
    "run.py: len(comparable) images",  # more than thousands
    "run.py: CLASSES * (TRAIN_PER_CLASS + TEST_PER_CLASS) images",
    "write.py: len(CREATURES) classes",
    "evaluation.py: len(result.image_ids) images",  # a bug's words
    "calibrate.py: self.calibration.n boxes",  # five or more
    "boxes.py: len(self.boxes) boxes",
    "boxes.py: len(self.class_names) classes",
    "calibrate.py: MIN_IMAGES images",
    "fit.py: USUAL images",
    "predict.py: USUAL images",
    "review_sample.py: len(names) images",
}


def test_nothing_that_users_read_counts_without_looking_at_the_number() -> None:
    found = {re.sub(r":\d+:", ":", line) for path in PACKAGE.rglob("*.py") for line in counts_in(path)}
    assert found == KNOWN
