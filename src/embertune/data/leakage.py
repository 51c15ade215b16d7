"""Finds queries that stand, equal or nearly equal, on both sides of a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from embertune.core.search import top_k
from embertune.core.vectors import Vectors, as_vectors, normalize
from embertune.data.dataset import Dataset
from embertune.data.texts import counted, normalize_text, shortened
from embertune.errors import ConfigError, DataError, LeakageError

__all__ = ["Leakage", "LeakedPair", "find_leakage"]

_RECORDED = 100  # pairs in a record; the counts are always whole


@dataclass(frozen=True)
class LeakedPair:
    """A test query and the training query that gives it away.

    Example:
        >>> LeakedPair("q7", "q2", 1.0, "exact", "How old?", "how old").kind
        'exact'
    """

    test_id: str
    train_id: str
    similarity: float
    """Cosine; 1 for texts that are equal after normalisation."""
    kind: Literal["exact", "near"]
    test_text: str
    train_text: str


@dataclass(frozen=True)
class Leakage:
    """What was found: at most one training query for each test query.

    Example:
        >>> Leakage(test_queries=10, threshold=0.95, near_checked=False, pairs=()).exact
        0
    """

    test_queries: int
    threshold: float
    """Cosine from which two queries count as near copies."""
    near_checked: bool
    """Whether vectors were given; without them only equal texts are found."""
    pairs: tuple[LeakedPair, ...]
    """Equal texts first, then by falling similarity."""

    def __str__(self) -> str:
        """Say it in one sentence."""
        near = (
            f"{self.near} a near copy (cosine ≥ {self.threshold:g})"
            if self.near_checked
            else "near copies not looked for"
        )
        tests = counted(self.test_queries, "test query", "test queries")
        return f"Of {tests} {self.exact} {'has' if self.exact == 1 else 'have'} an equal text in training, {near}."

    @property
    def exact(self) -> int:
        """Test queries whose normalised text is a training query's."""
        return sum(pair.kind == "exact" for pair in self.pairs)

    @property
    def near(self) -> int:
        """Further test queries with a training query at or above the threshold."""
        return sum(pair.kind == "near" for pair in self.pairs)

    def to_dict(self) -> dict[str, Any]:
        """Give the counts and the first 100 pairs, by id: a record holds no texts."""
        return {
            "exact": self.exact,
            "near": self.near if self.near_checked else None,
            "threshold": self.threshold,
            "test_queries": self.test_queries,
            "pairs": [
                {"test": pair.test_id, "train": pair.train_id, "similarity": pair.similarity, "kind": pair.kind}
                for pair in self.pairs[:_RECORDED]
            ],
        }

    def refuse(self) -> None:
        """Raise if anything was found.

        Raises:
            LeakageError: With the counts and up to three examples.
        """
        if not self.pairs:
            return
        listed = "; ".join(
            f"{pair.test_id} {shortened(pair.test_text)!r} {'=' if pair.kind == 'exact' else '~'} "
            f"{pair.train_id} {shortened(pair.train_text)!r}"
            + ("" if pair.kind == "exact" else f" ({pair.similarity:.3f})")
            for pair in self.pairs[:3]
        )
        raise LeakageError(
            f"{self} Examples: {listed}. Expected none under --strict: remove these queries from one side, split with "
            "--split by-document, or leave --strict out to have them counted only."
        )


def find_leakage(
    train: Dataset,
    test: Dataset,
    *,
    train_vectors: Vectors | None = None,
    test_vectors: Vectors | None = None,
    threshold: float = 0.95,
) -> Leakage:
    """Find test queries with an equal or nearly equal query in training.

    Equal means the same after `normalize_text` (Unicode form, case, punctuation, spaces). Nearly equal means a
    cosine of at least `threshold`, searched exactly and in blocks; it needs the vectors of both sides.

    Args:
        train: The training queries.
        test: The test queries.
        train_vectors: (n, d), rows in the order of ``train.queries``.
        test_vectors: (m, d), rows in the order of ``test.queries``.
        threshold: Cosine from which two queries count as near copies.

    Raises:
        ConfigError: The threshold is no cosine above 0, or only one side has vectors.
        DataError: Vectors and queries differ in number, or the two sides in dimension.

    Example:
        >>> data = Dataset.from_pairs([("How old is it?", "x"), ("how old is it", "y"), ("who built it?", "z")])
        >>> print(find_leakage(data.select(["q1"]), data.select(["q2", "q3"])))
        Of 2 test queries 1 has an equal text in training, near copies not looked for.
    """
    _check(threshold, train_vectors, test_vectors)
    by_text: dict[str, str] = {}
    for query_id, text in train.queries.items():
        by_text.setdefault(normalize_text(text), query_id)
    exact = {
        query_id: by_text[normal]
        for query_id, text in test.queries.items()
        if (normal := normalize_text(text)) in by_text
    }
    pairs = [
        LeakedPair(query_id, train_id, 1.0, "exact", test.queries[query_id], train.queries[train_id])
        for query_id, train_id in exact.items()
    ]
    if train_vectors is not None and test_vectors is not None:
        nearest = _nearest(train, test, train_vectors, test_vectors)
        near = [
            LeakedPair(query_id, train_id, cosine, "near", test.queries[query_id], train.queries[train_id])
            for query_id, (train_id, cosine) in nearest.items()
            # float32 leaves a vector's cosine with itself up to 1e-6 below 1.
            if cosine >= threshold - 1e-6 and query_id not in exact
        ]
        pairs += sorted(near, key=lambda pair: -pair.similarity)
    return Leakage(len(test.queries), threshold, train_vectors is not None, tuple(pairs))


def _check(threshold: float, train_vectors: Vectors | None, test_vectors: Vectors | None) -> None:
    problems = []
    if not 0 < threshold <= 1:
        problems.append(f"threshold must be a cosine above 0 and at most 1, got {threshold}")
    if (train_vectors is None) != (test_vectors is None):
        problems.append("vectors must be given for both sides, train_vectors and test_vectors, or for none")
    if problems:
        raise ConfigError(problems)


def _nearest(
    train: Dataset, test: Dataset, train_vectors: Vectors, test_vectors: Vectors
) -> dict[str, tuple[str, float]]:
    """The nearest training query of each test query, and its cosine."""
    for side, dataset, vectors in (("training", train, train_vectors), ("test", test, test_vectors)):
        if len(vectors) != len(dataset.queries):
            raise DataError(
                f"Found {counted(len(vectors), 'vector')} for "
                f"{counted(len(dataset.queries), f'{side} query', f'{side} queries')}. "
                "Expected one row for each query, in the order of dataset.queries."
            )
    if not train.queries or not test.queries:
        return {}
    left = normalize(as_vectors(test_vectors, "test queries"))
    right = normalize(as_vectors(train_vectors, "training queries"))
    positions, cosines = top_k(left, right, k=1)
    train_ids = list(train.queries)
    return {
        query_id: (train_ids[position], float(cosine))
        for query_id, position, cosine in zip(test.queries, positions[:, 0], cosines[:, 0], strict=True)
    }
