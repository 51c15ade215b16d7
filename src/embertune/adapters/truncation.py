"""Fewer dimensions, trained: a projection of both sides that starts from a plain one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import Adapter, Side, TrainingPairs, check_pairs
from embertune.adapters.device import get, put
from embertune.adapters.params import check_finite, impossible
from embertune.adapters.solvers.contrastive import principal_directions
from embertune.adapters.solvers.lbfgs import minimize
from embertune.adapters.solvers.projection import ProjectionNCE
from embertune.adapters.solvers.rows import Positions, draw
from embertune.core.random import generator
from embertune.core.vectors import Vectors, normalize
from embertune.errors import ConfigError, DataError

__all__ = ["TruncationAdapter"]


class TruncationAdapter(Adapter):
    """Map ``x`` (d) to ``normalize(x P)`` (k), with P fitted by InfoNCE and pulled to a plain reduction.

    Both sides are mapped, so stored vectors have to be transformed once (not embedded again) and take k / d of the
    room from then on. At strength 0 it is the plain reduction. Source of the idea: Yoon et al.,
    Matryoshka-Adaptor (2024).

    Args:
        truncate_dim: k, how many dimensions are left.
        start: The plain reduction: "principal", the directions in which the documents given to `fit` vary most about
            the origin, or "first", the first k coordinates, for models trained as Matryoshka.
        pull: Strength of the pull to it (the factor of ``||P - plain||² / 2``).
        temperature: Of the softmax over cosines; scale = 1 / temperature.
        max_steps: The most L-BFGS steps; 0 keeps the plain reduction.
        max_candidates: Each query is compared with at most this many documents that answer some query, drawn
            at random when there are more.
        seed: For that draw.

    Attributes:
        matrix: P (d, k).
        start_: The plain reduction (d, k).
        losses_: The objective after every step.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> documents = rng.normal(size=(40, 8)).astype(np.float32)
        >>> adapter = TruncationAdapter(5).fit(documents + 0.1 * rng.normal(size=(40, 8)), documents)
        >>> adapter.transform(documents, "document").shape, adapter.dimension, adapter.output_dimension
        ((40, 5), 8, 5)
    """

    type: ClassVar[str] = "truncation"
    side = "both"

    def __init__(
        self,
        truncate_dim: int = 256,
        *,
        start: Literal["principal", "first"] = "principal",
        pull: float = 0.1,
        temperature: float = 0.05,
        max_steps: int = 40,
        max_candidates: int = 4096,
        seed: int = 0,
    ) -> None:
        self.truncate_dim = truncate_dim
        self.start = start
        self.pull = pull
        self.temperature = temperature
        self.max_steps = max_steps
        self.max_candidates = max_candidates
        self.seed = seed

    start_: Vectors
    matrix_: Vectors
    losses_: tuple[float, ...] = ()

    @property
    def wants_corpus(self) -> bool:
        """True: documents that no query asks for are learned from, too."""
        return True

    @property
    def matrix(self) -> Vectors:
        """P (d, k): a row times this, scaled to length 1, is the reduced embedding."""
        if not hasattr(self, "matrix_"):
            raise self._not_fitted()
        return self.matrix_

    @property
    def dimension(self) -> int | None:
        """Dimension of the embeddings it was fitted on."""
        return int(self.matrix.shape[0])

    @property
    def output_dimension(self) -> int | None:
        """Dimension of the embeddings it gives."""
        return int(self.matrix.shape[1])

    def fit(self, queries: Any, documents: Any, *, pairs: Any = None) -> Self:
        """Learn the reduction.

        Args:
            queries: (n, d).
            documents: (m, d); without `pairs`, row i answers query i. With `pairs` there may be documents that answer
                no query: the plain reduction is learned from them too, and none is used as a negative.
            pairs: (p, 2) positions of a query and of one of its positives.

        Raises:
            ConfigError: A parameter is impossible.
            DataError: The arrays do not fit together, or hold too little for so many dimensions.
        """
        return self.fit_training(check_pairs(queries, documents, pairs))

    def fit_training(self, training: TrainingPairs, *, validate: Callable[[Self], float] | None = None) -> Self:
        """Learn the reduction from pairs and what is no negative of them; see `fit`."""
        self._check()
        self._forget()
        plain = self._plain(training)
        objective = self._objective(training, plain)
        minimum = minimize(
            partial(objective.value_and_gradient, pull=self.pull),
            put(np.zeros(plain.size, dtype=np.float32)),
            max_steps=self.max_steps,
            tolerance=1e-3,
        )
        self.start_, self.matrix_ = plain, plain + get(minimum.x).reshape(plain.shape)
        self.losses_ = minimum.losses
        return self

    def _plain(self, training: TrainingPairs) -> Vectors:
        dimension, wanted = training.queries.shape[1], self.truncate_dim
        if wanted > dimension:
            raise DataError(
                f"These embeddings have {dimension} dimensions, and {wanted} were to be left. "
                f"Ask for fewer, such as TruncationAdapter({max(1, dimension // 2)})."
            )
        if self.start == "first":
            return np.eye(dimension, wanted, dtype=np.float32)
        return principal_directions(training.documents[:0], training.documents, wanted)

    def _objective(self, training: TrainingPairs, plain: Vectors) -> ProjectionNCE:
        # A document that answers no query would only ever be pushed away.
        answers, column = np.unique(training.pairs[:, 1], return_inverse=True)
        return ProjectionNCE(
            queries=put(training.queries),
            documents=put(training.documents[answers]),
            pairs=np.column_stack([training.pairs[:, 0], column.ravel()]),
            candidates=draw(len(answers), self.max_candidates, generator(self.seed, "candidates")),
            temperature=self.temperature,
            sides=("query", "document"),
            plain=put(plain),
            ignored=_among(training.ignored, answers),
        )

    def changes(self, side: Side) -> bool:
        """Tell that both sides are mapped."""
        return True

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Give P (d, k) as "matrix" and the plain reduction (d, k) as "start"."""
        return {"matrix": self.matrix, "start": self.start_}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[Any]], params: Mapping[str, Any]) -> Self:
        """Build a fitted adapter from what `tensors` gave and the constructor's arguments.

        Raises:
            ConfigError: A parameter is impossible.
            DataError: An array has the wrong shape or values that are not finite.
        """
        adapter = cls(**params)
        adapter._check()
        matrix, start = tensors["matrix"], tensors["start"]
        if matrix.ndim != 2 or matrix.shape[1] != adapter.truncate_dim or start.shape != matrix.shape:
            raise DataError(
                f"the matrix has shape {matrix.shape} and the start {start.shape}, expected (d, {adapter.truncate_dim})"
            )
        check_finite(tensors)
        adapter.matrix_, adapter.start_ = matrix, start
        return adapter

    def _map(self, vectors: Vectors, side: Side) -> Vectors:
        return normalize(vectors @ self.matrix)

    def _frozen(self, unit: Vectors, side: Side) -> Vectors:
        return normalize(unit @ self.start_)

    def _check(self) -> None:
        problems = impossible(
            self.get_params(),
            choices={"start": ("principal", "first")},
            at_least={"truncate_dim": 1, "max_steps": 0, "max_candidates": 1},
            positive=("pull", "temperature"),
        )
        if problems:
            raise ConfigError(problems)


def _among(pairs: Positions | None, documents: Positions) -> Positions | None:
    """Give the pairs whose document is among some (rising), by their place there."""
    if pairs is None:
        return None
    inside = pairs[np.isin(pairs[:, 1], documents)]
    return np.column_stack([inside[:, 0], np.searchsorted(documents, inside[:, 1])])
