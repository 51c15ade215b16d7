"""From one space of embeddings to another one, of any dimension: a rotation, an affine map, and a network on top."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from embertune.adapters.solvers.descent import Descent, Parameters, Side, Step, train
from embertune.adapters.solvers.rows import Loss, Rows
from embertune.core.random import generator
from embertune.core.vectors import Vectors

__all__ = ["affine", "network", "network_residual", "scaled_rotation"]

_BATCH = 256


def scaled_rotation(source: Vectors, target: Vectors) -> Vectors:
    """Find the rotation and the factor that bring rows of one space nearest to their rows in another.

    It is the Procrustes problem with the narrower space padded by zeros: R maximises ``tr(R' X' Y)``, which the polar
    factor of ``X' Y`` does, and the factor is ``<X R, Y> / ||X R||²``.
    Source: Schoenemann, A generalized solution of the orthogonal Procrustes problem (1966).

    Args:
        source: X (n, d).
        target: Y (n, k), the same texts.

    Returns:
        (d, k): a multiple of R, of orthonormal rows or columns, whichever are fewer.

    Example:
        >>> turn = np.array([[0, 1, 0], [0, 0, 1]], dtype=np.float32)
        >>> bool(np.allclose(scaled_rotation(np.eye(2, dtype=np.float32), 2 * turn), 2 * turn, atol=1e-6))
        True
    """
    left, _, right = np.linalg.svd((source.T @ target).astype(np.float64), full_matrices=False)
    rotation = left @ right
    turned = source @ rotation
    # Texts whose vectors are all zero say nothing of the factor.
    factor = float((turned * target).sum()) / max(float((turned * turned).sum()), 1e-12)
    return np.ascontiguousarray((factor or 1.0) * rotation, dtype=np.float32)


def affine(
    source: Vectors, target: Vectors, start: Vectors, *, pull: float, rank: int | None = None
) -> tuple[Vectors, Vectors]:
    """Fit ``x M + b`` by least squares, with M pulled to a start.

    It minimises ``||X M + b - Y||² + pull n / d ||M - start||²``; with a rank, M - start is then cut to the
    directions of the target in which it moves the rows most (Izenman, Reduced-rank regression, 1975).

    Args:
        source: X (n, d).
        target: Y (n, k).
        start: (d, k).
        pull: An embedding has variance 1 / d in an even direction, and there a pull of 1 halves what is learned.
        rank: Of M - start, at most; None: any.

    Returns:
        M (d, k) and b (k,).

    Example:
        >>> x = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
        >>> matrix, bias = affine(x, x[:, :2] + 5, np.zeros((3, 2), np.float32), pull=1e-9)
        >>> bool(np.allclose(matrix, np.eye(3, 2), atol=1e-5)), bias.round(3).tolist()
        (True, [5.0, 5.0])
    """
    count, width = source.shape
    mean, goal = source.mean(axis=0, dtype=np.float64), target.mean(axis=0, dtype=np.float64)
    # Products of all rows in float32, in half the time; what is solved is small.
    centred = source - mean.astype(np.float32)
    left = (target - goal.astype(np.float32)) - centred @ start
    gram = (centred.T @ centred).astype(np.float64)
    moved = np.linalg.solve(gram + pull * count / width * np.eye(width), (centred.T @ left).astype(np.float64))
    if rank is not None and rank < min(moved.shape):
        _, directions = np.linalg.eigh(moved.T @ gram @ moved)
        kept = directions[:, ::-1][:, :rank]
        moved = moved @ kept @ kept.T
    matrix = start + moved
    return np.ascontiguousarray(matrix, dtype=np.float32), (goal - mean @ matrix).astype(np.float32)


def network_residual(parameters: Mapping[str, Rows], rows: Rows) -> Rows:
    """Give what the network adds to mapped rows: ``relu(x input + input_bias) output + output_bias`` (n, k)."""
    units = np.maximum(rows @ parameters["input"] + parameters["input_bias"], 0)
    return np.asarray(units @ parameters["output"] + parameters["output_bias"])


def network(
    source: Vectors,
    target: Vectors,
    base: tuple[Vectors, Vectors],
    *,
    hidden: int,
    epochs: int,
    learning_rate: float,
    seed: int,
) -> Parameters:
    """Train a network of one hidden layer on what an affine map leaves, by the cosine to the target.

    Args:
        source: X (n, d), rows of length 1.
        target: Y (n, k), rows of length 1.
        base: M (d, k) and b (k,), which stay as they are.
        hidden: Units.
        epochs: Passes over the rows.
        learning_rate: Of Adam.
        seed: For the input layer and the batches.

    Returns:
        "input" (d, hidden), "input_bias", "output" (hidden, k), "output_bias"; it starts as no change at all.
    """
    width = source.shape[1]
    drawn = generator(seed, "bridge", "start").standard_normal((width, hidden), dtype=np.float32)
    origin: Parameters = {
        "input": drawn * np.float32(np.sqrt(2 / width)),  # He et al., Delving Deep into Rectifiers (2015)
        "input_bias": np.zeros(hidden, dtype=np.float32),
        "output": np.zeros((hidden, target.shape[1]), dtype=np.float32),
        "output_bias": np.zeros(target.shape[1], dtype=np.float32),
    }
    shuffle = generator(seed, "bridge", "batches")

    def steps(_: int) -> Iterable[Step]:
        order = shuffle.permutation(len(source))
        for first in range(0, len(order), _BATCH):
            rows = order[first : first + _BATCH]
            yield Step(rows, rows, _cosine_loss, len(rows))

    trained = train(
        Descent(residual=_Bridge(base, hidden), origin=origin, pull=0.0),
        source, target, steps, learning_rate=learning_rate, seed=seed,
    )  # fmt: skip
    *_, (found, _) = islice(trained, epochs)
    return found


def _cosine_loss(queries: Rows, documents: Rows) -> Loss:
    """Give the mean of 1 - cosine of row and row."""
    count = len(queries)
    value = 1 - float(np.einsum("ij,ij->", queries, documents)) / count
    return value, -documents / np.float32(count), -queries / np.float32(count)


@dataclass(frozen=True)
class _Bridge:
    """The network on top of its affine map, as `train` wants it."""

    base: tuple[Vectors, Vectors]
    width: int
    sides: tuple[Side, ...] = ("query",)

    def forward(self, parameters: Mapping[str, Rows], rows: Rows, side: Side, *, kept: Any = 1) -> Rows:
        matrix, bias = self.base
        return np.asarray(rows @ matrix + bias + network_residual(parameters, rows))

    def backward(
        self, parameters: Mapping[str, Rows], rows: Rows, slopes: Rows, side: Side, *, kept: Any = 1
    ) -> Parameters:
        units = np.maximum(rows @ parameters["input"] + parameters["input_bias"], 0)
        by_units = (slopes @ parameters["output"].T) * (units > 0)
        return {
            "input": rows.T @ by_units,
            "input_bias": by_units.sum(axis=0),
            "output": units.T @ slopes,
            "output_bias": slopes.sum(axis=0),
        }
