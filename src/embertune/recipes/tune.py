"""The main job: embed, split, fit, choose on dev, judge once on test, and say whether to ship it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from embertune.adapters.artifact import check_target
from embertune.adapters.base import Adapter
from embertune.adapters.canaries import Canaries
from embertune.adapters.device import resolve_device
from embertune.core.progress import Parts, Progress, silent
from embertune.data.dataset import Dataset
from embertune.data.io import load_dataset
from embertune.data.leakage import Leakage, find_leakage
from embertune.data.splits import Split, SplitMethod
from embertune.encoders.adapted import AdaptedEncoder
from embertune.encoders.base import Encoder
from embertune.encoders.canaries import embed_canaries
from embertune.encoders.cost import Cost, Priced
from embertune.encoders.encoded import Encoded, encode_dataset
from embertune.encoders.registry import load_encoder
from embertune.errors import ConfigError, DataError
from embertune.evaluation.holdout import Holdout
from embertune.recipes.choosing import Known, choose_for
from embertune.recipes.contest import Contest
from embertune.recipes.foreign import load_foreign
from embertune.recipes.measure import mean_difference, measure
from embertune.recipes.parameters import check_parameters
from embertune.recipes.plan import Plan, Trial, make_plan
from embertune.recipes.record import Experiment, Seconds, make_record
from embertune.recipes.result import Result
from embertune.recipes.teaching import Teaching
from embertune.training.config import TuneConfig
from embertune.training.lessons import Scores

__all__ = ["check_output", "tune"]


def check_output(folder: str | Path) -> None:
    """Refuse, before any work, a folder that the result could not be saved to.

    Raises:
        StorageError: Something else stands there, or it cannot be written to.
    """
    check_target(folder)


def tune(  # noqa: PLR0913 - the settings of the main job, by the names of the command line
    data: Dataset | str | Path | Any,
    encoder: Encoder | str | Any = "static",
    *,
    split: SplitMethod | Split | None = None,
    side: str | None = None,
    adapter: Adapter | None = None,
    effort: str | TuneConfig = "normal",
    device: str | None = None,
    seed: int = 0,
    strict: bool = False,
    foreign: Dataset | str | Path | Any | None = None,
    foreign_encoder: Encoder | str | Any | None = None,
    passages: str | Path | None = None,
    scores: Scores | None = None,
    progress: Progress = silent,
) -> Result:
    """Train an adapter on frozen embeddings, and prove or disprove that it helps.

    Everything is chosen on dev, by folds of the queries that are not test; the test split is opened
    once. Where the gain is not proven, the result's adapter is the identity and `Result.candidate`
    keeps what was trained.

    Args:
        data: A data set, or what `load_dataset` reads.
        encoder: An encoder, or what `load_encoder` reads.
        split: "by-query" (new queries on known documents), "by-document" (documents never seen),
            "given" (the data's own), a `Split`, or None: the given one where there is one, else by query.
        side: "query" adapts queries alone; "both" also maps stored documents, without embedding again; "auto" does so
            if dev says that it pays. None is "auto", and "query" with effort="fast".
        adapter: Fit this instead of linear maps: one of another family, such as `embertune.MLPAdapter()`, or your own.
        effort: "fast", "normal", "thorough", or a `TuneConfig`.
        device: Where maps are fitted: "cpu", with numpy; "cuda", "cuda:1" or "mps", with torch; "auto": "cuda" where
            there is one. None is that of the `TuneConfig`, "cpu" by default.
        seed: The one seed of everything random, 0 or more.
        strict: Refuse data in which a query and a near-copy of it stand on both sides of the split; equal texts are
            refused before anything is embedded.
        foreign: Another data set, whose queries the adapter is not for: at the opening of the test it is measured, over
            the corpora of both, what they lose, and if that is much the verdict is "no-gain". Of 60 or more half are
            kept apart: if these lose, what dev chose is finished so that they lose less, by gates that close for them.
        foreign_encoder: Where its vectors come from, if `encoder` cannot embed it: "precomputed:FILE.npz".
        passages: A text file, whose passages are the negatives of an adapter with negatives="passages".
        scores: A teacher's, {query_id: {document_id: score}}, for an adapter whose loss learns from them (margin_mse,
            mean_margin, cosent, mse); without them it learns from the grades of the data.
        progress: Told how far each stage is.

    Returns:
        The result; print it for the table and the verdict.

    Raises:
        ConfigError: A setting is impossible.
        DataError: The data cannot be used; `SplitError` when there is too little, `LeakageError` when strict.
        EncoderError: Embedding failed.
        MissingExtraError: The device needs torch, and it is not installed.

    Example:
        >>> import embertune
        >>> words = [f"{kind}{number}" for kind in ("cat", "dog", "owl", "fox") for number in range(30)]
        >>> data = embertune.Dataset.from_pairs([(f"where is {w}?", f"the home of {w} is here") for w in words])
        >>> embertune.tune(data, "hashing", effort="fast").verdict.code in ("ship", "no-gain", "too-little-data")
        True
    """
    started = time.perf_counter()
    config = _on_device(_config(effort, side, adapter), device)
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    loaded = _without_adapter(load_encoder(encoder))
    plan = make_plan(dataset, split, seed=seed)
    teaching = Teaching.read(config.adapter, dataset, loaded, scores=scores, passages=passages, seed=seed)
    away = load_foreign(foreign, foreign_encoder, dataset, loaded, seed=seed)
    if strict:  # equal texts show without vectors, so nothing is paid for data that is refused for them
        _leakage(plan).refuse()
    encoded = encode_dataset(loaded, dataset, progress=progress)
    canaries, encoded = _with_canaries(loaded, encoded)
    _refuse_equal_documents(dataset, encoded)
    leakage = _leakage(plan, encoded)
    if strict:
        leakage.refuse()
    mixed = None if away is None else away.mix(encoded, progress=progress)
    at_fit = time.perf_counter()
    aside, mixed = (None, mixed) if mixed is None or config.gate == "no" else mixed.parted(config.metric, seed=seed)
    known = Known(encoded, teaching.lessons(dataset, encoded, loaded, progress=progress), aside)
    parts = Parts(progress, config.seeds * len(plan.trials) + (len(plan.trials) > 1))
    others = _other_seeds(dataset, split, known, config, seed, parts)
    choices = [choose_for(trial, known, plan, config, seed=seed, progress=parts.next()) for trial in plan.trials]
    final = choices[0]
    if len(choices) > 1:
        final = choose_for(_everything(dataset, plan), known, plan, config, seed=seed, progress=parts.next())
    at_judge = time.perf_counter()
    holdout = Holdout(dataset.select([query for trial in plan.trials for query in trial.test.queries]))
    progress("judge on test", 0, 1)
    contest = Contest(plan.trials, choices, final.adapter, encoded, mixed)
    measured = measure(contest, holdout, config, others=others, seed=seed)
    progress("judge on test", 1, 1)
    finished = time.perf_counter()
    seconds = Seconds(contest.seconds, at_judge - at_fit, finished - at_judge, finished - started)
    experiment = Experiment(dataset, loaded.spec, plan, config, leakage, seed, contest.cost)
    final.adapter.encoder, final.adapter.canaries = loaded.spec.to_dict(), canaries
    record = make_record(experiment, final, measured, seconds)
    return Result.of(
        record, final.adapter, measured.verdict, measured.texts, trained=final.trained, details=measured.details
    )


def _with_canaries(encoder: Encoder, encoded: Encoded) -> tuple[Canaries | None, Encoded]:
    """Embed the canaries, and add to the cost what they took."""
    earlier = encoder.cost if isinstance(encoder, Priced) else Cost()
    canaries = embed_canaries(encoder)
    if encoded.cost is None or not isinstance(encoder, Priced):
        return canaries, encoded
    return canaries, replace(encoded, cost=encoded.cost + (encoder.cost - earlier))


def _without_adapter(encoder: Encoder) -> Encoder:
    """Refuse ``encoder | adapter``: what was tuned behind it would later be accepted behind the encoder alone."""
    if isinstance(encoder, AdaptedEncoder):
        raise ConfigError(
            f"This encoder, {encoder.spec}, has an adapter behind it already, and a saved adapter names one encoder "
            "and no other adapter. Tune the encoder itself: embertune.tune(data, adapted.encoder)"
        )
    return encoder


def _other_seeds(
    dataset: Dataset,
    split: SplitMethod | Split | None,
    known: Known,
    config: TuneConfig,
    seed: int,
    parts: Parts,
) -> tuple[float, ...]:
    """Run the whole job under other seeds, in half as many steps, and give what each gained on its own test.

    A split that is drawn is drawn anew, so this tells how far the result hangs on who happened to be in test. Nothing
    is chosen by it.
    """
    # They only tell the spread, which the last steps of a fit hardly change, and would take two thirds of the time.
    steps, search_steps = -(-config.max_steps // 2), -(-config.search_steps // 2)
    quick = replace(config, max_steps=steps, search_steps=search_steps, folds=min(config.folds, 3), average="strengths")
    found = []
    for other in range(seed + 1, seed + config.seeds):
        plan = make_plan(dataset, split, seed=other)
        choices = [choose_for(trial, known, plan, quick, seed=other, progress=parts.next()) for trial in plan.trials]
        found.append(mean_difference(plan.trials, choices, known.encoded, config.metric))
    return tuple(found)


def _config(effort: str | TuneConfig, side: str | None, adapter: Adapter | None) -> TuneConfig:
    theirs = effort.adapter if isinstance(effort, TuneConfig) else None
    for one in (adapter, theirs):
        if one is not None:
            check_parameters(one)
    if adapter is not None and side is not None:
        raise ConfigError(f"side is {side!r}, but this adapter has its own: {adapter!r}. Leave side out.")
    given = {name: value for name, value in (("side", side), ("adapter", adapter)) if value is not None}
    if not isinstance(effort, TuneConfig):
        return TuneConfig.of_effort(effort, **given)
    if adapter is not None:
        return replace(effort, adapter=adapter)
    if side not in (None, effort.side):
        raise ConfigError(f"side is {side!r} and TuneConfig.side is {effort.side!r}. Say it once, in the TuneConfig.")
    return effort


def _on_device(config: TuneConfig, device: str | None) -> TuneConfig:
    """Say the very device in the settings, before anything is embedded."""
    if device not in (None, config.device) and config.device != TuneConfig.device:
        raise ConfigError(f"device is {device!r} and TuneConfig.device is {config.device!r}. Say it once.")
    return replace(config, device=resolve_device(device or config.device))


def _refuse_equal_documents(dataset: Dataset, encoded: Encoded) -> None:
    first = encoded.documents[0]
    if all(np.array_equal(first, vector) for vector in encoded.documents):
        count = len(encoded.documents)
        found = "holds 1 document" if count == 1 else f"holds {count} documents, all of them with the same vector"
        raise DataError(
            f"{dataset.name} {found}: there is nothing to tell apart. Expected documents of different texts. "
            "See what the data holds with: embertune inspect DATA"
        )


def _leakage(plan: Plan, encoded: Encoded | None = None) -> Leakage:
    """Look for copies, and with vectors for near-copies, across every trial; in folds each query is tested in one."""

    def across(trial: Trial) -> Leakage:
        if encoded is None:
            return find_leakage(trial.pool, trial.test)
        train, test = (encoded.queries[encoded.query_rows(part.queries)] for part in (trial.pool, trial.test))
        return find_leakage(trial.pool, trial.test, train_vectors=train, test_vectors=test)

    found = [across(trial) for trial in plan.trials]
    pairs = sorted((pair for each in found for pair in each.pairs), key=lambda pair: (pair.kind, -pair.similarity))
    return replace(found[0], test_queries=sum(each.test_queries for each in found), pairs=tuple(pairs))


def _everything(dataset: Dataset, plan: Plan) -> Trial:
    queries = [query for trial in plan.trials for part in (trial.pool, trial.test) for query in part.queries]
    whole = dataset.select(queries)
    return Trial(whole, whole, frozenset(), frozenset(queries))
