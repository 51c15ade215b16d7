"""The type of embeddings, and the few operations that every layer needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from embertune.errors import DataError

__all__ = ["Vectors", "as_vectors", "normalize"]

Vectors = npt.NDArray[np.float32]


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
        with np.errstate(over="ignore"):  # becomes infinite, and is refused as that
            array = np.ascontiguousarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"The {name} are not a matrix of numbers: {error}. Expected an array of shape (n, d)."
        ) from None
    if array.ndim != 2:
        raise DataError(f"The {name} have shape {np.shape(values)}. Expected two dimensions, (n, d): one row per text.")
    # A sum is finite when every term is, so the common case costs one pass and no mask.
    with np.errstate(invalid="ignore"):  # infinity minus infinity is NaN, which is not finite either
        total = array.sum(dtype=np.float64)
    if not np.isfinite(total):
        bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
        if len(bad):
            raise DataError(
                f"{len(bad)} of {len(array)} rows of the {name} hold NaN or infinite values (first rows: "
                f"{', '.join(map(str, bad[:3]))}). Embed those texts again, or remove them."
            )
    return array


def normalize(vectors: Vectors) -> Vectors:
    """Scale every row to length 1; a row of zeros stays zero.

    Args:
        vectors: (n, d).

    Returns:
        A new array (n, d).

    Example:
        >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32)).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    with np.errstate(over="ignore"):
        squares = np.einsum("ij,ij->i", vectors, vectors)
    lengths = np.sqrt(squares.astype(np.float64))
    # Squares of tiny or huge values leave the range of float32; few rows are like that, so only those are summed again.
    extreme = np.flatnonzero((squares < 1e-30) | (squares > 1e30))
    if len(extreme):
        lengths[extreme] = np.linalg.norm(vectors[extreme].astype(np.float64), axis=1)
    lengths[lengths == 0] = 1
    return np.asarray(vectors / lengths[:, None].astype(vectors.dtype), dtype=np.float32)
