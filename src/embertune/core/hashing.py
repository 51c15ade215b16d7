"""Fingerprints of texts, arrays and configurations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["fingerprint_array", "fingerprint_config", "fingerprint_texts"]


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


def fingerprint_array(array: npt.NDArray[Any]) -> str:
    """Hash an array: its type, its shape and its bytes."""
    state = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    state.update(np.ascontiguousarray(array).data)
    return "sha256:" + state.hexdigest()


def fingerprint_config(config: Any) -> str:
    """Hash a JSON-like value; the order of keys does not matter."""
    return "sha256:" + hashlib.sha256(json.dumps(config, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
