"""What adapters learn from: pairs of a query and an answer, and whatever else is known of them, as checked arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from embertune.core.vectors import Vectors, as_vectors, normalize
from embertune.errors import DataError

__all__ = ["Labels", "TrainingPairs", "check_pairs"]

Positions = npt.NDArray[np.intp]


class Labels(NamedTuple):
    """A number for some queries and documents: the grades of a data set, or a teacher's scores."""

    positions: Positions
    """(l, 2) positions of a query and of a document, sorted, each once."""
    values: npt.NDArray[np.float64]
    """(l,) the higher, the better the document answers the query."""


@dataclass(frozen=True, eq=False)
class TrainingPairs:
    """Training pairs as arrays, checked: what every solver takes. All positions are sorted, each once.

    Attributes:
        queries: (n, d) float32, rows of length 1.
        documents: (m, d) float32, rows of length 1.
        pairs: (p, 2) positions of a query and of one of its positives.
        ignored: (k, 2) positions of a query and of a document that may answer it unlabelled: never a negative.
        negatives: (t, 2) positions of a query and of a document that does not answer it, such as mined ones.
        labels: Numbers for queries and documents, for losses that learn from more than right and wrong.
        passages: (c, d) float32, rows of length 1: texts from elsewhere, which answer nothing.
    """

    queries: Vectors
    documents: Vectors
    pairs: Positions
    ignored: Positions | None = None
    negatives: Positions | None = None
    labels: Labels | None = None
    passages: Vectors | None = None


def check_pairs(
    queries: Any,
    documents: Any,
    pairs: Any = None,
    *,
    ignored: Any = None,
    negatives: Any = None,
    labels: tuple[Any, Any] | None = None,
    passages: Any = None,
) -> TrainingPairs:
    """Check training input and give it as unit vectors and positions.

    Args:
        queries: (n, d).
        documents: (m, d); without `pairs`, row i answers query i, and equal rows are one document.
        pairs: (p, 2) positions of a query and of one of its positives.
        ignored: (k, 2) positions of a query and of a document that must not be its negative.
        negatives: (t, 2) positions of a query and of a document that does not answer it.
        labels: Positions (l, 2) of a query and of a document, and a number for each: grades, or a teacher's scores.
        passages: (c, d) embeddings of texts that answer nothing.

    Raises:
        DataError: Shapes do not fit, or there is nothing to learn from.

    Example:
        >>> check_pairs([[1, 0], [0, 1]], [[1, 0], [1, 0]]).pairs.tolist()
        [[0, 0], [1, 0]]
        >>> check_pairs([[1, 0]], [[1, 0], [0, 1]], [(0, 0)], negatives=[(0, 1)]).negatives.tolist()
        [[0, 1]]
    """
    queries, documents = as_vectors(queries, "queries"), as_vectors(documents, "documents")
    if queries.shape[1] != documents.shape[1]:
        raise DataError(
            f"The queries have {queries.shape[1]} dimensions and the documents {documents.shape[1]}. "
            "Both must come from the same encoder."
        )
    if pairs is None:
        further = {"ignored": ignored, "negatives": negatives, "labels": labels}
        if named := [name for name, value in further.items() if value is not None]:
            raise DataError(
                f"{' and '.join(named)} came without `pairs`, where equal documents are one and positions mean "
                "nothing. Give pairs=[(query, document), ...] by position, too."
            )
        documents, positions = _aligned(queries, documents)
    else:
        positions = _inside(pairs, "pairs", queries, documents)
    if not len(positions):
        raise DataError("There is no pair to learn from. Give at least one query with a document that answers it.")
    return TrainingPairs(
        normalize(queries),
        normalize(documents),
        positions,
        None if ignored is None else _inside(ignored, "ignored", queries, documents),
        None if negatives is None else _inside(negatives, "negatives", queries, documents),
        None if labels is None else _labels(labels, queries, documents),
        None if passages is None else _passages(passages, queries.shape[1]),
    )


def _aligned(queries: Vectors, documents: Vectors) -> tuple[Vectors, Positions]:
    """Give the different documents, and which of them answers each query, where row i answers query i."""
    if len(queries) != len(documents):
        raise DataError(
            f"{len(queries)} queries and {len(documents)} documents were given without `pairs`, so row i of one "
            "must answer row i of the other. Give as many of each, or pairs=[(query, document), ...] by position."
        )
    documents, inverse = np.unique(documents, axis=0, return_inverse=True)
    return documents, np.column_stack([np.arange(len(queries)), inverse.ravel()])


def _inside(values: Any, name: str, queries: Vectors, documents: Vectors) -> Positions:
    """Give positions that point somewhere, sorted and each once."""
    positions = _positions(values, name)
    highest = positions.max(axis=0, initial=-1)
    if positions.min(initial=0) < 0 or highest[0] >= len(queries) or highest[1] >= len(documents):
        raise DataError(
            f"{name.capitalize()} point at query {highest[0]} and document {highest[1]}, but there are {len(queries)} "
            f"queries and {len(documents)} documents. Positions count from 0."
        )
    return np.unique(positions, axis=0)


def _positions(values: Any, name: str) -> Positions:
    """Give pairs as (p, 2) whole numbers."""
    try:
        array = np.asarray(values)
        fits = array.size == 0 or (array.ndim == 2 and array.shape[1] == 2 and np.issubdtype(array.dtype, np.integer))
    except ValueError:  # rows of different lengths
        fits = False
    if not fits:
        first = next(iter(values), None) if not isinstance(values, str) else values
        raise DataError(
            f"The {name} are not positions (first: {first!r}). Expected whole numbers of shape (p, 2), such as "
            f"{name}=[(0, 3), (1, 7)]: the row of a query and the row of a document"
            f"{' that answers it' if name == 'pairs' else ''}."
        )
    return array.astype(np.intp).reshape(-1, 2)


def _labels(labels: tuple[Any, Any], queries: Vectors, documents: Vectors) -> Labels:
    rows = _positions(labels[0], "labels")
    values = np.asarray(labels[1], dtype=np.float64).ravel()
    if len(values) != len(rows) or not np.isfinite(values).all():
        raise DataError(
            f"There are {len(rows)} labelled pairs and {int(np.isfinite(values).sum())} finite numbers for them. "
            "Give one for each: labels=([(0, 3), (0, 5)], [2.0, 0.5])"
        )
    places = _inside(rows, "labels", queries, documents)
    # Of a pair that is labelled twice the last number holds.
    found = np.empty(len(places))
    found[np.searchsorted(_numbers(places, len(documents)), _numbers(rows, len(documents)))] = values
    return Labels(places, found)


def _numbers(rows: Positions, documents: int) -> Positions:
    return np.asarray(rows[:, 0] * documents + rows[:, 1])


def _passages(passages: Any, dimension: int) -> Vectors:
    found = normalize(as_vectors(passages, "passages"))
    if found.shape[1] != dimension:
        raise DataError(
            f"The passages have {found.shape[1]} dimensions and the queries {dimension}. "
            "Both must come from the same encoder."
        )
    return found
