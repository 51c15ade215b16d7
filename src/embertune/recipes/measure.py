"""The one opening of the test split: everything that is read off it, read at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from embertune.adapters.identity import IdentityAdapter
from embertune.data.dataset import Dataset
from embertune.data.origin import count_generators
from embertune.encoders.encoded import Encoded
from embertune.evaluation.baselines import bm25_run
from embertune.evaluation.compare import Duel, compare_two
from embertune.evaluation.cosines import EDGES, cosine_histogram
from embertune.evaluation.evaluate import Evaluation, evaluate, evaluate_positions
from embertune.evaluation.headroom import headroom
from embertune.evaluation.holdout import Holdout
from embertune.evaluation.judgments import Judgments
from embertune.evaluation.run import Run
from embertune.evaluation.statistics import queries_to_settle
from embertune.evaluation.verdict import Evidence, Verdict, decide
from embertune.recipes.contest import Contest
from embertune.recipes.details import Details, make_details
from embertune.recipes.foreign import judge_foreign
from embertune.recipes.plan import Trial
from embertune.recipes.ranking import Ranked, depth_of, rank
from embertune.recipes.strength import strength_curve
from embertune.reports.examples import Texts
from embertune.training.config import TuneConfig
from embertune.training.selection import Choice

__all__ = [
    "METRICS",
    "Measured",
    "Rankings",
    "Told",
    "mean_difference",
    "measure",
    "read_off",
    "reported_metrics",
]

METRICS = (
    "ndcg@10", "mrr@10", "map@100", "recall@10", "recall@100", "precision@10", "hit_rate@10", "accuracy@1",
)  # fmt: skip
"""What every record reports, beside the metric that decides."""

_EXAMPLES = 10
_SHOWN = 5


def reported_metrics(primary: str) -> tuple[str, ...]:
    """Give the metrics of a record, the one that decides among them."""
    return METRICS if primary in METRICS else (primary, *METRICS)


@dataclass(frozen=True)
class Measured:
    """What the test split said.

    Attributes:
        scores: "base", "tuned", "baselines", "delta", "groups", "foreign" and "strength", as in the record.
        verdict: Ship it, or don't.
        queries: Every test query: id, group, and the primary metric before and after.
        seeds: The difference in the primary metric, of this seed and of the others.
        cosines: Histograms of relevant and irrelevant pairs before and after.
        opened: How often the test split was opened.
        texts: The test queries, and the rankings of those that gained and lost most.
        judgments: Of the test queries, in their order.
        evaluations: Of base and tuned.
        details: What each test query found, and a map; None where only rankings were read off.
    """

    scores: dict[str, Any]
    verdict: Verdict
    queries: list[dict[str, Any]]
    seeds: tuple[float, ...]
    cosines: dict[str, Any]
    opened: int
    texts: Texts
    judgments: Judgments
    evaluations: tuple[Evaluation, Evaluation]
    details: Details | None = None


def measure(
    contest: Contest, holdout: Holdout[Dataset], config: TuneConfig, *, others: tuple[float, ...], seed: int
) -> Measured:
    """Open the test split once and read everything off it, foreign queries as well.

    Args:
        contest: Who was fitted on, who is judged, and under what.
        holdout: The test queries of all trials.
        config: The settings.
        others: What other seeds gave, from `mean_difference`.
        seed: For bootstrap and randomisation.
    """
    test = holdout.open("the final comparison of the frozen encoder, the candidate and BM25")
    trials, choices, served, encoded, foreign = contest
    metrics, depth = reported_metrics(config.metric), depth_of(config.metric, len(encoded.documents))
    base = rank(trials, [IdentityAdapter()] * len(trials), encoded, depth)
    tuned = rank(trials, [choice.adapter for choice in choices], encoded, depth)
    theirs = None if foreign is None else judge_foreign(foreign, served, metrics, primary=config.metric, seed=seed)
    note = next((choice.note for choice in choices if choice.note), "")
    told = Told(isinstance(served, IdentityAdapter), note, None if theirs is None else theirs.evidence(), others)
    found = read_off(Rankings(trials, encoded.document_ids, base, tuned), test, config.metric, told, seed=seed)
    scores = {
        **found.scores,
        "foreign": None if theirs is None else theirs.to_dict(),
        "strength": strength_curve(contest, found.judgments, config.metric, ends=found.evaluations, theirs=theirs),
    }
    details = make_details(trials, encoded, base, tuned, test, seed=seed)
    return replace(found, scores=scores, opened=holdout.opened, details=details)


class Rankings(NamedTuple):
    """How two systems rank the test queries of all trials.

    Attributes:
        trials: Who was fitted on, who is judged.
        document_ids: What the positions of the rankings mean.
        base: The one.
        tuned: The other.
    """

    trials: Sequence[Trial]
    document_ids: Sequence[str]
    base: Ranked
    tuned: Ranked


class Told(NamedTuple):
    """What the verdict is to know beside the test queries; see `Evidence` for the fields."""

    identity: bool = False
    note: str = ""
    foreign: dict[str, Any] | None = None
    others: tuple[float, ...] = ()


def read_off(rankings: Rankings, test: Dataset, primary: str, told: Told, *, seed: int) -> Measured:
    """Read everything off the rankings of an opened test split; "foreign" and "strength" are None.

    Args:
        rankings: Base and tuned.
        test: The test queries of all trials.
        primary: The metric that decides.
        told: What else the verdict is to know.
        seed: For bootstrap and randomisation.
    """
    trials, document_ids, base, tuned = rankings
    ids = [query for trial in trials for query in trial.test.queries]
    seen = {query for trial in trials for query in trial.seen}
    qrels = {query: test.qrels[query] for query in ids}
    judgments = Judgments.from_qrels(qrels, ids, document_ids)
    metrics, depth = reported_metrics(primary), depth_of(primary, len(document_ids))
    before, after = (
        evaluate(qrels, Run(name, tuple(ids), tuple(document_ids), ranked.positions, ranked.scores), metrics)
        for name, ranked in (("base", base), ("tuned", tuned))
    )
    groups = {"seen": [q for q in ids if q in seen], "unseen": [q for q in ids if q not in seen]}
    duel = compare_two(before, after, groups=groups, seed=seed, primary=primary)
    evidence = replace(
        _evidence(duel, after.scores[primary] - before.scores[primary]),
        identity=told.identity,
        note=told.note,
        headroom=headroom(judgments, base.positions, primary).to_dict(),
        seeds=(duel.overall.delta[primary].mean, *told.others),
        foreign=told.foreign or {},
        synthetic=count_generators(test.synthetic, ids),
    )
    rows, said = _query_rows(before, after, primary, seen), duel.to_dict()
    bm25 = evaluate(qrels, bm25_run(test.corpus, test.queries, top_k=depth), metrics)
    return Measured(
        scores={
            **{key: said[key] for key in ("base", "tuned", "delta", "groups")},
            "baselines": {"bm25": bm25.means},
            "foreign": None,
            "strength": None,
        },
        verdict=decide(evidence),
        queries=rows,
        seeds=evidence.seeds,
        cosines=_cosines(base, tuned, judgments, trials, seed),
        opened=0,
        texts=Texts({query: test.queries[query] for query in ids}, _examples(rows, document_ids, test, base, tuned)),
        judgments=judgments,
        evaluations=(before, after),
    )


def _evidence(duel: Duel, differences: npt.NDArray[np.float64]) -> Evidence:
    metric = duel.primary
    delta = duel.overall.delta[metric]
    return Evidence(
        metric=metric,
        base=duel.overall.base[metric],
        tuned=duel.overall.tuned[metric],
        low=delta.low,
        high=delta.high,
        p=delta.p,
        queries=duel.overall.n,
        wins=delta.wins,
        losses=delta.losses,
        groups={
            name: {"n": group.n, **{key: getattr(group.delta[metric], key) for key in ("mean", "low", "high")}}
            for name, group in duel.groups.items()
            if group.n
        },
        to_settle=queries_to_settle(differences),
    )


def mean_difference(trials: Sequence[Trial], choices: Sequence[Choice], encoded: Encoded, metric: str) -> float:
    """Give the mean difference between choices and the frozen encoder on the test queries, in one metric.

    Args:
        trials: Who was fitted on, who is judged.
        choices: What was chosen, per trial.
        encoded: The vectors of the data set.
        metric: Its name.
    """
    if all(isinstance(choice.adapter, IdentityAdapter) for choice in choices):
        return 0.0
    ids = [query for trial in trials for query in trial.test.queries]
    qrels = {query: trial.test.qrels[query] for trial in trials for query in trial.test.queries}
    judgments, depth = Judgments.from_qrels(qrels, ids, encoded.document_ids), depth_of(metric, len(encoded.documents))
    base, tuned = (
        evaluate_positions(judgments, rank(trials, adapters, encoded, depth).positions, metric)[metric].mean()
        for adapters in ([IdentityAdapter()] * len(trials), [choice.adapter for choice in choices])
    )
    return float(tuned - base)


def _query_rows(base: Evaluation, tuned: Evaluation, metric: str, seen: set[str]) -> list[dict[str, Any]]:
    return [
        {"id": query, "group": "seen" if query in seen else "unseen", "base": float(before), "tuned": float(after)}
        for query, before, after in zip(base.query_ids, base.scores[metric], tuned.scores[metric], strict=True)
    ]


def _cosines(base: Ranked, tuned: Ranked, judgments: Judgments, trials: Sequence[Trial], seed: int) -> dict[str, Any]:
    counts = {}
    for name, ranked in (("base", base), ("tuned", tuned)):
        total = {kind: np.zeros(len(EDGES) - 1, dtype=np.intp) for kind in ("relevant", "irrelevant")}
        start = 0
        for trial, documents in zip(trials, ranked.documents, strict=True):
            rows = np.arange(start, start + len(trial.test.queries))
            start += len(rows)
            part = cosine_histogram(ranked.queries[rows], documents, judgments.select(rows), seed=seed)
            total = {kind: total[kind] + np.array(part[kind]) for kind in total}
        counts[name] = {kind: values.tolist() for kind, values in total.items()}
    return {"edges": list(EDGES), **counts}


def _examples(
    rows: Sequence[Mapping[str, Any]], document_ids: Sequence[str], test: Dataset, base: Ranked, tuned: Ranked
) -> tuple[dict[str, Any], ...]:
    """Take the rankings of the ten queries that gained most and the ten that lost most."""
    gains = np.array([row["tuned"] - row["base"] for row in rows])
    order = np.argsort(-gains, kind="stable")
    chosen = [at for at in order[:_EXAMPLES] if gains[at] > 0] + [at for at in order[::-1][:_EXAMPLES] if gains[at] < 0]

    def ranking(ranked: Ranked, at: int) -> list[tuple[str, float, bool, str]]:
        grades = test.qrels[rows[at]["id"]]
        ids = [document_ids[position] for position in ranked.positions[at, :_SHOWN]]
        return [
            (document, float(score), grades.get(document, 0) > 0, test.corpus[document].content)
            for document, score in zip(ids, ranked.scores[at], strict=False)
        ]

    return tuple(
        {"query_id": rows[at]["id"], "base": ranking(base, at), "tuned": ranking(tuned, at)} for at in map(int, chosen)
    )
