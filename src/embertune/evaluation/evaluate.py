"""Judgements and rankings in, the score of every query out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from embertune.core.search import Positions
from embertune.data.qrels import judged_queries
from embertune.data.texts import counted
from embertune.errors import DataError
from embertune.evaluation.judgments import Judgments
from embertune.evaluation.metrics import Scores, parse_metrics
from embertune.evaluation.run import Run

__all__ = ["Evaluation", "evaluate", "evaluate_positions"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The scores of every query under every metric.

    Attributes:
        name: Of the run.
        query_ids: The n queries that were judged: those with a relevant document, in the order of the qrels.
        scores: Metric -> (n,) score of each query; read-only.
        n_unanswered: Queries among them for which the run holds nothing; each counts as 0.
        n_without_relevant: Queries of the qrels without any relevant document; left out, for no ranking could be right.
        n_unjudged: Queries of the run that the qrels do not know; left out.

    Example:
        >>> print(evaluate({"q1": {"b": 1}, "q2": {"a": 1}}, Run.from_scores({"q1": {"b": 0.9}}), "hit_rate@1"))
        run, 2 queries
          hit_rate@1  0.5000
          1 query unanswered, counted as 0
    """

    name: str
    query_ids: tuple[str, ...]
    scores: Mapping[str, Scores]
    n_unanswered: int
    n_without_relevant: int
    n_unjudged: int

    def __len__(self) -> int:
        """How many queries were judged."""
        return len(self.query_ids)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return tuple(self.scores)

    @property
    def means(self) -> dict[str, float]:
        """Metric -> mean over the queries."""
        return {metric: float(scores.mean()) for metric, scores in self.scores.items()}

    def __str__(self) -> str:
        """Show the means, and what was left out."""
        width = max(map(len, self.scores))
        lines = [f"{self.name}, {counted(len(self), 'query', 'queries')}"]
        lines += [f"  {metric:<{width}}  {mean:.4f}" for metric, mean in self.means.items()]
        for count, what in (
            (self.n_unanswered, "unanswered, counted as 0"),
            (self.n_without_relevant, "without a relevant document, left out"),
            (self.n_unjudged, "without judgements, left out"),
        ):
            if count:
                lines.append(f"  {counted(count, 'query', 'queries')} {what}")
        return "\n".join(lines)


def evaluate(qrels: Mapping[str, Mapping[str, float]], run: Run, metrics: str | Iterable[str]) -> Evaluation:
    """Score a run.

    Every query of the qrels that has a relevant document counts, answered or not. The order of the run is the ranking;
    scores are not looked at, so ties are as they were broken when it was made.

    Args:
        qrels: Query id -> document id -> grade; above 0 is relevant.
        run: The rankings.
        metrics: Names such as "ndcg@10"; see `embertune.evaluation.metrics.parse_metric`.

    Returns:
        An `Evaluation`, whatever the number of metrics.

    Raises:
        ConfigError: There is no such metric.
        DataError: The qrels hold no relevant document, or share no query with the run.

    Example:
        >>> run = Run.from_scores({"q1": {"a": 0.9, "b": 0.8}})
        >>> evaluate({"q1": {"b": 1}, "q2": {"a": 1}, "q3": {"a": 0}}, run, ["mrr@10", "recall@1"]).means
        {'mrr@10': 0.25, 'recall@1': 0.0}
    """
    names = [metric.name for metric in parse_metrics(metrics)]
    judged = judged_queries(qrels)
    if not judged:
        raise DataError(
            f"None of the {len(qrels)} queries in the qrels has a relevant document (a grade above 0). "
            "Expected at least one, such as qrels={'q1': {'d7': 1}}."
        )
    place = {query: row for row, query in enumerate(run.query_ids)}
    answered = np.array([place.get(query, -1) for query in judged], dtype=np.intp)
    if len(run) and (answered < 0).all() and not any(query in place for query in qrels):
        raise DataError(
            f"None of the {len(run)} queries of the run {run.name!r} (such as {run.query_ids[0]!r}) is among the "
            f"{len(qrels)} queries of the qrels (such as {judged[0]!r}). Check that both come from the same data set."
        )
    positions = np.full((len(judged), run.positions.shape[1]), -1, dtype=np.intp)
    positions[answered >= 0] = run.positions[answered[answered >= 0]]
    scores = evaluate_positions(Judgments.from_qrels(qrels, judged, run.document_ids), positions, names)
    for values in scores.values():
        values.flags.writeable = False
    return Evaluation(
        name=run.name,
        query_ids=tuple(judged),
        scores=MappingProxyType(scores),
        n_unanswered=int((positions < 0).all(axis=1).sum()),
        n_without_relevant=len(qrels) - len(judged),
        n_unjudged=sum(query not in qrels for query in run.query_ids),
    )


def evaluate_positions(judgments: Judgments, positions: Positions, metrics: str | Iterable[str]) -> dict[str, Scores]:
    """Score rankings that are arrays; the quick path, for search results in the order of the judgements.

    Args:
        judgments: Of n queries.
        positions: (n, k) document positions, best first; -1 where nothing stands.
        metrics: Names such as "ndcg@10".

    Returns:
        Metric -> (n,) scores. A query without any relevant document has 0 here; `evaluate` leaves it out.

    Raises:
        ConfigError: There is no such metric.
        DataError: The rankings do not fit the judgements.

    Example:
        >>> judgments = Judgments.from_qrels({"q": {"b": 1}}, ["q"], ["a", "b"])
        >>> evaluate_positions(judgments, np.array([[0, 1]]), ["mrr@10"])
        {'mrr@10': array([0.5])}
    """
    ranked = judgments.rank(positions)
    return {metric.name: metric.score(ranked) for metric in parse_metrics(metrics)}
