"""A residual network of one wide hidden layer, trained by mini-batches from the identity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import Adapter, Extra, Side, TrainingPairs, check_pairs
from embertune.adapters.minibatch import descend, impossible_steps, wanted
from embertune.adapters.params import check_finite, impossible
from embertune.adapters.solvers.mlp import Network, NetworkMap, forward, start
from embertune.adapters.solvers.sampling import LossName, NegativesName
from embertune.core.vectors import Vectors, normalize
from embertune.errors import ConfigError, DataError

__all__ = ["MLPAdapter"]

_BLOCK = 8192
_NAMES = ("input", "input_bias", "output", "output_bias")


class MLPAdapter(Adapter):
    """Map ``x`` to ``normalize(x + relu(x W1 + b1) W2 + b2)``, trained from W2 = 0, the identity.

    Embeddings are scaled to length 1 before anything else.

    It can bend what `LinearAdapter` can only turn and stretch, and takes about ten times as long. At the defaults (and
    the linear map at the better pull of two), nDCG@10 on test was .703 (linear .683, frozen .455) on finance with
    static vectors, .684 (.692, .656) with MiniLM, .758 (.761, .645) on scifact with MiniLM. Where `validate` is given,
    it is stopped when it is best, which was at .694 of finance with MiniLM.

    Args:
        side: "query" leaves stored documents alone; "both" maps them too, by the same network, so stored vectors have
            to be transformed once (not embedded again).
        hidden: How many hidden units.
        loss: "info_nce"; "triplet" or "triplet_euclidean"; of graded pairs "cosent" or "mse"; or, against a teacher's
            scores, "margin_mse" or "mean_margin".
        negatives: What a pair is told apart from. "all" documents given (of a loss that takes single ones, so many
            drawn from them); "in-batch", the other pairs' documents; "random" ones; "hard" ones, mined before training;
            "judged" ones, of a lower grade or score; "passages" of another text. In `fit` the first three.
        num_negatives: How many for each pair, where it is not all.
        margin: Of the triplet losses: how much further than the positive a negative is to be.
        batch_size: The most pairs in a batch of training; no query and no document is in one twice.
        max_epochs: The most passes over the pairs.
        learning_rate: Of Adam.
        dropout: The share of hidden units that are left out while training.
        pull: Strength of the pull to the start (the factor of the squared distance, halved).
        temperature: What cosines are divided by; scale = 1 / temperature. "triplet", "triplet_euclidean" and "mse" have
            none.
        max_candidates: With "info_nce" and "all", each query is compared with at most this many documents, drawn anew
            for each batch when there are more, and with the batch's own positives.
        patience: Stop after this many epochs in a row that `validate` scores no higher than the best before.
        seed: Of the first weights, batches, draws and dropout.

    Attributes:
        network_: W1 (d, h), b1 (h,), W2 (h, d), b2 (d,) as "input", "input_bias", "output", "output_bias".
        losses_: The mean objective of every epoch.
        scores_: What `validate` gave, first before training and then after every epoch.
        best_epoch_: The epoch that was kept; 0 is the identity.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> documents = normalize(rng.normal(size=(40, 8)).astype(np.float32))
        >>> queries = documents[:, ::-1] + 0.05 * rng.normal(size=(40, 8))
        >>> adapter = MLPAdapter(hidden=64, learning_rate=0.01).fit(queries, documents)
        >>> nearest = (adapter.transform(queries) @ documents.T).argmax(axis=1)
        >>> int((nearest == np.arange(40)).sum()) > 30
        True
    """

    type: ClassVar[str] = "mlp"

    def __init__(  # noqa: PLR0913 - what the adapter is, as scikit-learn has it
        self,
        side: Literal["query", "both"] = "query",
        *,
        hidden: int = 1024,
        loss: LossName = "info_nce",
        negatives: NegativesName = "all",
        num_negatives: int = 5,
        margin: float = 0.2,
        batch_size: int = 256,
        max_epochs: int = 20,
        learning_rate: float = 3e-4,
        dropout: float = 0.0,
        pull: float = 1e-2,
        temperature: float = 0.05,
        max_candidates: int = 1024,
        patience: int = 5,
        seed: int = 0,
    ) -> None:
        self.side = side
        self.hidden = hidden
        self.loss = loss
        self.negatives = negatives
        self.num_negatives = num_negatives
        self.margin = margin
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.dropout = dropout
        self.pull = pull
        self.temperature = temperature
        self.max_candidates = max_candidates
        self.patience = patience
        self.seed = seed

    network_: Network
    losses_: tuple[float, ...] = ()
    scores_: tuple[float, ...] = ()
    best_epoch_: int | None = None

    @property
    def dimension(self) -> int | None:
        """Dimension of the embeddings it was fitted on."""
        return len(self._network()["input"])

    def fit(
        self, queries: Any, documents: Any, *, pairs: Any = None, validate: Callable[[Self], float] | None = None
    ) -> Self:
        """Learn the network from queries and the documents that answer them.

        Args:
            queries: (n, d).
            documents: (m, d); without `pairs`, row i answers query i.
            pairs: (p, 2) positions of a query and of one of its positives.
            validate: Scores a fitted adapter, higher is better; called before training and after every epoch. The
                best epoch is kept, the untrained network among them. Without it, the last one is.

        Raises:
            ConfigError: A parameter is impossible, or `validate` gives no number.
            DataError: The arrays do not fit together, or the loss needs more than pairs.
        """
        return self.fit_training(check_pairs(queries, documents, pairs), validate=validate)

    @property
    def wants(self) -> frozenset[Extra]:
        """What loss and negatives learn from beyond pairs; and queries to stop by."""
        return wanted(self.loss, self.negatives)

    def fit_training(self, training: TrainingPairs, *, validate: Callable[[Self], float] | None = None) -> Self:
        """Learn the network from pairs and what else is known of them; see `fit`."""
        self._check()
        self._forget()
        sides: tuple[Side, ...] = ("query", "document") if self.side == "both" else ("query",)
        found = descend(
            self,
            NetworkMap(sides, self.hidden),
            start(training.queries.shape[1], self.hidden, self.seed),
            training,
            fitted=lambda network: self._with(network_=network),
            validate=validate,
        )
        self.network_, self.losses_, self.scores_, self.best_epoch_ = found
        return self

    def changes(self, side: Side) -> bool:
        """Tell whether this side is mapped."""
        return side == "query" or self.side == "both"

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Give "input" (d, h), "input_bias" (h,), "output" (h, d) and "output_bias" (d,)."""
        return dict(self._network())

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[Any]], params: Mapping[str, Any]) -> Self:
        """Build a fitted adapter from what `tensors` gave and the constructor's arguments.

        Raises:
            ConfigError: A parameter is impossible.
            DataError: An array has the wrong shape or values that are not finite.
        """
        adapter = cls(**params)
        adapter._check()
        size = tensors["output_bias"].size
        shapes = ((size, adapter.hidden), (adapter.hidden,), (adapter.hidden, size), (size,))
        for name, shape in zip(_NAMES, shapes, strict=True):
            if tensors[name].shape != shape:
                raise DataError(f"{name} has shape {tensors[name].shape}, expected {shape}")
        check_finite(tensors)
        adapter.network_ = {name: tensors[name] for name in _NAMES}
        return adapter

    def _network(self) -> Network:
        if not hasattr(self, "network_"):
            raise self._not_fitted()
        return self.network_

    def _map(self, vectors: Vectors, side: Side) -> Vectors:
        network = self._network()
        mapped = np.empty_like(vectors)
        # The hidden layer is wider than the embeddings: of a million of them it would be 4 GB.
        for first in range(0, len(vectors), _BLOCK):
            block = slice(first, first + _BLOCK)
            mapped[block] = normalize(forward(network, normalize(vectors[block])))
        return mapped

    def _check(self) -> None:
        params = self.get_params()
        problems = impossible(
            params,
            choices={"side": ("query", "both")},
            at_least={"hidden": 1, "max_candidates": 1},
            positive=("temperature",),
            not_negative=("pull",),
        )
        problems += impossible_steps(params)
        if problems:
            raise ConfigError(problems)
