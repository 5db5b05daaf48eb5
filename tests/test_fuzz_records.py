"""Whatever stands in a file that wsol writes and reads again: it is read, or refused in a sentence."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from fake_data.predictions import CORPUS
from fake_data.reviews import decide
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wsol.cli.main import main
from wsol.config.options import RunConfig
from wsol.config.recipes import resolve
from wsol.errors import WsolError
from wsol.geometry.image_threshold import THRESHOLDS as OF_IMAGES
from wsol.geometry.image_threshold import ImageThreshold
from wsol.inference.onnx.metadata import OnnxMetadata
from wsol.inference.onnx.metadata import read_metadata as read_onnx_card
from wsol.methods.spol.mask_store import PseudoStore
from wsol.models.backbone import whole_model
from wsol.models.checkpoint import (
    ClassifierConfig,
    MethodConfig,
    MffConfig,
    build,
    load_classifier,
    load_mffnet,
    read_model_config,
    save,
)
from wsol.predictions.records import LINES, open_predictions, read_lines, write_lines
from wsol.predictions.review_journal import Journal, read_journal
from wsol.runs.box_threshold import LearnedThreshold, read_threshold, write_threshold
from wsol.runs.calibration import ScoreCurve, new_calibration, write_calibration
from wsol.runs.run import Run
from wsol.runs.saved_config import load_config, preview, save_config
from wsol.storage.folders import MANIFEST, is_finished, manifest_of, parse_json, write_json, write_manifest
from wsol.storage.shards import SETTINGS, open_scratch, read_skipped
from wsol.training.log import _cut_after
from wsol.training.state import Checkpoint, Trained

# pycocotools 2.0.11 meets numpy 2.4 half way
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning",
    "ignore:.*trained again, or given another method, since:UserWarning",
)

DEEP = "[" * 500 + "]" * 500
NASTY = (
    "null",
    "true",
    "0",
    "-1",
    "1",
    "2",
    "1.5",
    "-0.0",
    "1e999",
    "NaN",
    "-Infinity",
    "999999999999",
    "9223372036854775808",
    "1" + "0" * 400,
    "9" * 5000,
    "-" + "9" * 5000,
    '""',
    '"x"',
    '"1"',
    '"\\u0000"',
    '"a\\u0000b"',
    '"\\ud800"',
    '"\\udcff"',
    '"../x"',
    '"' + "x" * 5000 + '"',
    "[]",
    "{}",
    "[[]]",
    "[null]",
    "[1, 2]",
    "[NaN, 1, 2, 3]",
    '{"size": [2, 2], "counts": ""}',
    '{"a": 1}',
    DEEP,
    "[" * 100_000,
    '{"a":' * 500 + "1" + "}" * 500,
)
NASTY_YAML = (
    *NASTY,
    "&a [*a]",
    "*a",
    "2001-01-01",
    "9999-99-99",
    "!!timestamp x",
    "!!int x",
    "!!binary x",
    "!!python/object:os.system x",
    "!!set {a}",
    "{[1]: 2}",
    "{1: 2}",
    "0x" + "F" * 5000,
    "1:" * 3000 + "1",
    ".inf",
    ".nan",
    "!!float x",
    "!!bool x",
    "? a",
    "%",
    "'",
    "---",
    "!!omap [a]",
    "!!pairs [a]",
)
HOLE = "a hole"


def places(value: Any) -> Iterator[tuple[Any, ...]]:
    """Where in a value something stands."""
    yield ()
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from ((key, *rest) for rest in places(inner))


def with_hole(value: Any, place: tuple[Any, ...]) -> Any:
    if not place:
        return HOLE
    inner = with_hole(value[place[0]], place[1:])
    return (
        (value | {place[0]: inner}) if isinstance(value, dict) else [*value[: place[0]], inner, *value[place[0] + 1 :]]
    )


@st.composite
def spoilt_values(draw: st.DrawFn, content: bytes, dump: Callable[[Any], str], nasty: tuple[str, ...]) -> bytes:
    """One value, at any depth, is another; the file may be of several lines."""
    lines = (
        content.splitlines() if dump is json.dumps and content.count(b"\n") > 1 and content[:1] == b"{" else [content]
    )
    lines = [content] if is_one_value(content) else lines
    number = draw(st.integers(0, len(lines) - 1))
    value = yaml.safe_load(lines[number]) if dump is not json.dumps else parse_json(lines[number])
    text = dump(with_hole(value, draw(st.sampled_from(sorted(places(value), key=repr)))))
    lines[number] = text.replace(dump(HOLE).strip(), draw(st.sampled_from(nasty))).encode("utf-8", "surrogateescape")
    return b"\n".join(lines) + b"\n"


def is_one_value(content: bytes) -> bool:
    try:
        parse_json(content)
    except ValueError:
        return False
    return True


@st.composite
def spoilt_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """Cut, overwritten or longer at some position."""
    start = draw(st.integers(0, len(content)))
    new = draw(
        st.binary(max_size=4)
        | st.sampled_from([b"\0" * 100, b"\xff\xfe", b"\xef\xbb\xbf", b"[" * 5000, b'"', b"\n", b"{}\n"])
    )
    end = draw(st.sampled_from([start, start + len(new), len(content)]))
    return content[:start] + new + content[end:]


def dumped_yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False) if value != HOLE else HOLE


RESNET: dict[str, Any] = {
    "backbone": "test_resnet",
    "mean": (0.5, 0.4, 0.3),
    "std": (0.2, 0.2, 0.2),
    "resize_px": 64,
    "class_names": ("owl", "raw \udcff"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every file that wsol reads again, as it writes it."""
    root = tmp_path_factory.mktemp("run")
    save_config(root, resolve(RunConfig()))
    card = MffConfig(outputs=2, fusion="multiply", levels=1, attention=False, auxiliary=False, **RESNET)
    for name in ("cam", "seg", "classifier"):
        (root / name).mkdir()
    save(root / "seg", build(card), card)
    save(root / "classifier", whole_model("test_resnet", 2, None), ClassifierConfig(**RESNET))
    save(
        root / "cam",
        torch.nn.Linear(1, 1),
        MethodConfig(method="acol", options={"delta": 0.6}, output_stride=16, feature="stage", **RESNET),
    )
    fits = ImageThreshold(threshold=0.3, fits=(0.5,) * len(OF_IMAGES))
    learned = LearnedThreshold(
        threshold=0.3, box_threshold=0.2, box_iou=0.7, mask_threshold=0.4, mask_iou=0.7, n=5, for_images=fits
    )
    write_threshold(root / "seg", learned)
    write_calibration(
        root,
        new_calibration(Run.open(root).calibrated_weights, Path("few.csv"), 0.3, ScoreCurve(slope=2, intercept=-1), 7),
    )
    write_lines(root / LINES, CORPUS)
    figures = {
        "image_root": "/images",
        "class_names": ["owl", "raw \udcff"],
        "images": 8,
        "covering": 1,
        "seconds": 2.5,
        "engine": "cpu",
    }
    write_manifest(root, "predict", {"box": {"threshold": 0.5}}, {"images": "abc"}, figures)
    decide(root, "a/owl.jpg", "corrected", (1.0, 2.0, 3.0, 4.0))
    decide(root, "b/empty.jpg", "accepted")
    write_json(root / "skipped.json", [{"image": "a.jpg", "reason": "broken"}])
    (root / "elsewhere").mkdir()
    open_scratch(root / "elsewhere", "predict", {"threshold": 0.5}, {"images": "abc"})
    shutil.copy(root / "elsewhere" / SETTINGS, root / SETTINGS)
    (root / "pseudo.npy").write_bytes(b"")
    write_json(root / "index.json", ["a.jpg", "b.jpg"])
    (root / "log.jsonl").write_text('{"step": 10, "loss": 0.5}\n{"step": 20, "loss": 0.4}\n')
    Checkpoint(root / "checkpoint.safetensors", {"seed": 1}).save(*small_training(), Trained(step=3))
    return root


def small_training() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    network = torch.nn.Linear(2, 1)
    return network, torch.optim.SGD(network.parameters(), 0.1)


def read_masks(root: Path) -> None:
    for one in read_lines(root / LINES):
        for found in one.objects:
            found.mask()


def read_journal_to_go_on(root: Path) -> None:
    read_journal(root)
    with Journal(root):
        pass


def read_method_card(root: Path) -> None:
    """The network is another: the card alone."""
    read_model_config(root / "cam", MethodConfig)


READERS: dict[str, Callable[[Path], object]] = {
    LINES: read_masks,
    MANIFEST: lambda root: (
        open_predictions(root),
        manifest_of(root, "predict"),
        is_finished(root, "predict", {"box": {"threshold": 0.4}}, {}),
    ),
    "config.yaml": lambda root: (load_config(root), preview(root, RunConfig(seed=3))),
    "seg/model.json": lambda root: load_mffnet(root / "seg"),
    "classifier/model.json": lambda root: load_classifier(root / "classifier"),
    "cam/model.json": read_method_card,
    "seg/threshold.json": lambda root: read_threshold(root / "seg"),
    "calibration.json": lambda root: Run.open(root).calibration(),
    "review.jsonl": read_journal_to_go_on,
    "skipped.json": lambda root: read_skipped(root / "skipped.json", "wsol predict"),
    SETTINGS: lambda root: open_scratch(root / "elsewhere", "predict", {"threshold": 0.5}, {"images": "abc"}),
    "index.json": lambda root: PseudoStore(root).image_ids,
    "log.jsonl": lambda root: _cut_after(root / "log.jsonl", 15),
}
BINARY: dict[str, Callable[[Path], object]] = {
    "seg/model.safetensors": lambda root: load_mffnet(root / "seg"),
    "checkpoint.safetensors": (
        lambda root: Checkpoint(root / "checkpoint.safetensors", {"seed": 1}).restore(*small_training())
    ),
}


def outcome(root: Path, name: str, content: bytes, read: Callable[[Path], object]) -> str:
    """What the reader of a spoilt file says; the file is as before afterwards."""
    path = root / name
    whole = path.read_bytes()
    if name == SETTINGS:  # its reader empties the folder
        path = root / "elsewhere" / name
        path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    try:
        read(root)
    except WsolError as error:
        return str(error)
    finally:
        (root / name).write_bytes(whole)
    return ""


def assert_is_a_sentence(said: str) -> None:
    is_named = any(words in said for words in ("expected", "was made differently", "there is no option"))
    assert is_named and len(said) < 3000


FEW = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("name", READERS)
@FEW
@given(data=st.data())
def test_a_file_with_another_value_is_read_or_refused_in_a_sentence(run: Path, name: str, data: st.DataObject) -> None:
    content = (run / name).read_bytes()
    is_yaml = name == "config.yaml"
    spoilt = spoilt_values(content, dumped_yaml if is_yaml else json.dumps, NASTY_YAML if is_yaml else NASTY)
    said = outcome(run, name, data.draw(spoilt | spoilt_bytes(content)), READERS[name])
    if said:
        assert_is_a_sentence(said)


@pytest.mark.parametrize("name", BINARY)
@settings(FEW, max_examples=15)  # each builds a network
@given(data=st.data())
def test_a_damaged_file_of_tensors_is_refused_in_a_sentence_or_counts_for_nothing(
    run: Path, name: str, data: st.DataObject
) -> None:
    content = (run / name).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = data.draw(spoilt_values(content[8 : 8 + length].rstrip(), json.dumps, NASTY)).strip()
    other_header = struct.pack("<Q", len(header)) + header + content[8 + length :]
    said = outcome(run, name, data.draw(st.just(other_header) | spoilt_bytes(content)), BINARY[name])
    if said:
        assert_is_a_sentence(said)


@pytest.mark.parametrize("name", [*READERS, *BINARY])
@pytest.mark.parametrize(
    "content", [b"", b"\0", b"\xff", b"[]", b"null", b"3", b"{}", DEEP.encode()], ids=lambda content: repr(content[:5])
)
def test_a_file_of_something_else_is_read_or_refused_in_a_sentence(run: Path, name: str, content: bytes) -> None:
    said = outcome(run, name, content, (READERS | BINARY)[name])
    if said:
        assert_is_a_sentence(said)


ONNX: dict[str, Any] = {
    "heatmap": {"name": "a", "resize_px": 64, "mean": [0.5], "std": [0.5]},
    "probabilities": None,
    "class_names": ["owl"],
    "box": {"threshold": 0.5},
    "licence": "unknown",
    "wsol": "0.1.0",
    "weights": {"seg": "abc"},
}


@FEW
@given(data=st.data())
def test_metadata_of_an_onnx_file_are_read_or_refused_in_a_sentence(data: st.DataObject) -> None:
    metadata = OnnxMetadata.model_validate(ONNX).as_metadata()
    name = data.draw(st.sampled_from(sorted(metadata)))
    content = metadata[name].encode()
    spoilt = data.draw(spoilt_values(content, json.dumps, NASTY) | spoilt_bytes(content)).decode("utf-8", "replace")
    try:
        read_onnx_card(metadata | {name: spoilt}, Path("model.onnx"))
    except WsolError as error:
        assert_is_a_sentence(str(error))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param(LINES, ("export", "{}", "--format", "coco", "--out", "{}/out"), id="export"),
        pytest.param(MANIFEST, ("export", "{}", "--format", "csv", "--out", "{}/out"), id="export's folder"),
        pytest.param("config.yaml", ("predict", "{}", "{}", "--out", "{}/out"), id="predict"),
        pytest.param("config.yaml", ("fit", "{}", "--run", "{}", "--dry-run"), id="fit"),
        pytest.param("seg/threshold.json", ("predict", "{}", "{}", "--out", "{}/out"), id="predict's threshold"),
        pytest.param("seg/model.json", ("predict", "{}", "{}", "--out", "{}/out"), id="predict's network"),
        pytest.param("seg/model.safetensors", ("predict", "{}", "{}", "--out", "{}/out"), id="predict's weights"),
        pytest.param("calibration.json", ("predict", "{}", "{}", "--out", "{}/out"), id="predict's calibration"),
    ],
)
@pytest.mark.parametrize(
    "content", [b"\0\xff", DEEP.encode(), b'{"schema": ' + b"9" * 5000 + b"}"], ids=["binary", "deep", "digits"]
)
def test_a_command_says_it_in_one_line_and_ends_with_2(
    run: Path, capsys: pytest.CaptureFixture[str], name: str, words: tuple[str, ...], content: bytes
) -> None:
    whole = (run / name).read_bytes()
    (run / name).write_bytes(content)
    try:
        with pytest.raises(SystemExit) as ended:
            main([word.format(run) for word in words])
    finally:
        (run / name).write_bytes(whole)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith("error: ") and said.count("\n") == 1
    assert not (run / "out").exists()
