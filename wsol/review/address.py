"""Where the page is, and the key that opens it. The key stands in no file."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Address:
    """Where a page is served."""

    port: int
    token: str

    @property
    def url(self) -> str:
        """What a person opens; the token in it is the key."""
        return f"http://127.0.0.1:{self.port}/review/{self.token}"


def port_note(port: int) -> str:
    """What a server notes in the lock of its folder (`wsol.storage.locks.Hold`)."""
    return f"port {port}"


def noted_port(note: str) -> int | None:
    """The port in the note of a server that was killed, if it has one."""
    found = re.search(r"port ([1-9]\d{0,4})$", note)
    return int(found[1]) if found and int(found[1]) < 2**16 else None
