"""The type of embeddings, and the few operations that every layer needs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from embertune.errors import DataError

__all__ = ["Vectors", "as_vectors", "lengths", "normalize"]

Vectors = npt.NDArray[np.float32]

# Half a MiB, so that what was read to measure rows is still in a core's cache when they are scaled.
_BLOCK_CELLS = 2**17
_TINY, _HUGE = 1e-30, 1e30


def as_vectors(values: Any, name: str = "vectors") -> Vectors:
    """Check embeddings and give them as a contiguous float32 matrix.

    Args:
        values: Anything of shape (n, d) that numpy can read.
        name: What they are, for the error ("documents").

    Returns:
        (n, d), float32, C order; the same object when it is already that.

    Raises:
        DataError: Not a matrix of numbers, or some are NaN or infinite.

    Example:
        >>> as_vectors([[1, 2], [3, 4]]).dtype
        dtype('float32')
    """
    try:
        if isinstance(values, np.ndarray) and values.dtype == np.float32:
            array = np.ascontiguousarray(values)
        else:
            with np.errstate(over="ignore"):  # becomes infinite, and is refused as that
                array = np.ascontiguousarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"The {name} are not a matrix of numbers: {error}. Expected an array of shape (n, d)."
        ) from None
    if array.ndim != 2:
        raise DataError(f"The {name} have shape {np.shape(values)}. Expected two dimensions, (n, d): one row per text.")
    # A sum of squares is finite when every term is: one pass by BLAS, which warns of nothing, and no mask in the common
    # case. An overflow is looked at below.
    if not math.isfinite(np.vdot(array, array)):
        bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
        if len(bad):
            raise DataError(
                f"{len(bad)} of {len(array)} rows of the {name} hold NaN or infinite values (first rows: "
                f"{', '.join(map(str, bad[:3]))}). Embed those texts again, or remove them."
            )
    return array


def normalize(vectors: Vectors, *, out: Vectors | None = None) -> Vectors:
    """Scale every row to length 1; a row of zeros stays zero.

    Args:
        vectors: (n, d).
        out: Where to write (n, d), which may be `vectors` itself; None: a new array.

    Returns:
        `out`, or a new array (n, d).

    Example:
        >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32)).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    scaled = np.empty(vectors.shape, dtype=np.float32) if out is None else out
    if len(vectors) == 1:  # a query on its own, whose microseconds a user waits for
        square = float(np.vdot(vectors, vectors))
        if _TINY <= square <= _HUGE:
            return np.divide(vectors, math.sqrt(square), out=scaled, casting="same_kind")
    size = max(1, _BLOCK_CELLS // max(1, vectors.shape[1]))
    for start in range(0, len(vectors), size):
        rows = vectors[start : start + size]
        np.divide(rows, lengths(rows)[:, None], out=scaled[start : start + size], casting="same_kind")
    return scaled


def lengths(vectors: Vectors) -> Vectors:
    """Give the length of every row (n,), 1 for a row of zeros.

    Args:
        vectors: (n, d).

    Example:
        >>> lengths(np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32)).tolist()
        [5.0, 1.0]
    """
    with np.errstate(over="ignore"):  # looked at below
        squares = np.vecdot(vectors, vectors)
    # Squares of tiny or huge values leave the range of float32; few rows are like that, so only those are summed again.
    if squares.min(initial=1) >= _TINY and squares.max(initial=1) <= _HUGE:
        return np.asarray(np.sqrt(squares))
    found = np.sqrt(squares)
    extreme = np.flatnonzero((squares < _TINY) | (squares > _HUGE))
    exact = np.linalg.norm(vectors[extreme].astype(np.float64), axis=1)
    found[extreme] = np.where(exact == 0, 1, exact)
    return np.asarray(found)
