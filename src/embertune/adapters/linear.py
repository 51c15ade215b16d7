"""Residual linear maps, one for queries or for both sides, trained by InfoNCE from the identity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import Adapter, Side, TrainingPairs, check_pairs
from embertune.adapters.solvers.contrastive import InfoNCE, principal_directions
from embertune.adapters.solvers.lbfgs import minimize
from embertune.adapters.solvers.rows import draw
from embertune.core.random import generator
from embertune.core.vectors import Vectors, normalize
from embertune.errors import ConfigError, DataError

__all__ = ["LinearAdapter"]

# Time and memory of a step grow with queries times candidates, so very many queries are compared with fewer.
_MOST_CELLS = 2**25
_FEWEST_CANDIDATES = 1024

Maps = Literal["separate", "shared", "shared-then-query"]


class LinearAdapter(Adapter):
    """Map ``x`` to ``normalize(x + x W)``, with W fitted by InfoNCE and pulled to zero.

    Training starts at W = 0, the identity, so a strong pull gives the frozen encoder back.

    Args:
        side: "query" leaves stored documents alone; "both" maps them too, so stored
            vectors have to be transformed once (not embedded again).
        maps: With side="both": "separate" learns one W per side, "shared" one for both, "shared-then-query" a
            shared one and then another for queries, started from it.
        form: "full", or "diagonal": one factor per dimension.
        rank: Learn within this many principal directions of the training vectors, ``W = V B V'``, which is quicker
            to learn and to apply and steadier with few pairs; None learns in all of space.
        pull: Strength of the pull to the identity (the factor of ``||W||² / 2``).
        temperature: Of the softmax over cosines; scale = 1 / temperature.
        max_steps: The most L-BFGS steps.
        max_candidates: Each query is compared with at most this many documents, drawn at random
            when there are more; more than 8192 queries with fewer, down to 1024, so that time grows no faster than
            their number.
        seed: For that draw.

    Attributes:
        coef_: W of the query side (d, d).
        document_coef_: W of the document side (d, d); zeros with side="query".
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

    def __init__(  # noqa: PLR0913 - what the adapter is, as scikit-learn has it
        self,
        side: Literal["query", "both"] = "query",
        *,
        maps: Maps = "separate",
        form: Literal["full", "diagonal"] = "full",
        rank: int | None = None,
        pull: float = 0.1,
        temperature: float = 0.05,
        max_steps: int = 40,
        max_candidates: int = 4096,
        seed: int = 0,
    ) -> None:
        self.side = side
        self.maps = maps
        self.form = form
        self.rank = rank
        self.pull = pull
        self.temperature = temperature
        self.max_steps = max_steps
        self.max_candidates = max_candidates
        self.seed = seed

    @property
    def dimension(self) -> int | None:
        """Dimension of the embeddings it was fitted on."""
        learned = self._learned()
        return len(learned["query"] if learned.basis is None else learned.basis)

    @property
    def coef_(self) -> Vectors:
        """W of the query side (d, d)."""
        return self._learned().matrix("query")

    @property
    def document_coef_(self) -> Vectors:
        """W of the document side (d, d); zeros with side="query"."""
        return self._learned().matrix("document")

    @property
    def matrix(self) -> Vectors:
        """I + W of the query side (d, d): a query row times this, scaled to length 1, is the adapted query."""
        coef = self.coef_
        return np.asarray(np.eye(len(coef), dtype=np.float32) + coef)

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
        (fitted,) = self.fit_path(check_pairs(queries, documents, pairs), [self.pull])
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
        if basis is None and self.rank is not None and self.rank < training.queries.shape[1]:
            basis = principal_directions(training.queries, training.documents, self.rank)
        objective = self._objective(training, basis)
        point = np.zeros(int(np.prod(objective.shape)), dtype=np.float32)
        extra = np.zeros_like(point)
        for pull in pulls:
            minimum = self._minimize(objective, point, pull)
            point, losses = minimum.x, minimum.losses
            maps = objective.maps(point)
            if self.maps == "shared-then-query" and self.side == "both":
                after = _after(objective, maps["document"])
                minimum = self._minimize(after, extra, pull)
                extra, losses = minimum.x, losses + minimum.losses
                maps["query"] = after.maps(extra)["query"]
            tensors = {side: inner.copy() for side, inner in maps.items()}
            if basis is not None:
                tensors["basis"] = basis
            fitted = self.from_tensors(tensors, {**self.get_params(), "pull": pull})
            fitted.losses_ = losses
            yield fitted

    @classmethod
    def mean_of(cls, adapters: Sequence[LinearAdapter], weights: Sequence[float]) -> LinearAdapter:
        """Average maps.

        Args:
            adapters: Of one form and basis; one of queries alone counts as one of both sides that leaves documents be.
            weights: One per adapter; what they lack to 1 goes to the identity.

        Returns:
            An adapter with the mean maps, and otherwise the parameters of the one that weighs most.
        """
        found = [adapter._learned() for adapter in adapters]
        sides = dict.fromkeys(side for learned in found for side in learned.inner)
        mean = {
            side: np.sum(
                [np.float32(w) * one[side] for w, one in zip(weights, found, strict=True) if side in one.inner], axis=0
            )
            for side in sides
        }
        if found[0].basis is not None:
            mean["basis"] = found[0].basis
        params = adapters[int(np.argmax(weights))].get_params()
        if len(sides) == 2:
            same = {(adapter.side, adapter.maps) for adapter in adapters}
            params |= {"side": "both", "maps": adapters[0].maps if len(same) == 1 else "separate"}
        return cls.from_tensors(mean, params)

    def _objective(self, training: TrainingPairs, basis: Vectors | None) -> InfoNCE:
        count = len(training.documents)
        most = min(self.max_candidates, max(_FEWEST_CANDIDATES, _MOST_CELLS // len(training.queries)))
        return InfoNCE(
            queries=training.queries,
            documents=training.documents,
            pairs=training.pairs,
            candidates=draw(count, most, generator(self.seed, "candidates")),
            temperature=self.temperature,
            sides=("query", "document") if self.side == "both" else ("query",),
            basis=basis,
            shared=self.side == "both" and self.maps != "separate",
            diagonal=self.form == "diagonal",
        )

    def _minimize(self, objective: InfoNCE, start: npt.NDArray[np.float32], pull: float) -> Any:
        value_and_gradient = partial(objective.value_and_gradient, pull=pull)
        return minimize(value_and_gradient, start, max_steps=self.max_steps, tolerance=1e-3)

    def changes(self, side: Side) -> bool:
        """Tell whether this side is mapped."""
        return side in self.learned_.inner if hasattr(self, "learned_") else side == "query" or self.side == "both"

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Give W per side, "query" and, with side="both", "document": (d, d), or (d,) if diagonal.

        With a rank, B (r, r) per side, and "basis", V (d, r).
        """
        learned = self._learned()
        return dict(learned.inner) if learned.basis is None else {**learned.inner, "basis": learned.basis}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[Any]], params: Mapping[str, Any]) -> Self:
        """Build a fitted adapter from what `tensors` gave and the constructor's arguments.

        Raises:
            ConfigError: A parameter is impossible.
            DataError: An array has the wrong shape or values that are not finite.
        """
        adapter = cls(**params)
        adapter._check([adapter.pull])
        basis = tensors.get("basis")
        sides = ("query", "document") if adapter.side == "both" else ("query",)
        inner = {side: tensors[side] for side in sides}
        size = inner["query"].shape[-1:] if basis is None else basis.shape[-1:]
        expected = size if adapter.form == "diagonal" else 2 * size
        for side, array in inner.items():
            if array.shape != expected:
                raise DataError(f"the {side} matrix has shape {array.shape}, expected {expected}")
        for name, array in tensors.items():
            if not np.isfinite(array).all():
                raise DataError(f"the {name} matrix holds NaN or infinite values")
        adapter.learned_ = _Learned(inner, basis)
        return adapter

    learned_: _Learned
    losses_: tuple[float, ...] = ()

    def _learned(self) -> _Learned:
        if not hasattr(self, "learned_"):
            raise self._not_fitted()
        return self.learned_

    def _map(self, vectors: Vectors, side: Side) -> Vectors:
        mapped = self._learned().residual(vectors, side)
        mapped += vectors
        return normalize(mapped, out=mapped)

    def _check(self, pulls: Sequence[float]) -> None:
        problems = [
            f"{name} must be {' or '.join(map(repr, known))}, got {getattr(self, name)!r}"
            for name, known in (
                ("side", ("query", "both")),
                ("maps", ("separate", "shared", "shared-then-query")),
                ("form", ("full", "diagonal")),
            )
            if getattr(self, name) not in known
        ]
        if self.form == "diagonal" and self.rank is not None:
            problems.append(f"rank must be None with form='diagonal', got {self.rank}")
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


@dataclass(frozen=True)
class _Learned:
    """W per side, or B per side and the basis V of ``W = V B V'``."""

    inner: Mapping[str, Vectors]
    basis: Vectors | None

    def __getitem__(self, side: str) -> Vectors:
        return self.inner[side]

    def residual(self, vectors: Vectors, side: str) -> Vectors:
        """Give ``x W`` of embeddings (n, d), a new array."""
        inside = vectors if self.basis is None else vectors @ self.basis
        inside = inside @ self.inner[side] if self.inner[side].ndim == 2 else inside * self.inner[side]
        return np.asarray(inside if self.basis is None else inside @ self.basis.T)

    def matrix(self, side: str) -> Vectors:
        """Give W (d, d)."""
        size = len(self.inner["query"] if self.basis is None else self.basis)
        if side not in self.inner:
            return np.zeros((size, size), dtype=np.float32)
        return self.residual(np.eye(size, dtype=np.float32), side)


def _after(objective: InfoNCE, document_map: Vectors) -> InfoNCE:
    """Give the objective of queries alone, documents being mapped already and queries starting from the same map."""
    learned = _Learned({"query": document_map}, objective.basis)
    documents = objective.documents
    mapped = normalize(documents + learned.residual(documents, "query"))
    return replace(objective, documents=mapped, sides=("query",), shared=False, start=document_map)
