"""Known queries that an adapter is not for, and how it comes to leave them alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from embertune.adapters.base import Adapter
from embertune.core.vectors import Vectors

__all__ = ["Others", "Way", "spare"]

# Half of what makes a verdict "no-gain": these queries are some, and others are judged.
_SPARED = 0.005


@dataclass(frozen=True)
class Others:
    """Queries that the adapter is not for, of which none is judged.

    Attributes:
        name: Of the data set that they are of.
        queries: (n, d).
        documents: (m, d) of their corpus.
        change: What they gain under an adapter, over the corpora of both data sets; below 0 is a loss.
    """

    name: str
    queries: Vectors
    documents: Vectors
    change: Callable[[Adapter], float]


class Way(NamedTuple):
    """One way of finishing an adapter: what is special about it, after "there are", and how it is made."""

    words: str
    make: Callable[[], Adapter]


def spare(others: Others | None, ways: Sequence[Way]) -> tuple[int, Adapter, str]:
    """Take the first way by which known other queries lose at most .005, else the one by which they lose least.

    Args:
        others: These queries; None where none are known, and the first way is taken.
        ways: What own queries gain most by comes first.

    Returns:
        Which one, the adapter, and why, empty for the first way.

    Example:
        >>> from embertune.adapters.identity import IdentityAdapter
        >>> import numpy as np
        >>> nobody, adapter = np.zeros((2, 3), np.float32), IdentityAdapter()
        >>> spare(Others("tales", nobody, nobody, lambda adapter: -0.02), [Way("nothing", lambda: adapter)])[2]
        ''
    """
    first = ways[0].make()
    if others is None:
        return 0, first, ""
    tried = [(others.change(first), first)]
    for way in ways[1:]:
        if tried[-1][0] >= -_SPARED:
            break
        made = way.make()
        tried.append((others.change(made), made))
    best = max(range(len(tried)), key=lambda at: (min(tried[at][0], -_SPARED), -at))
    if best == 0:
        return 0, first, ""
    change, adapter = tried[best]
    looked = f"{len(others.queries)} queries of {others.name} that are not judged"
    reason = f"There are {ways[best].words}: {looked} change by {change:+.3f} so, and by {tried[0][0]:+.3f} otherwise."
    return best, adapter, reason
