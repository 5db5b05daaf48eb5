"""Address of the page, with the key that opens it. The key is never written to a file."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Address:
    """Port and key of a served page."""

    port: int
    token: str

    @property
    def url(self) -> str:
        """The URL to open; the token in it is the key."""
        return f"http://127.0.0.1:{self.port}/review/{self.token}"


def port_note(port: int) -> str:
    """The note that a server leaves in the lock of its folder (`wsol.storage.locks.Hold`)."""
    return f"port {port}"


def noted_port(note: str) -> int | None:
    """The port in the note that a killed server left, or None."""
    found = re.search(r"port ([1-9]\d{0,4})$", note)
    return int(found[1]) if found and int(found[1]) < 2**16 else None
