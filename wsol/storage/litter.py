"""Files and folders that operating systems and tools leave among images: neither classes nor images."""

from __future__ import annotations

NAMES = frozenset(
    {
        "__macosx",
        "icon\r",
        "network trash folder",
        "temporary items",  # macOS
        "$recycle.bin",
        "system volume information",
        "desktop.ini",
        "thumbs.db",
        "ehthumbs.db",  # Windows
        "lost+found",
        "lost.dir",  # Linux, Android
        "@eadir",
        "@tmp",
        "#recycle",
        "#snapshot",
        "@recycle",
        "@recently-snapshot",  # network disks
        "__pycache__",
    }
)
"""In lower case. Names that begin with a dot (`._owl.jpg`, `.DS_Store`, `.ipynb_checkpoints`) are not listed."""


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is neither an image nor a class."""
    # The bin of Windows XP is in capitals; `Recycler` may be a class of waste sorting.
    return name.startswith(".") or name == "RECYCLER" or name.lower() in NAMES
