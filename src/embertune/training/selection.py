"""Choose an adapter on dev: fit along the path of strengths, read dev off folds, weigh, fit on everything."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import Adapter, TrainingPairs
from embertune.adapters.identity import IdentityAdapter
from embertune.adapters.linear import LinearAdapter
from embertune.adapters.solvers.contrastive import principal_directions
from embertune.core.progress import Progress, silent
from embertune.core.random import generator
from embertune.core.search import Positions, top_k
from embertune.core.vectors import Vectors
from embertune.evaluation.evaluate import evaluate_positions
from embertune.evaluation.judgments import Judgments
from embertune.evaluation.metrics import parse_metric
from embertune.training.config import TuneConfig

__all__ = ["Candidate", "Choice", "Fold", "Pool", "choose"]

Rows = npt.NDArray[np.intp]
Fold = tuple[Rows, Rows]

# Dev is noisy: the differences between good settings are as large as its error. Measured on 37 splits of five sets
# (docs/experiments.md, 2026-11-21), the mean of all maps so weighted gains more than the map of any one setting, and
# loses less at worst.
_WIDTH = 2.0
# A setting of less than this share of the best one's weight is neither fitted further nor counted.
_NEGLIGIBLE = 0.01
# What is learned from random labels is no better on dev than random answers are, but for chance: 2.5 errors.
_ABOVE_CHANCE = 2.5


@dataclass(frozen=True)
class Pool:
    """The embeddings and judgements that tuning may look at: train and dev, never test.

    Attributes:
        queries: (n, d), rows of length 1.
        documents: (m, d), the whole corpus, rows of length 1.
        judgments: Their relevance, in that order.
    """

    queries: Vectors
    documents: Vectors
    judgments: Judgments

    def training(self, rows: Rows) -> TrainingPairs:
        """Give the training pairs of some queries; only their positives are candidates.

        A document that no training query asks for would only ever be pushed away: with such
        documents as negatives, nDCG@10 on documents never seen fell from .40 to .17.
        """
        place = np.full(len(self.queries), -1, dtype=np.intp)
        place[rows] = np.arange(len(rows))
        pairs = self.judgments.pairs
        pairs = pairs[place[pairs[:, 0]] >= 0]
        documents, inverse = np.unique(pairs[:, 1], return_inverse=True)
        local = np.column_stack([place[pairs[:, 0]], inverse.ravel()])
        order = np.lexsort((local[:, 1], local[:, 0]))
        return TrainingPairs(self.queries[rows], self.documents[documents], local[order])

    def rank(self, adapter: Adapter, rows: Rows, metric: str) -> Positions:
        """Rank the whole corpus for some queries under an adapter, by exact search, as deep as a metric looks."""
        depth = parse_metric(metric).k or len(self.documents)
        queries = adapter.transform(self.queries[rows], "query")
        return top_k(queries, adapter.transform(self.documents, "document"), depth)[0]

    def judge(self, ranked: Positions, rows: Rows, metric: str) -> npt.NDArray[np.float64]:
        """Score rankings one by one, with the answers of some queries."""
        return evaluate_positions(self.judgments.select(rows), ranked, [metric])[metric]


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
        curve: Along the longest final fit: {"step", "loss", "dev"}, dev where it was read.
        note: What is to be said of the labels; usually nothing.
    """

    adapter: Adapter
    candidates: tuple[Candidate, ...]
    curve: tuple[dict[str, float | None], ...]
    note: str = ""


def choose(pool: Pool, folds: Sequence[Fold], config: TuneConfig, *, seed: int, progress: Progress = silent) -> Choice:
    """Choose a linear adapter on dev: the mean of the maps of all settings, weighted by what dev says of them.

    Each fold is judged under adapters fitted on the others, one per temperature and strength, in a
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
        progress: Told of every fit.

    Returns:
        The choice.
    """
    everything = pool.training(np.arange(len(pool.queries)))
    # Of vectors alone, without labels, so every fold may share it; finding it is as dear as a fit.
    basis = _basis(everything, config.search_rank)
    table = _Table(config, pool, seed)
    for at, (fit_rows, dev_rows) in enumerate(folds):
        progress("choose on dev", at, len(folds) + 1)
        training = pool.training(fit_rows)
        # After one fold dev tells too little to drop anything.
        paths = [config.pulls] * len(config.temperatures) if at < 2 else table.worth_fitting()
        table.judge(IdentityAdapter(), 0, dev_rows)
        for first, (maker, pulls) in enumerate(
            zip(_makers(config, config.search_rank, config.search_steps, seed), paths, strict=True)
        ):
            for level, fitted in enumerate(maker.fit_path(training, pulls, basis=basis)):
                table.judge(fitted, 1 + first * len(config.pulls) + level, dev_rows)
    progress("fit on train and dev", len(folds), len(folds) + 1)
    weights = table.weights()
    note = table.noise()
    if note or weights[0] > 0.5 or not table.gains():
        weights = np.eye(len(weights))[0]
    adapter, longest = _fit(everything, weights, config, seed)
    progress("fit on train and dev", len(folds) + 1, len(folds) + 1)
    means = table.means()
    return Choice(
        adapter=adapter,
        candidates=tuple(
            Candidate(params, float(mean), float(weight))
            for params, mean, weight in zip(_settings(config), means, weights, strict=True)
            if not np.isnan(mean)
        ),
        curve=_curve(longest, means, config),
        note=note,
    )


class _Table:
    """Scores on dev: one row per setting, no adapter first, one column per query; NaN where nothing was judged."""

    def __init__(self, config: TuneConfig, pool: Pool, seed: int) -> None:
        self._config, self._pool = config, pool
        shape = (1 + len(config.temperatures) * len(config.pulls), len(pool.queries))
        self._scores, self._chance = np.full(shape, np.nan), np.full(shape, np.nan)
        self._random = generator(seed, "answers of other queries")

    def judge(self, adapter: Adapter, setting: int, rows: Rows) -> None:
        """Score some queries under an adapter, with their own answers and with those of others."""
        metric = self._config.metric
        ranked = self._pool.rank(adapter, rows, metric)
        self._scores[setting, rows] = self._pool.judge(ranked, rows, metric)
        self._chance[setting, rows] = self._pool.judge(ranked, self._random.permutation(rows), metric)

    def worth_fitting(self) -> list[tuple[float, ...]]:
        """Give the strengths per temperature without those, the weakest, that dev has ruled out: they take longest."""
        pulls = self._config.pulls
        counted = self.weights()[1:].reshape(-1, len(pulls)) > 0
        return [pulls[: int(np.flatnonzero(row).max(initial=-1)) + 1] for row in counted]

    def weights(self) -> npt.NDArray[np.float64]:
        """Weigh the settings by how far each trails the best; one that was dropped on the way has none."""
        scores = self._scores[:, ~np.isnan(self._scores[0])]
        whole = ~np.isnan(scores).any(axis=1)
        scores = scores[whole]
        behind = scores[scores.mean(axis=1).argmax()] - scores
        errors = _errors(behind)
        trailing = np.where(behind.any(axis=1), np.inf, 0.0)  # all queries trail by the same, or none trails at all
        np.divide(behind.mean(axis=1), errors, out=trailing, where=errors > 0)
        weights = np.zeros(len(whole))
        weights[whole] = np.exp(-0.5 * (trailing / _WIDTH) ** 2)
        weights[weights < _NEGLIGIBLE * weights.max()] = 0
        return np.asarray(weights / weights.sum())

    def means(self) -> npt.NDArray[np.float64]:
        """Give the mean score of every setting; of one dropped on the way, by its difference from no adapter."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a setting that was never fitted stays NaN
            return np.asarray(np.nanmean(self._scores - self._scores[0], axis=1) + np.nanmean(self._scores[0]))

    def gains(self) -> bool:
        """Tell whether any query gains under any setting."""
        return bool((self._scores[1:] > self._scores[0]).any())

    def noise(self) -> str:
        """Say so if the answers of other queries do as well as the right ones under every setting."""
        judged = ~np.isnan(self._scores[0])
        above = (self._scores - self._chance)[:, judged]
        above = above[~np.isnan(above).any(axis=1)]
        if (above.mean(axis=1) > _ABOVE_CHANCE * _errors(above)).any():
            return ""
        own, other = self._scores[0, judged].mean(), self._chance[0, judged].mean()
        return (
            f"The labels look random: on dev the answers of other queries score {other:.3f} where each query's own "
            f"score {own:.3f} ({self._config.metric}, frozen encoder), and no adapter changes that. Check that queries "
            "and documents were paired by the right ids."
        )


def _fit(
    everything: TrainingPairs, weights: npt.NDArray[np.float64], config: TuneConfig, seed: int
) -> tuple[Adapter, list[LinearAdapter]]:
    """Fit every setting that has weight on the whole pool; give the mean of the maps, and the path that weighs most."""
    counted = weights[1:].reshape(len(config.temperatures), len(config.pulls))
    paths = []
    for maker, row in zip(_makers(config, config.rank, config.max_steps, seed), counted, strict=True):
        pulls = config.pulls[: int(np.flatnonzero(row).max(initial=-1)) + 1]
        paths.append(list(maker.fit_path(everything, pulls)) if pulls else [])
    fitted = [adapter for path in paths for adapter in path]
    if not fitted:
        return IdentityAdapter(), []
    shares = [share for path, row in zip(paths, counted, strict=True) for share in row[: len(path)]]
    return LinearAdapter.mean_of(fitted, shares), paths[int(counted.sum(axis=1).argmax())]


def _settings(config: TuneConfig) -> list[dict[str, Any]]:
    return [{}, *({"temperature": each, "pull": pull} for each in config.temperatures for pull in config.pulls)]


def _basis(training: TrainingPairs, rank: int | None) -> Vectors | None:
    if rank is None or rank >= training.queries.shape[1]:
        return None
    return principal_directions(training.queries, training.documents, rank)


def _makers(config: TuneConfig, rank: int | None, steps: int, seed: int) -> list[LinearAdapter]:
    return [
        LinearAdapter(
            config.side,
            rank=rank,
            temperature=temperature,
            max_steps=steps,
            max_candidates=config.max_candidates,
            seed=seed,
        )
        for temperature in config.temperatures
    ]


def _errors(differences: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Standard error of the mean of each row; 0 for a single query."""
    count = differences.shape[1]
    return differences.std(axis=1, ddof=1) / np.sqrt(count) if count > 1 else np.zeros(len(differences))


def _curve(
    path: Sequence[LinearAdapter], means: npt.NDArray[np.float64], config: TuneConfig
) -> tuple[dict[str, float | None], ...]:
    curve: list[dict[str, float | None]] = [{"step": 0, "loss": None, "dev": float(means[0])}]
    for adapter in path:
        mean = means[_settings(config).index({"temperature": adapter.temperature, "pull": adapter.pull})]
        for at, loss in enumerate(adapter.losses_, start=1):
            last = at == len(adapter.losses_)
            curve.append({"step": len(curve), "loss": float(loss), "dev": float(mean) if last else None})
    return tuple(curve)
