"""Who is fitted on and who is judged: the split of a data set as positions, ready for arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from embertune.core.random import generator
from embertune.data.companions import asked_by_people, companions_note
from embertune.data.dataset import Dataset
from embertune.data.splits import Split, SplitMethod, folds, seen_queries, split_dataset
from embertune.errors import SplitError
from embertune.training.config import TuneConfig
from embertune.training.pool import Fold

__all__ = ["FEWEST_QUERIES", "Plan", "Trial", "inner_folds", "make_plan"]

# Below this no interval means anything, and folds hold one or two queries.
FEWEST_QUERIES = 10
# With fewer queries than this a fifth is too small to judge by, so every query is tested once, in folds.
_THREE_PARTS = 100
_OUTER_FOLDS = 5

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Trial:
    """One round of fitting and judging.

    Attributes:
        pool: Train and dev: what may be fitted on and chosen by.
        test: What is judged; its documents are the pool's or not, as the split says.
        dev: The queries of the pool that the split calls dev; empty without a dev part.
        seen: The test queries one of whose positives is a positive of the pool.
    """

    pool: Dataset
    test: Dataset
    dev: frozenset[str]
    seen: frozenset[str]


@dataclass(frozen=True)
class Plan:
    """How the judged queries are used.

    Attributes:
        trials: One for three parts; one per fold where queries are few.
        method: "given", "by-query" or "by-document".
        kind: "three parts" or "5 folds".
        fractions: Of train, dev and test, where they were drawn.
        seed: Of the draw.
        notes: What had to be decided, in sentences.
    """

    trials: tuple[Trial, ...]
    method: SplitMethod
    kind: str
    fractions: tuple[float, ...]
    seed: int
    notes: tuple[str, ...]

    @property
    def seen_share(self) -> float:
        """The share of test queries on documents that have training queries: what is to be expected of later ones."""
        return sum(len(trial.seen) for trial in self.trials) / sum(len(trial.test.queries) for trial in self.trials)

    def to_dict(self) -> dict[str, Any]:
        """Give the split as the record has it."""
        return {"method": self.method, "kind": self.kind, "fractions": list(self.fractions), "seed": self.seed}

    def counts(self, dataset: Dataset) -> dict[str, int]:
        """Count queries per part, documents and pairs."""
        first = self.trials[0]
        tested = sum(len(trial.test.queries) for trial in self.trials)
        if len(self.trials) == 1:
            train, dev = len(first.pool.queries) - len(first.dev), len(first.dev)
        else:
            train, dev = len(first.pool.queries), 0
        pairs = sum(len(dataset.positives(query)) for query in dataset.qrels)
        return {"train": train, "dev": dev, "test": tested, "documents": len(dataset.corpus), "pairs": pairs}


def make_plan(dataset: Dataset, split: SplitMethod | Split | None, *, seed: int) -> Plan:
    """Decide who is fitted on and who is judged.

    Args:
        dataset: Everything.
        split: A method, a split made before, or None: the given one where there is one, else by query.
        seed: Of the draw.

    Returns:
        The plan; with fewer than 100 queries and no given split, five folds.

    Raises:
        SplitError: Too few queries, or the split cannot be made.
    """
    judged = dataset.judged
    people = asked_by_people(dataset).judged
    _refuse_few(dataset, len(people))
    dropped = len(dataset.queries) - len(judged)
    notes = (f"{dropped} queries without a relevant document are left out of the split.",) if dropped else ()
    if split is None:
        split = "given" if "test" in dataset.parts.values() else "by-query"
    usable = dataset.select(judged) if dropped else dataset
    if isinstance(split, str) and split != "given" and len(people) < _THREE_PARTS:
        return _fold_plan(usable, split, seed, notes)
    parts = split if isinstance(split, Split) else split_dataset(usable, split, seed=seed)
    pool = usable.select([*parts.train.queries, *parts.dev.queries])
    trial = Trial(pool, parts.test, frozenset(parts.dev.queries), frozenset(seen_queries(pool, parts.test)))
    return Plan((trial,), parts.method, "three parts", tuple(parts.fractions), seed, (*notes, *parts.notes))


def _refuse_few(dataset: Dataset, judged: int) -> None:
    if judged >= FEWEST_QUERIES:
        return
    found = f"{judged} {'query' if judged == 1 else 'queries'} with a relevant document"
    beside, advice = "", "Add labelled queries."
    if made := len(dataset.judged) - judged:
        beside = f" that people asked, beside {made} synthetic ones, which are not judged on where there are others"
        advice = "Add labelled queries, or judge on synthetic ones alone: dataset.select(dataset.synthetic)"
    raise SplitError(
        f"{dataset.name} has {found}{beside}; "
        f"at least {FEWEST_QUERIES} are needed to fit and to judge, and {_THREE_PARTS} or more to judge well. {advice}"
    )


def _fold_plan(dataset: Dataset, method: SplitMethod, seed: int, notes: tuple[str, ...]) -> Plan:
    trials = tuple(
        Trial(pool, test, frozenset(), frozenset(seen_queries(pool, test)))
        for pool, test in folds(dataset, _OUTER_FOLDS, method, seed=seed)
    )
    judged = len(asked_by_people(dataset).queries)
    note = (
        f"{judged} queries are too few for three parts: each is judged once, in {_OUTER_FOLDS} folds, "
        "under an adapter that never saw it; the adapter that is saved is fitted on all of them."
    )
    beside = companions_note(dataset, len(dataset.queries) - judged)
    return Plan(trials, method, f"{_OUTER_FOLDS} folds", (), seed, (*notes, note, *beside))


def inner_folds(trial: Trial, method: SplitMethod, config: TuneConfig, *, seed: int) -> list[Fold]:
    """Cut a pool into folds that look like its test: the same documents asked anew, or documents never asked for.

    Args:
        trial: Whose pool is cut.
        method: Of the outer split; "given" is told by what share of the test queries is seen.
        config: How many folds; a large dev part is taken as it is.
        seed: Of the draw.

    Returns:
        Per fold: positions in the pool to fit on, and to judge, where people asked some queries those alone; of a
        large pool only as many folds as give `large_dev` queries to judge.
    """
    place = {query: row for row, query in enumerate(trial.pool.queries)}
    if len(trial.dev) >= config.large_dev:
        dev = np.array([place[query] for query in place if query in trial.dev], dtype=np.intp)
        return [(np.setdiff1d(np.arange(len(place)), dev), dev)]
    if method == "given":
        method = "by-query" if len(trial.seen) * 2 >= len(trial.test.queries) else "by-document"
    draw = int(generator(seed, "folds").integers(2**31))
    pool = trial.pool
    judged = len(asked_by_people(pool).queries)
    if judged < FEWEST_QUERIES:
        # So few queries of people tell no setting from another; then the synthetic ones have to.
        pool, judged = replace(pool, synthetic={}), len(place)
    count = max(2, min(config.folds, judged // 2))
    try:
        cut = folds(pool, count, method, seed=draw)
    except SplitError:
        # Too few groups of documents to keep apart; by query there are always enough.
        cut = folds(pool, count, "by-query", seed=draw)
    # So many queries tell settings apart as well as all would.
    enough = -(-config.large_dev * len(cut) // judged)
    return [(_rows(fit, place), _rows(dev, place)[: config.large_dev]) for fit, dev in cut[:enough]]


def _rows(part: Dataset, place: dict[str, int]) -> Rows:
    ids: Sequence[str] = list(part.queries)
    return np.fromiter((place[query] for query in ids), dtype=np.intp, count=len(ids))
