"""Names for XML, which cannot hold every character."""

from __future__ import annotations

import re

from wsol.errors import WsolError

# XML 1.0, 2.2; a carriage return is allowed but comes back as a newline.
_IMPOSSIBLE = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(name: str) -> str:
    """The name itself, unescaped.

    Raises:
        WsolError: a control character, or bytes that are not UTF-8, in it.
    """
    if _IMPOSSIBLE.search(name):
        raise WsolError(
            f"expected names without control characters and in UTF-8, since XML can hold no others, got {name!r}. "
            "Rename it and run `wsol predict` again, or choose another --format."
        )
    return name
