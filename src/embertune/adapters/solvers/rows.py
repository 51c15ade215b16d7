"""Rows picked out of matrices by position: what all losses are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from embertune.adapters.device import beside, get, namespace
from embertune.errors import DataError

__all__ = ["Loss", "Positions", "Rows", "add_rows", "by_scores", "dots", "draw", "labelled", "mean", "positions"]

Positions = npt.NDArray[np.intp]
Rows = Any
"""An array of numpy or of a device; float32 in use, float64 comes through as it is, for finite differences."""
Loss = tuple[float, Rows, Rows]
"""The value, its derivative by the queries (n, d), and by the documents (m, d)."""


def positions(values: Any, columns: int, name: str) -> Positions:
    """Check that there are rows of positions, and give them as (r, columns).

    Raises:
        DataError: There is none.

    Example:
        >>> positions([(0, 1), (2, 0)], 2, "pair").shape
        (2, 2)
    """
    rows = np.asarray(values, dtype=np.intp).reshape(-1, columns)
    if not len(rows):
        raise DataError(f"There is no {name} to learn from. Give at least one row of {columns} positions.")
    return rows


def labelled(values: Any, labels: Any, name: str, label: str) -> tuple[Positions, npt.NDArray[np.float64]]:
    """Check that there is a number for each row of positions.

    Raises:
        DataError: There is no row, or not one number for each.

    Example:
        >>> labelled([(0, 1)], [0.5], "pair", "grade")[1].tolist()
        [0.5]
    """
    rows = positions(values, 2 if name == "pair" else 3, name)
    numbers = np.asarray(labels, dtype=np.float64).ravel()
    if len(numbers) != len(rows):
        raise DataError(f"There are {len(rows)} {name}s and {len(numbers)} {label}s. Give one {label} for each {name}.")
    return rows, numbers


def dots(queries: Rows, documents: Rows, pairs: Positions) -> npt.NDArray[Any]:
    """Give the dot product of each pair (p,), to numpy: what a loss makes of them is little work.

    Example:
        >>> dots(np.eye(2), np.eye(2), np.array([(0, 0), (0, 1)])).tolist()
        [1.0, 0.0]
    """
    query, document = (beside(queries, column) for column in pairs.T)
    return get(namespace(queries).einsum("ij,ij->i", queries[query], documents[document]))


def by_scores(queries: Rows, documents: Rows, pairs: Positions, slopes: npt.NDArray[Any]) -> tuple[Rows, Rows]:
    """Go from the derivatives by the dot products of pairs (p,) to those by rows.

    Example:
        >>> by_scores(np.eye(2), np.eye(2), np.array([(0, 1)]), np.array([3.0]))[0].tolist()
        [[0.0, 3.0], [0.0, 0.0]]
    """
    xp = namespace(queries)
    by_q, by_d = xp.zeros_like(queries), xp.zeros_like(documents)
    query, document, steps = (beside(queries, each) for each in (*pairs.T, slopes[:, None]))
    add_rows(by_q, query, steps * documents[document])
    add_rows(by_d, document, steps * queries[query])
    return by_q, by_d


def mean(losses: npt.NDArray[Any]) -> float:
    """Give the mean, summed in float64.

    Example:
        >>> mean(np.array([1, 2], dtype=np.float32))
        1.5
    """
    return float(losses.mean(dtype=np.float64))


def draw(count: int, most: int, random: np.random.Generator) -> Positions:
    """Give the positions of all rows, or of a sample where there are more than `most`; rising.

    Example:
        >>> draw(3, 5, np.random.default_rng(0)).tolist(), len(draw(9, 5, np.random.default_rng(0)))
        ([0, 1, 2], 5)
    """
    return np.arange(count) if count <= most else np.sort(random.choice(count, most, replace=False))


def add_rows(target: Rows, index: Any, rows: Rows) -> None:
    """Add rows to ``target[index]`` where an index may repeat; np.add.at is ten times slower on matrices.

    The Array API standard has nothing for it, so what is not numpy's is taken to be torch's.

    Example:
        >>> total = np.zeros((2, 1))
        >>> add_rows(total, np.array([1, 0, 1]), np.array([[1.0], [2.0], [3.0]]))
        >>> total.tolist()
        [[2.0], [4.0]]
    """
    if not len(index):
        return
    if not isinstance(target, np.ndarray):
        target.index_add_(0, index, rows)
        return
    if (np.diff(index) < 0).any():
        order = np.argsort(index, kind="stable")
        index, rows = index[order], rows[order]
    first = np.flatnonzero(np.diff(index, prepend=-1))
    target[index[first]] += rows if len(first) == len(index) else np.add.reduceat(rows, first, axis=0)
