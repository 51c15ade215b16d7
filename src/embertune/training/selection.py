"""Choose an adapter on dev: fit along the path of strengths, read dev off folds, weigh, fit on everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
from embertune.training.decisions import Shares, Trials, behind_gates, weigh, weigh_gate
from embertune.training.offsets import Offsets, fit_offsets, weigh_offsets
from embertune.training.pool import Fold, Pool
from embertune.training.settings import Settings, settings_of
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
    starts = _starts(everything, weights, tried, search_basis)
    adapter, heaviest = _fit(everything, weights, final, basis, starts)
    if gates:
        adapter = behind_gates(adapter, everything.queries, pool.documents, gates, seed=seed)
    if offsets.pays:
        moved = fit_offsets(pool, adapter, offsets)
        adapter = moved if isinstance(adapter, IdentityAdapter) else Chain([adapter, moved])
    progress("fit on train and dev", len(folds) + 1, len(folds) + 1)
    rows = zip(tried.params(), means, weights, strict=True)
    return Choice(
        adapter=adapter,
        candidates=tuple(
            Candidate(params, float(mean), float(weight)) for params, mean, weight in rows if not np.isnan(mean)
        ),
        curve=_curve(heaviest, float(means[0]), _of_heaviest(tried, weights, means)),
        note=note,
        reasons=tuple(reason for reason in (*reasons, *gate_reasons, offsets.reason) if reason),
    )


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


def _starts(
    everything: TrainingPairs, weights: npt.NDArray[np.float64], tried: Settings, basis: Vectors | None
) -> list[LinearAdapter | None]:
    """Fit every kind of map that has weight as on the folds, down to the first strength that has."""
    starts: list[LinearAdapter | None] = []
    for maker, pulls in zip(tried.makers, tried.until(weights), strict=True):
        *_, last = [None, *maker.fit_path(everything, pulls, basis=basis)] if basis is not None and pulls else [None]
        starts.append(last)
    return starts


def _fit(
    everything: TrainingPairs,
    weights: npt.NDArray[np.float64],
    settings: Settings,
    basis: Vectors | None,
    starts: Sequence[LinearAdapter | None],
) -> tuple[Adapter, list[LinearAdapter]]:
    """Fit every setting that has weight on the whole pool; give the mean of the maps, and the path that weighs most.

    Fits in all of space take most of the time, so they start where those in fewer directions ended.
    """
    spans = settings.spans(weights)
    paths = [
        list(maker.fit_path(everything, settings.pulls[span], basis=basis, start=start))
        for maker, span, start in zip(settings.makers, spans, starts, strict=True)
    ]
    fitted = [adapter for path in paths for adapter in path]
    if not fitted:
        return IdentityAdapter(), []
    counted = settings.by_kind(weights)
    shares = [share for row, span in zip(counted, spans, strict=True) for share in row[span]]
    return LinearAdapter.mean_of(fitted, shares), paths[int(counted.sum(axis=1).argmax())]


def _bases(training: TrainingPairs, *ranks: int | None) -> list[Vectors | None]:
    """Give the principal directions for every rank, from one decomposition; None where that is all of space."""
    cut = [None if rank is None or rank >= training.queries.shape[1] else rank for rank in ranks]
    most = max((rank for rank in cut if rank is not None), default=None)
    if most is None:
        return [None for _ in cut]
    widest = principal_directions(training.queries, training.documents, most)
    return [None if rank is None else np.ascontiguousarray(widest[:, :rank]) for rank in cut]


def _of_heaviest(
    settings: Settings, weights: npt.NDArray[np.float64], means: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Give the dev scores along the pulls of the kind of map that weighs most."""
    kind = int(settings.by_kind(weights).sum(axis=1).argmax())
    return np.asarray(settings.by_kind(means)[kind, settings.spans(weights)[kind]])


def _curve(
    path: Sequence[LinearAdapter], base: float, means: npt.NDArray[np.float64]
) -> tuple[dict[str, float | None], ...]:
    curve: list[dict[str, float | None]] = [{"step": 0, "loss": None, "dev": base}]
    for adapter, mean in zip(path, means, strict=False):
        for at, loss in enumerate(adapter.losses_, start=1):
            last = at == len(adapter.losses_)
            curve.append({"step": len(curve), "loss": float(loss), "dev": float(mean) if last else None})
    return tuple(curve)
