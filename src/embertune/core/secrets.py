"""Keys never leave: every text that may quote a request passes through here before anyone sees it."""

from __future__ import annotations

import os
import re

__all__ = ["scrub"]

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_SECRET_SHAPE = re.compile(
    r"\b(?:sk|pa|hf|jina|nvapi|gsk|AIza|AKIA)[-_]?[A-Za-z0-9_*-]{8,}"  # the prefixes of the common providers
    r"|(?<=Bearer )\S+"
    r"|(?<=key=)[^&\s'\"]+"
    r"|(?<=://)[^/@\s]+(?=@)"
)
_SHORTEST = 8  # a shorter value is no key, and hiding it would garble ordinary words


def scrub(text: str) -> str:
    """Replace whatever is or looks like a key by three stars.

    Args:
        text: An error message, perhaps with a server's answer in it.

    Example:
        >>> scrub("Incorrect API key provided: sk-proj-0123456789abcdef. Authorization: Bearer abc")
        'Incorrect API key provided: ***. Authorization: Bearer ***'
    """
    values = {value for name, value in os.environ.items() if _SECRET_NAME.search(name) and len(value) >= _SHORTEST}
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, "***")
    return _SECRET_SHAPE.sub("***", text)
