"""Links inside a folder that wsol writes are not followed: another person may have put them there.

The paths that a user names (`--out`, run, data set) may be links; this is about the files below them.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from wsol.errors import WsolError

_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Opening a FIFO must not block; Windows lacks the first two flags."""


def is_link(path: Path) -> bool:
    """Whether the path itself is a symbolic link, or a junction on Windows."""
    is_junction = getattr(os.path, "isjunction", None)  # Python 3.12
    return path.is_symlink() or (is_junction is not None and bool(is_junction(path)))


def refuse_link(path: Path) -> None:
    """Raise if the path itself is a link.

    Raises:
        WsolError: it is a link.
    """
    if is_link(path):
        raise WsolError(
            f"{path} is a link to {os.readlink(path)}",
            expected="a file or folder that wsol made",
            remedy="Nothing was written there; remove the link, or name another folder.",
        )


def open_own(path: Path, flags: int) -> int:
    """Like `os.open`, but never through a link and only regular files.

    Args:
        path: the file.
        flags: those of `os.open`; a new file gets the usual mode.

    Returns:
        The file descriptor.

    Raises:
        WsolError: a link, or not a regular file.
        OSError: absent, not permitted, the disk is full, ...
    """
    if not hasattr(os, "O_NOFOLLOW"):
        refuse_link(path)
    try:
        file = os.open(path, flags | _FLAGS, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):  # the latter on BSD
            refuse_link(path)
        if error.errno not in (errno.EISDIR, errno.ENXIO):
            raise
        raise _irregular(path) from None
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise _irregular(path)
    return file


def _irregular(path: Path) -> WsolError:
    return WsolError(
        f"{path} is no regular file", expected="a file that wsol made", remedy="Move it away, or name another folder."
    )


def refuse_special(path: Path) -> None:
    """Raise if the path is a named pipe, a socket or a device: reading it may wait forever.

    Raises:
        WsolError: it is one of them.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise WsolError(
            f"{path} is no regular file",
            expected="a file that can be read to its end",
            remedy="Replace it with the file that belongs there.",
        )


def make_below(root: Path, *names: str) -> Path:
    """Create a folder below `root`, if it does not exist.

    Args:
        root: the outer folder, which may be a link.
        names: the names of the nested folders.

    Returns:
        The folder.

    Raises:
        WsolError: one of the nested folders is a link.
    """
    root.mkdir(parents=True, exist_ok=True)
    for name in names:
        root = root / name
        refuse_link(root)
        root.mkdir(exist_ok=True)
    return root


def led_to(folder: Path) -> Path:
    """The target of a link that a user named; the folder itself if it is no link."""
    return Path(os.path.realpath(folder)) if is_link(folder) else folder
