"""InfoNCE over the positives of all training queries, with its gradient written by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from embertune.adapters.device import Array, beside, namespace
from embertune.adapters.solvers.rows import add_rows
from embertune.adapters.solvers.softmax import BLOCK_CELLS, blocks, softmax
from embertune.core.threads import multiply, spread
from embertune.core.vectors import Vectors

__all__ = ["InfoNCE", "Pairs", "principal_directions"]

Pairs = npt.NDArray[np.intp]

_BLOCK_CELLS = BLOCK_CELLS
# Two MiB: several arrays of a block stay in a cache, as all rows do not.
_BLOCK_ROWS_CELLS = 2**19

_Found = TypeVar("_Found")


def principal_directions(queries: Vectors, documents: Vectors, rank: int) -> Vectors:
    """Find the directions in which queries and documents vary most, about the origin.

    Args:
        queries: (n, d).
        documents: (m, d).
        rank: How many, at most d.

    Returns:
        Orthonormal columns (d, rank), most important first.

    Example:
        >>> plane = np.array([[3.0, 4.0, 0.0], [0.0, 1.0, 0.0]], dtype=np.float32)
        >>> abs(principal_directions(plane, plane, 2)[2]).max().round(6).tolist()
        0.0
    """
    gram = queries.T @ queries + documents.T @ documents
    _, vectors = np.linalg.eigh(gram)
    return np.ascontiguousarray(vectors[:, ::-1][:, :rank])


class _Part(NamedTuple):
    """A block of queries with the positions that it needs, those beside the queries."""

    rows: slice
    """Of the queries."""
    span: slice
    """Of the pairs."""
    query: Array
    """Row of each pair's query within the block."""
    masked: tuple[Array, Array]
    """Cells that are no negatives."""
    here: Array
    """The pairs whose document is a candidate, among all pairs."""
    own: tuple[Array, Array]
    """Their cells."""


@dataclass(frozen=True, kw_only=True)
class InfoNCE:
    """The contrastive objective of residual linear maps in a subspace, on one side or on both.

    A map sends ``x`` to ``normalize(x + x W)`` with ``W = V B V'``: V is a fixed orthonormal basis (d, r),
    B (r, r) is learned. With ``s`` the cosine of a mapped query and a mapped document, ``T`` the temperature,
    and ``N(q)`` the candidates that are not positives of ``q``, the loss of a pair is::

        -s(q, p) / T + log( exp(s(q, p) / T) + sum over c in N(q) of exp(s(q, c) / T) )

    The objective is its mean over pairs plus ``pull / 2 * ||B||²``: the pull to the identity. Other positives
    of a query are masked, so no query is pushed away from a right answer. What lies outside the subspace
    enters through constants (scores and squared lengths), so a step costs r instead of d.

    Queries, documents, basis and start are arrays of one library, on one device, and so are parameters and gradient;
    positions are numpy's.
    Source: van den Oord et al., Representation Learning with Contrastive Predictive Coding (2018);
    sentence-transformers calls it MultipleNegativesRankingLoss (scale = 1 / temperature).

    Attributes:
        queries: (n, d), rows of length 1.
        documents: (m, d), rows of length 1.
        pairs: (p, 2), positions of a query and of one of its positives, sorted by query.
        candidates: (c,) positions of the documents that every query is compared with.
        temperature: ``T``.
        sides: Which sides are mapped, in the order of the parameters: "query", "document" or both.
        basis: V (d, r); None is all of space.
        shared: One B for both sides, instead of one each.
        diagonal: B is diagonal; its r values are learned.
        ignored: (k, 2) positions of a query and of a document that is not its negative, sorted by query: documents that
            may answer it unlabelled.
        start: (r, r) of a map that queries pass before the learned one is added: ``x + x V (start + B) V'``.
    """

    queries: Array
    documents: Array
    pairs: Pairs
    candidates: Pairs
    temperature: float
    sides: tuple[str, ...] = ("query",)
    basis: Array | None = None
    shared: bool = False
    diagonal: bool = False
    start: Array | None = None
    ignored: Pairs | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the parameters: (maps, r, r), or (maps, r) if diagonal."""
        rank = self._inside[0].shape[1]
        maps = 1 if self.shared else len(self.sides)
        return (maps, rank) if self.diagonal else (maps, rank, rank)

    def maps(self, flat: Array) -> dict[str, Array]:
        """Give B of every mapped side from the flat parameters: (r, r), or (r,) if diagonal."""
        parts = flat.reshape(self.shape)
        found = {side: parts[0 if self.shared else at] for at, side in enumerate(self.sides)}
        if self.start is not None:
            found["query"] = found["query"] + self.start
        return found

    def flat(self, document: Array, query: Array) -> Array:
        """Give the parameters whose maps are nearest to some W of documents and of queries (d, d)."""
        by_side = {"query": query, "document": document}
        sides = ("document",) if self.shared else self.sides
        inner = [by_side[side] if self.basis is None else self.basis.T @ by_side[side] @ self.basis for side in sides]
        return _joined([each.diagonal() if self.diagonal else each for each in inner])

    def value_and_gradient(self, flat: Array, pull: float) -> tuple[float, Array]:
        """Give the objective and its gradient.

        Args:
            flat: B of every learned map, one after another, flattened.
            pull: Strength of the pull to the identity.

        Returns:
            The value, and the gradient in the same flat shape.
        """
        maps = self.maps(flat)
        (inside_q, inside_d), (outside_q, outside_d) = self._inside, self._outside
        mapped_q, scale_q = _map(inside_q, outside_q, maps.get("query"))
        mapped_d, scale_d = _map(inside_d, outside_d, maps.get("document"))
        loss, by_q, by_d = self._loss(mapped_q, scale_q, mapped_d, scale_d)
        slopes = {"query": (inside_q, by_q), "document": (inside_d, by_d)}
        parts = [self._slope(*slopes[side]) for side in self.sides]
        gradient = sum(parts[1:], parts[0]).reshape(-1) if self.shared else _joined(parts)
        gradient += float(pull) * flat
        return loss + 0.5 * pull * float(flat @ flat), gradient

    def _slope(self, inside: Array, by: Array) -> Array:
        xp = namespace(inside)

        def work(rows: slice) -> Array:
            return xp.einsum("ij,ij->j", inside[rows], by[rows]) if self.diagonal else inside[rows].T @ by[rows]

        found = _by_rows(work, len(inside), inside)
        total = next(found)
        for other in found:
            total += other
        return total

    @cached_property
    def _inside(self) -> tuple[Array, Array]:
        if self.basis is None:
            return self.queries, self.documents
        return self.queries @ self.basis, self.documents @ self.basis

    @cached_property
    def _outside(self) -> tuple[Array, Array]:
        """Squared length of what lies outside the subspace, per row."""
        xp = namespace(self.queries)
        inside_q, inside_d = self._inside
        if self.basis is None:
            return xp.zeros_like(inside_q[:, 0]), xp.zeros_like(inside_d[:, 0])
        return tuple(xp.maximum(1 - xp.einsum("ij,ij->i", part, part), 0) for part in (inside_q, inside_d))

    @cached_property
    def _rest(self) -> tuple[Array | None, Array | None]:
        """Dot products outside the subspace: of queries and candidates (n, c), and of pairs without one (a,)."""
        if self.basis is None:
            return None, None
        (inside_q, inside_d), xp, (_, query, document) = self._inside, namespace(self.queries), self._away
        times = multiply if xp is np else xp.matmul
        candidates = times(self.queries, self.documents[self._chosen].T)
        candidates -= times(inside_q, inside_d[self._chosen].T)
        pairs = xp.einsum("ij,ij->i", self.queries[query], self.documents[document])
        pairs -= xp.einsum("ij,ij->i", inside_q[query], inside_d[document])
        return candidates, pairs

    def _loss(self, queries: Array, scale_q: Array, documents: Array, scale_d: Array) -> tuple[float, Array, Array]:
        """Give the mean loss and its gradients by the mapped, unscaled queries (n, r) and documents (m, r)."""
        xp = namespace(queries)
        by_q, by_d = xp.zeros_like(queries), xp.zeros_like(documents)
        candidates, scale_c = documents[self._chosen], scale_d[self._chosen]
        by_c, shrink_c = xp.zeros_like(candidates), xp.zeros_like(scale_c)
        scaled = candidates * scale_c[:, None]
        rest, heat, total = self._rest[0], float(1 / self.temperature), 0.0
        matched = self._matched_away(queries, scale_q * heat, documents, scale_d)
        missing = xp.zeros_like(matched)

        def work(part: _Part) -> tuple[float, Array, Array]:
            rows, span, query, masked, here, own = part
            block, scale = queries[rows], scale_q[rows, None] * heat
            logits = _products(block, candidates, None if rest is None else rest[rows])
            logits *= scale
            if self._learns_documents:  # others have length 1
                logits *= scale_c
            matched[here] = logits[own]
            logits[masked] = -np.inf
            loss, share, missing[span] = softmax(logits, query, matched[span], len(self.pairs))
            # A positive is one more candidate in its own cell, of a share below zero.
            logits[masked] = 0
            logits[own], share[own] = matched[here], -missing[here]
            # Candidates are fewer than scores, so these are scaled.
            by_q[rows] = share @ scaled * scale
            # d/du of 1 / |u| pulls every vector back by its own share of the score.
            by_q[rows] -= (xp.vecdot(share, logits) * scale_q[rows] ** 2)[:, None] * block
            if not self._learns_documents:
                return loss, 0, 0
            return loss, share.T @ (block * scale) * scale_c[:, None], xp.einsum("ij,ij->j", share, logits)

        for loss, by, shrink in (spread if xp is np else map)(work, self._parts):
            total += loss
            if self._learns_documents:
                by_c += by
                shrink_c += shrink
        if self._learns_documents:
            by_d[self._chosen] = by_c - (shrink_c * scale_c**2)[:, None] * candidates
        self._add_away((queries, scale_q, by_q), (documents, scale_d, by_d), matched, missing)
        return total, by_q, by_d

    @property
    def _learns_documents(self) -> bool:
        return "document" in self.sides

    def _matched_away(self, queries: Array, scale_q: Array, documents: Array, scale_d: Array) -> Array:
        """Give the scores of pairs (p,), of those alone whose document is no candidate."""
        xp, (away, query, document) = namespace(queries), self._away
        matched = xp.zeros(len(self.pairs), dtype=queries.dtype, device=queries.device)
        rest = self._rest[1]

        def work(part: slice) -> None:
            left, right = query[part], document[part]
            scores = xp.einsum("ij,ij->i", queries[left], documents[right])
            if rest is not None:
                scores += rest[part]
            matched[away[part]] = scores * (scale_q[left] * scale_d[right])

        for _ in _by_rows(work, len(query), queries):
            pass
        return matched

    def _add_away(
        self,
        of_queries: tuple[Array, Array, Array],
        of_documents: tuple[Array, Array, Array],
        matched: Array,
        missing: Array,
    ) -> None:
        """Add to the gradients what comes from pairs whose document is no candidate."""
        (queries, scale_q, by_q), (documents, scale_d, by_d) = of_queries, of_documents
        away, query, document = self._away
        heat = float(1 / self.temperature)

        def work(part: slice) -> tuple[Array, Array, Array, Array | None]:
            left, right, pairs = query[part], document[part], away[part]
            asked, answer = queries[left], documents[right]
            pulled = (missing[pairs] * scale_q[left] * scale_d[right] * heat)[:, None]
            lost = missing[pairs] * matched[pairs]
            by_left = (lost * scale_q[left] ** 2)[:, None] * asked - pulled * answer
            if not self._learns_documents:
                return left, right, by_left, None
            return left, right, by_left, (lost * scale_d[right] ** 2)[:, None] * answer - pulled * asked

        # Threads would write to the same rows, so each part is added here, in order.
        for left, right, by_left, by_right in _by_rows(work, len(query), queries):
            add_rows(by_q, left, by_left)
            if by_right is not None:
                add_rows(by_d, right, by_right)

    @cached_property
    def _chosen(self) -> Array:
        return beside(self.queries, self.candidates)

    @cached_property
    def _away(self) -> tuple[Array, Array, Array]:
        """The pairs whose document is no candidate: which, their queries, their documents (a,)."""
        away = np.flatnonzero(self._columns < 0)
        query, document = self.pairs[away].T
        return beside(self.queries, away), beside(self.queries, query), beside(self.queries, document)

    @cached_property
    def _columns(self) -> Pairs:
        """Place of each pair's document among the candidates (p,), -1 where it is none."""
        place = np.full(len(self.documents), -1, dtype=np.intp)
        place[self.candidates] = np.arange(len(self.candidates))
        return place[self.pairs[:, 1]]

    @cached_property
    def _parts(self) -> list[_Part]:
        """Cut the queries so that a block of scores holds at most a million cells."""
        shape = len(self.queries), len(self.documents)
        return [
            self._part(*block)
            for block in blocks(self.pairs, self.candidates, shape, ignored=self.ignored, cells=_BLOCK_CELLS)
        ]

    def _part(self, rows: slice, span: slice, masked: tuple[Pairs, Pairs]) -> _Part:
        query, column = self.pairs[span, 0] - rows.start, self._columns[span]
        inside = np.flatnonzero(column >= 0)
        positions = query, *masked, span.start + inside, query[inside], column[inside]
        query, *cells, here, row, column = (beside(self.queries, each) for each in positions)
        return _Part(rows, span, query, (cells[0], cells[1]), here, (row, column))


def _by_rows(work: Callable[[slice], _Found], count: int, like: Array) -> Iterator[_Found]:
    """Do something with blocks of rows that a cache holds, spread over threads; on a device with all of them at once.

    Args:
        work: Called with the rows of a block.
        count: How many rows there are.
        like: Rows as wide, on the same device.
    """
    on_host = namespace(like) is np
    step = max(1, _BLOCK_ROWS_CELLS // like.shape[1] if on_host else count)
    parts = (slice(start, start + step) for start in range(0, count, step))
    return spread(work, parts) if on_host else map(work, parts)


def _joined(parts: Sequence[Array]) -> Array:
    return namespace(parts[0]).concat([part.reshape(-1) for part in parts])


def _products(rows: Array, others: Array, rest: Array | None) -> Array:
    """Give dot products (b, c), with what they have outside the subspace."""
    products = rows @ others.T
    if rest is not None:
        products += rest
    return products


def _map(inside: Array, outside: Array, inner: Array | None) -> tuple[Array, Array]:
    """Map coordinates (n, r) by ``x + x B``, and give 1 / length of the whole mapped vector (n,).

    B is (r, r), its diagonal (r,), or None for zero.
    """
    xp = namespace(inside)
    if inner is None:
        return inside, xp.ones_like(inside[:, 0])
    mapped, scale = xp.empty_like(inside), xp.empty_like(inside[:, 0])

    def work(rows: slice) -> None:
        part = inside[rows]
        found = part @ inner if inner.ndim == 2 else part * inner
        found += part
        mapped[rows] = found
        scale[rows] = 1 / xp.maximum(xp.sqrt(xp.einsum("ij,ij->i", found, found) + outside[rows]), 1e-12)

    for _ in _by_rows(work, len(inside), inside):
        pass
    return mapped, scale
