"""Which queries an adapter is for: one unlike those it learned from gets the frozen encoder's behaviour back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from embertune.adapters.solvers.rows import draw
from embertune.core.random import generator
from embertune.core.search import top_k
from embertune.core.vectors import Vectors, as_vectors, normalize
from embertune.errors import DataError

__all__ = ["Gate"]

# Each query is looked up among the kept ones, so these bound its cost.
_MOST_KEPT = 2048
_BLOCK = 1024

# A ramp that is steeper would tell apart what rounding makes of one cosine.
_NARROWEST = 1e-3


@dataclass(frozen=True)
class Gate:
    """A weight per query, from 0 (nothing like the training queries) to 1 (like them).

    The weight is a linear ramp on the mean cosine to the nearest training queries.

    Attributes:
        queries: (k, d) training queries, rows of length 1.
        low: At this mean cosine and below the weight is 0.
        high: At this and above it is 1.
        neighbours: How many nearest training queries are averaged.

    Example:
        >>> queries = np.array([[1, 0, 0], [1, 0.1, 0], [1, 0, 0.1], [0.9, 0.1, 0.1]], dtype=np.float32)
        >>> Gate.fit(queries).weights([[1, 0, 0], [0, 0, 1]]).tolist()
        [1.0, 0.0]
    """

    queries: Vectors
    low: float
    high: float
    neighbours: int = 3

    @classmethod
    def fit(
        cls, queries: Any, *, neighbours: int = 3, closed: float = 0.01, opened: float = 0.1, seed: int = 0
    ) -> Gate:
        """Learn where the training queries lie.

        Args:
            queries: (n, d), at least two.
            neighbours: How many nearest are averaged, at most n - 1.
            closed: The share of training queries which, had they been left out, would be given weight 0.
            opened: The share which would be given less than 1.
            seed: For the draw of the queries that are kept, where there are more than 2048.

        Raises:
            DataError: Fewer than two queries, or shares that do not rise.
        """
        # A query asked twice would find itself when it is left out.
        rows = np.unique(normalize(as_vectors(queries, "queries")), axis=0)
        if neighbours < 1:
            raise DataError(f"neighbours must be at least 1, got {neighbours}")
        if len(rows) < 2 or not 0 <= closed <= opened <= 1:
            raise DataError(
                f"A gate was asked for from {len(rows)} different queries with shares {closed} and {opened}. "
                "Expected two queries or more, and 0 <= closed <= opened <= 1."
            )
        rows = rows[draw(len(rows), _MOST_KEPT, generator(seed, "gate"))]
        count = min(neighbours, len(rows) - 1)
        _, cosines = top_k(rows, rows, count + 1)
        # The nearest of all is the query itself.
        near = cosines[:, 1:].mean(axis=1)
        low, high = (float(value) for value in np.quantile(near, [closed, opened]))
        return cls(rows, min(low, high - _NARROWEST), high, count)

    def weights(self, queries: Any) -> npt.NDArray[np.float32]:
        """Weigh queries (n, d) -> (n,)."""
        rows = normalize(as_vectors(queries, "queries"))
        near = np.zeros(len(rows), dtype=np.float32)
        for start in range(0, len(rows), _BLOCK):
            # A ramp is a thousandth wide or more, so float32 is enough; a ranking needs float64, see `top_k`.
            cosines = rows[start : start + _BLOCK] @ self.queries.T
            every = np.arange(len(cosines))
            for _ in range(self.neighbours):  # few; argmax reads a row ten times faster than np.partition does
                nearest = cosines.argmax(axis=1)
                near[start : start + _BLOCK] += cosines[every, nearest]
                cosines[every, nearest] = -2
        near /= self.neighbours
        near -= np.float32(self.low)
        near /= np.float32(max(self.high - self.low, 1e-6))
        return np.clip(near, 0, 1)
