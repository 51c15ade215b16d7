"""Negatives for training pairs, from vectors: hard ones by exact search, and random documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from embertune.core.progress import Progress, silent
from embertune.core.random import generator
from embertune.core.search import Positions, Search, top_k
from embertune.core.vectors import Vectors, as_vectors, normalize
from embertune.data.texts import counted
from embertune.errors import ConfigError, DataError

__all__ = ["MiningConfig", "Negatives", "checked_pairs", "mine_hard_negatives", "random_negatives"]

_QUERY_BLOCK = 1024


@dataclass(frozen=True)
class MiningConfig:
    """Which documents count as hard negatives of a query; names and meanings are those of sentence-transformers.

    Raises:
        ConfigError: With every problem at once.

    Example:
        >>> MiningConfig(num_negatives=5, range_min=10).window(most_positives=1)
        (10, 61)
    """

    num_negatives: int = 3
    """Negatives for each query."""
    range_min: int = 0
    """Skip this many of the best candidates that are left after all other filters."""
    range_max: int | None = None
    """Look at this many candidates at most; None takes as many as are likely to be needed."""
    max_score: float | None = None
    """Cosine above which a candidate is left out as a likely answer."""
    min_score: float | None = None
    """Cosine below which a candidate is left out as too easy."""
    absolute_margin: float | None = None
    """How far a candidate's cosine must lie below the lowest of the query's positives."""
    relative_margin: float | None = 0.05
    """The same as a share of that positive's cosine. Without a margin nearly all of what is found may be unlabelled
    answers; .05 was best in NV-Retriever (Moreira et al., 2024). sentence-transformers' default is None."""
    sampling: Literal["top", "random"] = "top"
    """"top" takes the highest; "random" draws from all that are left."""
    seed: int = 0
    """For that draw."""

    def __post_init__(self) -> None:
        """Refuse what is impossible."""
        problems = [
            f"{name} must be at least {least}, got {getattr(self, name)}"
            for name, least in (("num_negatives", 1), ("range_min", 0), ("absolute_margin", 0), ("relative_margin", 0))
            if getattr(self, name) is not None and getattr(self, name) < least
        ]
        if self.sampling not in ("top", "random"):
            problems.append(f"sampling must be 'top' or 'random', got {self.sampling!r}")
        if self.range_max is not None and self.range_max - self.range_min < self.num_negatives:
            problems.append(
                f"range_max must be at least range_min + num_negatives = {self.range_min + self.num_negatives}, "
                f"got {self.range_max}"
            )
        if problems:
            raise ConfigError(problems)

    def window(self, most_positives: int) -> tuple[int, int]:
        """Give the first and the last rank of candidates, where a query has at most so many positives."""
        if self.range_max is not None:
            return self.range_min, self.range_max
        filters = (self.absolute_margin, self.relative_margin, self.max_score)
        spare = 1 if all(value is None for value in filters) else 10
        return self.range_min, self.range_min + spare * self.num_negatives + most_positives


@dataclass(frozen=True)
class Negatives:
    """Negatives of the queries that have a positive.

    Example:
        >>> found = Negatives(np.array([0]), np.array([[4, -1]]), np.array([[0.5, -np.inf]]), {})
        >>> found.triplets([(0, 2), (0, 3)]).tolist()
        [[0, 2, 4], [0, 3, 4]]
    """

    queries: Positions
    """(u,) positions of the queries, rising."""
    documents: Positions
    """(u, k) positions of their negatives, best first; -1 where there were too few."""
    scores: npt.NDArray[np.floating[Any]]
    """(u, k) cosines; minus infinity where there is none."""
    left_out: dict[str, int]
    """How many candidates each filter left out, by name."""

    def triplets(self, pairs: Any) -> Positions:
        """Give (t, 3) positions of query, positive and negative: each pair with each negative of its query.

        Args:
            pairs: (p, 2) positions of a query and of one of its positives, in the order wanted.

        Raises:
            DataError: Not such positions, or negatives were not sought for one of the queries.
        """
        rows = _positions(pairs, "pairs")
        strange = np.setdiff1d(rows[:, 0], self.queries)
        if len(strange):
            raise DataError(
                f"No negatives were sought for {counted(len(strange), 'query', 'queries')} of the pairs (first "
                f"positions: {', '.join(map(str, strange[:3]))}). Give the pairs that they were sought with."
            )
        own = self.documents[np.searchsorted(self.queries, rows[:, 0])]
        width = self.documents.shape[1]
        flat = np.column_stack([np.repeat(rows, width, axis=0), own.ravel()])
        return flat[flat[:, 2] >= 0]

    def __str__(self) -> str:
        """Say in one sentence how many there are, and what was left out."""
        wanted, found = self.documents.size, int((self.documents >= 0).sum())
        out = ", ".join(f"{count} by {name}" for name, count in self.left_out.items() if count)
        sentence = f"{found} of {counted(wanted, 'negative')} for {counted(len(self.queries), 'query', 'queries')}"
        return f"{sentence}; left out: {out}." if out else f"{sentence}."


def mine_hard_negatives(
    queries: Any,
    documents: Any,
    pairs: Any,
    config: MiningConfig | None = None,
    *,
    ignored: Any = None,
    search: Search = top_k,
    progress: Progress = silent,
) -> Negatives:
    """Find documents that look like answers and are none: high by exact search, but not labelled, and not too high.

    The same as sentence-transformers' `mine_hard_negatives` without a cross-encoder where the settings are the same,
    but for the draw of ``sampling="random"``; its relative margin is off by default. Margins are measured from the
    lowest positive of a query, as there.

    Negatives that are no training query's positive are only ever pushed away: with such documents, quality on documents
    without training queries fell from .40 to .17. Give only the positives as `documents` to rule that out.

    Args:
        queries: (n, d).
        documents: (m, d), each text once.
        pairs: (p, 2) positions of a query and of one of its positives; only queries with one are mined.
        config: Settings; None takes the defaults.
        ignored: (k, 2) positions of a query and of a document never to take, such as what `false_negatives` finds.
        search: Who searches; `embertune.data.faiss_search.FaissSearch` is the other that comes with Embertune.
        progress: Told of queries.

    Raises:
        DataError: Shapes or positions do not fit, or there is no pair.

    Example:
        >>> documents = [[1, 0], [0.9, 0.4], [0.7, 0.7], [0, 1]]
        >>> found = mine_hard_negatives([[1, 0]], documents, [(0, 0)], MiningConfig(num_negatives=2))
        >>> found.documents.tolist(), str(found)
        ([[1, 2]], '2 of 2 negatives for 1 query.')
    """
    config = config or MiningConfig()
    left, right = normalize(as_vectors(queries, "queries")), normalize(as_vectors(documents, "documents"))
    known = checked_pairs(pairs, len(left), len(right))
    never = _inside([] if ignored is None else ignored, "ignored pairs", len(left), len(right))
    if len(never):
        # A pair that is both is a positive.
        never = never[~np.isin(never @ [len(right), 1], known @ [len(right), 1])]
    sought, counts = np.unique(known[:, 0], return_counts=True)
    window = config.window(int(counts.max()))
    kept = window[1] + int(counts.max())
    left_out = dict.fromkeys(("ignored", *_FILTERS), 0)
    parts = []
    for start in range(0, len(sought), _QUERY_BLOCK):
        rows = sought[start : start + _QUERY_BLOCK]
        scores, found, skipped = _candidates(left[rows], right, _local(never, rows), kept, search)
        left_out["ignored"] += skipped
        lowest = _filter_positives(scores, found, left[rows], right, _local(known, rows))
        _filter(scores, lowest, config, left_out)
        parts.append(_choose(scores, found, window, config, start))
        progress("mine", start + len(rows), len(sought))
    return Negatives(
        sought, np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]), left_out
    )


def random_negatives(
    pairs: Any, documents: int, num_negatives: int, *, pool: Any = None, ignored: Any = None, seed: int = 0
) -> Negatives:
    """Draw documents at random for every query, without its positives.

    Args:
        pairs: (p, 2) positions of a query and of one of its positives.
        documents: How many documents there are.
        num_negatives: How many to draw for each query; fewer where the pool does not hold so many.
        pool: Positions of the documents to draw from; None is all. ``pairs[:, 1]``, the positives of training queries,
            keeps documents without training queries from being pushed away.
        ignored: (k, 2) positions of a query and of a document never to take.
        seed: Decides.

    Returns:
        Negatives whose scores are NaN, as nothing was measured.

    Raises:
        ConfigError: The number is below 1.
        DataError: Positions do not fit, or there is no pair.

    Example:
        >>> random_negatives([(0, 0), (1, 2)], 3, 2, seed=0).documents.shape
        (2, 2)
    """
    if num_negatives < 1:
        raise ConfigError(f"num_negatives must be at least 1, got {num_negatives}")
    known = checked_pairs(pairs, None, documents)
    sought = np.unique(known[:, 0])
    if ignored is not None:
        known = np.unique(np.concatenate([known, _inside(ignored, "ignored pairs", None, documents)]), axis=0)
    source = np.arange(documents) if pool is None else _pool(pool, documents)
    drawn = np.full((len(sought), num_negatives), -1, dtype=np.intp)
    rng = generator(seed, "random negatives")
    first, last = (np.searchsorted(known[:, 0], sought, side=side) for side in ("left", "right"))
    for row, (start, stop) in enumerate(zip(first, last, strict=True)):
        forbidden = known[start:stop, 1]
        # Enough to have them all after the forbidden ones are taken out of a draw without replacement.
        draw = source[rng.choice(len(source), min(len(source), num_negatives + len(forbidden)), replace=False)]
        allowed = draw[~np.isin(draw, forbidden)][:num_negatives]
        drawn[row, : len(allowed)] = allowed
    scores = np.where(drawn < 0, -np.inf, np.nan)
    return Negatives(sought, drawn, scores, {})


def checked_pairs(pairs: Any, queries: int | None, documents: int) -> Positions:
    """Check pairs, and give them sorted, each once.

    Args:
        pairs: (p, 2) positions of a query and of one of its positives.
        queries: How many queries there are, if known.
        documents: How many documents there are.

    Raises:
        DataError: They are not positions, there is none, or one points nowhere.

    Example:
        >>> checked_pairs([(1, 0), (0, 1), (1, 0)], None, 2).tolist()
        [[0, 1], [1, 0]]
    """
    rows = np.unique(_inside(pairs, "pairs", queries, documents), axis=0)
    if not len(rows):
        raise DataError(
            "There is no pair to find negatives for. Give at least one query with a document that answers it."
        )
    return rows


def _inside(pairs: Any, name: str, queries: int | None, documents: int) -> Positions:
    """Check that pairs are positions, and that none points nowhere."""
    rows = _positions(pairs, name)
    outside = (rows < 0).any(axis=1) | (rows[:, 1] >= documents)
    among = counted(documents, "document")
    if queries is not None:
        outside |= rows[:, 0] >= queries
        among = f"{counted(queries, 'query', 'queries')} and {among}"
    if outside.any():
        query, document = rows[outside][0]
        raise DataError(
            f"{name.capitalize()} point at query {query} and document {document}, but there are {among}. "
            "Positions count from 0."
        )
    return rows


def _positions(pairs: Any, name: str) -> Positions:
    """Give pairs as (p, 2) positions; numpy alone would take six numbers in two triples for three pairs."""
    array = _array(pairs)
    if not array.size:
        return np.empty((0, 2), dtype=np.intp)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iu":
        raise DataError(
            f"The {name} have shape {array.shape} and begin with {_beginning(array)}. Expected positions, "
            "whole numbers of shape (p, 2): a query and a document. Type: [(0, 0), (1, 0)]"
        )
    return array.astype(np.intp)


def _pool(pool: Any, documents: int) -> Positions:
    """Give the different positions of a pool, rising."""
    array = _array(pool)
    if not array.size:
        return np.empty(0, dtype=np.intp)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DataError(
            f"The pool has shape {array.shape} and begins with {_beginning(array)}. Expected positions of documents, "
            "whole numbers of shape (n,). Type: pool=[0, 1]"
        )
    outside = array[(array < 0) | (array >= documents)]
    if len(outside):
        raise DataError(
            f"The pool points at {counted(len(outside), 'document')} that do not exist (first positions: "
            f"{', '.join(map(str, outside[:3]))}), as there are {counted(documents, 'document')}. "
            "Positions count from 0."
        )
    return np.unique(array.astype(np.intp))


def _array(values: Any) -> npt.NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError:  # rows of unequal length
        return np.asarray(values, dtype=object)


def _beginning(array: npt.NDArray[Any]) -> str:
    return ", ".join(map(repr, np.atleast_1d(array)[:3].tolist()))


_FILTERS = ("absolute_margin", "relative_margin", "max_score", "min_score")


def _local(pairs: Positions, queries: Positions) -> Positions:
    """The pairs of some queries (rising), with the row of the query in place of its position; sorted."""
    inside = pairs[np.isin(pairs[:, 0], queries)]
    inside = np.column_stack([np.searchsorted(queries, inside[:, 0]), inside[:, 1]])
    return inside[np.lexsort(inside.T[::-1])]


def _candidates(
    queries: Vectors, documents: Vectors, never: Positions, kept: int, search: Search
) -> tuple[Vectors, Positions, int]:
    """The highest scores of every query, where they are, and how many of documents never to take were among them."""
    most = int(np.bincount(never[:, 0]).max()) if len(never) else 0
    found, scores = search(queries, documents, min(kept + most, len(documents)))
    if not most:
        return scores, found, 0
    skipped = _member(found, never, len(documents))
    scores[skipped] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :kept]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(found, order, axis=1), int(skipped.sum())


def _member(found: Positions, pairs: Positions, documents: int) -> npt.NDArray[np.bool_]:
    rows = np.arange(len(found))[:, None] * documents
    return np.isin(rows + found, pairs @ [documents, 1])


def _filter_positives(
    scores: Vectors, found: Positions, queries: Vectors, documents: Vectors, known: Positions
) -> npt.NDArray[np.float64]:
    """Take the positives out, and give the lowest cosine of each query's positives."""
    scores[_member(found, known, len(documents))] = -np.inf
    own = np.einsum("ij,ij->i", queries[known[:, 0]], documents[known[:, 1]], dtype=np.float64)
    first = np.flatnonzero(np.diff(known[:, 0], prepend=-1))
    return np.asarray(np.minimum.reduceat(own, first))


def _filter(scores: Vectors, lowest: npt.NDArray[np.float64], config: MiningConfig, left_out: dict[str, int]) -> None:
    """Take out, in place, what each setting excludes, and count it."""
    for name in _FILTERS:
        value = getattr(config, name)
        if value is None:
            continue
        limit = np.full_like(lowest, value)
        if name == "absolute_margin":
            limit = lowest - value
        elif name == "relative_margin":
            limit = lowest - np.abs(lowest) * value
        beyond = scores < limit[:, None] if name == "min_score" else scores > limit[:, None]
        beyond &= np.isfinite(scores)
        scores[beyond] = -np.inf
        left_out[name] += int(beyond.sum())


def _choose(
    scores: Vectors, found: Positions, window: tuple[int, int], config: MiningConfig, block: int
) -> tuple[Positions, Vectors]:
    """Rank what is left, cut the window out of it, and take from there; -1 and minus infinity fill up."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, window[0] : window[1]]
    if config.sampling == "random":
        ranked = np.take_along_axis(scores, order, axis=1)
        lottery = generator(config.seed, "mining", block).random(order.shape)
        lottery[~np.isfinite(ranked)] = 2
        drawn = np.sort(np.argsort(lottery, axis=1)[:, : config.num_negatives], axis=1)
        order = np.take_along_axis(order, drawn, axis=1)
    order = order[:, : config.num_negatives]
    scores = np.take_along_axis(scores, order, axis=1)
    documents = np.where(np.isfinite(scores), np.take_along_axis(found, order, axis=1), -1)
    missing = ((0, 0), (0, config.num_negatives - order.shape[1]))
    return np.pad(documents, missing, constant_values=-1), np.pad(scores, missing, constant_values=-np.inf)
