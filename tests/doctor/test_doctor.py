"""Every check sees the fault that was planted for it, none sees one where there is none, and nothing that breaks takes
the others with it."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image, ImageFile

from wsol.cli.main import main
from wsol.doctor import checks, disk, jobs, odd_files
from wsol.doctor.checks import Check, all_checks, backbone_and_weights, examine, opencv_wheels, two_processes
from wsol.doctor.lines import Finding, Line, first_line
from wsol.doctor.odd_files import decoding, quadrants
from wsol.doctor.table import print_doctor
from wsol.doctor.worker import Worker
from wsol.errors import BrokenImage, WsolError
from wsol.geometry import threshold_sweep as sweep
from wsol.models import weights as weights_module
from wsol.models.weights import BUNDLED
from wsol.predictions import records as predictions
from wsol.runtime.progress import Progress

Fault = Callable[[pytest.MonkeyPatch], object]
LIMIT_S = 30.0


def states(seen: list[Finding]) -> list[str]:
    return [one.state for one in seen]


# The process that does the jobs.


def plant(folder: Path, package: str, code: str) -> None:
    """Write a package that replaces the real one if the folder comes first in the path."""
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text(code)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param(
            "raise RuntimeError('operator torchvision::nms does not exist\\nmore')",
            "RuntimeError: operator torchvision::nms does not exist",
            id="of another build",
        ),
        pytest.param(
            "print('[]'); raise ImportError('libc10.so: no such file')",
            "ImportError: libc10.so: no such file",
            id="prints and cannot be imported",
        ),
        pytest.param(
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            "the process ended with signal SIGSEGV",
            id="crashes",
        ),
        pytest.param(
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "the process ended with signal SIGKILL",
            id="is killed for its memory",
        ),
        pytest.param(
            "import os; os.write(2, b'a\\nno libGL\\n\\n'); os._exit(3)",
            "the process ended with exit code 3; its last output: no libGL",
            id="ends by itself",
        ),
    ],
)
def test_a_broken_library_is_a_line_and_the_next_job_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, expected: str
) -> None:
    plant(tmp_path, "torch", "")
    plant(tmp_path, "torchvision", code)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with Worker() as worker:
        assert worker.run_job("pair", limit_s=LIMIT_S) == [Finding("fail", expected)]
        assert states(worker.run_job("masks", limit_s=LIMIT_S)) == ["ok"]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in Linux's way")
def test_a_job_that_hangs_is_ended_in_time_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        f"import subprocess, time; child = subprocess.Popen(['sleep', '60']); open({str(tmp_path / 'pid')!r},"
        " 'w').write(str(child.pid)); time.sleep(60)"
    )
    plant(tmp_path, "torch", code)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with Worker() as worker:
        worker.run_job("masks", limit_s=LIMIT_S)  # it is there, and three seconds are those of the next job
        started = time.monotonic()
        (seen,) = worker.run_job("pair", limit_s=3.0)
        assert seen.state == "fail" and seen.seen.startswith("no response within 3 s")
    assert time.monotonic() - started < 50
    child = int((tmp_path / "pid").read_text())
    while is_running(child):  # killed, though not yet gone
        assert time.monotonic() - started < 50
        time.sleep(0.05)


DOCTOR = """
import sys
from wsol.doctor.worker import Worker
sys.path.insert(0, sys.argv[1])
with Worker() as worker:
    worker.run_job("masks", limit_s=30)
    print(worker.process.pid, flush=True)
    worker.run_job("pair", limit_s=float(sys.argv[2]))
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in Linux's way")
@pytest.mark.parametrize(
    ("number", "limit_s", "then"),
    [
        pytest.param(signal.SIGKILL, 60, "time.sleep(60)", id="SIGKILL"),
        pytest.param(signal.SIGHUP, 60, "time.sleep(60)", id="SIGHUP"),
        pytest.param(signal.SIGKILL, 3, "child.kill(); ctypes.PyDLL(None).sleep(60)", id="no thread can run"),
    ],
)
def test_the_worker_of_a_killed_doctor_ends_with_its_children(
    tmp_path: Path, number: signal.Signals, limit_s: int, then: str
) -> None:
    code = (
        f"import ctypes, subprocess, time; child = subprocess.Popen(['sleep', '60']); open({str(tmp_path / 'pid')!r},"
        f" 'w').write(str(child.pid)); {then}"
    )
    plant(tmp_path, "torchvision", "")
    plant(tmp_path, "torch", code)
    words = [sys.executable, "-c", DOCTOR, str(tmp_path), str(limit_s)]
    doctor = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert doctor.stdout is not None
    worker = int(doctor.stdout.readline())
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.05)
    doctor.send_signal(number)
    doctor.communicate(timeout=30)
    until = time.monotonic() + 30
    for pid in (worker, int((tmp_path / "pid").read_text())):
        while is_running(pid):
            assert time.monotonic() < until, "it outlives the command that started it"
            time.sleep(0.05)


def test_one_process_runs_many_jobs_and_ends_with_the_block() -> None:
    with Worker() as worker:
        worker.run_job("masks", limit_s=LIMIT_S)
        assert worker.process is not None
        first = worker.process.pid
        assert states(worker.run_job("masks", limit_s=LIMIT_S)) == ["ok"]
        assert worker.process.pid == first
    assert not is_running(first)


def test_a_worker_is_a_single_process_and_offline_under_any_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "7")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    found = Worker().environment
    assert [found[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")] == ["0", "1", "0", "1"]
    assert found["HF_HUB_OFFLINE"] == "1"


def test_two_processes_that_do_not_connect_exceed_the_limit() -> None:
    (seen,) = two_processes(limit_s=0.05)
    assert seen.state == "fail"
    assert "process 0: no response within 0.05 s" in seen.seen and "process 1: no response" in seen.seen


# The jobs, here in this process.


@pytest.mark.parametrize("job", ["pair", "steps", "reading", "opencv", "masks", "onnx", "tensorboard", "summed_up"])
def test_a_job_without_a_fault_is_ok(job: str) -> None:
    assert {one.state for one in jobs.JOBS[job]() if "NVIDIA" not in one.seen} == {"ok"}


def no_spec(name: str) -> None:
    return None


@pytest.mark.parametrize(
    ("job", "fault", "state", "words"),
    [
        pytest.param(
            "pair",
            lambda m: m.setattr(torchvision.ops, "nms", lambda boxes, scores, iou: torch.arange(3)),
            "fail",
            "keeps boxes [0, 1, 2]",
            id="nms keeps all",
        ),
        pytest.param(
            "opencv",
            lambda m: m.setattr(sweep, "drawn_largest_contour", lambda mask: (5, 10, 24, 29)),
            "fail",
            "(5, 10, 24, 29)",
            id="a box one pixel short",
        ),
        pytest.param(
            "masks",
            lambda m: m.setattr(predictions.coco_mask, "decode", lambda rle: np.zeros((17, 23))),
            "fail",
            "not decoded as it was encoded",
            id="empty masks",
        ),
        pytest.param(
            "reading",
            lambda m: m.setattr(
                "wsol.data.loader.read_square",
                lambda path, size_px, *_: (np.zeros((size_px, size_px, 3), np.uint8), (512, 512)),
            ),
            "fail",
            "wrong pixel values",
            id="black batches",
        ),
        pytest.param(
            "summed_up",
            lambda m: m.setattr("wsol.runtime.torch_engine.summed", lambda values, engine: values * 2),
            "fail",
            "expected 1",
            id="a sum that is none",
        ),
        pytest.param(
            "onnx",
            lambda m: m.setattr(jobs, "find_spec", no_spec),
            "warn",
            "onnx and onnxscript and onnxruntime not installed",
            id="no ONNX",
        ),
        pytest.param(
            "tensorboard",
            lambda m: m.setattr(jobs, "find_spec", no_spec),
            "warn",
            "tensorboard not installed",
            id="no TensorBoard",
        ),
    ],
)
def test_a_planted_fault_is_found_by_its_job(
    monkeypatch: pytest.MonkeyPatch, job: str, fault: Fault, state: str, words: str
) -> None:
    fault(monkeypatch)
    (seen,) = jobs.JOBS[job]()
    assert seen.state == state and words in seen.seen
    assert ("pip install 'wsol[" in seen.remedy) == (state == "warn")


def test_a_missing_extra_is_reported_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "find_spec", lambda name: None if name == "onnxscript" else 1)
    assert jobs.onnx() == [Finding("warn", "onnxscript not installed", "`pip install 'wsol[export]'` if you need it")]


@pytest.mark.parametrize(
    ("loss", "state"),
    [
        pytest.param({"fp32": (2.3, 0.1)}, "ok", id="the same"),
        pytest.param({"fp32": (2.31, 0.1), "bf16": (2.1, 0.1)}, "ok", id="rounded otherwise"),
        pytest.param({"fp32": (2.4, 0.1)}, "fail", id="another"),
        pytest.param({"fp32": (2.3, 0.1), "bf16": (9.0, 0.1)}, "fail", id="another in bf16"),
        pytest.param({"fp32": (math.nan, 0.1)}, "fail", id="no number"),
        pytest.param({"fp32": (math.inf, 0.1)}, "fail", id="infinite"),
        pytest.param(RuntimeError("no kernel image\nmore"), "fail", id="a GPU that this torch was not built for"),
    ],
)
def test_a_gpu_has_to_compute_what_the_cpu_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], loss: jobs.Losses | Exception, state: str
) -> None:
    def step(device: str) -> jobs.Losses:
        if device == "cpu":
            return {"fp32": (2.3, 0.1)}
        if isinstance(loss, Exception):
            raise loss
        return loss

    monkeypatch.setattr(jobs, "training_step", step)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    seen = [one for one in jobs.steps() if not one.seen.startswith("mps")]
    assert states(seen) == ["ok", state, state]
    assert [one.seen.split(": ")[0] for one in seen] == ["cpu", "cuda:0", "cuda:1"]
    assert capsys.readouterr().err.startswith("trying cuda:0\ntrying cuda:1\n")
    assert all("no kernel image" in one.seen and "more" not in one.seen for one in seen[1:]) == isinstance(
        loss, Exception
    )


def test_a_driver_without_a_gpu_in_torch_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(jobs, "training_step", lambda device: {"fp32": (2.3, 0.1)})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(jobs, "NVIDIA", tmp_path / "absent")
    assert states(jobs.steps()) == ["ok"]
    monkeypatch.setattr(jobs, "NVIDIA", tmp_path)
    assert states(jobs.steps()) == ["ok", "warn"]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(
            lambda m: m.setattr(torch.optim.SGD, "step", lambda optimizer: None), id="an optimizer that does nothing"
        ),
        pytest.param(
            lambda m: m.setattr("wsol.methods.spol.losses.joint", lambda fused, deep, labels: fused.sum() * math.nan),
            id="a loss that is no number",
        ),
    ],
)
def test_a_step_that_changes_no_weights_fails(monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    fault(monkeypatch)
    assert jobs.steps()[0].state == "fail"


def test_bf16_is_tried_where_the_hardware_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsol.runtime.torch_engine.has_bf16", lambda device: True)
    assert jobs.training_step("cpu").keys() == {"fp32", "bf16"}
    monkeypatch.setattr("wsol.runtime.torch_engine.has_bf16", lambda device: False)
    assert jobs.training_step("cpu").keys() == {"fp32"}


# Odd files.


def test_every_odd_file_is_decoded_correctly() -> None:
    seen = decoding()
    assert states(seen) in (["ok"], ["ok", "warn"]), seen
    assert seen[0].seen.startswith("8 unusual kinds")


def clipped(path: Path) -> np.ndarray:
    """How Pillow itself converts 16-bit grey."""
    with Image.open(path) as image:
        return np.full((64, 96, 3), 255, np.uint8) if image.mode.startswith("I") else odd_files_read(path)


odd_files_read = odd_files.read_image


def raw(path: Path) -> np.ndarray:
    """Without EXIF."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def refuse_to_read(path: Path) -> np.ndarray:
    raise BrokenImage(f"cannot decode {path}: no decoder knows its contents")


def fail_to_read(path: Path) -> np.ndarray:
    raise OSError(errno.EIO, "decoder jpeg not available")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        pytest.param(
            lambda m: m.setattr(odd_files, "read_image", lambda path: np.rot90(odd_files_read(path))),
            "CMYK JPEG: 96 x 64 pixels, reported as 64 x 96, expected 64 x 96",
            id="all sideways",
        ),
        pytest.param(
            lambda m: m.setattr(odd_files, "read_image", raw), "JPEG turned by EXIF: 96 x 64 pixels", id="EXIF ignored"
        ),
        pytest.param(
            lambda m: m.setattr(odd_files, "image_hw", lambda path: (96, 64)),
            "reported as 96 x 64",
            id="a size of the other side",
        ),
        pytest.param(
            lambda m: m.setattr(odd_files, "read_image", lambda path: np.rot90(odd_files_read(path), 2)),
            "grey JPEG: colours are off by",
            id="upside down",
        ),
        pytest.param(
            lambda m: m.setattr(odd_files, "read_image", lambda path: odd_files_read(path)[:, ::-1]),
            "WebP: colours are off by",
            id="mirrored",
        ),
        pytest.param(
            lambda m: m.setattr(odd_files, "read_image", lambda path: odd_files_read(path)[:, :, ::-1]),
            "palette and transparency: colours are off by",
            id="BGR",
        ),
        pytest.param(
            lambda m: m.setattr(odd_files, "read_image", clipped),
            "16-bit PNG: colours are off by",
            id="16 bits clipped",
        ),
        pytest.param(
            lambda m: m.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True),
            "truncated JPEG: decoded, expected a refusal",
            id="half an image taken for a whole one",
        ),
        pytest.param(
            lambda m: m.setattr(odd_files, "read_image", fail_to_read),
            "WebP: OSError: [Errno 5] decoder jpeg not available",
            id="a decoder that is not there",
        ),
        pytest.param(
            lambda m: m.setattr(odd_files, "read_image", refuse_to_read),
            "WebP: cannot decode",
            id="a whole image refused",
        ),
        pytest.param(
            lambda m: m.setattr(odd_files, "is_image", lambda path: path.suffix != ".webp"),
            "WebP: files named .webp are not read as images",
            id="a kind that is passed over",
        ),
    ],
)
def test_a_decoder_with_a_fault_is_found(monkeypatch: pytest.MonkeyPatch, fault: Fault, words: str) -> None:
    fault(monkeypatch)
    seen = decoding()[0]
    assert seen.state == "fail" and words in seen.seen


def test_a_pillow_without_avif_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "registered_extensions", dict)
    assert decoding()[1:] == [Finding("warn", "AVIF: this Pillow cannot read it", "`pip install --upgrade pillow`")]


def test_every_rotation_and_reflection_changes_the_image() -> None:
    pixels = quadrants().astype(int)
    others = [turned[:, ::mirror] for turned in (pixels, pixels[::-1]) for mirror in (1, -1)][1:]
    assert all(abs(pixels - other).mean() > 2 * odd_files.TOLERANCE for other in others)


# Backbone and weights.


class Asked:
    """A worker that only records the jobs."""

    def __init__(self) -> None:
        self.jobs: list[tuple[str, ...]] = []
        self.answer = Finding("ok", "fits")

    def ask(self, job: str, *words: str, limit_s: float) -> list[Finding]:
        self.jobs.append((job, *words))
        return [self.answer]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asked:
    """A worker without a cache; the hub does not respond."""
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # refused at once
    # The type of the worker is checked while tests run.
    monkeypatch.setattr(Worker, "run_job", lambda self, *words, limit_s: stand_in.ask(*words, limit_s=limit_s))
    stand_in = Asked()
    return stand_in


def checked_weights(name: str, weights: Path | None = None, *, is_offline: bool = False) -> list[Finding]:
    return backbone_and_weights(Worker(), name, weights, is_offline=is_offline)


def test_a_bundled_backbone_needs_no_hub_and_other_backbones_give_a_warning(asked: Asked) -> None:
    seen = checked_weights(BUNDLED)
    assert asked.jobs == [("backbone", BUNDLED, "bundled", "")]
    assert states(seen) == ["ok", "warn"]
    assert seen[1].seen == "timm's hub does not respond" and "--weights FILE" in seen[1].remedy
    assert "HF_HUB_OFFLINE" not in os.environ


def test_a_hub_that_responds_is_reported(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_module, "_hub_answers", lambda: "HF_HUB_OFFLINE" not in os.environ)
    assert checked_weights(BUNDLED) == [Finding("ok", "fits"), Finding("ok", "timm's hub responds")]
    assert checked_weights("resnet50") == [Finding("ok", "fits")]
    assert asked.jobs[-1] == ("backbone", "resnet50", "reachable", "")


def test_offline_contacts_no_hub(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> bool:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    assert checked_weights(BUNDLED, is_offline=True) == [Finding("ok", "fits")]
    with pytest.raises(WsolError, match="no pretrained weights for resnet50"):
        checked_weights("resnet50", is_offline=True)
    assert "HF_HUB_OFFLINE" not in os.environ


def test_weights_in_the_hubs_cache_are_loaded_from_there(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "hf/hub/models--timm--resnet50.a1_in1k").mkdir(parents=True)
    assert checked_weights("resnet50") == [Finding("ok", "fits")]
    assert asked.jobs == [("backbone", "resnet50", "cached", "")]


@pytest.mark.parametrize("is_offline", [False, True])
def test_missing_weights_are_refused(asked: Asked, tmp_path: Path, is_offline: bool) -> None:
    with pytest.raises(WsolError, match="no pretrained weights for resnet50"):
        checked_weights("resnet50", is_offline=is_offline)
    with pytest.raises(WsolError, match="no weights in .*absent.pth: expected a safetensors file"):
        checked_weights("resnet50", tmp_path / "absent.pth", is_offline=is_offline)
    assert asked.jobs == [("backbone", "resnet50", "reachable", "")] * 2


def test_an_unknown_backbone_is_reported_before_its_missing_weights(asked: Asked) -> None:
    asked.answer = Finding("fail", "timm has no model 'resnet5O'")
    assert checked_weights("resnet5O", is_offline=True) == [asked.answer]


def test_a_file_of_weights_goes_to_the_worker_by_name(asked: Asked, tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    file.write_bytes(b"")
    assert checked_weights("resnet50", file, is_offline=True) == [Finding("ok", "fits")]
    assert asked.jobs == [("backbone", "resnet50", f"file {file}", str(file))]


def test_a_file_without_weights_and_an_unknown_model_are_reported(tmp_path: Path) -> None:
    file = tmp_path / "w.pth"
    file.write_bytes(b"no weights")
    with pytest.raises(WsolError, match="cannot read weights from"):
        jobs.backbone("test_resnet", f"file {file}", str(file))
    torch.save({"a": torch.zeros(1)}, file)
    with pytest.raises(WsolError, match="does not fit test_resnet"):
        jobs.backbone("test_resnet", f"file {file}", str(file))
    with pytest.raises(WsolError, match="timm has no model 'test_resnett'"):
        jobs.backbone("test_resnett", "reachable", "")
    assert states(jobs.backbone("test_resnet", "reachable", "")) == ["ok"]


# OpenCV's wheels, disk, shared memory.


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param([], None, id="none"),
        pytest.param(["numpy", "opencv-python-headless"], None, id="one"),
        pytest.param(
            ["opencv_python", "OpenCV.Python.Headless"],
            "opencv-python and opencv-python-headless",
            id="two, in other spellings",
        ),
        pytest.param(
            ["opencv-contrib-python", "opencv-python", "opencv-python"],
            "opencv-contrib-python and opencv-python",
            id="one of them twice",
        ),
        pytest.param(
            ["opencv-python-headless", "opencv-python-headless"], None, id="one, found in two directories of the path"
        ),
    ],
)
def test_two_wheels_of_opencv_are_reported(
    monkeypatch: pytest.MonkeyPatch, names: list[str], expected: str | None
) -> None:
    monkeypatch.setattr(checks, "distributions", lambda: [SimpleNamespace(metadata={"Name": name}) for name in names])
    seen = opencv_wheels()
    assert [one.seen for one in seen] == ([] if expected is None else [f"{expected} in one folder"])
    for one in seen:
        assert one.state == "warn"
        assert one.remedy == f"`pip uninstall -y {expected.replace(' and', '')} && pip install opencv-python-headless`"


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("free", "state"),
    [
        pytest.param(0, "fail", id="full"),
        pytest.param(499_000_000, "fail", id="next to nothing"),
        pytest.param(501_000_000, "warn", id="little"),
        pytest.param(4_999_000_000, "warn", id="not enough for a large set"),
        pytest.param(5_000_000_000, "ok", id="enough"),
    ],
)
def test_little_free_space_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, state: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, free))
    (seen,) = disk.free_space(tmp_path / "not yet/there")
    assert seen.state == state and str(tmp_path) in seen.seen and "there;" not in seen.seen


@pytest.mark.parametrize(("free", "state"), [(0, "warn"), (255_000_000, "warn"), (256_000_000, "ok")])
def test_little_shared_memory_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, state: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, free))
    monkeypatch.setattr(disk, "SHARED", tmp_path)
    assert states(disk.shared_memory()) == [state]
    monkeypatch.setattr(disk, "SHARED", tmp_path / "another system")
    assert disk.shared_memory() == []


def test_a_writable_folder_is_left_unchanged(tmp_path: Path) -> None:
    assert states(disk.writing(tmp_path / "runs/a")) == ["ok"]
    assert list(tmp_path.iterdir()) == []


def test_a_file_instead_of_a_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    (seen,) = disk.writing(tmp_path / "runs/a")
    assert seen == Finding("fail", f"{tmp_path / 'runs'} is a file: expected a folder")


def writing_line(folder: Path) -> Line:
    check = next(one for one in all_checks(Worker(), folder, BUNDLED, None, is_offline=True) if one.name == "writing")
    (line,) = examine([check], Progress(quiet=True))
    return line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_reported(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        line = writing_line(tmp_path)
    finally:
        tmp_path.chmod(0o755)
    assert line.state == "fail" and "Permission denied" in line.seen


@pytest.mark.parametrize("what", ["wsol.doctor.disk.write_text", "wsol.doctor.disk.claimed_memmap", "tempfile.mkdtemp"])
def test_a_disk_that_refuses_is_reported_and_left_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def refuse(*_: object, **__: object) -> object:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(what, refuse)
    line = writing_line(tmp_path)
    assert (line.state, line.seen) == ("fail", "OSError: [Errno 30] Read-only file system")
    assert "--run" in line.mend
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_returns_other_bytes_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        disk,
        "claimed_memmap",
        lambda path, dtype, count: (
            np.lib.format.open_memmap(path.with_name("pixels.npy"), mode="w+", dtype=dtype, shape=(count,))
            .copy()
            .view(np.memmap)
        ),
    )
    assert states(disk.writing(tmp_path)) == ["fail"]


# The list of checks, and what is made of it.


def raise_(error: BaseException) -> list[Finding]:
    raise error


def test_a_check_that_raises_is_a_line_and_the_others_run(capsys: pytest.CaptureFixture[str]) -> None:
    asked = [
        Check("none", "never", lambda: []),
        Check(
            "two",
            "advice",
            lambda: [Finding("ok", "a", "never"), Finding("warn", "b"), Finding("fail", "c", "its own")],
        ),
        Check("broken", "advice", lambda: raise_(OSError("one\ntwo"))),
        Check("silent", "advice", lambda: raise_(ValueError())),
        Check("refused", "advice", lambda: raise_(WsolError("no weights in a: expected b. Do c."))),
    ]
    lines = list(examine(asked, Progress()))
    assert [(line.check, line.state, line.seen, line.mend) for line in lines] == [
        ("two", "ok", "a", ""),
        ("two", "warn", "b", "advice"),
        ("two", "fail", "c", "its own"),
        ("broken", "fail", "OSError: one", "advice"),
        ("silent", "fail", "ValueError", "advice"),
        ("refused", "fail", "no weights in a: expected b. Do c.", "advice"),
    ]
    assert capsys.readouterr().err.splitlines() == [f"{check.name} ..." for check in asked]
    assert list(examine([], Progress())) == []


def test_ctrl_c_is_no_finding() -> None:
    with pytest.raises(KeyboardInterrupt):
        list(examine([Check("a", "b", lambda: raise_(KeyboardInterrupt()))], Progress(quiet=True)))


def test_the_seconds_are_those_of_the_check() -> None:
    (line,) = examine([Check("a", "b", lambda: [time.sleep(0.1), Finding("ok", "c")][1:])], Progress(quiet=True))
    assert 0.1 <= line.seconds < 5


def test_every_check_has_a_unique_name_and_a_remedy() -> None:
    asked = all_checks(Worker(), Path(), BUNDLED, None, is_offline=True)
    assert len({one.name for one in asked}) == len(asked) == 12
    assert all(one.remedy for one in asked)


def test_the_table_shows_what_is_there_and_nothing_that_looks_like_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_doctor(
        [
            Line("disk", "ok", "12 GB free in [red]runs[/red]\x1b[2J", "", 0.1),
            Line("two\nlines", "fail", "x" * 1000, "`pip --fix`", 0.1),
        ]
    )
    shown = capsys.readouterr().out
    assert "[red]runs[/red]" in shown and "\x1b" not in shown and "`pip --fix`" in shown and "…" in shown
    assert shown.splitlines()[-1] == "1 ok, 0 warn, 1 fail"
    print_doctor([])
    assert capsys.readouterr().out.splitlines()[-1] == "0 ok, 0 warn, 0 fail"


def test_an_error_is_shortened_to_one_line() -> None:
    assert first_line(KeyError("a")) == "KeyError: 'a'"
    assert first_line(RuntimeError("\n a \nb")) == "RuntimeError: a"
    assert first_line(ValueError()) == "ValueError"
    assert first_line(WsolError("ours: expected a.")) == "ours: expected a."


# Stories through the command line.


def code_of(*words: object) -> int:
    try:
        main(["doctor", *map(str, words)])
    except SystemExit as exit_:
        return int(exit_.code or 0)
    return 0


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("warn", 0), ("fail", 1)])
def test_only_what_fails_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], state: str, code: int
) -> None:
    monkeypatch.setattr(
        checks, "all_checks", lambda *_, **__: [Check("disk", "mend", lambda: [Finding(state, "seen")])]
    )
    assert code_of("--json", tmp_path / "deep/d.json") == code
    (line,) = json.loads((tmp_path / "deep/d.json").read_text())
    assert line == {
        "check": "disk",
        "state": state,
        "seen": "seen",
        "mend": "" if state == "ok" else "mend",
        "seconds": line["seconds"],
    }
    assert f"1 {state}" in capsys.readouterr().out


def test_the_options_of_the_command_reach_the_checks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[object] = []

    def note(worker: Worker, *words: object, is_offline: bool) -> list[Check]:
        asked.extend([*words, is_offline])
        return []

    monkeypatch.setattr(checks, "all_checks", note)
    assert code_of("--run", tmp_path, "--backbone", "resnet50", "--weights", "a.pth", "--offline") == 0
    assert code_of() == 0
    assert asked == [tmp_path, "resnet50", Path("a.pth"), True, Path(), BUNDLED, None, False]


def test_a_folder_for_the_json_is_refused_before_anything_is_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of("--json", tmp_path) == 2
    assert (
        capsys.readouterr().err
        == f"error: --json {tmp_path} is a folder: expected a file name. Name a file in that folder.\n"
    )


def test_help_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    code_of("--help")
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for words in ("Test this machine", "exit code is 1", "--run", "Do not contact", "--offline", "--json"):
        assert words in text
    assert "--no-offline" not in text


def test_this_process_imports_no_torch() -> None:
    code = "import sys, wsol.doctor.checks, wsol.doctor.table; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_this_machine_passes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "wsol", "doctor", "--run", tmp_path / "runs/a", "--json", tmp_path / "d.json"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    lines = json.loads((tmp_path / "d.json").read_text())
    assert [line for line in lines if line["state"] == "fail"] == []
    assert done.returncode == 0, done.stderr
    names = list(dict.fromkeys(line["check"] for line in lines))
    assert done.stderr.splitlines() == [f"{name} ..." for name in names]
    assert all(name in done.stdout for name in names) and len(names) == 12
    assert all(bool(line["mend"]) == (line["state"] != "ok") and line["seconds"] >= 0 for line in lines)
    assert "bundled" in done.stdout and "gloo" in done.stdout and "two threads" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["d.json"]


@pytest.mark.parametrize(("load", "is_told"), [(0.2, False), (4.0, False), (4.1, True), (12.0, True)])
def test_a_late_response_on_a_busy_machine_is_explained(
    monkeypatch: pytest.MonkeyPatch, load: float, is_told: bool
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with Worker() as worker:
        (seen,) = worker.run_job("pair", limit_s=0.05)
    assert ("the machine is busy" in seen.seen) == is_told
