"""Divides a data set into train, dev and test, or into folds, so that what is learned is not what is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

from embertune.core.random import generator
from embertune.data.builder import PARTS
from embertune.data.companions import asked_by_people, companions, companions_note
from embertune.data.dataset import Dataset
from embertune.data.groups import fill_parts, group_by_document, group_by_query, share_out
from embertune.data.texts import counted
from embertune.errors import ConfigError, SplitError

__all__ = ["Split", "SplitMethod", "folds", "seen_queries", "split_dataset"]

SplitMethod = Literal["by-query", "by-document", "given"]


@dataclass(frozen=True)
class Split:
    """Three data sets over one corpus, and how they were made.

    Example:
        >>> print(split_dataset(Dataset.from_pairs([(f"q {n}", f"d {n}") for n in range(10)])))
        by-query, seed 0: train 6, dev 2, test 2 queries; 0 of the test queries have a document seen in training
    """

    train: Dataset
    dev: Dataset
    test: Dataset
    method: SplitMethod
    fractions: tuple[float, float, float]
    """Asked for; `sizes` tells what came out."""
    seed: int
    notes: tuple[str, ...] = ()
    """Sentences: what was left out, cut otherwise, or could not be as exact as asked."""

    def __str__(self) -> str:
        """Tell method, sizes and how many test queries are seen, and the notes."""
        sizes = ", ".join(f"{part} {size}" for part, size in self.sizes.items())
        has = "has" if len(self.seen) == 1 else "have"
        line = (
            f"{self.method}, seed {self.seed}: {sizes} queries; {len(self.seen)} of the test queries "
            f"{has} a document seen in training"
        )
        return "\n".join([line, *(f"  note: {note}" for note in self.notes)])

    @property
    def sizes(self) -> dict[str, int]:
        """Queries in each part."""
        return {part: len(getattr(self, part).queries) for part in PARTS}

    @cached_property
    def seen(self) -> set[str]:
        """Test queries one of whose relevant documents is relevant to a training query."""
        return seen_queries(self.train, self.test)

    def to_dict(self) -> dict[str, Any]:
        """Give what the record keeps of it."""
        return {
            "method": self.method,
            "fractions": list(self.fractions),
            "seed": self.seed,
            "sizes": self.sizes,
            "seen": len(self.seen),
            "notes": list(self.notes),
        }


def split_dataset(
    dataset: Dataset,
    method: SplitMethod = "by-query",
    *,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    seed: int = 0,
) -> Split:
    """Divide the queries that have a relevant document into train, dev and test; each keeps the whole corpus.

    Synthetic queries are never judged on where people asked others: these are divided, and those go to train, but for
    what would tell of dev and test.

    Args:
        dataset: What to divide. The order of its queries does not matter, only their ids and texts.
        method: "by-query" draws queries at random, those of equal normalised text together: documents are seen in
            training, as in use with a settled corpus. "by-document" keeps connected queries and documents together,
            so that no test document was trained on. "given" takes the parts of the source.
        fractions: Train, dev and test; they sum to 1. "given" uses them only to cut a missing dev from train.
        seed: Two seeds give two splits, one seed gives one.

    Raises:
        ConfigError: The method is unknown, or the fractions are impossible.
        SplitError: A part that was asked for would stay empty, or the source gave no such parts.

    Example:
        >>> data = Dataset.from_pairs([(f"question {n}", f"answer {n}") for n in range(334)])
        >>> split_dataset(data).sizes
        {'train': 200, 'dev': 67, 'test': 67}
    """
    fractions = _checked(fractions)
    if method == "given":
        return _given(dataset, fractions, seed)
    judged = asked_by_people(dataset)
    groups = _groups(judged, method)
    sizes = share_out(sum(map(len, groups)), fractions)
    parts = fill_parts(groups, sizes, generator(seed, "split", method))
    _refuse_empty_parts(judged, method, groups, parts, fractions)
    _, dev, test = (dataset.select(part) for part in parts)
    beside = companions(dataset, (dev, test), by_document=method == "by-document")
    notes = _notes(judged, method, groups, parts, sizes) + companions_note(dataset, len(beside))
    return Split(dataset.select([*parts[0], *beside]), dev, test, method, fractions, seed, notes)


def folds(
    dataset: Dataset, k: int = 5, method: SplitMethod = "by-query", *, seed: int = 0
) -> list[tuple[Dataset, Dataset]]:
    """Divide a data set k times into train and test, where it is too small for three parts; each query is in one test.

    Where people asked some of the queries, synthetic ones are in no test, as in `split_dataset`.

    Args:
        dataset: What to divide.
        k: How many folds, 2 or more.
        method: "by-query" or "by-document", as in `split_dataset`.
        seed: Two seeds give other folds.

    Returns:
        k pairs of train and test; the tests differ by at most one query where groups allow it.

    Raises:
        ConfigError: k is below 2, or the method cannot make folds.
        SplitError: There are fewer groups of queries than folds.

    Example:
        >>> data = Dataset.from_pairs([(f"question {n}", f"answer {n}") for n in range(7)])
        >>> [(len(train.queries), len(test.queries)) for train, test in folds(data, 3)]
        [(4, 3), (5, 2), (5, 2)]
    """
    problems = []
    if k < 2:
        problems.append(f"k must be at least 2, got {k}")
    if method == "given":
        problems.append("folds are made by-query or by-document; the parts of the source are one split, not folds")
    if problems:
        raise ConfigError(problems)
    groups = _groups(asked_by_people(dataset), method)
    total = sum(map(len, groups))
    parts = fill_parts(groups, share_out(total, [1 / k] * k), generator(seed, "folds", method))
    if not all(parts):
        raise SplitError(
            f"{counted(total, 'judged query', 'judged queries')} in {_in_groups(len(groups), method)} cannot fill {k} "
            f"folds {method}: {sum(not part for part in parts)} would stay empty. "
            f"Expected at least {k} groups of similar size. {_ways_out(method)}"
        )
    return [_fold(dataset, parts, held, method) for held in range(k)]


def _fold(dataset: Dataset, parts: list[list[str]], held: int, method: SplitMethod) -> tuple[Dataset, Dataset]:
    test = dataset.select(parts[held])
    others = [query_id for at, part in enumerate(parts) if at != held for query_id in part]
    beside = companions(dataset, [test], by_document=method == "by-document")
    return dataset.select([*others, *beside]), test


def seen_queries(train: Dataset, test: Dataset) -> set[str]:
    """Find the test queries one of whose relevant documents is relevant to a training query.

    Example:
        >>> data = Dataset.from_pairs([("a", "x"), ("b", "x"), ("c", "y")])
        >>> sorted(seen_queries(data.select(["q1"]), data.select(["q2", "q3"])))
        ['q2']
    """
    trained = {document_id for query_id in train.queries for document_id in train.positives(query_id)}
    return {query_id for query_id in test.queries if not trained.isdisjoint(test.positives(query_id))}


def _in_groups(count: int, method: SplitMethod) -> str:
    if method == "by-query":
        return counted(count, "group of equal text", "groups of equal text")
    return counted(count, "group that shares no document", "groups that share no document")


def _ways_out(method: SplitMethod) -> str:
    other = "" if method == "by-query" else ", or split by query (--split by-query)"
    return f"Add labelled queries{',' if other else ' or'} ask for fewer or other parts{other}."


def _groups(dataset: Dataset, method: SplitMethod) -> list[list[str]]:
    if method == "by-query":
        return group_by_query(dataset)
    if method == "by-document":
        return group_by_document(dataset)
    raise ConfigError(f"The split method {method!r} is unknown. Expected {', '.join(get_args(SplitMethod))}.")


def _checked(fractions: Sequence[float]) -> tuple[float, float, float]:
    problems = []
    if len(fractions) != 3:
        raise ConfigError(f"fractions must be three (train, dev, test), got {len(fractions)}")
    if not all(0 <= fraction <= 1 for fraction in fractions):
        problems.append(f"fractions must be between 0 and 1, got {tuple(fractions)}")
    if not abs(sum(fractions) - 1) < 1e-6:
        problems.append(f"fractions must sum to 1, got {sum(fractions):g}; such as (0.6, 0.2, 0.2)")
    if not fractions[0] > 0 or not fractions[2] > 0:
        problems.append(f"the fractions of train and test must be above 0, got {fractions[0]} and {fractions[2]}")
    if problems:
        raise ConfigError(problems)
    train, dev, test = map(float, fractions)
    return train, dev, test


def _refuse_empty_parts(
    dataset: Dataset,
    method: SplitMethod,
    groups: list[list[str]],
    parts: list[list[str]],
    fractions: tuple[float, float, float],
) -> None:
    empty = [name for name, part, share in zip(PARTS, parts, fractions, strict=True) if share > 0 and not part]
    if not empty:
        return
    total = sum(map(len, groups))
    asked = "/".join(f"{share * 100:g}" for share in fractions)
    largest = max(map(len, groups), default=0)
    raise SplitError(
        f"{dataset.name}: {total} of {len(dataset.queries)} queries have a relevant document; they form "
        f"{_in_groups(len(groups), method)}, the largest of {largest}, too few for {asked} % {method}: "
        f"{' and '.join(empty)} would stay empty. {_ways_out(method)}"
    )


def _notes(
    dataset: Dataset, method: SplitMethod, groups: list[list[str]], parts: list[list[str]], sizes: list[int]
) -> tuple[str, ...]:
    notes = _left_out(len(dataset.queries) - sum(map(len, groups)))
    got = [len(part) for part in parts]
    if got != sizes:
        asked = ", ".join(f"{name} {size}" for name, size in zip(PARTS, sizes, strict=True))
        notes += (
            f"Asked for {asked} queries; the largest of {_in_groups(len(groups), method)} has "
            f"{max(map(len, groups))}, so it became {', '.join(map(str, got))}.",
        )
    return notes


def _left_out(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    return (f"{counted(count, 'query has', 'queries have')} no relevant document and no part.",)


def _given(dataset: Dataset, fractions: tuple[float, float, float], seed: int) -> Split:
    if not dataset.parts:
        raise SplitError(
            f"{dataset.name} has no split of its own. Expected qrels/train.tsv and qrels/test.tsv (and dev.tsv), or "
            "files called train, dev and test. Or let it be made: --split by-query, or --split by-document"
        )
    train, dev, both = (
        dataset.select(query_id for query_id in dataset.judged if dataset.parts.get(query_id) == part) for part in PARTS
    )
    # Synthetic queries that were made for a test set of people's belong to no part: they are there to be trained on.
    is_mixed = len(dataset.synthetic) < len(dataset.queries)
    free = [query_id for query_id in dataset.synthetic if is_mixed and query_id not in dataset.parts]
    test = asked_by_people(both)
    notes = _left_out(len(dataset.queries) - len(free) - sum(len(part.queries) for part in (train, dev, both)))
    if free:
        beside = set(companions(dataset, (dev, test), by_document=False))
        train = dataset.select([*train.queries, *beside.intersection(free)])
    if not train.queries or not test.queries:
        counts = f"train {len(train.queries)}, dev {len(dev.queries)}, test {len(test.queries)}"
        missing = "train" if not train.queries else "test"
        raise SplitError(
            f"{dataset.name}: the given split has no {missing} ({counts} judged queries). "
            f"Expected qrels/{missing}.tsv, or type --split by-query to pool all queries and split them again."
        )
    if mixed := len(both.queries) - len(test.queries):
        notes += (f"{counted(mixed, 'synthetic query is', 'synthetic queries are')} left out of the given test.",)
    if not dev.queries and fractions[1] > 0:
        train, dev, note = _cut_dev(train, test, fractions, seed)
        notes += (note,)
    return Split(train, dev, test, "given", fractions, seed, notes)


def _cut_dev(
    train: Dataset, test: Dataset, fractions: tuple[float, float, float], seed: int
) -> tuple[Dataset, Dataset, str]:
    """Cut dev from train in the way that test was cut: strength chosen on seen documents harms unseen ones."""
    method: SplitMethod = "by-query" if seen_queries(train, test) else "by-document"
    share = fractions[1] / (fractions[0] + fractions[1])
    groups = _groups(asked_by_people(train), method)
    total = sum(map(len, groups))
    parts = fill_parts(groups, share_out(total, (1 - share, share)), generator(seed, "dev", method))
    if not all(parts):
        raise SplitError(
            f"{train.name}: the given split has no dev, and its {counted(total, 'training query', 'training queries')} "
            f"in {_in_groups(len(groups), method)}: too few to cut one. Add qrels/dev.tsv, or type --split by-query"
        )
    taken = "was" if len(parts[1]) == 1 else "were"
    note = f"The source gave no dev; {len(parts[1])} of its {total} training queries {taken} taken for it, {method}."
    dev = train.select(parts[1])
    beside = companions(train, [dev], by_document=method == "by-document")
    return train.select([*parts[0], *beside]), dev, note
