"""InfoNCE over the positives of all training queries, with its gradient written by hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from embertune.adapters.solvers.rows import add_rows
from embertune.adapters.solvers.softmax import BLOCK_CELLS, Block, blocks, softmax
from embertune.core.vectors import Vectors

__all__ = ["InfoNCE", "Pairs", "principal_directions"]

Pairs = npt.NDArray[np.intp]

_BLOCK_CELLS = BLOCK_CELLS


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

    queries: Vectors
    documents: Vectors
    pairs: Pairs
    candidates: Pairs
    temperature: float
    sides: tuple[str, ...] = ("query",)
    basis: Vectors | None = None
    shared: bool = False
    diagonal: bool = False
    start: Vectors | None = None
    ignored: Pairs | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the parameters: (maps, r, r), or (maps, r) if diagonal."""
        rank = self._inside[0].shape[1]
        maps = 1 if self.shared else len(self.sides)
        return (maps, rank) if self.diagonal else (maps, rank, rank)

    def maps(self, flat: npt.NDArray[np.float32]) -> dict[str, Vectors]:
        """Give B of every mapped side from the flat parameters: (r, r), or (r,) if diagonal."""
        parts = flat.reshape(self.shape)
        found = {side: parts[0 if self.shared else at] for at, side in enumerate(self.sides)}
        if self.start is not None:
            found["query"] = found["query"] + self.start
        return found

    def flat(self, document: Vectors, query: Vectors) -> npt.NDArray[np.float32]:
        """Give the parameters whose maps are nearest to some W of documents and of queries (d, d)."""
        by_side = {"query": query, "document": document}
        sides = ("document",) if self.shared else self.sides
        inner = [by_side[side] if self.basis is None else self.basis.T @ by_side[side] @ self.basis for side in sides]
        return np.concatenate([np.diag(each) if self.diagonal else each.ravel() for each in inner])

    def value_and_gradient(self, flat: npt.NDArray[np.float32], pull: float) -> tuple[float, npt.NDArray[np.float32]]:
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
        gradient = np.sum(parts, axis=0).ravel() if self.shared else np.concatenate([part.ravel() for part in parts])
        gradient += np.float32(pull) * flat
        return loss + 0.5 * pull * float(flat @ flat), gradient

    def _slope(self, inside: Vectors, by: Vectors) -> Vectors:
        return np.asarray(np.einsum("ij,ij->j", inside, by) if self.diagonal else inside.T @ by)

    @cached_property
    def _inside(self) -> tuple[Vectors, Vectors]:
        if self.basis is None:
            return self.queries, self.documents
        return self.queries @ self.basis, self.documents @ self.basis

    @cached_property
    def _outside(self) -> tuple[Vectors, Vectors]:
        """Squared length of what lies outside the subspace, per row."""
        lengths = (1 - np.einsum("ij,ij->i", part, part) for part in self._inside)
        if self.basis is None:
            return np.zeros(len(self.queries), dtype=np.float32), np.zeros(len(self.documents), dtype=np.float32)
        outside_q, outside_d = (np.maximum(length, 0).astype(np.float32) for length in lengths)
        return outside_q, outside_d

    @cached_property
    def _rest(self) -> tuple[Vectors | None, Vectors | None]:
        """Dot products outside the subspace: of queries and candidates (n, c), and of pairs (p,)."""
        if self.basis is None:
            return None, None
        (inside_q, inside_d), rows = self._inside, self.pairs
        candidates = self.queries @ self.documents[self.candidates].T - inside_q @ inside_d[self.candidates].T
        pairs = np.einsum("ij,ij->i", self.queries[rows[:, 0]], self.documents[rows[:, 1]])
        pairs -= np.einsum("ij,ij->i", inside_q[rows[:, 0]], inside_d[rows[:, 1]])
        return candidates, pairs

    def _loss(
        self, queries: Vectors, scale_q: Vectors, documents: Vectors, scale_d: Vectors
    ) -> tuple[float, Vectors, Vectors]:
        """Give the mean loss and its gradients by the mapped, unscaled queries (n, r) and documents (m, r)."""
        by_q, by_d = np.zeros_like(queries), np.zeros_like(documents)
        candidates, scale_c = documents[self.candidates], scale_d[self.candidates]
        by_c, shrink_c = np.zeros_like(candidates), np.zeros_like(scale_c)
        scaled = candidates * scale_c[:, None]
        rest, heat, total = self._rest[0], np.float32(1 / self.temperature), 0.0
        matched = self._matched_away(queries, scale_q * heat, documents, scale_d)
        missing = np.zeros_like(matched)
        for rows, span, masked in self._blocks:
            block, scale = queries[rows], scale_q[rows, None] * heat
            here = span.start + np.flatnonzero(self._columns[span] >= 0)
            own = self.pairs[here, 0] - rows.start, self._columns[here]
            logits = _products(block, candidates, None if rest is None else rest[rows])
            logits *= scale
            if self._learns_documents:  # others have length 1
                logits *= scale_c
            matched[here] = logits[own]
            logits[masked] = -np.inf
            loss, share, missing[span] = softmax(
                logits, self.pairs[span, 0] - rows.start, matched[span], len(self.pairs)
            )
            total += loss
            # A positive is one more candidate in its own cell, of a share below zero.
            logits[masked] = 0
            logits[own], share[own] = matched[here], -missing[here]
            # Candidates are fewer than scores, so these are scaled.
            by_q[rows] = share @ scaled * scale
            # d/du of 1 / |u| pulls every vector back by its own share of the score.
            by_q[rows] -= (np.einsum("ij,ij->i", share, logits) * scale_q[rows] ** 2)[:, None] * block
            if self._learns_documents:
                by_c += share.T @ (block * scale) * scale_c[:, None]
                shrink_c += np.einsum("ij,ij->j", share, logits)
        if self._learns_documents:
            by_d[self.candidates] = by_c - (shrink_c * scale_c**2)[:, None] * candidates
        self._add_away((queries, scale_q, by_q), (documents, scale_d, by_d), matched, missing)
        return total, by_q, by_d

    @property
    def _learns_documents(self) -> bool:
        return "document" in self.sides

    def _matched_away(self, queries: Vectors, scale_q: Vectors, documents: Vectors, scale_d: Vectors) -> Vectors:
        """Give the scores of pairs (p,), of those alone whose document is no candidate."""
        matched = np.zeros(len(self.pairs), dtype=queries.dtype)
        query, document = self.pairs[self._away].T
        matched[self._away] = np.einsum("ij,ij->i", queries[query], documents[document])
        if self._rest[1] is not None:
            matched[self._away] += self._rest[1][self._away]
        matched[self._away] *= scale_q[query] * scale_d[document]
        return matched

    def _add_away(
        self,
        of_queries: tuple[Vectors, Vectors, Vectors],
        of_documents: tuple[Vectors, Vectors, Vectors],
        matched: Vectors,
        missing: Vectors,
    ) -> None:
        """Add to the gradients what comes from pairs whose document is no candidate."""
        (queries, scale_q, by_q), (documents, scale_d, by_d) = of_queries, of_documents
        query, document = self.pairs[self._away].T
        pulled = missing[self._away] * scale_q[query] * scale_d[document] * np.float32(1 / self.temperature)
        lost = missing[self._away] * matched[self._away]
        back = (lost * scale_q[query] ** 2)[:, None] * queries[query]
        add_rows(by_q, query, back - pulled[:, None] * documents[document])
        if self._learns_documents:
            back = (lost * scale_d[document] ** 2)[:, None] * documents[document]
            add_rows(by_d, document, back - pulled[:, None] * queries[query])

    @cached_property
    def _away(self) -> Pairs:
        return np.flatnonzero(self._columns < 0)

    @cached_property
    def _columns(self) -> Pairs:
        """Place of each pair's document among the candidates (p,), -1 where it is none."""
        place = np.full(len(self.documents), -1, dtype=np.intp)
        place[self.candidates] = np.arange(len(self.candidates))
        return place[self.pairs[:, 1]]

    @cached_property
    def _blocks(self) -> list[Block]:
        """Cut the queries so that a block of scores holds at most four million cells."""
        shape = len(self.queries), len(self.documents)
        return list(blocks(self.pairs, self.candidates, shape, ignored=self.ignored, cells=_BLOCK_CELLS))


def _products(rows: Vectors, others: Vectors, rest: Vectors | None) -> Vectors:
    """Give dot products (b, c), with what they have outside the subspace."""
    products = rows @ others.T
    if rest is not None:
        products += rest
    return np.asarray(products)


def _map(inside: Vectors, outside: Vectors, inner: Vectors | None) -> tuple[Vectors, Vectors]:
    """Map coordinates (n, r) by ``x + x B``, and give 1 / length of the whole mapped vector (n,).

    B is (r, r), its diagonal (r,), or None for zero.
    """
    if inner is None:
        return inside, np.ones(len(inside), dtype=np.float32)
    mapped = inside @ inner if inner.ndim == 2 else inside * inner
    mapped += inside
    lengths = np.sqrt(np.einsum("ij,ij->i", mapped, mapped) + outside)
    return mapped, np.asarray(1 / np.maximum(lengths, np.float32(1e-12)), dtype=np.float32)
