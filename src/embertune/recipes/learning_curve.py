"""What more labels would bring: tune on nested subsets of the labels, fit a power law, say when to stop."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import Adapter
from embertune.adapters.identity import IdentityAdapter
from embertune.core.files import write_whole
from embertune.core.hashing import fingerprint_texts
from embertune.core.paths import as_path
from embertune.core.progress import Progress, silent
from embertune.core.random import generator
from embertune.data.dataset import Dataset
from embertune.data.io import load_dataset
from embertune.data.splits import Split, SplitMethod
from embertune.encoders.base import Encoder
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.registry import load_encoder
from embertune.errors import ConfigError, DataError, StorageError
from embertune.evaluation.evaluate import evaluate_positions
from embertune.evaluation.holdout import Holdout
from embertune.evaluation.judgments import Judgments
from embertune.evaluation.power_law import Forecast, PowerLaw, forecast
from embertune.evaluation.statistics import bootstrap_interval
from embertune.recipes.choosing import Known, choose_for
from embertune.recipes.curve_journal import CurveJournal
from embertune.recipes.plan import Plan, Trial, make_plan
from embertune.recipes.ranking import depth_of, rank
from embertune.recipes.teaching import Teaching
from embertune.training.config import TuneConfig

__all__ = ["CurvePoint", "LearningCurve", "learning_curve"]

Scores = npt.NDArray[np.float64]

EXTRA = (100, 1_000, 10_000)
"""How many more labels are forecast."""

# Less than this nobody would label as many queries again for; adapters gain .06 on average (see Benchmarks).
WORTH = 0.01
_SMALLEST = 16
_SIZES = 7
# Ten times the labels: a power law was seen to hold that far elsewhere, and here is not measured further than twice.
_FAR = 10
_BAND = 24
# Of how subsets are fitted: what an earlier way measured is not mixed with this one.
_METHOD = "tune's"


@dataclass(frozen=True)
class CurvePoint:
    """The curve at one number of labels.

    Attributes:
        size: Labelled queries that were trained on.
        score: Mean over draws and test queries.
        low: Lower end of the 95 % interval over test queries.
        high: Upper end.
        draws: How many subsets of that size.

    Example:
        >>> CurvePoint(100, 0.6, 0.55, 0.65, 3).size
        100
    """

    size: int
    score: float
    low: float
    high: float
    draws: int


@dataclass(frozen=True)
class LearningCurve:
    """What was measured, the power law through it, and what it foretells; printing it gives the tables and the advice.

    Attributes:
        name: Of the data.
        encoder: Who embeds.
        metric: What was measured.
        queries: How many test queries there are.
        base: Mean of the frozen encoder: the score without labels.
        points: Rising in size; the last has all labels.
        law: The power law.
        forecasts: For 100, 1 000 and 10 000 more labels.
        doubled: For twice the labels: what decides.
        band: The law at sizes from the smallest to ten times the largest, for the page.
        notes: Of the split.
    """

    name: str
    encoder: str
    metric: str
    queries: int
    base: float
    points: tuple[CurvePoint, ...]
    law: PowerLaw
    forecasts: tuple[Forecast, ...]
    doubled: Forecast
    band: tuple[Forecast, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """All labels that there are to train on."""
        return self.points[-1].size

    def advice(self, worth: float = WORTH) -> str:
        """Say whether to go on labelling.

        Args:
            worth: The least gain that is worth labelling as many queries again.
        """
        gain = self.doubled
        bring = f"{gain.gain:+.3f} [{gain.gain_low:+.3f}, {gain.gain_high:+.3f}] of {self.metric}"
        if gain.gain_high < worth:
            return f"Stop labelling: as many labels again would bring {bring}, which is less than {worth:g}."
        if gain.gain_low >= worth:
            return f"Go on labelling: as many labels again would bring {bring}, which is {worth:g} or more."
        return (
            f"Not settled: as many labels again would bring {bring}. Whether that is {worth:g} or more cannot be told "
            f"from {self.size} labels and {self.queries} test queries."
        )

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON-able values, with the advice."""
        return {**asdict(self), "advice": self.advice()}

    def save(self, folder: str | Path) -> Path:
        """Write curve.json and the page curve.html into a folder, which is made if it is not there.

        Raises:
            StorageError: The disk refused.
        """
        from embertune.reports.curve import curve_page

        target = as_path(folder)
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{target} cannot be made: {error.strerror or error}. Name another folder.") from None
        told = self.to_dict()
        write_whole(target / "curve.json", json.dumps(told, indent=2, ensure_ascii=False) + "\n")
        return write_whole(target / "curve.html", curve_page(told))

    def __str__(self) -> str:
        """Give what was measured, what is forecast, and the advice."""
        lines = [
            f"{self.name}, {self.encoder}: {self.metric} on {self.queries} test queries",
            f"{'labels':>8}  score  95 % interval",
            f"{0:>8}  {self.base:.3f}  the frozen encoder",
        ]
        lines += [f"{p.size:>8}  {p.score:.3f}  [{p.low:.3f}, {p.high:.3f}]  draws: {p.draws}" for p in self.points]
        lines += ["", f"{'more':>8}  forecast                gain"]
        for one in self.forecasts:
            far = "  (far beyond what was measured)" if one.size > _FAR * self.size else ""
            lines.append(
                f"{one.size - self.size:>+8,}  {one.score:.3f} [{one.low:.3f}, {one.high:.3f}]  "
                f"{one.gain:+.3f} [{one.gain_low:+.3f}, {one.gain_high:+.3f}]{far}"
            )
        law = self.law
        lines += [
            "",
            f"Power law: {law.ceiling:.3f} - {law.drop:.3g} · (n + {law.offset:.0f})^-{law.exponent:.2f}",
            self.advice(),
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def _go_on(encoder: Encoder, dataset: Dataset) -> None:
    """Embed without further ado."""


def learning_curve(  # noqa: PLR0913 - what tune has, and what a curve needs beside it
    data: Dataset | str | Path | Any,
    encoder: Encoder | str | Any = "static",
    *,
    sizes: Sequence[int] | None = None,
    draws: int = 3,
    split: SplitMethod | Split | None = None,
    effort: str | TuneConfig = "fast",
    seed: int = 0,
    journal: str | Path | None = None,
    progress: Progress = silent,
    before_embedding: Callable[[Encoder, Dataset], None] = _go_on,
) -> LearningCurve:
    """Tune on more and more of the labels, and say what the next 100, 1 000 and 10 000 would bring.

    Subsets are nested: of every draw each holds the smaller ones, so the curve is not ragged by who is in. All are
    judged on the same test queries, of which nothing is chosen.

    Args:
        data: A data set, or what `load_dataset` reads.
        encoder: An encoder, or what `load_encoder` reads.
        sizes: Numbers of labelled queries, beside all of them; None halves these down to 16, in 7 steps at most.
        draws: How many subsets of each size.
        split: As in `tune`.
        effort: "fast", "normal", "thorough", or a `TuneConfig`.
        seed: The one seed of everything random.
        journal: A file that keeps what was measured: the same call goes on where it was stopped.
        progress: Told of every fit.
        before_embedding: Called with the encoder and the data that it is about to embed.

    Returns:
        The curve; print it for the tables and the advice, `save` it for the page.

    Raises:
        ConfigError: A size, the number of draws or a setting is impossible.
        DataError: There is too little data for a curve.
        EncoderError: Embedding failed.

    Example:
        >>> words = [f"{kind}{number}" for kind in ("cat", "dog", "owl", "fox") for number in range(30)]
        >>> data = Dataset.from_pairs([(f"where is {w}?", f"the home of {w} is here") for w in words])
        >>> curve = learning_curve(data, "hashing", sizes=[24, 48, 96], draws=1)
        >>> [point.size for point in curve.points], [one.size for one in curve.forecasts]
        ([24, 48, 96], [196, 1096, 10096])
    """
    config = effort if isinstance(effort, TuneConfig) else TuneConfig.of_effort(effort)
    if draws < 1:
        raise ConfigError(f"draws must be at least 1, got {draws}")
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    loaded = load_encoder(encoder)
    plan = make_plan(dataset, split, seed=seed)
    teaching = Teaching.read(config.adapter, dataset, loaded, seed=seed)
    steps = _sizes(sizes, min(len(trial.pool.queries) for trial in plan.trials))
    before_embedding(loaded, dataset)
    encoded = encode_dataset(loaded, dataset, progress=progress)
    known = Known(encoded, teaching.lessons(dataset, encoded, loaded, progress=progress))
    told = (_METHOD, dataset.fingerprint, str(loaded.spec), repr(config), plan.method, plan.kind, str(seed))
    kept = CurveJournal(journal, fingerprint_texts(told))
    bench = _Bench(plan, known, config, seed)
    # All labels are one subset, however often they are drawn.
    jobs = [(0, 0), *((size, draw) for size in steps for draw in range(1 if size == steps[-1] else draws))]
    for done, (size, draw) in enumerate(jobs):
        progress("learning curve", done, len(jobs), f"{size} labels, draw {draw + 1}")
        if kept.get(size, draw) is None:
            kept.put(size, draw, bench.fit_and_judge(size, draw))
    progress("learning curve", len(jobs), len(jobs))
    measured = [np.array([kept.get(at, draw) for at, draw in jobs if at == size]) for size in (0, *steps)]
    return _curve(bench, dataset.name, str(loaded.spec), steps, measured)


class _Bench:
    """Fits on a part of the labels and judges on the test queries."""

    def __init__(self, plan: Plan, known: Known, config: TuneConfig, seed: int) -> None:
        self.plan, self.config, self.seed = plan, config, seed
        self._known, self._depth = known, depth_of(config.metric, len(known.encoded.documents))
        held: Holdout[list[Trial]] = Holdout(list(plan.trials))
        tests = [trial.test for trial in held.open("a learning curve, of which nothing is chosen")]
        ids = [query for test in tests for query in test.queries]
        qrels = {query: test.qrels[query] for test in tests for query in test.queries}
        self._judgments = Judgments.from_qrels(qrels, ids, known.encoded.document_ids)

    def fit_and_judge(self, size: int, draw: int) -> Scores:
        """Give the score of every test query under what was tuned on a subset; of 0 labels, under none."""
        adapters = [self._fit(trial, size, draw) if size else IdentityAdapter() for trial in self.plan.trials]
        ranked = rank(self.plan.trials, adapters, self._known.encoded, self._depth)
        return evaluate_positions(self._judgments, ranked.positions, self.config.metric)[self.config.metric]

    def _fit(self, trial: Trial, size: int, draw: int) -> Adapter:
        ids = sorted(trial.pool.queries)
        order = generator(self.seed, "curve", draw).permutation(len(ids))[:size]
        pool = trial.pool.select([ids[row] for row in order])
        # Which test queries all labels have seen says how folds are cut. Told by the subset instead, scifact went over
        # from one way to the other between 404 and 809 labels, and from .66 to .77.
        part = replace(trial, pool=pool, dev=frozenset())
        return choose_for(part, self._known, self.plan, self.config, seed=self.seed).adapter


def _sizes(given: Sequence[int] | None, most: int) -> list[int]:
    if given is None:
        found = sorted({round(most / 2**at) for at in range(_SIZES) if most / 2**at >= _SMALLEST})
        if len(found) < 3:
            raise DataError(
                f"Found {most} labelled queries to train on. A learning curve halves them twice and needs "
                f"{_SMALLEST} at its smallest: label {4 * _SMALLEST - most} more."
            )
        return found
    found = sorted({*given, most})
    problems = []
    if len(found) < 3:
        problems.append(f"sizes must be two numbers below {most} at least, got {list(given)}")
    if found and (found[0] < _SMALLEST or found[-1] > most):
        within = f"from {_SMALLEST} to {most}, all that there are to train on"
        problems.append(f"sizes must be {within}; got {list(given)}")
    if problems:
        raise ConfigError(problems)
    return found


def _curve(bench: _Bench, name: str, encoder: str, sizes: Sequence[int], measured: Sequence[Scores]) -> LearningCurve:
    most = sizes[-1]
    line = np.unique(np.geomspace(sizes[0], _FAR * most, _BAND).astype(int)).tolist()
    targets = [2 * most, *(most + extra for extra in EXTRA), *line]
    [base], *measured = measured
    law, (doubled, *found) = forecast(sizes, measured, base, targets, seed=bench.seed)
    points = []
    for size, scores in zip(sizes, measured, strict=True):
        low, high = bootstrap_interval(scores.mean(axis=0), seed=bench.seed)
        points.append(CurvePoint(size, float(scores.mean()), low, high, len(scores)))
    return LearningCurve(
        name=name,
        encoder=encoder,
        metric=bench.config.metric,
        queries=measured[0].shape[1],
        base=float(base.mean()),
        points=tuple(points),
        law=law,
        forecasts=tuple(found[: len(EXTRA)]),
        doubled=doubled,
        band=tuple(found[len(EXTRA) :]),
        notes=bench.plan.notes,
    )
