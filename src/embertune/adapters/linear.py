"""Residual linear maps, one for queries or for both sides, trained from the identity."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import Adapter, Extra, Side, TrainingPairs, check_pairs
from embertune.adapters.device import Array, get, put
from embertune.adapters.minibatch import descend, impossible_steps, wanted
from embertune.adapters.params import check_finite, impossible
from embertune.adapters.solvers.contrastive import InfoNCE, principal_directions
from embertune.adapters.solvers.descent import Parameters
from embertune.adapters.solvers.lbfgs import Minimum, minimize
from embertune.adapters.solvers.linear import Learned, LinearMaps
from embertune.adapters.solvers.rows import draw
from embertune.adapters.solvers.sampling import LossName, NegativesName
from embertune.core.random import generator
from embertune.core.vectors import Vectors, normalize
from embertune.errors import ConfigError, DataError

__all__ = ["LinearAdapter"]

# Time and memory of a step grow with queries times candidates, so very many queries are compared with fewer.
_MOST_CELLS = 2**25
_FEWEST_CANDIDATES = 1024

Maps = Literal["separate", "shared", "shared-then-query"]


class LinearAdapter(Adapter):
    """Map ``x`` to ``normalize(x + x W)``, with W fitted by InfoNCE, or by another loss, and pulled to zero.

    Training starts at W = 0, the identity, so a strong pull gives the frozen encoder back. InfoNCE over all candidates,
    the default, is minimised by L-BFGS; another `loss`, or other `negatives`, by mini-batches and Adam.

    Args:
        side: "query" leaves stored documents alone; "both" maps them too, so stored
            vectors have to be transformed once (not embedded again).
        maps: With side="both": "separate" learns one W per side, "shared" one for both, "shared-then-query" a
            shared one and then another for queries, started from it.
        form: "full", or "diagonal": one factor per dimension.
        rank: Learn within this many principal directions of the training vectors, ``W = V B V'``, which is quicker
            to learn and to apply and steadier with few pairs; None learns in all of space.
        pull: Strength of the pull to the identity (the factor of ``||W||² / 2``).
        temperature: What cosines are divided by; scale = 1 / temperature. "triplet", "triplet_euclidean" and "mse" have
            none.
        max_steps: The most L-BFGS steps.
        max_candidates: Each query is compared with at most this many documents, drawn at random
            when there are more; more than 8192 queries with fewer, down to 1024, so that time grows no faster than
            their number.
        loss: "info_nce"; "triplet" or "triplet_euclidean"; of graded pairs "cosent" or "mse"; or, against a teacher's
            scores, "margin_mse" or "mean_margin".
        negatives: What a pair is told apart from. "all" documents given (of a loss that takes single ones, so many
            drawn from them); "in-batch", the other pairs' documents; "random" ones; "hard" ones, mined before training;
            "judged" ones, of a lower grade or score; "passages" of another text. In `fit` the first three.
        num_negatives: How many for each pair, where it is not all. This and what follows, but for the seed, is of
            mini-batches alone.
        margin: Of the triplet losses: how much further than the positive a negative is to be.
        batch_size: The most pairs in a batch; no query and no document is in one twice.
        max_epochs: The most passes over the pairs.
        learning_rate: Of Adam.
        dropout: The share of the coordinates that are left out while training.
        patience: Stop after this many epochs in a row that `validate` scores no higher than the best before.
        seed: For draws and batches.

    Attributes:
        coef_: W of the query side (d, d).
        document_coef_: W of the document side (d, d); zeros with side="query".
        losses_: The objective after every step, or the mean objective of every epoch.
        scores_: What `validate` gave, first before training and then after every epoch.
        best_epoch_: The epoch that was kept; None of L-BFGS.

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
        loss: LossName = "info_nce",
        negatives: NegativesName = "all",
        num_negatives: int = 5,
        margin: float = 0.2,
        batch_size: int = 256,
        max_epochs: int = 20,
        learning_rate: float = 1e-3,
        dropout: float = 0.0,
        patience: int = 5,
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
        self.loss = loss
        self.negatives = negatives
        self.num_negatives = num_negatives
        self.margin = margin
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.dropout = dropout
        self.patience = patience
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

    def fit(
        self, queries: Any, documents: Any, *, pairs: Any = None, validate: Callable[[Self], float] | None = None
    ) -> Self:
        """Learn the map from queries and the documents that answer them.

        Args:
            queries: (n, d).
            documents: (m, d); without `pairs`, row i answers query i.
            pairs: (p, 2) positions of a query and of one of its positives.
            validate: With mini-batches: scores a fitted adapter, higher is better, before training and after every
                epoch; the best is kept. L-BFGS does not call it.

        Raises:
            ConfigError: A parameter is impossible, or `validate` gives no number.
            DataError: The arrays do not fit together, or the loss needs more than pairs.
        """
        return self.fit_training(check_pairs(queries, documents, pairs), validate=validate)

    @property
    def wants(self) -> frozenset[Extra]:
        """What loss and negatives learn from beyond pairs; with mini-batches queries to stop by, too."""
        return wanted(self.loss, self.negatives) if self._in_batches else frozenset()

    @property
    def _in_batches(self) -> bool:
        return (self.loss, self.negatives) != ("info_nce", "all")

    def fit_training(self, training: TrainingPairs, *, validate: Callable[[Self], float] | None = None) -> Self:
        """Learn the map from pairs and what else is known of them; see `fit`."""
        self._check([self.pull])
        self._forget()
        if self._in_batches:
            self._descend(training, validate)
            return self
        (fitted,) = self.fit_path(training, [self.pull])
        self.learned_, self.losses_ = fitted.learned_, fitted.losses_
        self.scores_, self.best_epoch_ = (), None
        return self

    def _descend(self, training: TrainingPairs, validate: Callable[[Self], float] | None) -> None:
        """Fit by mini-batches."""
        basis = self._basis(training)
        objective = self._objective(training, basis)
        maps = LinearMaps(
            ("query", "document") if self.side == "both" else ("query",),
            training.queries.shape[1],
            objective.basis,
            objective.shared,
            objective.diagonal,
        )

        def learned(parameters: Parameters) -> Learned:
            return Learned(maps.by_side(parameters), basis)

        found = descend(
            self,
            maps,
            maps.origin(),
            training,
            fitted=lambda parameters: self._with(learned_=learned(parameters)),
            validate=validate,
        )
        self.learned_ = learned(found.parameters)
        self.losses_, self.scores_, self.best_epoch_ = found.losses, found.scores, found.best

    def _basis(self, training: TrainingPairs) -> Vectors | None:
        if self.rank is None or self.rank >= training.queries.shape[1]:
            return None
        return principal_directions(training.queries, training.documents, self.rank)

    def fit_path(
        self,
        training: TrainingPairs,
        pulls: Sequence[float],
        *,
        basis: Vectors | None = None,
        start: LinearAdapter | None = None,
    ) -> Iterator[LinearAdapter]:
        """Fit one adapter per pull, strongest first, each started from the one before.

        Args:
            training: What `check_pairs` gave.
            pulls: The strengths, falling.
            basis: Orthonormal columns (d, r) to learn within, where `rank` should not choose them anew.
            start: What the first is started from, such as one with the same maps in fewer directions; None: the
                identity.

        Yields:
            A fitted copy per pull; its arrays are its own.
        """
        self._check(pulls)
        basis = self._basis(training) if basis is None else basis
        objective = self._objective(training, basis)
        zero = put(np.zeros(int(np.prod(objective.shape)), dtype=np.float32))
        # The map that shared-then-query adds for queries alone is learned anew.
        point, extra = zero if start is None else objective.flat(put(start.document_coef_), put(start.coef_)), zero
        known, before = None, 0.0
        for pull in pulls:
            minimum = self._minimize(objective, point, pull, None if known is None else known.pulled(pull - before))
            known, before, point, losses = minimum, pull, minimum.x, minimum.losses
            maps = {side: get(inner) for side, inner in objective.maps(point).items()}
            if self.maps == "shared-then-query" and self.side == "both":
                after = _after(objective, training.documents, Learned({"query": maps["document"]}, basis))
                minimum = self._minimize(after, extra, pull)
                extra, losses = minimum.x, losses + minimum.losses
                maps["query"] = get(after.maps(extra)["query"])
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
            queries=put(training.queries),
            documents=put(training.documents),
            pairs=training.pairs,
            candidates=draw(count, most, generator(self.seed, "candidates")),
            temperature=self.temperature,
            sides=("query", "document") if self.side == "both" else ("query",),
            basis=None if basis is None else put(basis),
            shared=self.side == "both" and self.maps != "separate",
            diagonal=self.form == "diagonal",
            ignored=training.ignored,
        )

    def _minimize(
        self, objective: InfoNCE, start: Array, pull: float, known: tuple[float, Array] | None = None
    ) -> Minimum:
        value_and_gradient = partial(objective.value_and_gradient, pull=pull)
        return minimize(value_and_gradient, start, max_steps=self.max_steps, tolerance=1e-3, known=known)

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
        check_finite(tensors)
        adapter.learned_ = Learned(inner, basis)
        return adapter

    learned_: Learned
    losses_: tuple[float, ...] = ()
    scores_: tuple[float, ...] = ()
    best_epoch_: int | None = None

    def _learned(self) -> Learned:
        if not hasattr(self, "learned_"):
            raise self._not_fitted()
        return self.learned_

    def _map(self, vectors: Vectors, side: Side) -> Vectors:
        mapped = self._learned().residual(vectors, side)
        mapped += vectors
        return normalize(mapped, out=mapped)

    def _check(self, pulls: Sequence[float]) -> None:
        params = self.get_params()
        choices = {
            "side": ("query", "both"),
            "maps": ("separate", "shared", "shared-then-query"),
            "form": ("full", "diagonal"),
        }
        problems = impossible(
            params,
            choices=choices,
            at_least=dict.fromkeys(("rank", "max_steps", "max_candidates"), 1),
            positive=("temperature",),
        )
        problems += [f"pull must be positive, got {pull}" for pull in pulls if not pull > 0]
        if self.form == "diagonal" and self.rank is not None:
            problems.append(f"rank must be None with form='diagonal', got {self.rank}")
        if self.maps == "shared-then-query" and self._in_batches:
            problems.append("maps must be 'separate' or 'shared' with mini-batches, got 'shared-then-query'")
        problems += impossible_steps(params)
        if problems:
            raise ConfigError(problems)


def _after(objective: InfoNCE, documents: Vectors, learned: Learned) -> InfoNCE:
    """Give the objective of queries alone, documents being mapped already and queries starting from the same map."""
    mapped = normalize(documents + learned.residual(documents, "query"))
    return replace(objective, documents=put(mapped), sides=("query",), shared=False, start=put(learned["query"]))
