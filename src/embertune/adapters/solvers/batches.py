"""Batches of pairs for in-batch negatives: no query and no positive twice, every pair once per epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from embertune.adapters.solvers.rows import Positions, positions
from embertune.core.random import generator
from embertune.errors import ConfigError

__all__ = ["Batch", "batches", "gather"]


def batches(pairs: Any, batch_size: int, *, seed: int, epoch: int = 0) -> Iterator[Positions]:
    """Cut pairs into batches in which no query and no document occurs twice.

    A document that occurs twice in a batch would be the negative of its own queries (LlamaIndex's trainer puts the
    questions of one passage side by side, where they push it away). Pairs of the most frequent queries and documents
    are placed first, so that they are spread and batches fill up; a document with more pairs than there are batches
    still leaves small ones, for which `gather` takes further negatives. Batches come in random order.

    Args:
        pairs: (p, 2) positions of a query and of one of its positives. Give equal texts one position, and they count
            as one.
        batch_size: The most pairs in a batch.
        seed: Decides, together with `epoch`.
        epoch: Which pass over the pairs it is; each has other batches.

    Yields:
        Row numbers of `pairs`, each once in all.

    Raises:
        ConfigError: The batch size is below 1.
        DataError: There is no pair.

    Example:
        >>> pairs = np.array([(0, 0), (1, 0), (2, 1), (3, 2)])
        >>> sorted(len(batch) for batch in batches(pairs, 2, seed=0))
        [2, 2]
        >>> any({0, 1} <= set(batch.tolist()) for batch in batches(pairs, 2, seed=0))
        False
    """
    if batch_size < 1:
        raise ConfigError(f"batch_size must be at least 1, got {batch_size}")
    rows = positions(pairs, 2, "pair")
    rng = generator(seed, "batches", epoch)
    filled = _fill(rows, _frequent_first(rows, rng), batch_size)
    for at in rng.permutation(len(filled)):
        yield np.array(filled[at], dtype=np.intp)


def _frequent_first(pairs: Positions, rng: np.random.Generator) -> Positions:
    counts = [np.bincount(column)[column] for column in pairs.T]
    return np.lexsort((rng.permutation(len(pairs)), -np.maximum(*counts)))


def _fill(pairs: Positions, order: Positions, size: int) -> list[list[int]]:
    """Put each pair into the first batch with room that comes after every batch with its query or its document.

    Looking behind the last one alone, instead of at all, keeps this linear; what it leaves open, later pairs fill.
    """
    filled: list[list[int]] = []
    # onward[b] leads to the first batch from b on that has room (union-find with path halving).
    onward = [0]
    next_of: tuple[dict[int, int], dict[int, int]] = {}, {}
    for row, query, document in zip(order.tolist(), *pairs[order].T.tolist(), strict=True):
        at = max(next_of[0].get(query, 0), next_of[1].get(document, 0))
        while onward[at] != at:
            onward[at] = onward[onward[at]]
            at = onward[at]
        if at == len(filled):
            filled.append([])
            onward.append(at + 1)
        filled[at].append(row)
        if len(filled[at]) == size:
            onward[at] = at + 1
        next_of[0][query] = next_of[1][document] = at + 1
    return filled


class Batch(NamedTuple):
    """A batch as a small problem of its own: rows to take out, and positions among those rows."""

    queries: Positions
    """(b,) positions among all queries."""
    documents: Positions
    """(c,) positions among all documents: positives and further negatives, each once."""
    pairs: Positions
    """(p, 2) positions within `queries` and `documents`."""
    ignored: Positions
    """(k, 2) positions within them: documents that are not negatives of a query."""


def gather(pairs: Positions, *, known: Positions, negatives: Any = ()) -> Batch:
    """Make a batch a problem of its own: ``info_nce(queries[b.queries], documents[b.documents], b.pairs, ...)``.

    What is known of its queries comes along, for ``ignored=b.ignored``: the positive of one query is often another
    positive of a second one in the batch.

    Args:
        pairs: (p, 2) the batch's positions of a query and of one of its positives.
        known: (k, 2) all positives and false negatives of all queries, sorted by query.
        negatives: Positions of further documents, such as mined ones, in any shape; below 0 is none.

    Example:
        >>> known = np.array([(0, 5), (0, 7), (3, 7)])
        >>> batch = gather(known[[0, 2]], known=known, negatives=[9, -1])
        >>> batch.documents.tolist(), batch.pairs.tolist(), batch.ignored.tolist()
        ([5, 7, 9], [[0, 0], [1, 1]], [[0, 0], [0, 1], [1, 1]])
    """
    further = np.asarray(negatives, dtype=np.intp).ravel()
    queries, own = np.unique(pairs[:, 0], return_inverse=True)
    documents = np.unique(np.concatenate([pairs[:, 1], further[further >= 0]]))
    local = np.column_stack([own, np.searchsorted(documents, pairs[:, 1])])
    first, last = (np.searchsorted(known[:, 0], queries, side=side) for side in ("left", "right"))
    rows = np.concatenate([np.arange(*span) for span in zip(first, last, strict=True)])
    owner = np.repeat(np.arange(len(queries)), last - first)
    at = np.searchsorted(documents, known[rows, 1])
    inside = documents[np.minimum(at, len(documents) - 1)] == known[rows, 1]
    return Batch(queries, documents, local, np.column_stack([owner[inside], at[inside]]))
