"""Where a job stands, from what it told: the stage, the share that is done, the seconds left, and the curve on dev."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from embertune.ui.jobs import Event

__all__ = ["Point", "Standing", "curve", "standing"]


class Standing(NamedTuple):
    """Where a job stands.

    Example:
        >>> standing([Event(0.0, "embed", 0, 8, "", {}), Event(2.0, "embed", 2, 8, "", {})], 2.0)
        Standing(stage='embed', share=0.25, seconds_left=6.0, note='')
    """

    stage: str
    share: float | None
    """Of the stage, or of all parts of the work where it is in parts; None where it is not known."""
    seconds_left: float | None
    note: str


class Point(NamedTuple):
    """A point of a curve."""

    step: int
    score: float
    line: str
    part: int
    """Of the work, where it is in parts, such as one for each seed; else 1."""


def standing(events: Sequence[Event], now: float) -> Standing:
    """Say where a job stands.

    Args:
        events: What it told, oldest first.
        now: Seconds since 1970.
    """
    if not events:
        return Standing("start", None, None, "")
    last = events[-1]
    share = _share(last)
    if share is None:
        return Standing(last.stage, None, None, last.note)
    first = next(event for event in events if _same(event, last))
    begun = _share(first) or 0.0
    passed = last.time - first.time
    left = None
    if share - begun > 0.02 and passed > 0.5:
        # The clock goes on between two steps; what was to take ten seconds and took nine has one left.
        left = max(0.0, passed / (share - begun) * (1 - share) - (now - last.time))
    return Standing(last.stage, share, left, last.note)


def curve(events: Sequence[Event]) -> list[Point]:
    """Give what dev said along the way, by line: without adapter and the best by then, or after every epoch.

    Example:
        >>> told = {"frozen": 0.25, "best": 0.5, "part": 1, "parts": 1}
        >>> curve([Event(0.0, "choose on dev", 1, 4, "", told)])[1]
        Point(step=1, score=0.5, line='best so far', part=1)
    """
    points: list[Point] = []
    step = 0
    for event in events:
        numbers, part = event.numbers, int(event.numbers.get("part", 1))
        if "best" in numbers:
            step += 1
            points.append(Point(step, numbers["frozen"], "without adapter", part))
            points.append(Point(step, numbers["best"], "best so far", part))
        elif "held-out" in numbers:
            step += 1
            points.append(Point(step, numbers["held-out"], "after each epoch, on held-out queries", part))
    return points


def _share(event: Event) -> float | None:
    parts = event.numbers.get("parts")
    inner = event.done / event.total if event.total else None
    if parts is None:
        return inner
    return (event.numbers["part"] - 1 + (inner or 0.0)) / parts


def _same(event: Event, last: Event) -> Any:
    """Tell whether two steps belong to one count: of a stage, or of all the parts."""
    if "parts" in last.numbers:
        return event.numbers.get("parts") == last.numbers["parts"]
    return event.stage == last.stage and "parts" not in event.numbers
