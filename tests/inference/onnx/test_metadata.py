"""The metadata of an ONNX file: it is read as it was written, or the error says what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol.config.options import Box
from wsol.errors import WsolError
from wsol.inference.onnx import metadata as onnx_file
from wsol.inference.onnx.metadata import InputMetadata, OnnxMetadata, check_installed, read_metadata

LOOK = InputMetadata(name="pixels", resize_px=64, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.1))
METADATA = OnnxMetadata(
    heatmap=LOOK,
    probabilities=None,
    class_names=("owl", "Käuzchen 梟", "raw \udcff"),
    box=Box(objects="all"),
    licence="ours",
    wsol="0.1.0",
    weights={"seg": "ab"},
)
FILE = Path("model.onnx")
Metadata = dict[str, str]


@given(st.lists(st.text()), st.floats(0, 1), st.booleans())
def test_metadata_is_read_as_it_was_written(names: list[str], threshold: float, has_names: bool) -> None:
    metadata = METADATA.model_copy(
        update={
            "class_names": tuple(names),
            "box": Box(threshold=threshold),
            "probabilities": LOOK if has_names else None,
        }
    )
    assert read_metadata(metadata.as_metadata(), FILE) == metadata


def test_any_class_name_can_be_stored_as_utf8() -> None:
    metadata = METADATA.as_metadata()
    assert all(text.isascii() for text in metadata.values())
    assert json.loads(metadata["class_names"]) == list(METADATA.class_names)
    assert read_metadata(metadata, FILE) == METADATA


def test_entries_of_other_programs_are_ignored() -> None:
    assert read_metadata(METADATA.as_metadata() | {"author": "somebody"}, FILE) == METADATA


def with_entry(name: str, text: str) -> Callable[[Metadata], Metadata]:
    return lambda metadata: metadata | {name: text}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        pytest.param(lambda metadata: {}, "wsol export-model RUN", id="empty"),
        pytest.param(with_entry("version", "99"), "made by a newer wsol: expected schema 1", id="another version"),
        pytest.param(with_entry("kind", '"yolo"'), "wsol export-model RUN", id="another kind"),
        pytest.param(with_entry("box", "{"), "wsol export-model RUN", id="no JSON"),
        pytest.param(with_entry("box", '{"threshold": 7}'), "less than or equal to 1", id="an impossible threshold"),
        pytest.param(
            lambda metadata: {k: v for k, v in metadata.items() if k != "heatmap"}, "required", id="an entry is missing"
        ),
    ],
)
def test_other_metadata_is_refused(damage: Callable[[Metadata], Metadata], words: str) -> None:
    with pytest.raises(WsolError, match="model.onnx") as raised:
        read_metadata(damage(METADATA.as_metadata()), FILE)
    assert words in str(raised.value)


def test_the_error_about_a_missing_package_has_the_command_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    check_installed(("numpy",))
    check_installed(())
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None if name == "onnxruntime" else object())
    check_installed(("onnx",))
    with pytest.raises(WsolError, match=r"needs onnxruntime: .* `pip install 'wsol\[export\]'`"):
        check_installed(("onnx", "onnxruntime"))
