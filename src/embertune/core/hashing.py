"""Fingerprints of texts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

__all__ = ["fingerprint_texts"]


def fingerprint_texts(texts: Iterable[str]) -> str:
    """Hash a sequence of texts, their order and their borders included.

    Example:
        >>> fingerprint_texts(["ab", "c"]) == fingerprint_texts(["a", "bc"])
        False
    """
    state = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return "sha256:" + state.hexdigest()
