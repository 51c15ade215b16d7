"""A residual network of one hidden layer under InfoNCE: forward, and the gradient written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from embertune.adapters.solvers.adam import Adam
from embertune.adapters.solvers.batches import Batch, batches, gather
from embertune.adapters.solvers.losses import info_nce
from embertune.adapters.solvers.rows import Positions, Rows
from embertune.core.random import generator
from embertune.core.vectors import Vectors

__all__ = ["Network", "NetworkNCE", "Schedule", "backward", "forward", "start", "train"]

Network = dict[str, Rows]
"""``input`` (d, h), ``input_bias`` (h,), ``output`` (h, d), ``output_bias`` (d,)."""


def start(dimension: int, hidden: int, seed: int) -> Network:
    """Give a network that changes nothing: the output layer is zero, the input layer drawn.

    The draws have variance 2 / d (He et al., Delving Deep into Rectifiers, 2015), so that hidden units are as long
    together as the embedding is, times the root of h / d.

    Args:
        dimension: d.
        hidden: h.
        seed: For the input layer.

    Example:
        >>> network = start(4, 8, seed=0)
        >>> forward(network, np.eye(4, dtype=np.float32)).tolist() == np.eye(4).tolist()
        True
    """
    draw = generator(seed, "mlp", "start").standard_normal((dimension, hidden), dtype=np.float32)
    return {
        "input": draw * np.float32(np.sqrt(2 / dimension)),
        "input_bias": np.zeros(hidden, dtype=np.float32),
        "output": np.zeros((hidden, dimension), dtype=np.float32),
        "output_bias": np.zeros(dimension, dtype=np.float32),
    }


def forward(network: Network, vectors: Rows, *, kept: Any = 1) -> Rows:
    """Give ``x + relu(x input + input_bias) output + output_bias`` (n, d), not scaled to length 1.

    Args:
        network: See `Network`.
        vectors: (n, d).
        kept: (n, h) factors of the hidden units: 0 where dropped, else 1 / share kept.
    """
    return np.asarray(vectors + _units(network, vectors) * kept @ network["output"] + network["output_bias"])


def backward(network: Network, vectors: Rows, slopes: Rows, *, kept: Any = 1) -> Network:
    """Go from the derivatives by `forward`'s output (n, d) to those by the network."""
    units = _units(network, vectors)
    by_units = (slopes @ network["output"].T) * kept * (units > 0)
    return {
        "input": vectors.T @ by_units,
        "input_bias": by_units.sum(axis=0),
        "output": (units * kept).T @ slopes,
        "output_bias": slopes.sum(axis=0),
    }


def _units(network: Network, vectors: Rows) -> Rows:
    return np.asarray(np.maximum(vectors @ network["input"] + network["input_bias"], 0))


@dataclass(frozen=True, kw_only=True)
class NetworkNCE:
    """InfoNCE of ``normalize(forward(x))``, on queries or on both sides, plus the pull to the start.

    Attributes:
        temperature: Of the softmax.
        pull: Factor of ``||network - start||² / 2``.
        both: Whether documents pass the network too.
        origin: The network that training began from.
    """

    temperature: float
    pull: float
    both: bool
    origin: Network

    def value_and_gradient(
        self, network: Network, queries: Rows, documents: Rows, batch: Batch, kept: tuple[Any, Any] = (1, 1)
    ) -> tuple[float, Network]:
        """Give the objective of a batch, and its gradient by the network.

        Args:
            network: See `Network`.
            queries: (b, d) of the batch, rows of length 1.
            documents: (c, d) of the batch, rows of length 1.
            batch: Its pairs and what is no negative.
            kept: Of the hidden units of queries and of documents; see `forward`.
        """
        mapped, scale = _unit(forward(network, queries, kept=kept[0]))
        answers, shrink = _unit(forward(network, documents, kept=kept[1])) if self.both else (documents, None)
        value, by_q, by_d = info_nce(
            mapped, answers, batch.pairs, temperature=self.temperature, ignored=batch.ignored, by_documents=self.both
        )
        gradient = backward(network, queries, _before_scaling(by_q, mapped, scale), kept=kept[0])
        if shrink is not None:
            more = backward(network, documents, _before_scaling(by_d, answers, shrink), kept=kept[1])
            gradient = {name: array + more[name] for name, array in gradient.items()}
        for name, array in network.items():
            gone = array - self.origin[name]
            value += 0.5 * self.pull * float(np.vdot(gone, gone))
            gradient[name] += gradient[name].dtype.type(self.pull) * gone
        return value, gradient


def _unit(rows: Rows) -> tuple[Rows, Rows]:
    """Scale rows to length 1; give the factors (n, 1) too."""
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    scale = (1 / np.maximum(lengths, 1e-12)).astype(rows.dtype)[:, None]
    return rows * scale, scale


def _before_scaling(slopes: Rows, unit: Rows, scale: Rows) -> Rows:
    """Go from derivatives by rows of length 1 to those by the rows before they were scaled."""
    return np.asarray((slopes - np.einsum("ij,ij->i", slopes, unit)[:, None] * unit) * scale)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How training runs.

    Attributes:
        batch_size: The most pairs in a batch.
        learning_rate: Of Adam.
        dropout: The share of hidden units that are left out.
        max_candidates: Each batch is compared with its own positives and this many documents, drawn where there are
            more.
        seed: For batches, candidates and dropout.
    """

    batch_size: int
    learning_rate: float
    dropout: float
    max_candidates: int
    seed: int


def train(
    objective: NetworkNCE, queries: Vectors, documents: Vectors, pairs: Positions, schedule: Schedule
) -> Iterator[tuple[Network, float]]:
    """Train a network from the objective's origin, epoch after epoch, without end.

    Args:
        objective: What is minimised.
        queries: (n, d), rows of length 1.
        documents: (m, d), rows of length 1.
        pairs: (p, 2) positions of a query and of one of its positives, sorted by query.
        schedule: How.

    Yields:
        The network, which is changed in place by the next epoch, and the mean objective of the epoch's batches.
    """
    network = {name: array.copy() for name, array in objective.origin.items()}
    adam = Adam(network, schedule.learning_rate)
    draw = generator(schedule.seed, "mlp", "batches")
    epoch = 0
    while True:
        total = 0.0
        for rows in batches(pairs, schedule.batch_size, seed=schedule.seed, epoch=epoch):
            drawn = np.arange(len(documents))
            if len(documents) > schedule.max_candidates:
                drawn = draw.choice(len(documents), schedule.max_candidates, replace=False)
            batch = gather(pairs[rows], known=pairs, negatives=drawn)
            given = queries[batch.queries], documents[batch.documents]
            sizes = len(given[0]), len(given[1]) if objective.both else 0
            kept = tuple(_kept(draw, (size, len(network["input_bias"])), schedule.dropout) for size in sizes)
            value, gradient = objective.value_and_gradient(network, *given, batch, (kept[0], kept[1]))
            adam.step(gradient)
            total += value * len(rows)
        yield network, total / len(pairs)
        epoch += 1


def _kept(draw: np.random.Generator, shape: tuple[int, int], dropout: float) -> Any:
    if not dropout:
        return 1
    factor = np.float32(1 / (1 - dropout))
    return np.where(draw.random(shape, dtype=np.float32) < dropout, np.float32(0), factor)
