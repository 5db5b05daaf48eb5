"""Inside a folder that we write, links are not followed: the person who gave us the folder may have put them there.

A user's own `--out`, run or data set may be a link; this is about what lies below it.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from wsol.errors import WsolError

_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""A FIFO must not block the open; Windows has neither of the first two."""


def is_link(path: Path) -> bool:
    """Whether the path itself is a symbolic link, or a junction of Windows."""
    is_junction = getattr(os.path, "isjunction", None)  # Python 3.12
    return path.is_symlink() or (is_junction is not None and bool(is_junction(path)))


def refuse_link(path: Path) -> None:
    """Nothing, unless the path itself is a link.

    Raises:
        WsolError: it is one.
    """
    if is_link(path):
        raise WsolError(
            f"{path} is a link to {os.readlink(path)}",
            expected="a file or folder of wsol's own",
            got="one that leads elsewhere",
            remedy="Nothing was written there; remove the link, or name another folder.",
        )


def open_own(path: Path, flags: int) -> int:
    """As `os.open` with the mode of an ordinary new file, but never through a link and never a device, FIFO or folder.

    Raises:
        WsolError: there is a link, or no regular file.
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
        f"{path} is no regular file", expected="one of wsol's own", remedy="Move it away, or name another folder."
    )


def refuse_special(path: Path) -> None:
    """Nothing, unless a named pipe, a socket or a device is at the path: reading one may wait for ever.

    Raises:
        WsolError: there is one.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise WsolError(
            f"{path} is no regular file",
            expected="one that can be read to its end",
            remedy="Remove it, or put the file there that belongs there.",
        )


def make_below(root: Path, *names: str) -> Path:
    """The folder of these names below `root`, made if absent; `root` itself may be a link.

    Raises:
        WsolError: there is a link on the way.
    """
    root.mkdir(parents=True, exist_ok=True)
    for name in names:
        root = root / name
        refuse_link(root)
        root.mkdir(exist_ok=True)
    return root


def led_to(folder: Path) -> Path:
    """Where a user's own link leads; the folder itself if it is no link."""
    return Path(os.path.realpath(folder)) if is_link(folder) else folder
