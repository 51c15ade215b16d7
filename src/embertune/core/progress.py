"""How long work tells that it goes on: one callback, drawn by whoever called."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Protocol

__all__ = ["Note", "Parts", "Progress", "one_at_a_time", "silent"]


class Progress(Protocol):
    """Called as ``progress("embed documents", 128, 334)``; total is None where it is not known."""

    def __call__(self, stage: str, done: int, total: int | None = None, note: str = "") -> None:
        """Report that `done` of `total` units of `stage` are finished."""


class Note(str):
    """What is said beside a step, with the numbers in it for those who draw them.

    Args:
        text: For people.
        numbers: What was measured by then, by name.

    Example:
        >>> note = Note("ndcg@10 0.512", {"best": 0.512})
        >>> print(note, note.numbers["best"])
        ndcg@10 0.512 0.512
    """

    numbers: Mapping[str, float]

    def __new__(cls, text: str, numbers: Mapping[str, float] | None = None) -> Note:
        """Make the text, and attach the numbers."""
        note = super().__new__(cls, text)
        note.numbers = dict(numbers or {})
        return note


class Parts:
    """Work in parts that all tell of the same stages: says with each step which part it belongs to.

    Args:
        progress: Who is told.
        total: How many parts there will be.

    Example:
        >>> told = []
        >>> parts = Parts(lambda *step: told.append(step), 2)
        >>> parts.next()("choose on dev", 1, 5)
        >>> parts.next()("choose on dev", 1, 5, "ndcg@10 0.512")
        >>> [step[3] for step in told], told[1][3].numbers
        (['part 1 of 2', 'part 2 of 2, ndcg@10 0.512'], {'part': 2, 'parts': 2})
    """

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._part = progress, total, 0

    def next(self) -> Progress:
        """Begin the next part: give the callback for its steps."""
        self._part += 1
        part, parts, progress = self._part, self._total, self._progress

        def told(stage: str, done: int, total: int | None = None, note: str = "") -> None:
            said = f"part {part} of {parts}" + (f", {note}" if note else "")
            numbers = {**getattr(note, "numbers", {}), "part": part, "parts": parts}
            progress(stage, done, total, Note(said, numbers) if parts > 1 else note)

        return told


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
