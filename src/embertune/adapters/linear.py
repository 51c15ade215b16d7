"""One residual linear map per adapted side, trained by InfoNCE from the identity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import Adapter, Side, TrainingPairs, check_pairs
from embertune.adapters.solvers.contrastive import InfoNCE, principal_directions
from embertune.adapters.solvers.lbfgs import minimize
from embertune.core.random import generator
from embertune.core.vectors import Vectors, normalize
from embertune.errors import ConfigError, DataError

__all__ = ["LinearAdapter"]


class LinearAdapter(Adapter):
    """Map ``x`` to ``normalize(x + x W)``, with W fitted by InfoNCE and pulled to zero.

    Training starts at W = 0, the identity, so a strong pull gives the frozen encoder back.

    Args:
        side: "query" leaves stored documents alone; "both" learns one map per side, so stored
            vectors have to be transformed once (not embedded again).
        rank: Learn within this many principal directions of the training vectors, which is quicker and
            steadier with few pairs; None learns in all of space.
        pull: Strength of the pull to the identity (the factor of ``||W||² / 2``).
        temperature: Of the softmax over cosines; scale = 1 / temperature.
        max_steps: The most L-BFGS steps.
        max_candidates: Each query is compared with at most this many documents, drawn at random
            when there are more.
        seed: For that draw.

    Attributes:
        coef_: W of the query side (d, d).
        document_coef_: W of the document side (d, d); only with side="both".
        losses_: The objective after every step.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> documents = rng.normal(size=(40, 8)).astype(np.float32)
        >>> queries = documents[:, ::-1] + 0.1 * rng.normal(size=(40, 8))
        >>> adapter = LinearAdapter(pull=0.01).fit(queries, documents)
        >>> nearest = (adapter.transform(queries) @ documents.T).argmax(axis=1)
        >>> int((nearest == np.arange(40)).sum()) > 30
        True
    """

    type: ClassVar[str] = "linear"

    def __init__(
        self,
        side: Literal["query", "both"] = "query",
        *,
        rank: int | None = None,
        pull: float = 0.1,
        temperature: float = 0.05,
        max_steps: int = 40,
        max_candidates: int = 4096,
        seed: int = 0,
    ) -> None:
        self.side = side
        self.rank = rank
        self.pull = pull
        self.temperature = temperature
        self.max_steps = max_steps
        self.max_candidates = max_candidates
        self.seed = seed

    @property
    def dimension(self) -> int | None:
        """Dimension of the embeddings it was fitted on."""
        if not hasattr(self, "coef_"):
            raise self._not_fitted()
        return len(self.coef_)

    @property
    def matrix(self) -> Vectors:
        """I + W of the query side (d, d): a query row times this, scaled to length 1, is the adapted query."""
        if not hasattr(self, "coef_"):
            raise self._not_fitted()
        return np.asarray(np.eye(len(self.coef_), dtype=np.float32) + self.coef_)

    def fit(self, queries: Any, documents: Any, *, pairs: Any = None) -> Self:
        """Learn the map from queries and the documents that answer them.

        Args:
            queries: (n, d).
            documents: (m, d); without `pairs`, row i answers query i.
            pairs: (p, 2) positions of a query and of one of its positives.

        Raises:
            ConfigError: A parameter is impossible.
            DataError: The arrays do not fit together.
        """
        self._check([self.pull])
        (fitted,) = self._path(check_pairs(queries, documents, pairs), [self.pull])
        self.__dict__.update(fitted.__dict__)
        return self

    def fit_path(
        self, training: TrainingPairs, pulls: Sequence[float], *, basis: Vectors | None = None
    ) -> Iterator[LinearAdapter]:
        """Fit one adapter per pull, strongest first, each started from the one before.

        Args:
            training: What `check_pairs` gave.
            pulls: The strengths, falling.
            basis: Orthonormal columns (d, r) to learn within, where `rank` should not choose them anew.

        Yields:
            A fitted copy per pull; its arrays are its own.
        """
        self._check(pulls)
        yield from self._path(training, pulls, basis)

    def _path(
        self, training: TrainingPairs, pulls: Sequence[float], basis: Vectors | None = None
    ) -> Iterator[LinearAdapter]:
        sides: tuple[str, ...] = ("query", "document") if self.side == "both" else ("query",)
        count = len(training.documents)
        candidates = np.arange(count)
        if count > self.max_candidates:
            drawn = generator(self.seed, "candidates").choice(count, self.max_candidates, replace=False)
            candidates = np.sort(drawn)
        if basis is None and self.rank is not None and self.rank < training.queries.shape[1]:
            basis = principal_directions(training.queries, training.documents, self.rank)
        objective = InfoNCE(
            training.queries, training.documents, training.pairs, candidates, basis, self.temperature, sides
        )
        point = np.zeros(int(np.prod(objective.shape)), dtype=np.float32)
        for pull in pulls:
            minimum = minimize(
                partial(objective.value_and_gradient, pull=pull), point, max_steps=self.max_steps, tolerance=1e-3
            )
            point = minimum.x
            fitted = self.from_tensors(objective.expand(point), {**self.get_params(), "pull": pull})
            fitted.losses_ = minimum.losses
            yield fitted

    def changes(self, side: Side) -> bool:
        """Tell whether this side is mapped."""
        return side == "query" or self.side == "both"

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Give W per side: "query" (d, d) and, with side="both", "document" (d, d)."""
        if not hasattr(self, "coef_"):
            raise self._not_fitted()
        found = {"query": self.coef_}
        if self.side == "both":
            found["document"] = self.document_coef_
        return found

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[Any]], params: Mapping[str, Any]) -> Self:
        """Build a fitted adapter from W per side and the constructor's arguments.

        Raises:
            ConfigError: A parameter is impossible.
            DataError: A matrix is not square and finite, or the two differ in dimension.
        """
        adapter = cls(**params)
        adapter._check([adapter.pull])
        adapter.coef_ = tensors["query"]
        shapes = {"query": (len(adapter.coef_), len(adapter.coef_))}
        if adapter.side == "both":
            adapter.document_coef_ = tensors["document"]
            shapes["document"] = shapes["query"]
        for side, shape in shapes.items():
            if tensors[side].shape != shape:
                raise DataError(f"the {side} matrix has shape {tensors[side].shape}, expected {shape}")
            if not np.isfinite(tensors[side]).all():
                raise DataError(f"the {side} matrix holds NaN or infinite values")
        return adapter

    coef_: Vectors
    document_coef_: Vectors
    losses_: tuple[float, ...] = ()

    def _map(self, vectors: Vectors, side: Side) -> Vectors:
        return normalize(vectors + vectors @ (self.coef_ if side == "query" else self.document_coef_))

    def _check(self, pulls: Sequence[float]) -> None:
        problems = []
        if self.side not in ("query", "both"):
            problems.append(f"side must be 'query' or 'both', got {self.side!r}")
        problems += [f"pull must be positive, got {pull}" for pull in pulls if not pull > 0]
        if not self.temperature > 0:
            problems.append(f"temperature must be positive, got {self.temperature}")
        problems += [
            f"{name} must be at least 1, got {getattr(self, name)}"
            for name in ("rank", "max_steps", "max_candidates")
            if getattr(self, name) is not None and getattr(self, name) < 1
        ]
        if problems:
            raise ConfigError(problems)
