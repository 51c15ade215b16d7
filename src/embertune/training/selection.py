"""Choose an adapter on dev: fit along the path of strengths, read dev off folds, weigh, fit on everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import Adapter, TrainingPairs
from embertune.adapters.chain import Chain
from embertune.adapters.identity import IdentityAdapter
from embertune.adapters.linear import LinearAdapter
from embertune.adapters.solvers.contrastive import principal_directions
from embertune.core.progress import Progress, silent
from embertune.core.vectors import Vectors
from embertune.training.config import TuneConfig
from embertune.training.decisions import WIDE_OPEN, Shares, Trials, behind_gates, told_gates, weigh, weigh_gate
from embertune.training.offsets import Offsets, fit_offsets, weigh_offsets
from embertune.training.pool import Fold, Pool
from embertune.training.settings import Settings, Span, settings_of
from embertune.training.sparing import Others, Way, spare
from embertune.training.table import DevTable

__all__ = ["Candidate", "Choice", "choose"]


@dataclass(frozen=True)
class Candidate:
    """One setting that was tried.

    Attributes:
        params: What it is; empty for "no adapter".
        dev: Its mean score on dev.
        weight: Its share of what was chosen; all shares sum to 1.
    """

    params: dict[str, Any]
    dev: float
    weight: float


@dataclass(frozen=True)
class Choice:
    """What was chosen, and why.

    Attributes:
        adapter: Fitted on all of the pool; the identity if nothing beat it.
        candidates: Everything that was tried, "no adapter" first.
        curve: Along the final fit that weighs most: {"step", "loss", "dev"}, dev where it was read.
        note: What is to be said of the labels; usually nothing.
        reasons: What else was decided on dev, in sentences.
        trained: What was fitted on all of the pool and not taken, where there is such a thing.
    """

    adapter: Adapter
    candidates: tuple[Candidate, ...]
    curve: tuple[dict[str, float | None], ...]
    note: str = ""
    reasons: tuple[str, ...] = ()
    trained: Adapter | None = None


def choose(
    pool: Pool,
    folds: Sequence[Fold],
    config: TuneConfig,
    *,
    seed: int,
    seen_share: float | None = None,
    others: Others | None = None,
    progress: Progress = silent,
) -> Choice:
    """Choose a linear adapter on dev: the mean of the maps of all settings, weighted by what dev says of them.

    Each fold is judged under adapters fitted on the others, one per kind of map and strength, in a
    subspace that makes this quick. A setting that trails the best by z standard errors (of the
    paired difference) has weight ``exp(-(z / 2)² / 2)``: where dev cannot tell settings apart all
    count, where it can one does. No adapter is a setting too, a map of zeros, and is taken alone if
    its weight is more than half. Averaging over models instead of selecting one: Buckland, Burnham
    and Augustin (1997), Model Selection: An Integral Part of Inference.

    Labels that fit the embeddings no better than the answers of other queries do, frozen or adapted,
    teach nothing; then no adapter is taken, and the note says so.

    Args:
        pool: What may be looked at.
        folds: Rows to fit on, rows to judge.
        config: The settings.
        seed: For the draw of candidates and of random answers.
        seen_share: Of the queries to come, the share on documents that have training queries; see `weigh_offsets`.
        others: Queries that the adapter is not for. If these lose, gates close for their like, too; if they still do,
            no document has an offset, and at last none is mapped.
        progress: Told of every fit.

    Returns:
        The choice.
    """
    everything = pool.training(np.arange(len(pool.queries)))
    rank = config.rank_of(pool.queries.shape[1])
    tried = settings_of(config, rank=config.search_rank, steps=config.search_steps, seed=seed)
    table = DevTable(pool, len(tried), config.metric, seed)
    # Of vectors alone, without labels, so every fold may share them; finding them is as dear as a fit.
    search_basis, basis = _bases(everything, config.search_rank, rank)
    fits = _try_all(pool, folds, tried, table, search_basis, progress)
    trials = Trials(pool, folds, fits, config)
    weights, reasons = weigh(trials, table, tried)
    gates, gate_reasons = weigh_gate(trials, weights)
    means, note = table.means(), table.noise()
    offsets = Offsets() if note else _offsets(trials, weights, gates, seen_share)
    final = settings_of(config, rank=rank, steps=config.max_steps, seed=seed)
    weighed = {_ALL: weights}
    if others is not None and config.side == "auto" and weights[~tried.of_queries()].any():
        weighed[_ALONE] = table.choice(tried.of_queries() & table.harmless())

    @cache
    def fitted(maps: str) -> _Fitted:
        spans = tried.spans(weighed[maps], means, once=config.average == "strengths")
        adapter, heaviest = _fit(everything, spans, (tried, final), (search_basis, basis))
        return adapter, spans, heaviest

    options = _options(fitted(_ALL)[0], gates, offsets, others, can_leave=_keeps_a_map(weighed.get(_ALONE)))
    at, adapter, spared = spare(others, [Way(o.words, partial(_finished, pool, fitted, o, seed)) for o in options])
    option = options[at]
    _, spans, heaviest = fitted(option.maps)
    said = [*(reasons if option.maps == _ALL else ()), *(() if at else gate_reasons), option.offsets.reason, spared]
    progress("fit on train and dev", len(folds) + 1, len(folds) + 1)
    rows = zip(tried.params(), means, weighed[option.maps], strict=True)
    return Choice(
        adapter=adapter,
        candidates=tuple(
            Candidate(params, float(mean), float(weight)) for params, mean, weight in rows if not np.isnan(mean)
        ),
        curve=_curve(heaviest, float(means[0]), spans[_heaviest(spans)].means),
        note=note,
        reasons=tuple(reason for reason in said if reason),
    )


# Which maps are averaged: all that have weight, or those of queries alone.
_ALL, _ALONE = "all", "of queries alone"
# The mean map, the strengths that it is of, and the path of the kind that weighs most.
_Fitted = tuple[Adapter, list[Span], list[LinearAdapter]]


def _keeps_a_map(weights: npt.NDArray[np.float64] | None) -> bool:
    return weights is not None and bool(weights[1:].any())


class _Option(NamedTuple):
    """How the map is finished: which maps have weight, behind which gates, and whether documents have offsets."""

    words: str
    maps: str
    gates: Shares | None
    offsets: Offsets
    others: Others | None


def _options(
    mean: Adapter, gates: Shares | None, offsets: Offsets, others: Others | None, *, can_leave: bool
) -> list[_Option]:
    """List what spares other queries more and more; what own queries gain most by comes first."""
    options = [_Option("", _ALL, gates, offsets, None)]
    if others is None or isinstance(mean, IdentityAdapter):
        return options
    told, shut = told_gates(mean), gates or WIDE_OPEN
    options.append(_Option(told, _ALL, shut, offsets, others))
    if offsets.pays:
        options.append(_Option(f"{told}, and no offsets of documents", _ALL, shut, Offsets(), others))
    if can_leave:
        words = "are maps of queries alone, behind a gate that closes for queries more like theirs than like the own"
        options.append(_Option(words, _ALONE, shut, Offsets(), others))
    return options


def _try_all(
    pool: Pool, folds: Sequence[Fold], tried: Settings, table: DevTable, basis: Vectors | None, progress: Progress
) -> list[dict[int, LinearAdapter]]:
    """Fit every setting on every fold and judge it; give the fitted adapters by row of the table."""
    fits: list[dict[int, LinearAdapter]] = []
    for at, (fit_rows, dev_rows) in enumerate(folds):
        progress("choose on dev", at, len(folds) + 1, table.told() if at else "")
        training = pool.training(fit_rows)
        # After one fold dev tells too little to drop anything; the weakest pulls, which take longest, go first.
        paths = [tried.pulls] * len(tried.makers) if at < 2 else tried.still(table.weights())
        fits.append(
            {
                tried.row(kind, level): fitted
                for kind, (maker, pulls) in enumerate(zip(tried.makers, paths, strict=True))
                for level, fitted in enumerate(maker.fit_path(training, pulls, basis=basis))
            }
        )
        table.judge(fits[-1], fit_rows, dev_rows)
    progress("fit on train and dev", len(folds), len(folds) + 1, table.told())
    return fits


def _offsets(
    trials: Trials, weights: npt.NDArray[np.float64], gates: Shares | None, seen_share: float | None
) -> Offsets:
    """Decide on offsets of documents, where documents may be touched and the labels are not random."""
    if trials.config.side == "query" or trials.config.offsets == "no":
        return Offsets()
    maps = trials.means(weights)
    return weigh_offsets(trials, trials.gated(maps, gates) if gates else maps, seen_share=seen_share)


def _finished(pool: Pool, fitted: Callable[[str], _Fitted], option: _Option, seed: int) -> Adapter:
    """Put a map behind its gates, and move documents after it."""
    adapter, *_ = fitted(option.maps)
    if option.gates and not isinstance(adapter, IdentityAdapter):
        adapter = behind_gates(adapter, pool.queries, pool.documents, option.gates, others=option.others, seed=seed)
    if not option.offsets.pays:
        return adapter
    moved = fit_offsets(pool, adapter, option.offsets)
    return moved if isinstance(adapter, IdentityAdapter) else Chain([adapter, moved])


def _fit(
    everything: TrainingPairs, spans: Sequence[Span], makers: Sequence[Settings], bases: Sequence[Vectors | None]
) -> tuple[Adapter, list[LinearAdapter]]:
    """Fit every kind of map that has weight on the whole pool; give the mean map, and the path that weighs most.

    Fits in all of space take most of the time, so they start where those in fewer directions ended.

    Args:
        everything: The training pairs.
        spans: Of each kind the strengths, with the weight of each.
        makers: What is fitted first, and what at last.
        bases: Of both.
    """
    paths = []
    for span, quick, maker in zip(spans, makers[0].makers, makers[1].makers, strict=True):
        before = (*(pull for pull in makers[0].pulls if span.pulls and pull > span.pulls[0]), *span.pulls[:1])
        *_, start = [None, *quick.fit_path(everything, before, basis=bases[0])] if bases[0] is not None else [None]
        paths.append(list(maker.fit_path(everything, span.pulls, basis=bases[1], start=start)))
    fitted = [adapter for path in paths for adapter in path]
    if not fitted:
        return IdentityAdapter(), []
    shares = [share for span in spans for share in span.shares]
    return LinearAdapter.mean_of(fitted, shares), paths[_heaviest(spans)]


def _heaviest(spans: Sequence[Span]) -> int:
    return int(np.argmax([sum(span.shares) for span in spans]))


def _bases(training: TrainingPairs, *ranks: int | None) -> list[Vectors | None]:
    """Give the principal directions for every rank, from one decomposition; None where that is all of space."""
    cut = [None if rank is None or rank >= training.queries.shape[1] else rank for rank in ranks]
    most = max((rank for rank in cut if rank is not None), default=None)
    if most is None:
        return [None for _ in cut]
    widest = principal_directions(training.queries, training.documents, most)
    return [None if rank is None else np.ascontiguousarray(widest[:, :rank]) for rank in cut]


def _curve(path: Sequence[LinearAdapter], base: float, means: Sequence[float]) -> tuple[dict[str, float | None], ...]:
    curve: list[dict[str, float | None]] = [{"step": 0, "loss": None, "dev": base}]
    for adapter, mean in zip(path, means, strict=False):
        for at, loss in enumerate(adapter.losses_, start=1):
            last = at == len(adapter.losses_)
            curve.append({"step": len(curve), "loss": float(loss), "dev": float(mean) if last else None})
    return tuple(curve)
