"""Exact search: the k nearest documents of every query, in blocks, so that no full score matrix is ever held."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from embertune.core.vectors import Vectors
from embertune.errors import ConfigError, DataError

__all__ = ["Positions", "Search", "top_k"]

Positions = npt.NDArray[np.intp]
Search = Callable[[Vectors, Vectors, int], tuple[Positions, Vectors]]
"""What `top_k` is: queries, documents and k in, positions and scores out, best first."""

_QUERY_BLOCK = 256
_DOCUMENT_BLOCK = 4096
_GROUP = 32
# Of more than this many, sorting what passes the filter takes longer than products in float64.
_MOST_FILTERED = 32
# If a larger share passes, as where most documents are equal, picking it out takes longer than all products.
_MOST_OPEN = 0.1


def top_k(queries: Vectors, documents: Vectors, k: int) -> tuple[Positions, Vectors]:
    """Find the k highest dot products per query.

    Ties are broken by the lower document position. Products are summed in float64 and rounded to
    float32: BLAS sums in an order that depends on shape and place, so that in float32 equal documents
    had unequal scores, and a query alone another ranking than in a batch. Where k is small only the few
    products are, which by a float32 product and the bound of its error may be among the k highest.
    At most 1024 × (4096 + k) scores are held at a time, so `documents` may be a memory map that is
    larger than memory.

    Args:
        queries: (n, d).
        documents: (m, d).
        k: How many to keep, at least 1; more than m gives m.

    Returns:
        Document positions (n, k) and their scores (n, k), best first.

    Raises:
        DataError: The two have different dimensions.
        ConfigError: `k` is below 1.

    Example:
        >>> positions, scores = top_k(np.eye(2, dtype=np.float32), np.eye(3, 2, dtype=np.float32), k=2)
        >>> positions.tolist(), scores.tolist()
        ([[0, 1], [1, 0]], [[1.0, 0.0], [1.0, 0.0]])
    """
    if queries.shape[1] != documents.shape[1]:
        raise DataError(
            f"Queries have {queries.shape[1]} dimensions and documents {documents.shape[1]}. "
            "Both must come from the same encoder."
        )
    if k < 1:
        raise ConfigError(f"k must be at least 1, got {k}.")
    k = min(k, len(documents))
    positions = np.empty((len(queries), k), dtype=np.intp)
    scores = np.empty((len(queries), k), dtype=np.float32)
    size = 4 * _QUERY_BLOCK if 0 < k <= _MOST_FILTERED else _QUERY_BLOCK
    for start in range(0, len(queries), size):
        block = slice(start, start + size)
        found = _filtered(queries[block], documents, k) if 0 < k <= _MOST_FILTERED else None
        positions[block], scores[block] = found or _top_k_of_block(queries[block], documents, k)
    return positions, scores


def _filtered(queries: Vectors, documents: Vectors, k: int) -> tuple[Positions, Vectors] | None:
    """Search by float32 products, sum in float64 what they leave open; None for values beyond them, or many ties."""
    # |rounded - exact| <= d u |q| |d|, with some room for the last rounding: Higham, Accuracy and Stability of
    # Numerical Algorithms (2002), 3.1.
    reach = np.linalg.norm(queries, axis=1) * np.float32((queries.shape[1] + 8) * 2.0**-24)
    rows = np.empty(0, dtype=np.intp)
    columns, scores = rows, np.empty(0, dtype=np.float32)
    lowest = np.full(len(queries), -np.inf, dtype=np.float32)
    for start in range(0, len(documents), _DOCUMENT_BLOCK):
        block = np.asarray(documents[start : start + _DOCUMENT_BLOCK], dtype=np.float32)
        error = reach * np.sqrt(np.einsum("ij,ij->i", block, block).max())
        if not np.isfinite(error).all():
            return None
        rough = queries @ block.T
        floor = lowest - error
        if start == 0 and len(block) > k:
            # Each of the k highest may be lower than it seems, and any other higher.
            floor = np.take_along_axis(rough, _highest(rough, k), axis=1).min(axis=1) - 2 * error
        hit, column = np.nonzero(rough >= floor[:, None])
        if len(hit) > _MOST_OPEN * rough.size:
            return None
        exact = exact_products(queries, hit, block.__getitem__, column)
        rows, scores = np.concatenate([rows, hit]), np.concatenate([scores, exact])
        columns = np.concatenate([columns, column + start])
        order = np.lexsort((columns, -scores, rows))
        rank = np.arange(len(order)) - np.searchsorted(rows[order], rows[order])
        order = order[rank < k]
        rows, columns, scores = rows[order], columns[order], scores[order]
        if len(rows) == k * len(queries):
            lowest = scores[k - 1 :: k]
    return columns.reshape(-1, k), scores.reshape(-1, k)


def exact_products(
    queries: Vectors, rows: Positions, documents: Callable[[Positions], Vectors], columns: Positions
) -> Vectors:
    """Give single products as `top_k` has them: summed in float64, rounded to float32.

    Args:
        queries: (n, d).
        rows: (p,) which query.
        documents: Gives documents by position.
        columns: (p,) which document.

    Returns:
        (p,).

    Example:
        >>> eye = np.eye(2, dtype=np.float32)
        >>> exact_products(eye, np.array([0, 1]), eye.__getitem__, np.array([0, 0])).tolist()
        [1.0, 0.0]
    """
    exact = np.empty(len(rows), dtype=np.float32)
    for at in range(0, len(rows), _DOCUMENT_BLOCK):
        part = slice(at, at + _DOCUMENT_BLOCK)
        left, right = queries[rows[part]], documents(columns[part])
        exact[part] = np.einsum("ij,ij->i", left.astype(np.float64), right.astype(np.float64))
    return exact


def _top_k_of_block(queries: Vectors, documents: Vectors, k: int) -> tuple[Positions, Vectors]:
    wide = np.asarray(queries, dtype=np.float64)
    best_scores = np.empty((len(queries), 0), dtype=np.float32)
    best_positions = np.empty((len(queries), 0), dtype=np.intp)
    for start in range(0, len(documents), _DOCUMENT_BLOCK):
        block = np.asarray(documents[start : start + _DOCUMENT_BLOCK], dtype=np.float64)
        scores = (wide @ block.T).astype(np.float32)
        kept = _highest(scores, k)
        best_scores = np.concatenate([best_scores, np.take_along_axis(scores, kept, axis=1)], axis=1)
        best_positions = np.concatenate([best_positions, kept + start], axis=1)
        if best_scores.shape[1] > k:
            # Earlier blocks stand first, so positions rise within equal scores and stay the tie-break.
            kept = _highest(best_scores, k)
            best_scores = np.take_along_axis(best_scores, kept, axis=1)
            best_positions = np.take_along_axis(best_positions, kept, axis=1)
    order = np.lexsort((best_positions, -best_scores), axis=1)
    return np.take_along_axis(best_positions, order, axis=1), np.take_along_axis(best_scores, order, axis=1)


def _highest(scores: Vectors, k: int) -> Positions:
    """Columns of the k highest scores of each row, in rising column order; of equals, the leftmost are kept."""
    if scores.shape[1] <= k:
        return np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    likely = _likely(scores, k)
    if likely is None:
        kept = np.argpartition(scores, -k, axis=1)[:, -k:]
    else:
        best = np.argpartition(np.take_along_axis(scores, likely, axis=1), -k, axis=1)[:, -k:]
        kept = np.take_along_axis(likely, best, axis=1)
    kept = np.sort(kept, axis=1)
    threshold = np.take_along_axis(scores, kept, axis=1).min(axis=1, keepdims=True)
    # argpartition keeps an arbitrary choice of those equal to the threshold; rows where that matters are redone.
    tied = np.flatnonzero(np.count_nonzero(scores >= threshold, axis=1) > k)
    for row in tied:
        kept[row] = np.sort(np.argsort(-scores[row], kind="stable")[:k])
    return kept


def _likely(scores: Vectors, k: int) -> Positions | None:
    """Columns among which the k highest scores of each row are, but for ties; None where they would be most columns.

    Columns are dealt into groups. A score outside the k groups of highest maximum has k maxima at least as high, so it
    is not needed. With k = 10 of 4096 columns, selecting takes 2 ms instead of 9.
    """
    rows, columns = scores.shape
    groups = columns // _GROUP
    if groups < 4 * k:
        return None
    dealt = groups * _GROUP
    maxima = scores[:, :dealt].reshape(rows, _GROUP, groups).max(axis=1)
    chosen = np.argpartition(maxima, -k, axis=1)[:, -k:]
    inside = (np.arange(_GROUP)[:, None] * groups + chosen[:, None, :]).reshape(rows, -1)
    return np.concatenate([inside, np.broadcast_to(np.arange(dealt, columns), (rows, columns - dealt))], axis=1)
