"""Known queries that an adapter is not for, and how it comes to leave them alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import Adapter
from embertune.core.vectors import Vectors
from embertune.training.table import standard_errors

__all__ = ["Others", "Way", "spare"]

# Half of what makes a verdict "no-gain": these queries are some, and others are judged.
_SPARED = 0.005


@dataclass(frozen=True)
class Others:
    """Queries that the adapter is not for, of which none is judged.

    Attributes:
        name: Of the data set that they are of.
        queries: (n, d).
        documents: (m, d) of their corpus that are not of the own, too; there may be none.
        change: What each gains under an adapter, over the corpora of both data sets, (n,); below 0 is a loss.
    """

    name: str
    queries: Vectors
    documents: Vectors
    change: Callable[[Adapter], npt.NDArray[np.float64]]


class Way(NamedTuple):
    """One way of finishing an adapter: what is special about it, after "there", and how it is made."""

    words: str
    make: Callable[[], Adapter]


def spare(others: Others | None, ways: Sequence[Way]) -> tuple[int, Adapter, str]:
    """Try one way after the other until known other queries lose at most .005.

    A way is taken in place of the one before if they gain by that, by more than the standard error of the difference.

    Args:
        others: These queries; None where none are known, and the first way is taken.
        ways: What own queries gain most by comes first.

    Returns:
        Which one, the adapter, and why, empty for the first way.

    Example:
        >>> from embertune.adapters.identity import IdentityAdapter
        >>> nobody = np.zeros((2, 3), np.float32)
        >>> lost = Others("tales", nobody, nobody, lambda adapter: np.array([-0.02, -0.04]))
        >>> spare(lost, [Way("nothing", IdentityAdapter), Way("nothing else", IdentityAdapter)])[0]
        0
    """
    taken, adapter = 0, ways[0].make()
    if others is None or len(ways) == 1:
        return taken, adapter, ""
    first = change = others.change(adapter)
    for at, way in enumerate(ways[1:], start=1):
        if change.mean() >= -_SPARED:
            break
        made = way.make()
        changed = others.change(made)
        if (changed - change).mean() > standard_errors((changed - change)[None])[0]:
            taken, adapter, change = at, made, changed
    if not taken:
        return taken, adapter, ""
    looked = f"{len(others.queries)} queries of {others.name} that are not judged"
    so, otherwise = f"{change.mean():+.3f}", f"{first.mean():+.3f}"
    return taken, adapter, f"There {ways[taken].words}: {looked} change by {so} so, and by {otherwise} otherwise."
