"""Documents that no label calls an answer but that may well be one: they must not be pushed away as negatives."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from embertune.core.random import generator
from embertune.core.search import Positions
from embertune.core.vectors import Vectors, as_vectors, normalize
from embertune.data.negatives import checked_pairs
from embertune.data.texts import counted, normalize_text
from embertune.data.words import Numbers, words_of
from embertune.errors import ConfigError, DataError

__all__ = ["Copies", "Guard", "false_negatives", "find_copies", "near_copies", "overlapping_texts"]

_BLOCK_CELLS = 4_000_000
# A run of words that more documents share than this is boilerplate: chunks that overlap by three quarters share one
# with six others at most.
_MOST_SHARERS = 10
# float32 leaves a vector's cosine with itself up to 1e-6 below 1.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Guard:
    """What makes a document a false negative of a query.

    Raises:
        ConfigError: With every problem at once.

    Example:
        >>> Guard(margin=0.05).near
        0.99
    """

    near: float | None = 0.99
    """Cosine from which a document counts as a copy of a positive, and a query as a copy of a query; None looks at
    texts alone."""
    shared_words: int = 16
    """Words in a row that two documents must share to count as overlapping chunks."""
    margin: float | None = None
    """Documents count whose cosine with the query is above that of its lowest positive less this; None for none.
    0 is the guard of GISTEmbed (Solatorio, 2024) with the frozen encoder as the guide."""

    def __post_init__(self) -> None:
        """Refuse what is impossible."""
        problems = []
        if self.near is not None and not 0 < self.near <= 1:
            problems.append(f"near must be a cosine above 0 and at most 1, got {self.near}")
        if self.shared_words < 1:
            problems.append(f"shared_words must be at least 1, got {self.shared_words}")
        if problems:
            raise ConfigError(problems)


@dataclass(frozen=True)
class Copies:
    """Which queries ask the same and which documents say the same: found without labels, so every fold may share it.

    Example:
        >>> own = np.column_stack([np.arange(2)] * 2)
        >>> Copies(own, np.array([[0, 0], [0, 1], [1, 0], [1, 1]])).false_negatives(np.array([[0, 1], [1, 1]])).tolist()
        [[0, 0], [1, 0]]
    """

    queries: Positions
    """(k, 2) positions of a query and of one that asks the same, itself too; sorted."""
    documents: Positions
    """(k, 2) positions of a document and of one that says the same, itself too; sorted."""

    def false_negatives(self, pairs: Positions) -> Positions:
        """Find the documents that must not be negatives, besides the positives.

        Args:
            pairs: (p, 2) positions of a query and of one of its positives, sorted: the labels that may be known.

        Returns:
            (k, 2) positions of a query of the pairs and of a document, sorted, without `pairs`.
        """
        asked = self.queries[np.isin(self.queries[:, 0], pairs[:, 0])]
        found = _unique(_join(_unique(_join(asked, pairs)), self.documents))
        width = int(max(pairs[:, 1].max(initial=0), found[:, 1].max(initial=0))) + 1
        return found[~np.isin(found @ [width, 1], pairs @ [width, 1])]


def find_copies(
    queries: Vectors,
    documents: Vectors,
    guard: Guard | None = None,
    *,
    query_texts: Sequence[str] | None = None,
    texts: Sequence[str] | None = None,
    sources: Sequence[Hashable] | None = None,
    among: tuple[Positions, Positions] | None = None,
) -> Copies:
    """Find equal and nearly equal queries and documents, and overlapping chunks; see `false_negatives`.

    Args:
        queries: (n, d), rows of length 1.
        documents: (m, d), rows of length 1.
        guard: Settings; its margin, which needs labels, does not count here.
        query_texts: The n texts of the queries.
        texts: The m texts of the documents.
        sources: What each of the m documents was cut from; None for one that was not cut.
        among: Queries that are compared with each other, and documents whose copies are wanted; None is all.

    Example:
        >>> rows = np.eye(2, dtype=np.float32)
        >>> find_copies(rows, rows[[0, 1, 0]]).documents.tolist()
        [[0, 0], [0, 2], [1, 1], [2, 0], [2, 2]]
    """
    guard = guard or Guard()
    sought, of = among or (np.arange(len(queries)), np.arange(len(documents)))
    asked, said = [np.column_stack([sought, sought])], [np.column_stack([of, of])]
    if guard.near is not None:
        asked.append(sought[near_copies(queries[sought], queries[sought], guard.near)])
        said.append(_relation(of, near_copies(documents[of], documents, guard.near)))
    if query_texts is not None:
        asked.append(_same(sought, _numbered([normalize_text(text) for text in query_texts])))
    if texts is not None:
        said.append(_same(of, _numbered([normalize_text(text) for text in texts])))
        said.append(overlapping_texts(texts, of=of, words=guard.shared_words, sources=sources))
    elif sources is not None:
        said.append(_same(of, _numbered(sources)))
    return Copies(_unique(np.concatenate(asked)), _unique(np.concatenate(said)))


def false_negatives(
    queries: Any,
    documents: Any,
    pairs: Any,
    guard: Guard | None = None,
    *,
    query_texts: Sequence[str] | None = None,
    texts: Sequence[str] | None = None,
    sources: Sequence[Hashable] | None = None,
) -> Positions:
    """Find the documents that must not be negatives of a query, besides its positives.

    These are: positives of a query that is equal or nearly equal; and, of all those positives, the documents of equal
    normalised text, with nearly equal vectors, and overlapping with it as chunks of one source do; and documents that
    score too high for a negative, if the guard has a margin.

    Which chunks overlap is read off the texts: `Guard.shared_words` in a row, within one source where `sources` are
    given, and in 10 documents at most. Without texts all documents of a source count as overlapping.

    Args:
        queries: (n, d), frozen embeddings.
        documents: (m, d).
        pairs: (p, 2) positions of a query and of one of its positives.
        guard: Settings; None takes the defaults.
        query_texts: The n texts of the queries.
        texts: The m texts of the documents.
        sources: What each of the m documents was cut from; None for one that was not cut.

    Returns:
        (k, 2) positions of a query and of a document, sorted, without `pairs`.

    Raises:
        DataError: Numbers of texts, sources or positions do not fit, or there is no pair.

    Example:
        >>> documents = [[1, 0], [0, 1], [1, 0.01]]
        >>> false_negatives([[1, 1], [1, 0]], documents, [(0, 0), (1, 1)]).tolist()
        [[0, 2]]
        >>> false_negatives([[1, 1], [1, 0]], documents, [(0, 0), (1, 1)], sources=["a", "a", None]).tolist()
        [[0, 1], [0, 2], [1, 0]]
    """
    guard = guard or Guard()
    left, right = normalize(as_vectors(queries, "queries")), normalize(as_vectors(documents, "documents"))
    _check(query_texts, len(left), "query text", "query", "queries")
    _check(texts, len(right), "text", "document", "documents")
    _check(sources, len(right), "source", "document", "documents")
    known = checked_pairs(pairs, len(left), len(right))
    among = np.unique(known[:, 0]), np.unique(known[:, 1])
    copies = find_copies(left, right, guard, query_texts=query_texts, texts=texts, sources=sources, among=among)
    found = copies.false_negatives(known)
    if guard.margin is not None:
        found = np.concatenate([found, _too_high(left, right, known, guard.margin)])
    found = _unique(found)
    return found[~np.isin(found @ [len(right), 1], known @ [len(right), 1])]


def near_copies(vectors: Vectors, among: Vectors, threshold: float) -> Positions:
    """Find which rows are nearly equal, exactly and in blocks: one product of the two matrices.

    Args:
        vectors: (n, d), rows of length 1.
        among: (m, d), rows of length 1.
        threshold: Cosine from which two rows count.

    Returns:
        (k, 2) positions in `vectors` and `among`, sorted.

    Example:
        >>> rows = np.eye(2, dtype=np.float32)
        >>> near_copies(rows, rows[[1, 0, 1]], 0.99).tolist()
        [[0, 1], [1, 0], [1, 2]]
    """
    limits = np.full(len(vectors), threshold - _ROUNDING)
    return _above(vectors, among, limits)


def overlapping_texts(
    texts: Sequence[str], *, of: Positions, words: int, sources: Sequence[Hashable] | None = None
) -> Positions:
    """Find texts that share a long run of words, as chunks do that were cut with an overlap.

    Case, punctuation and spaces do not count. A run that more than 10 texts hold is boilerplate and tells nothing.

    Args:
        texts: m of them.
        of: Positions of those whose overlaps are wanted.
        words: Words in a row that must be shared.
        sources: What each was cut from: only texts of one source can overlap, and those of none overlap with nothing.

    Returns:
        (k, 2) positions of a text of `of` and of another text, sorted.

    Example:
        >>> overlapping_texts(["a b c d", "C, D e f", "g h"], of=np.array([0]), words=2).tolist()
        [[0, 1]]
    """
    runs, owner = _runs([normalize_text(text) for text in texts], words)
    if sources is not None:
        numbers = _numbered(sources)
        alone = np.array([source is None for source in sources])
        runs, owner = runs[~alone[owner]], owner[~alone[owner]]
        # Equal runs of two sources are two runs.
        runs = runs ^ generator(0, "sources").integers(2**63, size=numbers.max(initial=0) + 1)[numbers[owner]]
    order = np.argsort(runs, kind="stable")
    number = np.cumsum(np.diff(runs[order], prepend=runs[:1]) != 0)
    table = _unique(np.column_stack([number, owner[order]]))
    sharers = np.bincount(table[:, 0])[table[:, 0]]
    table = table[(sharers > 1) & (sharers <= _MOST_SHARERS)]
    wanted = np.zeros(len(texts), dtype=bool)
    wanted[of] = True
    found = _join(table[wanted[table[:, 1]]][:, ::-1], table)
    return _unique(found[found[:, 0] != found[:, 1]])


def _check(values: Sequence[Any] | None, count: int, name: str, one: str, many: str) -> None:
    if values is not None and len(values) != count:
        raise DataError(
            f"Found {counted(len(values), name)} for {counted(count, one, many)}. "
            f"Expected one for each, in the order of the {many}."
        )


def _too_high(queries: Vectors, documents: Vectors, known: Positions, margin: float) -> Positions:
    own = np.einsum("ij,ij->i", queries[known[:, 0]], documents[known[:, 1]], dtype=np.float64)
    first = np.flatnonzero(np.diff(known[:, 0], prepend=-1))
    sought = known[first, 0]
    return _relation(sought, _above(queries[sought], documents, np.minimum.reduceat(own, first) - margin))


def _above(vectors: Vectors, among: Vectors, limits: npt.NDArray[np.float64]) -> Positions:
    """Positions (k, 2) where the product of two rows is at least the limit of the first."""
    size = max(1, _BLOCK_CELLS // max(1, len(among)))
    parts = [np.empty((0, 2), dtype=np.intp)]
    for start in range(0, len(vectors), size):
        block = slice(start, start + size)
        at, other = np.nonzero(vectors[block] @ among.T >= limits[block, None])
        parts.append(np.column_stack([at + start, other]))
    return np.concatenate(parts)


def _relation(names: Positions, rows: Positions) -> Positions:
    """Rows whose first column counts within `names`, by the names."""
    return np.column_stack([names[rows[:, 0]], rows[:, 1]])


def _same(of: Positions, numbers: Positions) -> Positions:
    """Each of some items with every item of the same number; below 0 is the number of none."""
    of = of[numbers[of] >= 0]
    every = np.column_stack([numbers, np.arange(len(numbers))])
    return _join(np.column_stack([of, numbers[of]]), every[np.argsort(numbers, kind="stable")])


def _join(left: Positions, right: Positions) -> Positions:
    """Rows (a, c) for every (a, b) of the left and (b, c) of the right, which is sorted by b."""
    first, last = (np.searchsorted(right[:, 0], left[:, 1], side=side) for side in ("left", "right"))
    counts = last - first
    start = np.repeat(first - np.cumsum(counts) + counts, counts)
    return np.column_stack([np.repeat(left[:, 0], counts), right[start + np.arange(len(start)), 1]])


def _unique(pairs: Positions) -> Positions:
    """Rows sorted, each once; np.unique takes ten times as long."""
    width = int(pairs[:, 1].max(initial=0)) + 1
    keys = np.sort(pairs @ [width, 1])
    return np.column_stack(np.divmod(keys[np.diff(keys, prepend=-1) != 0], width))


def _numbered(values: Sequence[Hashable]) -> Positions:
    """The same number for equal values; -1 for None."""
    numbers: dict[Hashable, int] = {None: -1}
    return np.array([numbers.setdefault(value, len(numbers) - 1) for value in values], dtype=np.intp)


def _runs(texts: Sequence[str], length: int) -> tuple[npt.NDArray[np.int64], Positions]:
    """A number for every run of words of a length, and the text that holds it.

    Words and places draw random factors, and a run is the sum of their products modulo 2^64, so that all runs of a
    corpus cost one pass of numpy for each place.
    """
    vocabulary = Numbers()
    found = [np.array(list(map(vocabulary.__getitem__, words_of(text))), dtype=np.intp) for text in texts]
    owners = np.repeat(np.arange(len(texts)), [len(words) for words in found])
    rng = generator(0, "runs of words")
    factors = rng.integers(2**63, size=len(vocabulary))[np.concatenate([owners[:0], *found])]
    count = max(0, len(owners) - length + 1)
    runs = np.zeros(count, dtype=np.int64)
    for place in rng.integers(2**62, size=length) * 2 + 1:
        runs += factors[:count] * place
        factors = factors[1:]
    within = owners[:count] == owners[len(owners) - count :]
    return runs[within], owners[:count][within]
