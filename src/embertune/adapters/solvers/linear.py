"""Residual linear maps, on one side or on both: as what mini-batches train, and as what was learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from embertune.adapters.device import namespace
from embertune.adapters.solvers.descent import Parameters, Side
from embertune.adapters.solvers.rows import Rows
from embertune.core.vectors import Vectors

__all__ = ["Learned", "LinearMaps"]

# Up to 4 rows win from 768 x 768 on, and at 384 x 384 none does.
_FEW_ROWS, _LARGE = 4, 2**18
# So many times its dimensions are the rows of a batch for which a map of low rank is multiplied out.
_MANY = 8


@dataclass(frozen=True)
class LinearMaps:
    """``x + x V B V'``, with B learned for each side or shared by both.

    Attributes:
        sides: Which sides are mapped.
        dimension: d.
        basis: V (d, r), orthonormal columns, where the rows are; None is all of space.
        shared: One B, that of "query", for both sides.
        diagonal: B is diagonal; its r values are learned.
    """

    sides: tuple[Side, ...]
    dimension: int
    basis: Rows | None = None
    shared: bool = False
    diagonal: bool = False

    @property
    def width(self) -> int:
        """r: dropout leaves out coordinates of what enters B."""
        return self.dimension if self.basis is None else self.basis.shape[1]

    def origin(self) -> Parameters:
        """Give the maps that change nothing, by the side that they are of.

        Example:
            >>> LinearMaps(("query", "document"), 3, shared=True).origin()["query"].shape
            (3, 3)
        """
        shape = (self.width,) if self.diagonal else (self.width, self.width)
        return {side: np.zeros(shape, dtype=np.float32) for side in self.sides[: 1 if self.shared else 2]}

    def by_side(self, parameters: Parameters) -> Parameters:
        """Give B of every mapped side."""
        return {side: parameters[self._name(side)] for side in self.sides}

    def forward(self, parameters: Mapping[str, Rows], rows: Rows, side: Side, *, kept: Any = 1) -> Rows:
        """Map rows (n, d), not scaled to length 1."""
        inside = self._inside(rows) * kept
        inner = parameters[self._name(side)]
        moved = inside * inner if self.diagonal else inside @ inner
        return rows + (moved if self.basis is None else moved @ self.basis.T)

    def backward(
        self, parameters: Mapping[str, Rows], rows: Rows, slopes: Rows, side: Side, *, kept: Any = 1
    ) -> Parameters:
        """Go from the derivatives by the mapped rows to that by B of the side."""
        inside = self._inside(rows) * kept
        back = self._inside(slopes)
        slope = namespace(inside).einsum("ij,ij->j", inside, back) if self.diagonal else inside.T @ back
        return {self._name(side): slope}

    def _name(self, side: Side) -> Side:
        return "query" if self.shared else side

    def _inside(self, rows: Rows) -> Rows:
        return rows if self.basis is None else rows @ self.basis


@dataclass(frozen=True)
class Learned:
    """Fitted maps: W per side, or B per side and the basis V of ``W = V B V'``.

    Attributes:
        inner: W or B by side: (r, r), or (r,) if diagonal.
        basis: V (d, r); None is all of space.
    """

    inner: Mapping[str, Vectors]
    basis: Vectors | None

    def __getitem__(self, side: str) -> Vectors:
        """Give what was learned for a side."""
        return self.inner[side]

    def residual(self, vectors: Vectors, side: str) -> Vectors:
        """Give ``x W`` of embeddings (n, d), a new array."""
        if self.basis is not None:
            size, rank = self.basis.shape
            # To multiply W out costs as much as to map d rows; one product with it is then quicker than three.
            if len(vectors) > _MANY * size and size * size < 2 * size * rank + rank * rank:
                return _times(vectors, self.matrix(side))
        return self._by_parts(vectors, side)

    def _by_parts(self, vectors: Vectors, side: str) -> Vectors:
        inside = vectors if self.basis is None else _times(vectors, self.basis)
        inner = self.inner[side]
        inside = _times(inside, inner) if inner.ndim == 2 else inside * inner
        return np.asarray(inside if self.basis is None else _times(inside, self.basis.T))

    def matrix(self, side: str) -> Vectors:
        """Give W (d, d)."""
        size = len(self.inner["query"] if self.basis is None else self.basis)
        if side not in self.inner:
            return np.zeros((size, size), dtype=np.float32)
        return self._by_parts(np.eye(size, dtype=np.float32), side)


def _times(rows: Vectors, matrix: Vectors) -> Vectors:
    """Multiply, a few rows one by one: by several at once BLAS copies a large matrix first, 1.2 instead of 0.3 ms."""
    if 1 < len(rows) <= _FEW_ROWS and matrix.size > _LARGE:
        return np.asarray((rows[:, None] @ matrix)[:, 0])
    return np.asarray(rows @ matrix)
