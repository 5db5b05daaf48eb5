"""What operating systems, disks and tools leave in folders of images: neither a class nor an image."""

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
"""In lower case. Names that begin with a dot (`._owl.jpg`, `.DS_Store`, `.ipynb_checkpoints`) need no line here."""


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is nobody's image and nobody's class."""
    # Windows XP's bin is in capitals; a class of waste sorting may be called Recycler.
    return name.startswith(".") or name == "RECYCLER" or name.lower() in NAMES
