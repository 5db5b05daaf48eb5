"""Words that Python callers choose from are checked as the command line checks them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from wsol.config.messages import check_choice
from wsol.errors import WsolError


def test_a_word_that_is_no_choice_is_refused_with_the_choices() -> None:
    check_choice("empty", "wrong", Literal["wrong", "left-out"])
    with pytest.raises(WsolError) as refused:
        check_choice("empty", "left out", Literal["wrong", "left-out"])
    assert refused.value.expected == "one of wrong, left-out" and refused.value.got == "'left out'"


# In a process of its own: here, beartype would refuse the word before the library does.
CALLS = """
import sys, wsol
run, data, out = sys.argv[1:]
for call in (
    lambda: wsol.evaluate(run, data, which="foo"),
    lambda: wsol.evaluate(run, data, empty="left out"),
    lambda: wsol.evaluate_results(data, boxes=data, empty="foo"),
    lambda: wsol.predict(run, data, out, engine="foo"),
    lambda: wsol.predict(run, data, out, objects="foo"),
    lambda: wsol.predict(run, data, out, precision="foo"),
    lambda: wsol.Localizer.load(run, threshold=2),
    lambda: wsol.export(data, "foo", out),
    lambda: wsol.export_model(run, data),
    lambda: wsol.evaluate(run, data, save_heatmaps=run + "/config.yaml"),
    lambda: wsol.train_cam(data, out, wsol.RunConfig(method="instant")),
    lambda: wsol.Localizer.load(run)(image for image in [1]),
):
    try:
        call()
    except wsol.WsolError as error:
        print(type(error).__name__, error)
    else:
        print("accepted")
"""


def test_wrong_words_from_python_are_errors_of_the_user(small_run: Path, small_set: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CALLS, str(small_run), str(small_set), str(tmp_path / "out")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 12 and all(line.startswith("WsolError ") for line in lines), done.stdout
    assert not (tmp_path / "out").exists()
