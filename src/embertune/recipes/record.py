"""Write down an experiment: what went in, what was tried, what came out."""

from __future__ import annotations

import platform
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, NamedTuple

from embertune.data.dataset import Dataset
from embertune.data.leakage import Leakage
from embertune.data.origin import count_generators
from embertune.encoders.cost import Cost
from embertune.encoders.spec import EncoderSpec
from embertune.recipes.measure import Measured, reported_metrics
from embertune.recipes.plan import Plan
from embertune.recipes.result import describe
from embertune.training.config import TuneConfig
from embertune.training.selection import Choice

__all__ = ["Experiment", "Seconds", "make_record"]

_PACKAGES = "embertune", "numpy", "safetensors"


class Seconds(NamedTuple):
    """Wall-clock time of the stages."""

    embed: float
    fit: float
    evaluate: float
    total: float


class Experiment(NamedTuple):
    """What went in."""

    dataset: Dataset
    spec: EncoderSpec
    plan: Plan
    config: TuneConfig
    leakage: Leakage
    seed: int
    cost: Cost | None


def make_record(experiment: Experiment, choice: Choice, measured: Measured, seconds: Seconds) -> dict[str, Any]:
    """Give the record as JSON-able values; no text of the user's data is in it.

    Args:
        experiment: What went in.
        choice: What was tried and chosen.
        measured: What the test split said.
        seconds: How long it took.
    """
    dataset, spec, plan, config, _, seed, cost = experiment
    served = choice.adapter if measured.verdict.code == "ship" else None
    return {
        "format": 1,
        "name": f"{dataset.name} on {spec}",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "primary": config.metric,
        "metrics": list(reported_metrics(config.metric)),
        **measured.scores,
        "verdict": measured.verdict.to_dict(),
        "counts": plan.counts(dataset),
        "seconds": {name: round(value, 3) for name, value in seconds._asdict().items()},
        "cost": None if cost is None else asdict(cost),
        "encoder": spec.to_dict(),
        "adapter": describe(served) if served is not None else {"type": "identity", "side": "none"},
        "candidate": describe(choice.adapter),
        "data": _data(experiment, choice.note),
        "seed": seed,
        "device": config.device,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES + (() if config.device == "cpu" else ("torch",))},
        },
        "test_opened": measured.opened,
        "selection": {
            "candidates": [
                {"params": tried.params, "dev": tried.dev, "weight": tried.weight} for tried in choice.candidates
            ],
            "curve": list(choice.curve),
            "reasons": list(choice.reasons),
            "seeds": [{"seed": seed + at, "delta": delta} for at, delta in enumerate(measured.seeds)],
        },
        "cosines": measured.cosines,
        "queries": measured.queries,
    }  # fmt: skip


def _data(experiment: Experiment, note: str) -> dict[str, Any]:
    dataset, plan = experiment.dataset, experiment.plan
    return {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "split": plan.to_dict(),
        "leakage": experiment.leakage.to_dict(),
        "synthetic": _synthetic(dataset, plan),
        "notes": [*dataset.notes, *plan.notes, *([note] if note else [])],
    }


def _synthetic(dataset: Dataset, plan: Plan) -> dict[str, dict[str, int]] | None:
    """Count the queries that nobody asked, of all and of those that are judged on, by who wrote them."""
    tested = [query for trial in plan.trials for query in trial.test.queries]
    parts = {"queries": dataset.judged, "test": tested}
    found = {part: count_generators(dataset.synthetic, ids) for part, ids in parts.items()}
    return found if dataset.synthetic else None
