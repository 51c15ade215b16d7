"""An adapter that the user names, judged on dev as ours are: taken, or no adapter."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from embertune.adapters.base import Adapter
from embertune.adapters.identity import IdentityAdapter
from embertune.core.progress import Progress
from embertune.training.config import TuneConfig
from embertune.training.pool import Fold, Pool, Rows
from embertune.training.selection import Candidate, Choice
from embertune.training.table import DevTable

__all__ = ["choose_given"]


def choose_given(
    pool: Pool, folds: Sequence[Fold], adapter: Adapter, config: TuneConfig, *, seed: int, progress: Progress
) -> Choice:
    """Fit copies of an adapter on folds, judge each on the fold left out, and fit one on everything if that pays.

    No adapter is taken where dev gives it more than half of the weight, or where labels look random.

    Args:
        pool: What may be looked at.
        folds: Rows to fit on, rows to judge.
        adapter: Its class and parameters; it is not changed.
        config: Which metric decides.
        seed: For the draw of random answers; the adapter has its own.
        progress: Told of every fit.
    """
    table = DevTable(pool, 2, config.metric, seed)
    for at, (fit, dev) in enumerate(folds):
        progress("choose on dev", at, len(folds) + 1)
        table.start(fit, dev)
        table.judge(_fitted(pool, fit, adapter), 1, dev)
    progress("fit on train and dev", len(folds), len(folds) + 1)
    weights = table.choice(np.ones(2, dtype=bool))
    taken = bool(weights[0] <= 0.5)
    final = _fitted(pool, np.arange(len(pool.queries)), adapter) if taken else IdentityAdapter()
    progress("fit on train and dev", len(folds) + 1, len(folds) + 1)
    base, tuned = (float(mean) for mean in table.means())
    return Choice(
        adapter=final,
        candidates=(
            Candidate({}, base, float(not taken)),
            Candidate({"adapter": adapter.type}, tuned, float(taken)),
        ),
        curve=({"step": 0, "loss": None, "dev": base}, {"step": 1, "loss": None, "dev": tuned if taken else base}),
        note=table.noise(),
    )


def _fitted(pool: Pool, rows: Rows, adapter: Adapter) -> Adapter:
    """Fit a copy on some queries, with the whole corpus if it learns from documents that nobody asks for."""
    training = pool.training(rows, whole_corpus=adapter.wants_corpus)
    return copy.deepcopy(adapter).fit(training.queries, training.documents, pairs=training.pairs)
