"""Write down a fine-tuning in the form of all records, with the contest against the adapter beside it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, NamedTuple

from embertune.core.paths import as_path
from embertune.data.leakage import find_leakage
from embertune.encoders.spec import EncoderSpec
from embertune.evaluation.compare import compare_two
from embertune.recipes.finetune_contest import ADAPTER, BOTH, Fitted, Judged
from embertune.recipes.finetune_data import Parts
from embertune.recipes.measure import reported_metrics
from embertune.recipes.result import describe
from embertune.training.finetune.config import FinetuneConfig
from embertune.training.finetune.rows import TrainingRows

__all__ = ["Course", "make_finetune_record"]

# Each may be a folder of this machine; model_name comes from the spec of the encoder, which sees to that.
_MODELS = "mining_model_name", "teacher"


class Course(NamedTuple):
    """How a training went.

    Attributes:
        told: Curve, steps, seconds and notes.
        mixed: Share of the base's weights, and what dev said of every share; None where nothing was mixed.
        base: What dev said of the model as it was.
        rows: What was learned.
        reused: Stages that came from the cache.
        seconds: Of each stage.
        fitted: The adapters, of the model as it was and of the trained one.
    """

    told: Mapping[str, Any]
    mixed: Mapping[str, Any] | None
    base: Mapping[str, float]
    rows: TrainingRows
    reused: tuple[str, ...]
    seconds: Mapping[str, float]
    fitted: tuple[Fitted, Fitted] | None


def make_finetune_record(
    parts: Parts, config: FinetuneConfig, spec: EncoderSpec, judged: Judged, course: Course
) -> dict[str, Any]:
    """Give the record as JSON-able values; no text of the user's data is in it.

    Args:
        parts: The data and who did what.
        config: The settings.
        spec: Of the model as it was.
        judged: What the test split said.
        course: How the training went.
    """
    measured, dataset, metric = judged.measured, parts.dataset, config.primary
    means = {name: each.means for name, each in judged.others.items()}
    model = _model(config)
    return {
        "format": 1,
        "name": f"{dataset.name}: {spec.model} fine-tuned",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "primary": metric,
        "metrics": list(reported_metrics(metric)),
        **measured.scores,
        "baselines": {**measured.scores["baselines"], **means},
        "verdict": measured.verdict.to_dict(),
        "counts": parts.plan.counts(dataset),
        "seconds": {name: round(value, 3) for name, value in course.seconds.items()},
        "cost": None,
        "encoder": spec.to_dict(),
        "adapter": model,
        "candidate": model,
        "data": _data(parts, course),
        "seed": config.seed,
        "versions": _versions(),
        "test_opened": measured.opened,
        "selection": {"candidates": [], "curve": _curve(course, config), "reasons": _reasons(course, config)},
        "cosines": measured.cosines,
        "queries": measured.queries,
        "contest": _contest(judged, config, course),
        "training": _training(config, spec, course),
    }


def _model(config: FinetuneConfig) -> dict[str, Any]:
    """Say what became of the model, in the place where records describe an adapter."""
    return {
        "type": "fine-tuned",
        "side": "query" if config.query_only else "both",
        "loss": config.loss.name,
        "epochs": config.num_epochs,
        "batch_size": config.batch_size,
        "learning_rate": config.learning_rate,
        **({"lora": config.lora} if config.lora else {}),
    }


def _data(parts: Parts, course: Course) -> dict[str, Any]:
    dataset = parts.dataset
    return {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "split": parts.plan.to_dict(),
        "leakage": find_leakage(parts.trial.pool, parts.trial.test).to_dict(),
        "notes": [*dataset.notes, *parts.plan.notes, *course.rows.notes, *course.told["notes"]],
    }


def _training(config: FinetuneConfig, spec: EncoderSpec, course: Course) -> dict[str, Any]:
    return {
        # A model that lies on this machine goes by the name of its folder, as everywhere in records.
        "config": {**_plain(asdict(config)), "model_name": spec.model},
        "rows": len(course.rows),
        "step": course.told["step"],
        "steps": course.told["steps"],
        "base": dict(course.base),
        "curve": list(course.told["curve"]),
        "mixed": course.mixed,
        "reused": list(course.reused),
    }


def _versions() -> dict[str, str]:
    packages = ("embertune", "numpy", "sentence-transformers", "transformers", "torch")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _curve(course: Course, config: FinetuneConfig) -> list[dict[str, Any]]:
    """Give one point for each step with something measured: the loss, and dev's deciding metric."""
    decides = config.dev_metrics[0]
    points: dict[int, dict[str, Any]] = {0: {"step": 0, "loss": None, "dev": course.base.get(decides)}}
    for entry in course.told["curve"]:
        point = points.setdefault(entry["step"], {"step": entry["step"], "loss": None, "dev": None})
        point["loss"] = entry.get("loss", point["loss"])
        point["dev"] = entry.get(decides, point["dev"])
    return [points[step] for step in sorted(points)]


def _reasons(course: Course, config: FinetuneConfig) -> list[str]:
    told, decides = course.told, config.dev_metrics[0]
    if not config.evaluation.save_best_model:
        return [f"The model is that of the last step, {told['step']}."]
    best = max((entry[decides] for entry in told["curve"] if decides in entry), default=None)
    if best is None:
        return _mixed(course)
    said = [
        f"Step {told['step']} of {told['steps']} was best on dev: {decides} {best:.3f}, before training "
        f"{course.base[decides]:.3f}."
    ]
    if best <= course.base[decides]:
        said.append("No step was better on dev than the model as it was.")
    return said + _mixed(course)


def _mixed(course: Course) -> list[str]:
    if course.mixed is None:
        return []
    share, metric = course.mixed["share"], course.mixed["metric"]
    scores = ", ".join(f"{one:.0%} {score:.3f}" for one, score in course.mixed["dev"])
    taken = f"{share:.0%} of the weights are the base's again" if share else "None of the base's weights were put back"
    return [
        f"{taken}; {metric} on dev by that share: {scores}. The largest within a standard error of the best is taken."
    ]


def _contest(judged: Judged, config: FinetuneConfig, course: Course) -> dict[str, Any]:
    """Give score, seconds and money of every system, and the fine-tuned model against the adapter."""
    metric, scores = config.primary, judged.measured.scores
    made = sum(course.seconds[name] for name in ("mine", "label", "train", "mix"))
    seconds = {"tuned": made}
    means = {"base": scores["base"], "bm25": scores["baselines"]["bm25"], "tuned": scores["tuned"]}
    means |= {name: each.means for name, each in judged.others.items()}
    if course.fitted is not None:
        seconds |= {ADAPTER: course.fitted[0].seconds, BOTH: made + course.fitted[1].seconds}
    order = [name for name in ("base", "bm25", ADAPTER, "tuned", BOTH) if name in means]
    price, changes = config.price_per_hour, _changes(judged, metric, config.seed)
    rows = [
        {
            "system": name,
            metric: means[name][metric],
            "change": changes.get(name),
            "seconds": round(seconds.get(name, 0.0), 1),
            "dollars": None if price is None else round(price * seconds.get(name, 0.0) / 3600, 4),
        }
        for name in order
    ]
    duel = judged.duel
    return {
        "rows": rows,
        "adapters": [] if course.fitted is None else [describe(each.adapter) for each in course.fitted],
        "against_adapter": None if duel is None else duel.to_dict()["delta"],
        "sentence": "" if duel is None else _sentence(duel.overall.delta[metric], metric, seconds),
    }


def _changes(judged: Judged, metric: str, seed: int) -> dict[str, dict[str, float]]:
    """Give by how much each tuned system differs from the base, with the interval."""
    base, tuned = judged.measured.evaluations
    systems = {"tuned": tuned, **judged.others}
    duels = {name: compare_two(base, each, seed=seed, primary=metric) for name, each in systems.items()}
    found = {name: duel.overall.delta[metric] for name, duel in duels.items()}
    return {name: {"mean": each.mean, "low": each.low, "high": each.high} for name, each in found.items()}


def _sentence(delta: Any, metric: str, seconds: Mapping[str, float]) -> str:
    change = f"{metric} {delta.mean:+.3f} [{delta.low:+.3f}, {delta.high:+.3f}]"
    took = f"it took {seconds['tuned']:.0f} s, the adapter {seconds[ADAPTER]:.0f} s"
    if delta.low > 0:
        return f"Fine-tuning beats the adapter: {change}; {took}."
    if delta.high < 0:
        return f"The adapter beats fine-tuning: {change}; {took}."
    return f"Fine-tuning and the adapter cannot be told apart: {change}; {took}."


def _plain(value: Any) -> Any:
    """Give tuples as lists, as JSON has them; where data, models and the result lie is nobody else's business."""
    if isinstance(value, dict):
        told = {name: inner for name, inner in value.items() if name not in ("data", "cache_dir", "output_dir")}
        return {name: _named(inner) if name in _MODELS else _plain(inner) for name, inner in told.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _named(model: str | None) -> str | None:
    return as_path(model).resolve().name if model and as_path(model).is_dir() else model
