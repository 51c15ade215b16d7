"""How long work tells that it goes on: one callback, drawn by whoever called."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "silent"]


class Progress(Protocol):
    """Called as ``progress("embed documents", 128, 334)``; total is None where it is not known."""

    def __call__(self, stage: str, done: int, total: int | None = None, note: str = "") -> None:
        """Report that `done` of `total` units of `stage` are finished."""


def silent(stage: str, done: int, total: int | None = None, note: str = "") -> None:
    """Report nothing: the default of every function that takes a progress callback."""
