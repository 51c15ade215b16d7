"""Rank the test queries of all trials, each under the adapter that was fitted for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embertune.adapters.base import Adapter
from embertune.core.search import Positions, top_k
from embertune.core.vectors import Vectors
from embertune.encoders.encoded import Encoded
from embertune.evaluation.metrics import parse_metric
from embertune.recipes.plan import Trial

__all__ = ["Ranked", "depth_of", "rank"]

_DEPTH = 100


@dataclass(frozen=True)
class Ranked:
    """The n test queries of all trials under one choice of adapters.

    Attributes:
        queries: (n, d), adapted.
        documents: (m, d) per trial, adapted.
        positions: (n, depth) of the documents found, best first.
        scores: (n, depth) their cosines.
    """

    queries: Vectors
    documents: tuple[Vectors, ...]
    positions: Positions
    scores: Vectors


def depth_of(primary: str, documents: int) -> int:
    """Rank as deep as the metric that decides looks, and a hundred at least; without a cutoff it looks at all.

    Args:
        primary: The metric that decides.
        documents: How many there are.

    Example:
        >>> depth_of("ndcg@10", 5000), depth_of("recall@300", 5000), depth_of("map", 5000)
        (100, 300, 5000)
    """
    return max(_DEPTH, parse_metric(primary).k or documents)


def rank(trials: Sequence[Trial], adapters: Sequence[Adapter], encoded: Encoded, depth: int) -> Ranked:
    """Rank the test queries of every trial, in their order.

    Args:
        trials: Who is judged.
        adapters: Under what, per trial.
        encoded: The vectors of the data set.
        depth: How many documents are kept per query.
    """
    queries, documents, positions, scores = [], [], [], []
    for trial, adapter in zip(trials, adapters, strict=True):
        rows = encoded.query_rows(trial.test.queries)
        queries.append(adapter.transform(encoded.queries[rows], "query"))
        documents.append(adapter.transform(encoded.documents, "document"))
        found = top_k(queries[-1], documents[-1], depth)
        positions.append(found[0])
        scores.append(found[1])
    return Ranked(np.concatenate(queries), tuple(documents), np.concatenate(positions), np.concatenate(scores))
