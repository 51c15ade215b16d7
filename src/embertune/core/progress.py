"""How long work tells that it goes on: one callback, drawn by whoever called."""

from __future__ import annotations

import threading
from typing import Protocol

__all__ = ["Progress", "one_at_a_time", "silent"]


class Progress(Protocol):
    """Called as ``progress("embed documents", 128, 334)``; total is None where it is not known."""

    def __call__(self, stage: str, done: int, total: int | None = None, note: str = "") -> None:
        """Report that `done` of `total` units of `stage` are finished."""


def silent(stage: str, done: int, total: int | None = None, note: str = "") -> None:
    """Report nothing: the default of every function that takes a progress callback."""


def one_at_a_time(progress: Progress) -> Progress:
    """Give a callback that several threads may call.

    Example:
        >>> told = []
        >>> one_at_a_time(lambda *step: told.append(step))("embed", 1, 2)
        >>> told
        [('embed', 1, 2, '')]
    """
    lock = threading.Lock()

    def told(stage: str, done: int, total: int | None = None, note: str = "") -> None:
        with lock:
            progress(stage, done, total, note)

    return told
