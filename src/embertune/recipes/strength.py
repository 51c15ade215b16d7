"""The quality along the strength: how it changes if less of what was learned is applied. Shown, never chosen by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import Adapter
from embertune.adapters.identity import IdentityAdapter
from embertune.evaluation.evaluate import Evaluation, evaluate_positions
from embertune.evaluation.judgments import Judgments
from embertune.evaluation.metrics import Scores
from embertune.recipes.contest import Contest
from embertune.recipes.foreign import ForeignScores
from embertune.recipes.ranking import depth_of, rank

__all__ = ["STRENGTHS", "strength_curve"]

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Where it is looked at, from nothing of what was learned to all of it."""


def strength_curve(
    contest: Contest,
    judgments: Judgments,
    metric: str,
    *,
    ends: tuple[Evaluation, Evaluation],
    theirs: ForeignScores | None,
) -> list[dict[str, Any]]:
    """Score the candidate at several strengths, on the test queries and on foreign ones.

    Args:
        contest: Who was fitted on, who is judged, and under what.
        judgments: Of the n test queries.
        metric: The one that decides.
        ends: The test queries under the frozen encoder, which is strength 0 of adapters that keep the dimension, and
            under the candidate, strength 1.
        theirs: Foreign queries under both, where there are any.

    Returns:
        A row per strength, as the record has it; a group without queries is None. No row without a candidate.
    """
    trials, encoded = contest.trials, contest.encoded
    adapters = [choice.adapter for choice in contest.choices]
    if all(isinstance(adapter, IdentityAdapter) for adapter in adapters):
        return []
    seen = np.array([query in trial.seen for trial in trials for query in trial.test.queries])
    depth = depth_of(metric, len(encoded.documents))
    rows = []
    for strength in STRENGTHS:
        others = None
        if _known(strength, adapters):
            own = ends[int(strength)].scores[metric]
        else:
            ranked = rank(trials, [adapter.scaled(strength) for adapter in adapters], encoded, depth)
            own = evaluate_positions(judgments, ranked.positions, metric)[metric]
        if theirs is not None and _known(strength, [contest.served]):
            others = (theirs.base, theirs.tuned)[int(strength)][metric]
        elif contest.foreign is not None:
            others = contest.foreign.score(contest.served.scaled(strength), [metric], metric)[metric]
        rows.append(_row(strength, own, seen, others))
    return rows


def _known(strength: float, adapters: Sequence[Adapter]) -> bool:
    """Whether the test has judged this already; one that reduces starts from a plain reduction instead."""
    return strength == 1 or (strength == 0 and all(each.dimension == each.output_dimension for each in adapters))


def _row(strength: float, own: Scores, seen: npt.NDArray[np.bool_], others: Scores | None) -> dict[str, Any]:
    parts = {"all": own, "seen": own[seen], "unseen": own[~seen], "foreign": others}
    return {
        "strength": strength,
        **{name: None if part is None or not len(part) else float(part.mean()) for name, part in parts.items()},
    }
