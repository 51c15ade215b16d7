"""Products of queries and documents under an adapter, and how far from the exact cosine they may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import Adapter
from embertune.adapters.identity import IdentityAdapter
from embertune.adapters.linear import LinearAdapter
from embertune.core.threads import multiply
from embertune.core.vectors import Vectors

__all__ = ["Block", "Moved", "View", "common_basis", "view"]

Lengths = npt.NDArray[np.float32]

# Half the distance between 1 and the next float32.
_UNIT = np.float32(2.0**-24)


@dataclass(frozen=True)
class Moved:
    """An adapter, and after it other vectors for some documents.

    Attributes:
        before: What is applied first.
        rows: (k,) positions of those documents, rising.
        vectors: (k, d) where they are, rows of length 1.
    """

    before: Adapter
    rows: npt.NDArray[np.intp]
    vectors: Vectors


@dataclass(frozen=True)
class Block:
    """Some documents, and what all views share of them, made when the first asks for it."""

    start: int
    queries: Vectors
    """(n, d), as they are."""
    documents: Vectors
    """(b, d), as they are."""
    basis: Vectors | None
    """(d, r)."""
    made: dict[Adapter, tuple[Vectors, Lengths]]
    """Products under adapters after which documents are moved."""

    @cached_property
    def frozen(self) -> Vectors:
        """Products of queries and documents as they are (n, b)."""
        return multiply(self.queries, self.documents.T)

    @cached_property
    def inside(self) -> Vectors:
        """Coordinates of the documents in the basis (b, r)."""
        assert self.basis is not None  # a view that asks was made with one
        return multiply(self.documents, self.basis)


class View(Protocol):
    """Queries and documents under one adapter."""

    @property
    def queries(self) -> Vectors:
        """(n, d), mapped, rows of length 1."""

    @property
    def lengths(self) -> Lengths:
        """(n,) by which products are larger than cosines."""

    def products(self, block: Block) -> tuple[Vectors, Lengths]:
        """Give products (n, b), and a bound of their error (n,)."""

    def mapped(self, documents: Vectors, positions: npt.NDArray[np.intp]) -> Vectors:
        """Map documents (b, d), given where in the corpus they stand (b,)."""


class _Frozen:
    """Nothing is mapped."""

    def __init__(self, queries: Vectors) -> None:
        self.queries = queries
        self.lengths = np.ones(len(queries), dtype=np.float32)

    def products(self, block: Block) -> tuple[Vectors, Lengths]:
        return block.frozen, _slack(self.queries, block.documents)

    def mapped(self, documents: Vectors, positions: npt.NDArray[np.intp]) -> Vectors:
        return documents


class _Plain:
    """Any adapter: everything is mapped and multiplied."""

    def __init__(self, adapter: Adapter, queries: Vectors) -> None:
        self._adapter, self.queries = adapter, adapter.transform(queries, "query")
        self.lengths = np.ones(len(queries), dtype=np.float32)

    def products(self, block: Block) -> tuple[Vectors, Lengths]:
        documents = self._adapter.transform(block.documents, "document")
        return self.queries @ documents.T, _slack(self.queries, documents)

    def mapped(self, documents: Vectors, positions: npt.NDArray[np.intp]) -> Vectors:
        return self._adapter.transform(documents, "document")


class _Inside:
    """A linear map within a basis V: what it adds to the products with frozen queries is a product of r dimensions.

    With B and C the maps of queries and documents, ``u = q V B`` and z = x V for a document x::

        (q + u V') · (x + z C V') = q · x + (u + (q V + u) C') · z
    """

    def __init__(self, adapter: LinearAdapter, queries: Vectors, basis: Vectors) -> None:
        self._adapter, self.queries = adapter, adapter.transform(queries, "query")
        maps = adapter.tensors()
        within = queries @ basis
        added = within @ maps["query"]
        if adapter.gate is not None:
            # Scaled to length 1 before it is blended with the frozen query; only the proportion matters here.
            weights = adapter.gate.weights(queries)
            share = weights / _lengths(queries, within, added)
            added *= (share / np.maximum(share + 1 - weights, np.float32(1e-12)))[:, None]
        self.lengths = _lengths(queries, within, added)
        self._documents = maps.get("document")
        self._left = added if self._documents is None else added + (within + added) @ self._documents.T

    def products(self, block: Block) -> tuple[Vectors, Lengths]:
        products = self._left @ block.inside.T
        products += block.frozen
        reach = 1 + np.sqrt(np.einsum("ij,ij->i", self._left, self._left))
        slack = _UNIT * np.float32(2 * self.queries.shape[1] + 3 * self._left.shape[1] + 32) * reach
        if self._documents is not None:
            added = block.inside @ self._documents
            shrink = 1 / np.maximum(_lengths(block.documents, block.inside, added), np.float32(1e-12))
            products *= shrink
            slack = slack * shrink.max(initial=0)
        return products, slack

    def mapped(self, documents: Vectors, positions: npt.NDArray[np.intp]) -> Vectors:
        return self._adapter.transform(documents, "document")


class _Moved:
    """Products under an adapter, but for the documents that are elsewhere."""

    def __init__(self, moved: Moved, queries: Vectors, basis: Vectors | None) -> None:
        self._moved, self._before = moved, view(moved.before, queries, basis)
        self.queries, self.lengths = self._before.queries, self._before.lengths

    def products(self, block: Block) -> tuple[Vectors, Lengths]:
        if self._moved.before not in block.made:
            block.made[self._moved.before] = self._before.products(block)
        products, slack = block.made[self._moved.before]
        first, last = np.searchsorted(self._moved.rows, [block.start, block.start + len(block.documents)])
        elsewhere = self._moved.vectors[first:last]
        products = products.copy()
        scaled = self.queries @ elsewhere.T * self.lengths[:, None]
        products[:, self._moved.rows[first:last] - block.start] = scaled
        return products, np.maximum(slack, self.lengths * _slack(self.queries, elsewhere))

    def mapped(self, documents: Vectors, positions: npt.NDArray[np.intp]) -> Vectors:
        mapped = np.array(self._before.mapped(documents, positions))
        at = np.minimum(np.searchsorted(self._moved.rows, positions), len(self._moved.rows) - 1)
        moved = self._moved.rows[at] == positions
        mapped[moved] = self._moved.vectors[at[moved]]
        return mapped


def _lengths(vectors: Vectors, inside: Vectors, added: Vectors) -> Lengths:
    """Give the length of ``x + a V'`` per row, x = `vectors`, with `inside` = x V and `added` = a."""
    squares = np.einsum("ij,ij->i", vectors, vectors)
    squares += np.einsum("ij,ij->i", added, added + 2 * inside)
    return np.asarray(np.sqrt(np.maximum(squares, 0)))


def _slack(queries: Vectors, documents: Vectors) -> Lengths:
    """Bound the error of float32 products: Higham, Accuracy and Stability of Numerical Algorithms (2002), 3.1."""
    longest = np.sqrt(np.einsum("ij,ij->i", documents, documents).max(initial=0))
    lengths = np.sqrt(np.einsum("ij,ij->i", queries, queries))
    return np.asarray(_UNIT * np.float32(queries.shape[1] + 8) * longest * lengths)


def common_basis(adapters: Sequence[Adapter | Moved]) -> Vectors | None:
    """Give the basis of the first linear map that has one: maps of one path, and of all kinds in tuning, share it."""
    return next((basis for one in adapters if (basis := _basis_of(one)) is not None), None)


def _basis_of(adapter: Adapter | Moved) -> Vectors | None:
    if isinstance(adapter, Moved):
        return _basis_of(adapter.before)
    if type(adapter) is not LinearAdapter or adapter.form != "full" or adapter.strength != 1:
        return None
    if adapter.document_gate is not None:  # each document has a weight of its own
        return None
    return adapter.tensors().get("basis")


def view(adapter: Adapter | Moved, queries: Vectors, basis: Vectors | None) -> View:
    """Give queries (n, d) under an adapter, by the quickest way to its products.

    Args:
        adapter: Fitted.
        queries: Rows of length 1.
        basis: From `common_basis`.

    Example:
        >>> view(IdentityAdapter(), np.eye(2, dtype=np.float32), None).lengths.tolist()
        [1.0, 1.0]
    """
    if isinstance(adapter, Moved):
        return _Moved(adapter, queries, basis)
    if type(adapter) is IdentityAdapter:
        return _Frozen(queries)
    if isinstance(adapter, LinearAdapter) and basis is not None and _basis_of(adapter) is basis:
        return _Inside(adapter, queries, basis)
    return _Plain(adapter, queries)
