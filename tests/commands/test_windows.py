"""`predict`, `export` and `evaluate` need nothing of Python that Windows lacks. Tried on Linux, where wsol alone sees a
Python that lacks it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from wsol.predictions.records import LINES

# A file, since spawned processes import it again. Other packages ask for the platform, which stays Linux.
LIKE_WINDOWS = """
import builtins, errno, json, multiprocessing, os, select, signal, sys

POSIX_MODULES = {"fcntl", "grp", "posix", "pwd", "resource", "syslog", "termios", "tty"}
POSIX_NAMES = {
    "os": "O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK chown fchmod fchown fork getpgid geteuid getuid killpg lockf "
    "mkfifo posix_fallocate "
          "pread pwrite sched_getaffinity sched_setaffinity setsid statvfs sync uname",
    "select": "poll epoll kqueue",
    "signal": "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGUSR1 SIGUSR2 SIGXFSZ pthread_sigmask",
}

class Lacking:
    def __init__(self, module, names):
        self.__dict__.update(module=module, names=frozenset(names.split()))

    def __getattr__(self, name):
        if name in self.names:
            raise AttributeError(f"Windows has no {self.module.__name__}.{name}")
        return getattr(self.module, name)

    def __setattr__(self, name, value):
        setattr(self.module, name, value)

def windows_import(name, globals=None, locals=None, fromlist=(), level=0):
    found = own_import(name, globals, locals, fromlist, level)
    if level or not (globals or {}).get("__name__", "").startswith("wsol"):
        return found
    if name.partition(".")[0] in POSIX_MODULES:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return Lacking(found, POSIX_NAMES[name]) if name in POSIX_NAMES else found

def windows_replace(source, target, **options):
    real = os.path.realpath(source)
    held = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    held += [line.split(maxsplit=5)[5].strip() for line in open("/proc/self/maps") if "/" in line]
    for path in held:
        if path == real or path.startswith(real + "/"):
            raise PermissionError(errno.EACCES, f"Windows does not rename what is open: {path}", source)
    own_replace(source, target, **options)

if __name__ == "__main__":
    own_import, own_replace = builtins.__import__, os.replace
    builtins.__import__ = windows_import
    os.cpu_count = lambda: 1
    os.replace = windows_replace
    multiprocessing.set_start_method("spawn")
    from wsol.cli.main import main
    for words in json.loads(sys.argv[1]):
        main(words)
"""


def windows_like(cwd: Path, *commands: list[object]) -> subprocess.CompletedProcess[str]:
    """Commands, one after the other, on a Python without what Windows does not have."""
    (cwd / "like_windows.py").write_text(LIKE_WINDOWS)
    words = json.dumps([[str(word) for word in command] for command in commands])
    return subprocess.run([sys.executable, "like_windows.py", words], cwd=cwd, capture_output=True, text=True)


def test_predict_export_and_evaluate_run_without_what_windows_lacks(
    small_run: Path, small_set: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = windows_like(
        tmp_path,
        ["predict", small_run, small_set / "test", "--out", out, "--device", "cpu"],
        *(["export", out, "--format", name, "--out", tmp_path / name] for name in ("coco", "yolo", "masks")),
        ["evaluate", "--boxes", out, "--truth", small_set, "--json", tmp_path / "boxes.json"],
        ["evaluate", small_run, small_set, "--device", "cpu", "--json", tmp_path / "run.json"],
    )
    assert done.returncode == 0, done.stderr
    assert len((out / LINES).read_text().splitlines()) == 6
    judged = [json.loads((tmp_path / name).read_text()) for name in ("boxes.json", "run.json")]
    assert all(judged)
    assert all((tmp_path / name / "README.txt").exists() for name in ("coco", "yolo", "masks"))


def test_a_command_whose_output_is_closed_ends_silently_there_too(tmp_path: Path) -> None:
    (tmp_path / "like_windows.py").write_text(LIKE_WINDOWS)
    command = f"{sys.executable} like_windows.py '[[\"--help\"]]'; echo $? >&2"
    done = subprocess.run(["bash", "-c", f"({command}) | true"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr.strip() in ("0", "141"), done.stderr
