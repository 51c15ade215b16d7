"""InfoNCE over the positives of all training queries, with its gradient written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embertune.core.vectors import Vectors

__all__ = ["InfoNCE", "Pairs", "residual", "residual_gradient"]

Pairs = npt.NDArray[np.intp]

_BLOCK_CELLS = 4_000_000


def residual(vectors: Vectors, weights: Vectors) -> tuple[Vectors, Vectors]:
    """Map ``x`` to ``normalize(x + x W)``.

    Args:
        vectors: (n, d).
        weights: (d, d); zeros give the identity.

    Returns:
        The mapped vectors (n, d), and their lengths before normalisation (n, 1).
    """
    raw = vectors @ weights
    raw += vectors
    lengths = np.sqrt(np.einsum("ij,ij->i", raw, raw))[:, None]
    lengths[lengths == 0] = 1
    raw /= lengths
    return raw, lengths


def residual_gradient(vectors: Vectors, mapped: Vectors, lengths: Vectors, upstream: Vectors) -> Vectors:
    """Carry a gradient back through `residual` to its weights.

    Args:
        vectors: What went in (n, d).
        mapped: What came out (n, d).
        lengths: The lengths that came with it (n, 1).
        upstream: Gradient of the loss by `mapped` (n, d).

    Returns:
        Gradient by the weights (d, d).
    """
    inner = np.einsum("ij,ij->i", upstream, mapped)[:, None]
    return np.asarray(vectors.T @ ((upstream - inner * mapped) / lengths), dtype=np.float32)


@dataclass(frozen=True)
class InfoNCE:
    """The contrastive objective of a residual linear map, on one side or on both.

    With ``s`` the cosine of a mapped query and a mapped document, ``T`` the temperature, and ``N(q)``
    the candidates that are not positives of ``q``, the loss of a pair is::

        -s(q, p) / T + log( exp(s(q, p) / T) + sum over c in N(q) of exp(s(q, c) / T) )

    The objective is the weighted mean over pairs plus ``pull / 2 * ||W||²``: the pull to the identity.
    Other positives of the same query are masked, so no query is pushed away from a right answer.
    Source: van den Oord et al., Representation Learning with Contrastive Predictive Coding (2018);
    sentence-transformers calls it MultipleNegativesRankingLoss (scale = 1 / temperature).

    Attributes:
        queries: (n, d), rows of length 1.
        documents: (m, d), rows of length 1.
        pairs: (p, 2), positions of a query and of one of its positives, sorted by query.
        candidates: (c,) positions of the documents that every query is compared with.
        temperature: ``T``.
        sides: Which maps are learned, in the order of the parameters: "query", "document" or both.
    """

    queries: Vectors
    documents: Vectors
    pairs: Pairs
    candidates: Pairs
    temperature: float
    sides: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the parameters: (sides, d, d)."""
        dimension = self.queries.shape[1]
        return (len(self.sides), dimension, dimension)

    def value_and_gradient(self, flat: npt.NDArray[np.float32], pull: float) -> tuple[float, npt.NDArray[np.float32]]:
        """Give the objective and its gradient.

        Args:
            flat: The maps, one after another, flattened: (sides * d * d,).
            pull: Strength of the pull to the identity.

        Returns:
            The value, and the gradient in the same flat shape.
        """
        maps = dict(zip(self.sides, flat.reshape(self.shape), strict=True))
        mapped_q, lengths_q = self._map(self.queries, maps.get("query"))
        mapped_d, lengths_d = self._map(self.documents, maps.get("document"))
        loss, by_q, by_d = self._loss(mapped_q, mapped_d, need_documents="document" in maps)
        parts = {}
        if "query" in maps:
            parts["query"] = residual_gradient(self.queries, mapped_q, lengths_q, by_q)
        if "document" in maps:
            parts["document"] = residual_gradient(self.documents, mapped_d, lengths_d, by_d)
        gradient = np.concatenate([parts[side].ravel() for side in self.sides])
        gradient += np.float32(pull) * flat
        return loss + 0.5 * pull * float(flat @ flat), gradient

    @staticmethod
    def _map(vectors: Vectors, weights: Vectors | None) -> tuple[Vectors, Vectors]:
        if weights is None:
            return vectors, np.ones((len(vectors), 1), dtype=np.float32)
        return residual(vectors, weights)

    def _loss(self, queries: Vectors, documents: Vectors, *, need_documents: bool) -> tuple[float, Vectors, Vectors]:
        """Give the mean loss and its gradients by the mapped queries (n, d) and documents (m, d)."""
        by_q = np.zeros_like(queries)
        by_d = np.zeros_like(documents) if need_documents else documents
        candidates = documents[self.candidates]
        by_c = np.zeros_like(candidates) if need_documents else candidates
        weight = np.float32(1 / (len(self.pairs) * self.temperature))
        total = 0.0
        for rows, pairs, masked in self._blocks():
            block = queries[rows]
            logits = block @ candidates.T
            logits /= np.float32(self.temperature)
            logits[masked] = -np.inf
            top = np.maximum(logits.max(axis=1, initial=-np.inf), np.float32(-1e30))
            np.exp(logits - top[:, None], out=logits)
            sums = logits.sum(axis=1)
            local, positives = pairs[:, 0] - rows.start, documents[pairs[:, 1]]
            matched = np.einsum("ij,ij->i", block[local], positives) / np.float32(self.temperature)
            # log-sum-exp of the positive and the negatives, from the softmax that all pairs of a query share
            negatives = (np.log(np.maximum(sums, np.float32(1e-30))) + top)[local]
            full = np.logaddexp(matched, negatives)
            total += float((full - matched).sum(dtype=np.float64))
            missing = 1 - np.exp(matched - full)
            share = np.bincount(local, weights=missing, minlength=len(block)).astype(np.float32)
            logits *= (share / np.maximum(sums, np.float32(1e-30)))[:, None] * weight
            pulled = (missing * weight)[:, None].astype(np.float32)
            by_q[rows] = logits @ candidates
            _add_rows(by_q, pairs[:, 0], -pulled * positives)
            if need_documents:
                by_c += logits.T @ block
                _add_rows(by_d, pairs[:, 1], -pulled * block[local])
        if need_documents:
            by_d[self.candidates] += by_c
        return total / len(self.pairs), by_q, by_d

    def _blocks(self) -> Iterator[tuple[slice, Pairs, tuple[Pairs, Pairs]]]:
        """Cut the queries so that a block of scores holds at most four million cells."""
        size = max(1, _BLOCK_CELLS // max(1, len(self.candidates)))
        column = np.full(len(self.documents), -1, dtype=np.intp)
        column[self.candidates] = np.arange(len(self.candidates))
        for start in range(0, len(self.queries), size):
            rows = slice(start, min(start + size, len(self.queries)))
            first, last = np.searchsorted(self.pairs[:, 0], [rows.start, rows.stop])
            pairs = self.pairs[first:last]
            columns = column[pairs[:, 1]]
            shared = columns >= 0
            yield rows, pairs, (pairs[shared, 0] - start, columns[shared])


def _add_rows(target: Vectors, index: Pairs, rows: Vectors) -> None:
    """Add rows to ``target[index]`` where an index may repeat; np.add.at is ten times slower on matrices."""
    order = np.argsort(index, kind="stable")
    ordered = index[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(index) else order
    if len(first):
        target[ordered[first]] += np.add.reduceat(rows[order], first, axis=0)
