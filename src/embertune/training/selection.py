"""Choose an adapter on dev: fit along the path of strengths, read dev off folds, fit once more on everything."""

from __future__ import annotations

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
from embertune.core.search import top_k
from embertune.core.vectors import Vectors
from embertune.evaluation.evaluate import evaluate_positions
from embertune.evaluation.judgments import Judgments
from embertune.evaluation.metrics import parse_metric
from embertune.training.config import TuneConfig

__all__ = ["Candidate", "Choice", "Fold", "Pool", "choose"]

Rows = npt.NDArray[np.intp]
Fold = tuple[Rows, Rows]

# Dev is noisy, and a strong pull is safe: measured on 32 splits of five sets (docs/experiments.md, 2026-11-21), the
# strongest pull within one standard error of the best gained as much as the best itself and lost less at worst. The
# same noise would often hide a true gain of a gentle map, so no adapter is taken only if it leads by half an error.
_WITHIN = 1.0
_LEAD = 0.5


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

    def score(self, adapter: Adapter, rows: Rows, metric: str) -> npt.NDArray[np.float64]:
        """Score some queries one by one under an adapter, by exact search over the whole corpus."""
        depth = parse_metric(metric).k or len(self.documents)
        queries = adapter.transform(self.queries[rows], "query")
        positions, _ = top_k(queries, adapter.transform(self.documents, "document"), depth)
        return evaluate_positions(self.judgments.select(rows), positions, [metric])[metric]


@dataclass(frozen=True)
class Candidate:
    """One setting that was tried.

    Attributes:
        params: What it is; empty for "no adapter".
        dev: Its mean score on dev.
        chosen: Whether it was taken.
    """

    params: dict[str, Any]
    dev: float
    chosen: bool


@dataclass(frozen=True)
class Choice:
    """What was chosen, and why.

    Attributes:
        adapter: Fitted on all of the pool; the identity if nothing beat it.
        candidates: Everything that was tried, "no adapter" first.
        curve: Along the final fit: {"step", "loss", "dev"}, dev where it was read.
    """

    adapter: Adapter
    candidates: tuple[Candidate, ...]
    curve: tuple[dict[str, float | None], ...]


def choose(
    pool: Pool, repeats: Sequence[Sequence[Fold]], config: TuneConfig, *, seed: int, progress: Progress = silent
) -> Choice:
    """Choose the strength of a linear adapter on dev, "no adapter" among the candidates.

    Every repeat cuts the queries into folds; each fold is judged under adapters fitted on the
    others, one per strength, in a subspace that makes this quick. The scores of a query are averaged
    over repeats. Of all strengths within one standard error of the best (of the paired difference)
    the strongest pull wins: the one-standard-error rule of Breiman et al. (1984). It is fitted again
    on the whole pool, unless no adapter leads by half an error; whether the gain is real is for the
    test split to say.

    Args:
        pool: What may be looked at.
        repeats: Per repeat its folds: (rows to fit on, rows to judge).
        config: The settings.
        seed: For the draw of candidates.
        progress: Told of every fit.

    Returns:
        The choice.
    """
    searcher, finisher = (_maker(config, rank, seed) for rank in (config.search_rank, config.rank))
    fits = sum(len(folds) for folds in repeats) + 1
    table = np.full((len(repeats), len(config.pulls) + 1, len(pool.queries)), np.nan)
    everything = pool.training(np.arange(len(pool.queries)))
    # Of vectors alone, without labels, so every fold may share it; finding it is as dear as a fit.
    basis = _basis(everything, config.search_rank)
    pulls, done = config.pulls, 0
    for repeat, folds in enumerate(repeats):
        for fit_rows, dev_rows in folds:
            progress("choose on dev", done, fits)
            done += 1
            table[repeat, 0, dev_rows] = pool.score(IdentityAdapter(), dev_rows, config.metric)
            for level, adapter in enumerate(searcher.fit_path(pool.training(fit_rows), pulls, basis=basis), start=1):
                table[repeat, level, dev_rows] = pool.score(adapter, dev_rows, config.metric)
        if repeat == 0:
            # Later repeats only sharpen the choice, so they stop one step past the best of the first.
            pulls = config.pulls[: max(1, int(np.nanmean(table[0], axis=1).argmax()) + 1)]
    table = table[:, : len(pulls) + 1]
    table = table[:, :, ~np.isnan(table[0, 0])]
    means = table.mean(axis=(0, 2))
    level = _simplest_of_the_best(table.mean(axis=0))
    progress("fit on train and dev", fits - 1, fits)
    path: list[Adapter] = [IdentityAdapter()]
    path += finisher.fit_path(everything, pulls[:level])
    progress("fit on train and dev", fits, fits)
    return Choice(
        adapter=path[level],
        candidates=tuple(
            Candidate({"pull": pull} if pull else {}, float(mean), at == level)
            for at, (pull, mean) in enumerate(zip([None, *pulls], means, strict=True))
        ),
        curve=_curve(path[: level + 1], means[: level + 1]),
    )


def _basis(training: TrainingPairs, rank: int | None) -> Vectors | None:
    if rank is None or rank >= training.queries.shape[1]:
        return None
    return principal_directions(training.queries, training.documents, rank)


def _maker(config: TuneConfig, rank: int | None, seed: int) -> LinearAdapter:
    return LinearAdapter(
        config.side,
        rank=rank,
        temperature=config.temperature,
        max_steps=config.max_steps,
        max_candidates=config.max_candidates,
        seed=seed,
    )


def _simplest_of_the_best(scores: npt.NDArray[np.float64]) -> int:
    """Choose a row of (1 + pulls, queries): row 0 is no adapter, the pulls grow weaker downwards."""
    best = 1 + int(scores[1:].mean(axis=1).argmax())
    behind = scores[best] - scores[1:]
    level = 1 + int(np.flatnonzero(behind.mean(axis=1) <= _WITHIN * _errors(behind))[0])
    lead = scores[:1] - scores[level]
    return 0 if lead.mean() > _LEAD * float(_errors(lead)[0]) or not lead.any() else level


def _errors(differences: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Standard error of the mean of each row; 0 for a single query."""
    count = differences.shape[1]
    return differences.std(axis=1, ddof=1) / np.sqrt(count) if count > 1 else np.zeros(len(differences))


def _curve(path: Sequence[Adapter], means: npt.NDArray[np.float64]) -> tuple[dict[str, float | None], ...]:
    curve: list[dict[str, float | None]] = [{"step": 0, "loss": None, "dev": float(means[0])}]
    for adapter, mean in zip(path[1:], means[1:], strict=True):
        losses = getattr(adapter, "losses_", ())
        for at, loss in enumerate(losses, start=1):
            last = at == len(losses)
            curve.append({"step": len(curve), "loss": float(loss), "dev": float(mean) if last else None})
    return tuple(curve)
