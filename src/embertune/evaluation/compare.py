"""Evaluations side by side: every contestant against the first, query by query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from embertune.core.search import Positions
from embertune.data.texts import counted
from embertune.errors import ConfigError, DataError
from embertune.evaluation.evaluate import Evaluation
from embertune.evaluation.metrics import Scores
from embertune.evaluation.statistics import bootstrap_interval, holm, randomization_test

__all__ = ["Comparison", "Delta", "Duel", "Group", "compare", "compare_two"]

# Scores are shares; what differs by less is rounding, not another ranking.
_TIE = 1e-9
_MOST = 10


@dataclass(frozen=True)
class Delta:
    """The difference of two systems in one metric.

    Attributes:
        mean: Of tuned minus base over the queries.
        low: Lower end of its 95 % interval.
        high: Upper end.
        p: Of the two-sided randomisation test.
        wins: Queries that gained.
        ties: Queries that stayed.
        losses: Queries that lost.

    Example:
        >>> delta = Delta(mean=0.05, low=0.01, high=0.09, p=0.02, wins=30, ties=60, losses=10)
        >>> delta.wins + delta.ties + delta.losses
        100
    """

    mean: float
    low: float
    high: float
    p: float
    wins: int
    ties: int
    losses: int

    def to_dict(self) -> dict[str, float]:
        """Give it as the record has it."""
        return asdict(self)


@dataclass(frozen=True)
class Group:
    """Two systems on some of the queries; without queries the three mappings are empty.

    Attributes:
        n: How many queries.
        base: Metric -> mean.
        tuned: Metric -> mean.
        delta: Metric -> difference.

    Example:
        >>> Group(0, {}, {}, {}).to_dict()
        {'n': 0, 'base': {}, 'tuned': {}, 'delta': {}}
    """

    n: int
    base: Mapping[str, float]
    tuned: Mapping[str, float]
    delta: Mapping[str, Delta]

    def to_dict(self) -> dict[str, Any]:
        """Give it as the record has it: n, base, tuned, delta."""
        return {
            "n": self.n,
            "base": dict(self.base),
            "tuned": dict(self.tuned),
            "delta": {metric: delta.to_dict() for metric, delta in self.delta.items()},
        }


@dataclass(frozen=True)
class Duel:
    """A contestant against the baseline.

    Attributes:
        name: Of the contestant.
        baseline: Its name.
        primary: The metric that `gained` and `lost` go by.
        overall: On all queries.
        groups: On the queries of each group.
        gained: Ids of the queries that gained most in the primary metric, the largest gain first; at most 10.
        lost: Ids of those that lost most, the largest loss first; at most 10.

    Example:
        >>> from embertune.evaluation import Run, evaluate
        >>> qrels = {"q": {"b": 1}}
        >>> base = evaluate(qrels, Run.from_scores({"q": {"a": 2, "b": 1}}), "mrr")
        >>> print(compare_two(base, base))
        1 query; difference to base, its 95 % interval, p, queries that gained, stayed, lost
        mrr  base   0.500
             tuned  0.500  +0.000 [+0.000, +0.000]  1.0000  0 / 1 / 0
    """

    name: str
    baseline: str
    primary: str
    overall: Group
    groups: Mapping[str, Group]
    gained: tuple[str, ...]
    lost: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give base, tuned, delta and groups as the record has them, and the names, gained and lost.

        Example:
            >>> from embertune.evaluation import Run, evaluate
            >>> qrels = {"q": {"b": 1}}
            >>> base = evaluate(qrels, Run.from_scores({"q": {"a": 2, "b": 1}}), "mrr")
            >>> tuned = evaluate(qrels, Run.from_scores({"q": {"a": 1, "b": 2}}), "mrr")
            >>> sorted(compare_two(base, tuned, primary="mrr").to_dict())
            ['base', 'baseline', 'delta', 'gained', 'groups', 'lost', 'n', 'name', 'primary', 'tuned']
        """
        return {
            "name": self.name,
            "baseline": self.baseline,
            "primary": self.primary,
            **self.overall.to_dict(),
            "groups": {name: group.to_dict() for name, group in self.groups.items()},
            "gained": list(self.gained),
            "lost": list(self.lost),
        }

    def __str__(self) -> str:
        """Show means, differences and intervals, all queries first, then each group."""
        return _text(self.baseline, self.overall.n, self.overall.base, {self.name: self})


@dataclass(frozen=True)
class Comparison:
    """Several contestants against one baseline; prints as a table with the baseline first.

    Attributes:
        baseline: Name of the first.
        primary: The metric that decides.
        n: Number of queries.
        means: Metric -> mean of the baseline.
        duels: Contestant -> its comparison with the baseline; p is adjusted for their number (Holm).

    Example:
        >>> from embertune.evaluation import Run, evaluate
        >>> qrels = {"q": {"b": 1}}
        >>> runs = {"base": {"q": {"a": 2, "b": 1}}, "tuned": {"q": {"a": 1, "b": 2}}}
        >>> comparison = compare({name: evaluate(qrels, Run.from_scores(run), "mrr") for name, run in runs.items()})
        >>> comparison.baseline, comparison.means, comparison.duels["tuned"].overall.tuned
        ('base', {'mrr': 0.5}, {'mrr': 1.0})
    """

    baseline: str
    primary: str
    n: int
    means: Mapping[str, float]
    duels: Mapping[str, Duel]

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain JSON-able values."""
        return {
            "baseline": self.baseline,
            "primary": self.primary,
            "n": self.n,
            "means": dict(self.means),
            "duels": {name: duel.to_dict() for name, duel in self.duels.items()},
        }

    def __str__(self) -> str:
        """Show means, differences and intervals, all queries first, then each group."""
        return _text(self.baseline, self.n, self.means, self.duels)


def compare(
    evaluations: Mapping[str, Evaluation],
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    seed: int = 0,
    primary: str | None = None,
) -> Comparison:
    """Compare evaluations of the same queries with the first of them.

    Args:
        evaluations: Name -> evaluation; the first is the baseline.
        groups: Name -> query ids, such as "seen" and "unseen"; ids that were not judged are passed over.
        seed: Of the intervals and tests.
        primary: The metric that decides; the first if not said.

    Raises:
        ConfigError: Fewer than two evaluations, or `primary` is none of their metrics.
        DataError: They differ in queries or metrics, or groups name a query twice.

    Example:
        >>> from embertune.evaluation import Run, evaluate
        >>> qrels = {f"q{at}": {"b": 1} for at in range(8)}
        >>> base = evaluate(qrels, Run.from_scores({query: {"a": 2, "b": 1} for query in qrels}), "mrr@10")
        >>> tuned = evaluate(qrels, Run.from_scores({query: {"a": 1, "b": 2} for query in qrels}), "mrr@10")
        >>> print(compare({"base": base, "tuned": tuned}))
        8 queries; difference to base, its 95 % interval, p, queries that gained, stayed, lost
        mrr@10  base   0.500
                tuned  1.000  +0.500 [+0.500, +0.500]  0.0078  8 / 0 / 0
    """
    if len(evaluations) < 2:
        raise ConfigError(
            f"Found {len(evaluations)} evaluations. Expected at least two, the baseline first: "
            'compare({"base": …, "tuned": …})'
        )
    (baseline, base), *others = evaluations.items()
    duels = {
        name: compare_two(base, tuned, groups=groups, seed=seed, primary=primary, names=(baseline, name))
        for name, tuned in others
    }
    first = next(iter(duels.values()))
    return Comparison(baseline, first.primary, len(base), base.means, _adjusted(duels))


def compare_two(
    base: Evaluation,
    tuned: Evaluation,
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    seed: int = 0,
    primary: str | None = None,
    names: tuple[str, str] = ("base", "tuned"),
) -> Duel:
    """Compare two evaluations of the same queries.

    Args:
        base: The baseline.
        tuned: The contestant; its queries may stand in another order.
        groups: Name -> query ids, such as "seen" and "unseen"; ids that were not judged are passed over.
        seed: Of the intervals and tests.
        primary: The metric that decides; the first if not said.
        names: What the two are called.

    Raises:
        ConfigError: `primary` is none of the metrics.
        DataError: The two differ in queries or metrics, or a group names a query twice.

    Example:
        >>> from embertune.evaluation import Run, evaluate
        >>> qrels = {"q": {"b": 1}}
        >>> base = evaluate(qrels, Run.from_scores({"q": {"a": 2, "b": 1}}), "mrr")
        >>> tuned = evaluate(qrels, Run.from_scores({"q": {"a": 1, "b": 2}}), "mrr")
        >>> duel = compare_two(base, tuned, groups={"seen": ["q"], "unseen": []})
        >>> duel.overall.delta["mrr"].mean, duel.gained, duel.groups["unseen"].n
        (0.5, ('q',), 0)
    """
    primary = primary or base.metrics[0]
    theirs = _aligned(base, tuned, names)
    if primary not in base.metrics:
        raise ConfigError(f"The primary metric {primary!r} was not measured. Measured: {', '.join(base.metrics)}.")
    place = {query: row for row, query in enumerate(base.query_ids)}
    rows = {name: _rows(name, ids, place) for name, ids in (groups or {}).items()}
    differences = {metric: _difference(base.scores[metric], theirs[metric]) for metric in base.metrics}

    def measure(chosen: Positions) -> Group:
        if not len(chosen):
            return Group(0, {}, {}, {})
        return Group(
            len(chosen),
            {metric: float(scores[chosen].mean()) for metric, scores in base.scores.items()},
            {metric: float(theirs[metric][chosen].mean()) for metric in base.metrics},
            {metric: _delta(values[chosen], seed) for metric, values in differences.items()},
        )

    change = differences[primary]
    order = np.argsort(-change, kind="stable")
    return Duel(
        name=names[1],
        baseline=names[0],
        primary=primary,
        overall=measure(np.arange(len(base))),
        groups={name: measure(chosen) for name, chosen in rows.items()},
        gained=tuple(base.query_ids[row] for row in order[:_MOST] if change[row] > 0),
        lost=tuple(base.query_ids[row] for row in order[::-1][:_MOST] if change[row] < 0),
    )


def _aligned(base: Evaluation, tuned: Evaluation, names: tuple[str, str]) -> dict[str, Scores]:
    """Give the scores of the second in the order of the first's queries."""
    if missing := [metric for metric in base.metrics if metric not in tuned.scores]:
        raise DataError(f"{names[1]!r} was not measured in {', '.join(missing)}. Evaluate both with the same metrics.")
    ours, theirs = set(base.query_ids), set(tuned.query_ids)
    if ours != theirs:
        example = min(ours ^ theirs)
        raise DataError(
            f"{names[0]!r} was judged on {len(ours)} queries and {names[1]!r} on {len(theirs)}; {len(ours ^ theirs)} "
            f"are in one of them only (such as {example!r}). Evaluate both with the same qrels."
        )
    place = {query: row for row, query in enumerate(tuned.query_ids)}
    order = np.array([place[query] for query in base.query_ids], dtype=np.intp)
    return {metric: tuned.scores[metric][order] for metric in base.metrics}


def _rows(name: str, ids: Sequence[str], place: Mapping[str, int]) -> Positions:
    rows = np.array([place[query] for query in ids if query in place], dtype=np.intp)
    if len(np.unique(rows)) < len(rows):
        twice = counted(len(rows) - len(np.unique(rows)), "query", "queries")
        raise DataError(f"Group {name!r} names {twice} twice. Expected each once.")
    return rows


def _difference(base: Scores, tuned: Scores) -> Scores:
    difference = tuned - base
    return np.where(np.abs(difference) <= _TIE, 0.0, difference)


def _delta(values: Scores, seed: int) -> Delta:
    low, high = bootstrap_interval(values, seed=seed)
    wins, losses = int((values > 0).sum()), int((values < 0).sum())
    p = randomization_test(values, seed=seed)
    return Delta(float(values.mean()), low, high, p, wins, len(values) - wins - losses, losses)


def _adjusted(duels: dict[str, Duel]) -> dict[str, Duel]:
    """Adjust every p for the number of contestants, apart per metric and per group."""
    groups = ["", *next(iter(duels.values())).groups]
    adjusted = {name: {"": duel.overall, **duel.groups} for name, duel in duels.items()}
    for group in groups:
        for metric in next(iter(adjusted.values()))[group].delta:
            values = holm([parts[group].delta[metric].p for parts in adjusted.values()])
            for parts, p in zip(adjusted.values(), values, strict=True):
                old = parts[group]
                parts[group] = replace(old, delta={**old.delta, metric: replace(old.delta[metric], p=float(p))})
    return {
        name: replace(duel, overall=adjusted[name][""], groups={group: adjusted[name][group] for group in duel.groups})
        for name, duel in duels.items()
    }


def _text(baseline: str, n: int, means: Mapping[str, float], duels: Mapping[str, Duel]) -> str:
    queries = counted(n, "query", "queries")
    lines = [f"{queries}; difference to {baseline}, its 95 % interval, p, queries that gained, stayed, lost"]
    lines += _table(baseline, means, {name: duel.overall for name, duel in duels.items()})
    for name, group in next(iter(duels.values())).groups.items():
        lines += ["", f"{name}: {counted(group.n, 'query', 'queries')}"]
        if group.n:
            lines += _table(baseline, group.base, {contestant: duel.groups[name] for contestant, duel in duels.items()})
    return "\n".join(lines)


def _table(baseline: str, means: Mapping[str, float], contestants: Mapping[str, Group]) -> list[str]:
    left, middle = max(map(len, means)), max(map(len, [baseline, *contestants]))
    lines = []
    for metric, mean in means.items():
        lines.append(f"{metric:<{left}}  {baseline:<{middle}}  {mean:.3f}")
        for name, group in contestants.items():
            delta = group.delta[metric]
            lines.append(
                f"{'':<{left}}  {name:<{middle}}  {group.tuned[metric]:.3f}  {delta.mean:+.3f} "
                f"[{delta.low:+.3f}, {delta.high:+.3f}]  {delta.p:.4f}  {delta.wins} / {delta.ties} / {delta.losses}"
            )
    return lines
