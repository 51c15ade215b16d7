"""What Embertune asks of a vector database: few operations, so that a new one is one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from embertune.core.vectors import Vectors

__all__ = ["Batch", "Metric", "Space", "VectorStore"]

Space = Literal["base", "tuned"]
"""Vectors as they were, or those that an adapter gave."""

Metric = Literal["cosine", "dot", "euclidean"]


@dataclass(frozen=True, eq=False)
class Batch:
    """Some of the stored vectors, with all that stands beside them.

    Attributes:
        ids: (n,) as the database knows them.
        vectors: (n, d).
        names: (n,) as a data set knows them.
        rest: (n,) whatever else belongs to each, for the store that it came from; may be empty.

    Example:
        >>> import numpy as np
        >>> batch = Batch([7, 8], np.eye(2, dtype=np.float32), ["d7", "d8"])
        >>> batch.select([1]).names, batch.with_vectors(2 * batch.vectors).vectors.tolist()
        (['d8'], [[2.0, 0.0], [0.0, 2.0]])
    """

    ids: list[Any]
    vectors: Vectors
    names: list[str]
    rest: list[Any] = field(default_factory=list)

    def select(self, rows: Sequence[int]) -> Batch:
        """Give some rows, by their positions."""
        rest = [self.rest[row] for row in rows] if self.rest else []
        return Batch([self.ids[row] for row in rows], self.vectors[rows], [self.names[row] for row in rows], rest)

    def with_vectors(self, vectors: Vectors) -> Batch:
        """Give the same rows with other vectors."""
        return Batch(self.ids, vectors, self.names, self.rest)


class VectorStore(Protocol):
    """A place that holds vectors, and beside them those that an adapter gives.

    Every method may be called again after a crash, in another process: what is there counts, not what was done.

    Attributes:
        label: What messages and records call it, without a password.
        metric: How it compares vectors.
        exact: Whether vectors are read as they were written, not rounded.
    """

    label: str
    metric: Metric
    exact: bool

    @property
    def live(self) -> Space:
        """Which vectors an application gets that reads `address`."""

    @property
    def address(self) -> str:
        """The name that an application reads, and that `switch` leads elsewhere."""

    def where(self, space: Space) -> str:
        """Give the name of the collection, table or file."""

    def count(self, space: Space) -> int:
        """Count vectors; 0 where nothing is there yet."""

    def read(self, space: Space, size: int) -> Iterator[Batch]:
        """Give all vectors once, `size` at a time, in an order that stays."""

    def present(self, ids: Sequence[Any]) -> set[Any]:
        """Tell which of these ids have a tuned vector."""

    def fetch(self, space: Space, ids: Sequence[Any]) -> dict[Any, Vectors]:
        """Give vectors (d,) by id; those that are not there are left out."""

    def create(self, dimension: int) -> None:
        """Make room for tuned vectors beside the others, if there is none yet."""

    def write(self, batch: Batch) -> None:
        """Add tuned vectors whose ids are not `present`, all of them or none."""

    def finish(self) -> None:
        """Build the index of the tuned vectors, as that of the others is."""

    def search(self, space: Space, queries: Vectors, k: int) -> list[list[str]]:
        """Give the names of the nearest k of each query, best first, by the database's own search."""

    def switch(self) -> None:
        """Lead `address` to the tuned vectors."""

    def rollback(self) -> None:
        """Lead `address` back to the vectors as they were."""

    def close(self) -> None:
        """Let go of files and connections."""
