"""What an adapter is for: an embedding unlike those it learned from gets the frozen encoder's behaviour back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from embertune.adapters.solvers.rows import draw
from embertune.core.random import generator
from embertune.core.vectors import Vectors, as_vectors, normalize
from embertune.errors import DataError

__all__ = ["Gate"]

# Each embedding is looked up among the kept ones, so these bound its cost.
_MOST_KEPT = 2048
# A query of 1536 dimensions is weighed in 220 µs among 2048 others in all of space, in 40 within so many directions,
# and foreign queries keep as much (docs/experiments.md, 2026-11-21).
_MOST_DIRECTIONS = 64
# Directions beside the wanted ones, and turns of the power iteration: Halko, Martinsson and Tropp (2011), 4.4 and 4.5.
_SPARE, _TURNS = 16, 1
_BLOCK = 1024

# A ramp that is steeper would tell apart what rounding makes of one cosine.
_NARROWEST = 1e-3


@dataclass(frozen=True)
class Gate:
    """A weight per embedding, from 0 (nothing like those that were learned from) to 1 (like them).

    The weight is a linear ramp on the mean cosine to the nearest of those that were learned from. Embeddings of more
    than 64 dimensions are compared within as many principal directions of these: what a strange one has outside makes
    it no more alike, and the search is several times as quick.

    There is one for queries, fitted on training queries, and, for adapters that map documents, one for documents,
    fitted on the corpus. An adapter has them by `Adapter.gated`.

    Attributes:
        examples: (k, r) training queries, or documents of the corpus, from rows of length 1.
        low: At this mean cosine and below the weight is 0.
        high: At this and above it is 1.
        neighbours: How many nearest examples are averaged.
        directions: (d, r) orthonormal columns within which they are compared; None: all of space, r = d.

    Example:
        >>> queries = np.array([[1, 0, 0], [1, 0.1, 0], [1, 0, 0.1], [0.9, 0.1, 0.1]], dtype=np.float32)
        >>> Gate.fit(queries).weights([[1, 0, 0], [0, 0, 1]]).tolist()
        [1.0, 0.0]
    """

    examples: Vectors
    low: float
    high: float
    neighbours: int = 3
    directions: Vectors | None = None

    @classmethod
    def fit(
        cls, examples: Any, *, neighbours: int = 3, closed: float = 0.01, opened: float = 0.1, seed: int = 0
    ) -> Gate:
        """Learn where the training queries lie, or the documents of the corpus.

        Args:
            examples: (n, d), at least two.
            neighbours: How many nearest are averaged, at most n - 1.
            closed: The share of the examples which, had they been left out, would be given weight 0.
            opened: The share which would be given less than 1. Where both are the same the ramp ends at that cosine,
                and begins below, by a quarter of the way from there to the median.
            seed: For the draw of those that are kept, where there are more than 2048, and of a start for the
                principal directions.

        Raises:
            DataError: Fewer than two examples, or shares that do not rise.
        """
        vectors = as_vectors(examples, "examples")
        random = generator(seed, "gate")
        rows = _different(normalize(vectors[draw(len(vectors), _MOST_KEPT, random)]))
        if neighbours < 1:
            raise DataError(f"neighbours must be at least 1, got {neighbours}")
        if len(rows) < 2 or not 0 <= closed <= opened <= 1:
            raise DataError(
                f"A gate was asked for from {len(rows)} different embeddings with shares {closed} and {opened}. "
                "Expected two or more, and 0 <= closed <= opened <= 1."
            )
        count = min(neighbours, len(rows) - 1)
        directions = _principal(rows, random) if rows.shape[1] > _MOST_DIRECTIONS else None
        kept = rows if directions is None else rows @ directions
        near = _near(kept, kept, count, itself=True)
        low, high, middle = (float(value) for value in np.quantile(near, [closed, opened, 0.5]))
        if closed == opened:
            low = high - abs(middle - high) / 4
        return cls(kept, min(low, high - _NARROWEST), high, count, directions)

    @property
    def dimension(self) -> int:
        """Dimension of the embeddings that it weighs."""
        return int((self.examples.T if self.directions is None else self.directions).shape[0])

    def weights(self, vectors: Any) -> npt.NDArray[np.float32]:
        """Weigh embeddings (n, d) -> (n,)."""
        return self.weights_of_unit(normalize(as_vectors(vectors)))

    def weights_of_unit(self, rows: Vectors) -> npt.NDArray[np.float32]:
        """Weigh embeddings (n, d) that are known to have length 1, unchecked -> (n,)."""
        near = _near(rows if self.directions is None else rows @ self.directions, self.examples, self.neighbours)
        low, width = np.float32(self.low), np.float32(max(self.high - self.low, 1e-6))
        if len(near) == 1:  # a query on its own, see `_sum_of_highest`
            near[0] = min(max((near[0] - low) / width, 0), 1)
            return near
        near -= low
        near /= width
        np.maximum(near, 0, out=near)
        return np.minimum(near, 1, out=near)


def _near(rows: Vectors, examples: Vectors, count: int, *, itself: bool = False) -> npt.NDArray[np.float32]:
    """Give the mean product with the nearest examples (n,).

    Args:
        rows: (n, r).
        examples: (k, r).
        count: How many nearest.
        itself: Whether the rows are the examples, so that each is to be left out for itself.
    """
    near = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), _BLOCK):
        # A ramp is a thousandth wide or more, so float32 is enough; a ranking needs float64, see `top_k`.
        products = rows[start : start + _BLOCK] @ examples.T
        if itself:
            every = np.arange(len(products))
            products[every, start + every] = -np.inf
        near[start : start + _BLOCK] = _sum_of_highest(products, count)
    near /= count
    return near


def _sum_of_highest(products: Vectors, count: int) -> npt.NDArray[np.float32] | np.float32:
    """Sum the few highest of every row (n, k) -> (n,), and overwrite them; argmax is ten times as fast as partition."""
    total = np.float32(0)
    if len(products) == 1:  # a query on its own, whose microseconds a user waits for
        row = products[0]
        for _ in range(count):
            nearest = row.argmax()
            total += row[nearest]
            row[nearest] = -np.inf
        return total
    every = np.arange(len(products))
    for _ in range(count):
        nearest = products.argmax(axis=1)
        total = total + products[every, nearest]
        products[every, nearest] = -np.inf
    return total


def _different(rows: Vectors) -> Vectors:
    """Give each row once: one that is there twice would find itself when it is left out."""
    # np.unique, which sorts them, takes ten times as long.
    first = {row.tobytes(): at for at, row in enumerate(rows)}
    return rows if len(first) == len(rows) else rows[np.sort(list(first.values()))]


def _principal(rows: Vectors, random: np.random.Generator) -> Vectors:
    """Give the principal directions of rows (n, d), about the origin, as orthonormal columns (d, 64).

    By power iteration on a random start, in a tenth of the time of a decomposition at 1536 dimensions.
    Source: Halko, Martinsson and Tropp (2011), Finding Structure with Randomness, algorithms 4.4 and 5.1.
    """
    width = min(rows.shape[1], _MOST_DIRECTIONS + _SPARE)
    basis = random.standard_normal((rows.shape[1], width), dtype=np.float32)
    for _ in range(1 + _TURNS):
        basis, _ = np.linalg.qr(rows.T @ (rows @ basis))
    _, _, turned = np.linalg.svd(rows @ basis, full_matrices=False)
    return np.ascontiguousarray(basis @ turned[:_MOST_DIRECTIONS].T, dtype=np.float32)
