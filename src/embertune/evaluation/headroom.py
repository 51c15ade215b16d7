"""What an adapter could win at all: how much of the answers is found, and how far down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embertune.core.search import Positions
from embertune.evaluation.judgments import Judgments
from embertune.evaluation.metrics import Ranked, parse_metric, recall, reciprocal_rank

__all__ = ["Headroom", "headroom"]

_DEPTH = 100


@dataclass(frozen=True)
class Headroom:
    """What the base leaves to be won; means over queries.

    Attributes:
        recall: Share of the relevant documents in the first 100.
        mrr: Mean reciprocal rank within the first 100.
        score: The primary metric as it is.
        reordering: What the best possible order of the same 100 documents would add to it.
        rest: What would still be missing to a perfect score: relevant documents outside the first 100.

    Example:
        >>> sorted(Headroom(recall=0.9, mrr=0.6, score=0.65, reordering=0.25, rest=0.1).to_dict())
        ['mrr', 'recall@100', 'reordering', 'rest', 'score']
    """

    recall: float
    mrr: float
    score: float
    reordering: float
    rest: float

    def to_dict(self) -> dict[str, float]:
        """Give it under the names of the record: recall@100, mrr, score, reordering, rest."""
        return {
            "recall@100": self.recall,
            "mrr": self.mrr,
            "score": self.score,
            "reordering": self.reordering,
            "rest": self.rest,
        }


def headroom(judgments: Judgments, positions: Positions, metric: str = "ndcg@10") -> Headroom:
    """Tell what reordering the first 100 documents could win.

    An adapter moves documents up and down; where the base already has the answers on top there is little to win, and
    where it does not find them among the first 100 a linear map seldom brings them back.

    Args:
        judgments: Of n queries, each with a relevant document.
        positions: (n, 100 or more) ranking of the base; with fewer columns these stand for the 100.
        metric: The primary metric.

    Raises:
        ConfigError: There is no such metric.
        DataError: The rankings do not fit the judgements.

    Example:
        >>> judgments = Judgments.from_qrels({"q": {"b": 1}}, ["q"], ["a", "b"])
        >>> found = headroom(judgments, np.array([[0, 1]]), "mrr@10")
        >>> found.score, found.reordering, found.rest
        (0.5, 0.5, 0.0)
    """
    score = parse_metric(metric).score
    ranked = judgments.rank(np.asarray(positions)[:, :_DEPTH])
    best = Ranked(-np.sort(-ranked.gains, axis=1), ranked.ideal, ranked.retrieved)
    perfect = Ranked(ranked.ideal, ranked.ideal, ranked.n_relevant.astype(np.intp))
    now, reordered, whole = (float(score(order).mean()) for order in (ranked, best, perfect))
    return Headroom(
        recall=float(recall(ranked).mean()),
        mrr=float(reciprocal_rank(ranked).mean()),
        score=now,
        reordering=reordered - now,
        rest=max(whole - reordered, 0.0),
    )
