"""An adapter that the user names, judged on dev as ours are: taken, or no adapter."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import Adapter, TrainingPairs
from embertune.adapters.identity import IdentityAdapter
from embertune.core.progress import Note, Progress
from embertune.core.random import generator
from embertune.data.negatives import MiningConfig, mine_hard_negatives
from embertune.training.config import TuneConfig
from embertune.training.decisions import WIDE_OPEN, Trials, behind_gates, told_gates, weigh_gate
from embertune.training.lessons import renumber
from embertune.training.pool import Fold, Pool, Rows
from embertune.training.selection import Candidate, Choice
from embertune.training.sparing import Others, Way, spare
from embertune.training.table import DevTable

__all__ = ["choose_given", "training_for"]

# Those by which training is stopped are judged after every epoch; so few are ranked in no time.
_MOST_VALIDATED = 256
# Of queries that none of the folds holds out, this share is.
_HELD_OUT = 0.2


def choose_given(
    pool: Pool,
    folds: Sequence[Fold],
    adapter: Adapter,
    config: TuneConfig,
    *,
    seed: int,
    others: Others | None = None,
    progress: Progress,
) -> Choice:
    """Fit copies of an adapter on folds, judge each on the fold left out, and fit one on everything.

    No adapter is taken where dev gives it more than half of the weight, or where labels look random; what was fitted
    on everything is then kept beside it. An adapter that stops early is stopped by queries of the next fold, neither
    fitted on nor judged; the one that is fitted on everything, of which nothing is left out, runs as many epochs as
    these did in the middle.

    Args:
        pool: What may be looked at.
        folds: Rows to fit on, rows to judge.
        adapter: Its class and parameters; it is not changed.
        config: Which metric decides, and whether there may be a gate.
        seed: For draws; the adapter has its own.
        others: Queries that the adapter is not for. If these lose, gates close for their like, too.
        progress: Told of every fit.
    """
    table = DevTable(pool, 2, config.metric, seed)
    fitted = []
    for at, (fit, dev) in enumerate(folds):
        progress("choose on dev", at, len(folds) + 1, table.told() if at else "")
        epochs = _Epochs(progress, at, len(folds) + 1, config.metric)
        fitted.append(_fitted(pool, adapter, *_held_out(adapter, folds, at, seed), epochs))
        table.judge({1: fitted[-1]}, fit, dev)
    progress("fit on train and dev", len(folds), len(folds) + 1, table.told())
    weights = table.choice(np.ones(2, dtype=bool))
    taken = bool(weights[0] <= 0.5)
    final, stopped = _final(pool, adapter, fitted)
    gate_reasons: tuple[str, ...] = ()
    if taken:
        gates, gate_reasons = weigh_gate(_Given(pool, folds, [], config, fitted), weights)
        behind = partial(behind_gates, final, pool.queries, pool.documents, seed=seed)
        free = final
        ways = [Way("", lambda: behind(gates) if gates else free)]
        if free.changes("query"):
            ways.append(Way(told_gates(free), lambda: behind(gates or WIDE_OPEN, others=others)))
        at, final, spared = spare(others, ways)
        gate_reasons = (spared,) if at else gate_reasons
    progress("fit on train and dev", len(folds) + 1, len(folds) + 1)
    base, tuned = (float(mean) for mean in table.means())
    return Choice(
        adapter=final if taken else IdentityAdapter(),
        candidates=(
            Candidate({}, base, float(not taken)),
            Candidate({"adapter": adapter.type}, tuned, float(taken)),
        ),
        curve=({"step": 0, "loss": None, "dev": base}, {"step": 1, "loss": None, "dev": tuned if taken else base}),
        note=table.noise(),
        reasons=tuple(reason for reason in (stopped, _taken(adapter, taken, base, tuned), *gate_reasons) if reason),
        trained=final,
    )


def training_for(adapter: Adapter, pool: Pool, rows: Rows) -> TrainingPairs:
    """Give the pairs of some queries, and what else the adapter learns from.

    Negatives are mined among the documents that answer some of these queries, by the frozen embeddings, and lie by 5 %
    below the lowest answer; documents that only have a label come last.

    Args:
        adapter: Says what it wants.
        pool: What may be looked at.
        rows: Of the queries.
    """
    training = pool.training(rows, whole_corpus=adapter.wants_corpus)
    if "hard negatives" in adapter.wants:
        mining = MiningConfig(num_negatives=max(1, int(getattr(adapter, "num_negatives", 5))))
        found = mine_hard_negatives(
            training.queries, training.documents, training.pairs, mining, ignored=training.ignored
        )
        table = np.column_stack([np.repeat(found.queries, found.documents.shape[1]), found.documents.ravel()])
        training = replace(training, negatives=table[table[:, 1] >= 0])
    if pool.lessons is None:
        return training
    if "labels" in adapter.wants:
        training = _labelled(training, pool, rows, whole_corpus=adapter.wants_corpus)
    return replace(training, passages=pool.lessons.passages)


def _labelled(training: TrainingPairs, pool: Pool, rows: Rows, *, whole_corpus: bool) -> TrainingPairs:
    """Add the labels of some queries, and behind the documents those that only have a label."""
    assert pool.lessons is not None
    place = np.full(len(pool.queries), -1, dtype=np.intp)
    place[rows] = np.arange(len(rows))
    labels = renumber(pool.lessons.labels, place)
    if whole_corpus:
        return replace(training, labels=labels)
    known = pool.answers(rows)
    order = np.concatenate([known, np.setdiff1d(labels.positions[:, 1], known)])
    at = np.full(len(pool.documents), -1, dtype=np.intp)
    at[order] = np.arange(len(order))
    moved = np.column_stack([labels.positions[:, 0], at[labels.positions[:, 1]]])
    by_place = np.lexsort(moved.T[::-1])
    return replace(
        training,
        documents=pool.documents[order],
        labels=labels._replace(positions=moved[by_place], values=labels.values[by_place]),
    )


@dataclass(frozen=True)
class _Given(Trials):
    """The copies that were fitted on the folds, for decisions that are made on them."""

    fitted: Sequence[Adapter] = ()

    def mean(self, at: int, weights: npt.NDArray[np.float64]) -> Adapter:
        return self.fitted[at]


def _held_out(adapter: Adapter, folds: Sequence[Fold], at: int, seed: int) -> tuple[Rows, Rows]:
    """Cut the rows of a fold into those to fit on and those to stop by; the latter are none where nothing stops."""
    fit = folds[at][0]
    if "validation" not in adapter.wants:
        return fit, fit[:0]
    # The next fold was cut as this one was: documents stay on one side where they do.
    held = np.intersect1d(folds[(at + 1) % len(folds)][1], fit)
    if not len(held):
        drawn = generator(seed, "validation", str(at))
        held = np.sort(drawn.choice(fit, max(1, int(_HELD_OUT * len(fit))), replace=False))
    rest = np.setdiff1d(fit, held)
    if not len(rest):
        return fit, fit[:0]
    if len(held) > _MOST_VALIDATED:
        held = np.sort(generator(seed, "validated", str(at)).choice(held, _MOST_VALIDATED, replace=False))
    return rest, held


@dataclass
class _Epochs:
    """Tells what held-out queries say after every epoch."""

    progress: Progress
    fold: int
    folds: int
    metric: str
    count: int = 0

    def tell(self, score: float) -> None:
        self.count += 1
        said = f"epoch {self.count}: {self.metric} {score:.3f} on held-out queries"
        self.progress("choose on dev", self.fold, self.folds, Note(said, {"epoch": self.count, "held-out": score}))


def _fitted(pool: Pool, adapter: Adapter, rows: Rows, held: Rows, epochs: _Epochs) -> Adapter:
    """Fit a copy on some queries, stopped by others if there are any."""
    validate: Callable[[Adapter], float] | None = None
    if len(held):

        def validate(candidate: Adapter) -> float:
            score = float(pool.score([candidate], held, epochs.metric).mean())
            epochs.tell(score)
            return score

    return copy.deepcopy(adapter).fit_training(training_for(adapter, pool, rows), validate=validate)


def _final(pool: Pool, adapter: Adapter, fitted: Sequence[Adapter]) -> tuple[Adapter, str]:
    """Fit a copy on everything, for as many epochs as the copies on the folds were best at, in the middle."""
    given, stopped = copy.deepcopy(adapter), ""
    best = [getattr(each, "best_epoch_", None) for each in fitted]
    epochs = [each for each in best if each is not None]
    if epochs and "max_epochs" in adapter.param_names():
        most = max(1, int(np.median(epochs)))
        stopped = (
            f"Trained for {most} of at most {given.get_params()['max_epochs']} epochs: on held-out queries "
            f"{', '.join(map(str, epochs))} were best."
        )
        given.set_params(max_epochs=most)
    everything = np.arange(len(pool.queries))
    return given.fit_training(training_for(given, pool, everything)), stopped


def _taken(adapter: Adapter, taken: bool, base: float, tuned: float) -> str:
    if taken:
        return ""
    return (
        f"The {adapter.type} adapter is not taken: on dev it scores {tuned:.3f}, and {base:.3f} is scored without it. "
        "What was trained is kept as the candidate; test was not asked about it."
    )
