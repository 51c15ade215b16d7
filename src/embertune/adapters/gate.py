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

    Where it is known what the adapter is not for, that counts, too: the weight is then multiplied by a second ramp, on
    how much nearer the embedding is to what was learned from than to that.

    There is one for queries, fitted on training queries, and, for adapters that map documents, one for documents,
    fitted on the corpus. An adapter has them by `Adapter.gated`.

    Attributes:
        examples: (k, r) training queries, or documents of the corpus, from rows of length 1.
        low: At this mean cosine and below the weight is 0.
        high: At this and above it is 1.
        neighbours: How many nearest examples are averaged.
        directions: (d, r) orthonormal columns within which they are compared; None: all of space, r = d.
        unlike: (l, r) queries, or documents, that the adapter is not for; None where none are known. The directions are
            then those of both together.
        lead: Ends of the second ramp, on the mean cosine to the nearest examples less that to the nearest of `unlike`;
            None where that is.

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
    unlike: Vectors | None = None
    lead: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Refuse one half of the second ramp."""
        if (self.unlike is None) != (self.lead is None):
            raise DataError("A gate was given one of unlike and lead. Expected both, or neither: Gate.fit(x, unlike=y)")

    @classmethod
    def fit(
        cls,
        examples: Any,
        *,
        unlike: Any = None,
        neighbours: int = 3,
        closed: float = 0.01,
        opened: float = 0.1,
        seed: int = 0,
    ) -> Gate:
        """Learn where the training queries lie, or the documents of the corpus.

        Args:
            examples: (n, d), at least two.
            unlike: (m, d) that the adapter is not for, such as queries of another product; None: unknown.
            neighbours: How many nearest are averaged, at most n - 1, and at most m.
            closed: The share of the examples which, had they been left out, would be given weight 0 by a ramp.
            opened: The share which a ramp would give less than 1. Where both are the same the ramp ends at that cosine,
                and begins below, by a quarter of the way from there to the median.
            seed: For the draw of those that are kept, where there are more than 2048, and of a start for the
                principal directions.

        Raises:
            DataError: Fewer than two examples, none that is unlike or of another dimension, or shares that do not
                rise.
        """
        random = generator(seed, "gate")
        rows = _different(_drawn(examples, "examples", random))
        if neighbours < 1:
            raise DataError(f"neighbours must be at least 1, got {neighbours}")
        if len(rows) < 2 or not 0 <= closed <= opened <= 1:
            raise DataError(
                f"A gate was asked for from {len(rows)} different embeddings with shares {closed} and {opened}. "
                "Expected two or more, and 0 <= closed <= opened <= 1."
            )
        others = None if unlike is None else _different(_drawn(unlike, "unlike", random))
        if others is not None and others.shape[1] != rows.shape[1]:
            raise DataError(
                f"A gate was given examples of {rows.shape[1]} dimensions and others, unlike these, of "
                f"{others.shape[1]}. Expected both of one encoder."
            )
        count = min(neighbours, len(rows) - 1) if others is None else min(neighbours, len(rows) - 1, len(others))
        if count < 1:
            raise DataError("A gate was given no embedding that is unlike. Expected one or more, or None.")
        everything = rows if others is None else np.concatenate([rows, others])
        directions = _principal(everything, random) if rows.shape[1] > _MOST_DIRECTIONS else None
        if directions is not None:
            rows, others = rows @ directions, None if others is None else others @ directions
        near = _near(rows, rows, count, itself=True)
        lead = None if others is None else _ends(near - _near(rows, others, count), closed, opened)
        return cls(rows, *_ends(near, closed, opened), count, directions, others, lead)

    @property
    def dimension(self) -> int:
        """Dimension of the embeddings that it weighs."""
        return int((self.examples.T if self.directions is None else self.directions).shape[0])

    def weights(self, vectors: Any) -> npt.NDArray[np.float32]:
        """Weigh embeddings (n, d) -> (n,)."""
        return self.weights_of_unit(normalize(as_vectors(vectors)))

    def weights_of_unit(self, rows: Vectors) -> npt.NDArray[np.float32]:
        """Weigh embeddings (n, d) that are known to have length 1, unchecked -> (n,)."""
        inside = rows if self.directions is None else rows @ self.directions
        near = _near(inside, self.examples, self.neighbours)
        if self.unlike is None or self.lead is None:
            return _ramp(near, self.low, self.high)
        lead = _ramp(near - _near(inside, self.unlike, self.neighbours), *self.lead)
        lead *= _ramp(near, self.low, self.high)
        return lead


def _drawn(vectors: Any, name: str, random: np.random.Generator) -> Vectors:
    """Give rows of length 1, as many as are kept."""
    array = as_vectors(vectors, name)
    return normalize(array[draw(len(array), _MOST_KEPT, random)])


def _ends(values: npt.NDArray[np.float32], closed: float, opened: float) -> tuple[float, float]:
    """Give the ends of a ramp that closes on a share of values, and does not open wide for another; see `Gate.fit`."""
    low, high, middle = (float(value) for value in np.quantile(values, [closed, opened, 0.5]))
    if closed == opened:
        low = high - abs(middle - high) / 4
    return min(low, high - _NARROWEST), high


def _ramp(values: npt.NDArray[np.float32], low: float, high: float) -> npt.NDArray[np.float32]:
    """Overwrite values (n,) by what they are on the way from low, 0, to high, 1."""
    start, width = np.float32(low), np.float32(max(high - low, 1e-6))
    if len(values) == 1:  # a query on its own, see `_sum_of_highest`
        values[0] = min(max((values[0] - start) / width, 0), 1)
        return values
    values -= start
    values /= width
    np.maximum(values, 0, out=values)
    return np.minimum(values, 1, out=values)


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
