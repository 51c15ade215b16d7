"""Measures of a ranking: per query, from the grades of what stands at each rank."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import numpy.typing as npt

from embertune.errors import ConfigError

__all__ = [
    "Metric",
    "Ranked",
    "Scores",
    "average_precision",
    "hit_rate",
    "ndcg",
    "parse_metric",
    "parse_metrics",
    "precision",
    "r_precision",
    "recall",
    "reciprocal_rank",
]

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ranked:
    """Rankings of n queries as gains, which is all that a metric looks at.

    Attributes:
        gains: (n, depth) grade of the document at each rank, best rank first; 0 where it is not relevant,
            not judged, or nothing stands there.
        ideal: (n, r) grades above 0 of all relevant documents, found or not, falling; padded with 0.
        retrieved: (n,) how many documents each ranking holds.

    Example:
        >>> ranked = Ranked(np.array([[0.0, 2.0]]), np.array([[2.0, 1.0]]), np.array([2]))
        >>> recall(ranked), reciprocal_rank(ranked)
        (array([0.5]), array([0.5]))
    """

    gains: Scores
    ideal: Scores
    retrieved: npt.NDArray[np.intp]

    @property
    def n_relevant(self) -> Scores:
        """How many documents are relevant to each query: (n,)."""
        return np.asarray((self.ideal > 0).sum(axis=1), dtype=np.float64)


def ndcg(ranked: Ranked, k: int | None = None) -> Scores:
    """Discounted cumulative gain, as a share of what the best possible ranking gains.

    DCG = sum over ranks i of gain_i / log2(i + 1), with the grade itself as gain (Järvelin and Kekäläinen 2002;
    trec_eval's ``ndcg_cut``, ranx, ir_measures and BEIR, not the 2^grade - 1 of Burges et al. 2005).

    Args:
        ranked: The rankings.
        k: Ranks that count, for the ideal too; None is all.

    Returns:
        (n,); 0 for a query without any relevant document.

    Example:
        >>> ndcg(Ranked(np.array([[0.0, 1.0]]), np.array([[1.0]]), np.array([2]))).round(4)
        array([0.6309])
    """
    gained, best = _discounted(ranked.gains[:, :k]), _discounted(ranked.ideal[:, :k])
    return _ratio(gained, best)


def reciprocal_rank(ranked: Ranked, k: int | None = None) -> Scores:
    """1 / rank of the first relevant document, 0 if none stands in the first k.

    Its mean is MRR (Voorhees 1999); trec_eval's ``recip_rank``, ir_measures' ``RR@k``.

    Example:
        >>> reciprocal_rank(Ranked(np.array([[0.0, 1.0], [0.0, 0.0]]), np.ones((2, 1)), np.array([2, 2])))
        array([0.5, 0. ])
    """
    found = ranked.gains[:, :k] > 0
    if not found.shape[1]:
        return np.zeros(len(found))
    return np.asarray(np.where(found.any(axis=1), 1 / (found.argmax(axis=1) + 1), 0.0), dtype=np.float64)


def average_precision(ranked: Ranked, k: int | None = None) -> Scores:
    """Sum of the precision at each relevant document in the first k, divided by the number of relevant documents.

    Its mean is MAP. The divisor is that of trec_eval (``map_cut``), ranx and ir_measures: all relevant documents, also
    where k is smaller; sentence-transformers divides by min(k, relevant), which is larger or equal.

    Example:
        >>> average_precision(Ranked(np.array([[1.0, 0.0, 1.0]]), np.ones((1, 4)), np.array([3]))).round(4)
        array([0.4167])
    """
    found = ranked.gains[:, :k] > 0
    precisions = found.cumsum(axis=1) / np.arange(1, found.shape[1] + 1)
    return _ratio(_summed(precisions * found), ranked.n_relevant)


def recall(ranked: Ranked, k: int | None = None) -> Scores:
    """Share of the relevant documents that stands in the first k; trec_eval's ``recall``.

    Example:
        >>> recall(Ranked(np.array([[1.0, 0.0, 1.0]]), np.ones((1, 4)), np.array([3])), k=2)
        array([0.25])
    """
    return _ratio(_hits(ranked, k), ranked.n_relevant)


def precision(ranked: Ranked, k: int | None = None) -> Scores:
    """Share of the first k that is relevant; trec_eval's ``P``.

    The divisor is k even where fewer were retrieved; without k it is the number retrieved.

    Example:
        >>> precision(Ranked(np.array([[1.0, 0.0, 1.0]]), np.ones((1, 4)), np.array([3])), k=5)
        array([0.4])
    """
    divisor = ranked.retrieved.astype(np.float64) if k is None else np.full(len(ranked.gains), float(k))
    return _ratio(_hits(ranked, k), divisor)


def r_precision(ranked: Ranked, k: int | None = None) -> Scores:
    """Precision at R, the number of relevant documents of the query; trec_eval's ``Rprec``.

    Args:
        ranked: The rankings.
        k: Not used; R takes its place.

    Returns:
        (n,); 0 for a query without any relevant document.

    Example:
        >>> r_precision(Ranked(np.array([[1.0, 0.0, 1.0]]), np.ones((1, 2)), np.array([3])))
        array([0.5])
    """
    within = np.arange(ranked.gains.shape[1]) < ranked.n_relevant[:, None]
    return _ratio(np.asarray(((ranked.gains > 0) & within).sum(axis=1), dtype=np.float64), ranked.n_relevant)


def hit_rate(ranked: Ranked, k: int | None = None) -> Scores:
    """1 where some relevant document stands in the first k, else 0.

    trec_eval's ``success``; sentence-transformers calls it ``accuracy@k``.

    Example:
        >>> hit_rate(Ranked(np.array([[0.0, 1.0], [0.0, 0.0]]), np.ones((2, 1)), np.array([2, 2])))
        array([1., 0.])
    """
    return (_hits(ranked, k) > 0).astype(np.float64)


_FUNCTIONS: dict[str, Callable[[Ranked, int | None], Scores]] = {
    "accuracy": hit_rate,
    "hit_rate": hit_rate,
    "map": average_precision,
    "mrr": reciprocal_rank,
    "ndcg": ndcg,
    "precision": precision,
    "r_precision": r_precision,
    "recall": recall,
}
_WITHOUT_CUTOFF = {"r_precision"}


@dataclass(frozen=True)
class Metric:
    """A metric by its name.

    Attributes:
        name: As written: "ndcg@10".
        measure: What stands before the @.
        k: What stands after it; None is the whole ranking.
    """

    name: str
    measure: str
    k: int | None

    def score(self, ranked: Ranked) -> Scores:
        """Score each ranking: (n,).

        Example:
            >>> parse_metric("hit_rate@1").score(Ranked(np.array([[0.0, 1.0]]), np.ones((1, 1)), np.array([2])))
            array([0.])
        """
        return _FUNCTIONS[self.measure](ranked, self.k)


def parse_metric(name: str) -> Metric:
    """Read the name of a metric.

    Args:
        name: "ndcg", "mrr", "map", "recall", "precision", "hit_rate", "accuracy" or "r_precision", and "@k" but for the
            last; without it the whole ranking counts.

    Raises:
        ConfigError: There is no such metric.

    Example:
        >>> parse_metric("ndcg@10")
        Metric(name='ndcg@10', measure='ndcg', k=10)
    """
    measure, at, cutoff = str(name).partition("@")
    if measure in _FUNCTIONS:
        if not at:
            return Metric(name, measure, None)
        if measure not in _WITHOUT_CUTOFF and re.fullmatch("[1-9][0-9]{0,8}", cutoff):
            return Metric(name, measure, int(cutoff))
    raise ConfigError(_unknown(name, measure, cutoff))


def parse_metrics(names: str | Iterable[str]) -> tuple[Metric, ...]:
    """Read several names; one alone may stand without a list, and a name that is repeated counts once.

    Raises:
        ConfigError: There is no such metric, or no name at all.

    Example:
        >>> [metric.k for metric in parse_metrics(["ndcg@10", "mrr", "ndcg@10"])]
        [10, None]
    """
    metrics = tuple(parse_metric(name) for name in dict.fromkeys([names] if isinstance(names, str) else names))
    if not metrics:
        raise ConfigError('No metric was named. Expected at least one, such as metrics=["ndcg@10"].')
    return metrics


def _unknown(name: str, measure: str, cutoff: str) -> str:
    known = f"Known: {', '.join(_FUNCTIONS)}; each but r_precision also as @k with k = 1, 2, …"
    if measure in _FUNCTIONS:
        meant = measure if measure in _WITHOUT_CUTOFF else f"{measure}@10"
    else:
        near = get_close_matches(measure.strip().lower().replace("-", "_"), _FUNCTIONS, n=1)
        cut = f"@{cutoff}" if cutoff and near and near[0] not in _WITHOUT_CUTOFF else ""
        meant = near[0] + cut if near else ""
    return f"Unknown metric {name!r}. " + (f"Did you mean {meant!r}? " if meant else "") + known + "."


def _discounted(gains: Scores) -> Scores:
    return _summed(gains / np.log2(np.arange(2, gains.shape[1] + 2)))


def _summed(parts: Scores) -> Scores:
    """Sum along the ranks from the first on, so that what stands below a cutoff moves no bit: a tie is a tie."""
    return np.asarray(parts.cumsum(axis=1)[:, -1] if parts.shape[1] else np.zeros(len(parts)), dtype=np.float64)


def _hits(ranked: Ranked, k: int | None) -> Scores:
    return np.asarray((ranked.gains[:, :k] > 0).sum(axis=1), dtype=np.float64)


def _ratio(numerator: Scores, denominator: Scores) -> Scores:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
