"""Floor 4: the judge, who does not know the contestants."""

from __future__ import annotations

from embertune.evaluation.compare import Comparison, Delta, Duel, compare, compare_two
from embertune.evaluation.evaluate import Evaluation, evaluate, evaluate_positions
from embertune.evaluation.holdout import Holdout
from embertune.evaluation.judgments import Judgments
from embertune.evaluation.retrieve import retrieve, retrieve_positions
from embertune.evaluation.run import Run

__all__ = [
    "Comparison",
    "Delta",
    "Duel",
    "Evaluation",
    "Holdout",
    "Judgments",
    "Run",
    "compare",
    "compare_two",
    "evaluate",
    "evaluate_positions",
    "retrieve",
    "retrieve_positions",
]
