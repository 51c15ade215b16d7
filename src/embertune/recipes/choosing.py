"""The one way from the queries of a trial to an adapter: for tuning, learning curves and beside a fine-tuned model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from embertune.adapters.device import on_device
from embertune.core.progress import Progress, silent
from embertune.core.threads import threads_for
from embertune.encoders.encoded import Encoded
from embertune.evaluation.judgments import Judgments
from embertune.recipes.plan import Plan, Trial, inner_folds
from embertune.training.config import TuneConfig
from embertune.training.given import choose_given
from embertune.training.lessons import Lessons
from embertune.training.pool import Fold, Pool
from embertune.training.selection import Choice, choose
from embertune.training.sparing import Others

__all__ = ["Known", "choose_for", "pool_of"]


class Known(NamedTuple):
    """All that may be learned from, of which every pool takes its part; queries that it is not for, where known."""

    encoded: Encoded
    lessons: Lessons
    others: Others | None = None


def pool_of(trial: Trial, known: Known) -> Pool:
    """Give what may be fitted on and chosen by in a trial.

    Args:
        trial: Its test is not looked at.
        known: Vectors and lessons of all queries.
    """
    encoded = known.encoded
    ids = list(trial.pool.queries)
    rows = encoded.query_rows(ids)
    judgments = Judgments.from_qrels(trial.pool.qrels, ids, encoded.document_ids)
    return Pool(encoded.queries[rows], encoded.documents, judgments, known.lessons.select(rows))


def choose_for(
    trial: Trial,
    known: Known,
    plan: Plan,
    config: TuneConfig,
    *,
    seed: int,
    folds: Sequence[Fold] | None = None,
    progress: Progress = silent,
) -> Choice:
    """Fit on who may be fitted on in a trial, and choose by folds of them: the one path to a searched adapter.

    Args:
        trial: Whose pool is fitted on; its test is not looked at.
        known: Vectors and lessons of all queries.
        plan: How the data is split.
        config: What is tried.
        seed: Of everything random.
        folds: Rows of the pool to fit on and to judge; None: as the plan cuts them.
        progress: Told of every setting.
    """
    pool = pool_of(trial, known)
    cut = folds or inner_folds(trial, plan.method, config, seed=seed)
    if config.gate == "auto" and trial.pool.synthetic.keys() >= trial.pool.queries.keys():
        # A gate is taken where dev shows that own queries keep their gain by it, and people's are not among these. It
        # would cost them 0 to .005 of .19 on finance10k-lyft (docs/experiments.md). gate="yes" still has one, and what
        # would harm other queries that the user names has one for these.
        config = replace(config, gate="no")
    everyone = np.arange(len(pool.queries))
    work = len(pool.queries) * len(pool.answers(everyone)) * pool.queries.shape[1]
    with threads_for(work), on_device(config.device):
        if config.adapter is not None:
            return choose_given(pool, cut, config.adapter, config, seed=seed, others=known.others, progress=progress)
        return choose(pool, cut, config, seed=seed, seen_share=plan.seen_share, others=known.others, progress=progress)
