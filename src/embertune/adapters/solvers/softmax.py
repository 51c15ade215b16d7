"""The softmax of one positive against the negatives of its query, in blocks: the core of every InfoNCE here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from embertune.adapters.device import get, namespace
from embertune.adapters.solvers.rows import Positions, Rows

__all__ = ["BLOCK_CELLS", "Block", "blocks", "softmax"]

BLOCK_CELLS = 1_000_000
_TINY = 1e-30
_LEAST = -1e30


class Block(NamedTuple):
    """Some queries, their pairs, and the cells of their scores that are no negatives."""

    rows: slice
    """Of the queries."""
    span: slice
    """Of the pairs, which are sorted by query."""
    masked: tuple[Positions, Positions]
    """Row within the block and column of the candidates: positives and ignored documents."""


def blocks(
    pairs: Positions, candidates: Positions, shape: tuple[int, int], *, ignored: Positions | None, cells: int
) -> Iterator[Block]:
    """Cut queries so that no block of scores is larger than a bound; one row is the least.

    Args:
        pairs: (p, 2) positions of a query and of one of its positives, sorted by query.
        candidates: (c,) positions of documents, each once.
        shape: How many queries and documents there are.
        ignored: (k, 2) positions of a query and of a document that is not its negative, sorted by query.
        cells: The most scores in a block.

    Example:
        >>> pairs, candidates = np.array([[0, 0], [1, 2]]), np.array([0, 2])
        >>> [block.masked[1].tolist() for block in blocks(pairs, candidates, (2, 3), ignored=None, cells=2)]
        [[0], [1]]
    """
    queries, documents = shape
    column = np.full(documents, -1, dtype=np.intp)
    column[candidates] = np.arange(len(candidates))
    size = max(1, cells // max(1, len(candidates)))
    for start in range(0, queries, size):
        rows = slice(start, min(start + size, queries))
        span = _span(pairs, rows)
        mask = pairs[span] if ignored is None else np.concatenate([pairs[span], ignored[_span(ignored, rows)]])
        columns = column[mask[:, 1]]
        present = columns >= 0
        yield Block(rows, span, (mask[present, 0] - start, columns[present]))


def _span(pairs: Positions, rows: slice) -> slice:
    first, last = np.searchsorted(pairs[:, 0], [rows.start, rows.stop])
    return slice(int(first), int(last))


def softmax(logits: Rows, local: Positions, matched: Rows, pairs: int) -> tuple[float, Rows, Rows]:
    """Give the loss of a block and the derivatives by its logits.

    All pairs of a query share one softmax over its negatives, so a query with many positives costs no more.

    Args:
        logits: Cosines over temperature of queries and candidates (b, c), those that are no negatives at -inf.
        local: Row of each pair's query (p,).
        matched: Cosine over temperature of each pair (p,).
        pairs: Number of pairs in all, whose mean is taken.

    Returns:
        Loss; derivative by each logit (b, c); minus the derivative by each pair's logit (p,).

    Example:
        >>> loss, share, missing = softmax(np.zeros((1, 3)), np.array([0]), np.zeros(1), 1)
        >>> round(loss, 4) == round(float(np.log(4)), 4), share.tolist(), missing.tolist()
        (True, [[0.25, 0.25, 0.25]], [0.75])
    """
    xp = namespace(logits)
    top = xp.maximum(xp.max(logits, axis=1), _LEAST)
    share = logits - top[:, None]
    xp.exp(share, out=share)
    sums = xp.sum(share, axis=1)
    negatives = (xp.log(xp.maximum(sums, _TINY)) + top)[local]
    full = xp.logaddexp(matched, negatives)
    loss = float(get(full - matched).sum(dtype=np.float64)) / pairs
    missing = (1 - xp.exp(matched - full)) / pairs
    weight = xp.asarray(xp.bincount(local, weights=missing, minlength=len(logits)), dtype=logits.dtype)
    share *= (weight / xp.maximum(sums, _TINY))[:, None]
    return loss, share, missing
