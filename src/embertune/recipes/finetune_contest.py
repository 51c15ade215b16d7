"""The fine-tuned model against the model as it was, BM25, and the best adapter on the same data; all on test, once."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from embertune.adapters.base import Adapter
from embertune.adapters.identity import IdentityAdapter
from embertune.core.progress import Progress, silent
from embertune.encoders.encoded import Encoded
from embertune.evaluation.compare import Duel, compare_two
from embertune.evaluation.evaluate import Evaluation, evaluate
from embertune.evaluation.holdout import Holdout
from embertune.evaluation.run import Run
from embertune.recipes.choosing import Known, choose_for
from embertune.recipes.details import make_details
from embertune.recipes.finetune_data import Parts
from embertune.recipes.measure import Measured, Rankings, Told, read_off, reported_metrics
from embertune.recipes.ranking import depth_of, rank
from embertune.training.config import TuneConfig
from embertune.training.lessons import Lessons
from embertune.training.pool import Fold

__all__ = ["ADAPTER", "BOTH", "Fitted", "Judged", "fit_adapter", "judge_all"]

ADAPTER = "adapter"
BOTH = "tuned + adapter"


@dataclass(frozen=True)
class Fitted:
    """An adapter on the vectors of one of the models.

    Attributes:
        adapter: The identity where dev took none.
        seconds: How long choosing and fitting took.
    """

    adapter: Adapter
    seconds: float


@dataclass(frozen=True)
class Judged:
    """What the test split said.

    Attributes:
        measured: Of the model as it was against the fine-tuned one.
        others: The adapter, and the fine-tuned model with one, by name.
        duel: The fine-tuned model (as "tuned") against the adapter (as "base"); None without adapters.
    """

    measured: Measured
    others: dict[str, Evaluation]
    duel: Duel | None


def fit_adapter(
    parts: Parts, encoded: Encoded, metric: str, *, seed: int, by_dev: bool, progress: Progress = silent
) -> Fitted:
    """Fit the best adapter on train and dev, as `embertune.tune` does.

    Args:
        parts: Who may be looked at.
        encoded: The vectors.
        metric: That decides.
        seed: Of folds and draws.
        by_dev: Judge settings on dev queries alone: of a model that was trained on the others, only these have vectors
            that tell of new ones.
        progress: Told of fits.
    """
    started = time.perf_counter()
    config = TuneConfig.of_effort("normal", metric=metric)
    known = Known(encoded, Lessons.of(parts.dataset, encoded))
    folds = _by_dev(parts, list(parts.trial.pool.queries)) if by_dev else None
    found = choose_for(parts.trial, known, parts.plan, config, seed=seed, folds=folds, progress=progress)
    return Fitted(found.adapter, time.perf_counter() - started)


def _by_dev(parts: Parts, ids: list[str]) -> list[Fold]:
    is_dev = np.array([query in parts.trial.dev for query in ids])
    return [(np.flatnonzero(~is_dev), np.flatnonzero(is_dev))]


def judge_all(
    parts: Parts,
    base: Encoded,
    tuned: Encoded,
    adapters: tuple[Adapter, Adapter] | None,
    metric: str,
    *,
    seed: int,
) -> Judged:
    """Open the test split once and judge everything on it.

    Args:
        parts: Who is judged.
        base: Vectors of the model as it was.
        tuned: Vectors of the fine-tuned one.
        adapters: Of the one and of the other; None for neither.
        metric: That decides.
        seed: For bootstrap and randomisation.
    """
    holdout = Holdout(parts.trial.test)
    test = holdout.open("the final comparison of base, BM25, the adapter, and the fine-tuned model with and without")
    trials, depth = parts.plan.trials, depth_of(metric, len(base.documents))
    before, after = (rank(trials, [IdentityAdapter()], encoded, depth) for encoded in (base, tuned))
    rankings = Rankings(trials, base.document_ids, before, after)
    details = make_details(trials, base, before, after, test, seed=seed)
    measured = replace(read_off(rankings, test, metric, Told(), seed=seed), opened=holdout.opened, details=details)
    if adapters is None:
        return Judged(measured, {}, None)
    others = {}
    for name, encoded, adapter in ((ADAPTER, base, adapters[0]), (BOTH, tuned, adapters[1])):
        found = rank(trials, [adapter], encoded, depth)
        run = Run(name, tuple(test.queries), base.document_ids, found.positions, found.scores)
        others[name] = evaluate({query: test.qrels[query] for query in test.queries}, run, reported_metrics(metric))
    duel = compare_two(others[ADAPTER], measured.evaluations[1], seed=seed, primary=metric, names=(ADAPTER, "tuned"))
    return Judged(measured, others, duel)
