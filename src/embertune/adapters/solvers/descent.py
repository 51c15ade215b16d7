"""Training by mini-batches: any residual map, under any loss of mapped rows, with Adam."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from embertune.adapters.device import beside, namespace
from embertune.adapters.solvers.adam import Adam
from embertune.adapters.solvers.rows import Loss, Positions, Rows
from embertune.core.random import generator

__all__ = ["Descent", "Parameters", "Residual", "Step", "train"]

Parameters = dict[str, Rows]
Side = Literal["query", "document"]


class Residual(Protocol):
    """A map that starts as the identity, and its derivative."""

    @property
    def sides(self) -> tuple[Side, ...]:
        """Which sides are mapped."""

    @property
    def width(self) -> int:
        """How many units dropout chooses among."""

    def forward(self, parameters: Mapping[str, Rows], rows: Rows, side: Side, *, kept: Any = 1) -> Rows:
        """Map rows (n, d) of a side, not scaled to length 1; `kept` (n, width) are factors of the units."""

    def backward(
        self, parameters: Mapping[str, Rows], rows: Rows, slopes: Rows, side: Side, *, kept: Any = 1
    ) -> Parameters:
        """Go from the derivatives by `forward`'s output (n, d) to those by the parameters that the side has."""


class Step(NamedTuple):
    """What one step of training looks at."""

    queries: Positions
    """(b,) positions among all queries."""
    documents: Positions
    """(c,) positions among all documents."""
    loss: Callable[[Rows, Rows], Loss]
    """Of those rows, mapped and of length 1."""
    weight: int
    """How many examples it averages over."""


@dataclass(frozen=True, kw_only=True)
class Descent:
    """A loss of ``normalize(forward(x))``, on one side or on both, plus the pull to the start.

    Attributes:
        residual: The map.
        origin: The parameters that training begins from.
        pull: Factor of ``||parameters - origin||² / 2``.
    """

    residual: Residual
    origin: Parameters
    pull: float

    def value_and_gradient(
        self,
        parameters: Mapping[str, Rows],
        queries: Rows,
        documents: Rows,
        loss: Callable[[Rows, Rows], Loss],
        kept: tuple[Any, Any] = (1, 1),
    ) -> tuple[float, Parameters]:
        """Give the objective of a step, and its gradient by the parameters.

        Args:
            parameters: Arrays by name.
            queries: (b, d) of the step, rows of length 1.
            documents: (c, d) of the step, rows of length 1.
            loss: Of the rows when they are mapped.
            kept: Factors of the units for queries and for documents; see `Residual.forward`.
        """
        given: dict[Side, tuple[Rows, Any]] = {"query": (queries, kept[0]), "document": (documents, kept[1])}
        mapped: dict[Side, tuple[Rows, Rows | None]] = {side: (rows, None) for side, (rows, _) in given.items()}
        for side in self.residual.sides:
            rows, factors = given[side]
            mapped[side] = _unit(self.residual.forward(parameters, rows, side, kept=factors))
        value, *slopes = loss(mapped["query"][0], mapped["document"][0])
        gradient = {name: namespace(array).zeros_like(array) for name, array in parameters.items()}
        for side, slope in zip(given, slopes, strict=True):
            rows, scale = mapped[side]
            if scale is None:
                continue
            back = _before_scaling(slope, rows, scale)
            for name, part in self.residual.backward(
                parameters, given[side][0], back, side, kept=given[side][1]
            ).items():
                gradient[name] += part
        for name, array in parameters.items():
            gone = array - self.origin[name]
            flat = gone.reshape(-1)
            value += 0.5 * self.pull * float(flat @ flat)
            gradient[name] += float(self.pull) * gone
        return value, gradient


def train(
    descent: Descent,
    queries: Rows,
    documents: Rows,
    steps: Callable[[int], Iterable[Step]],
    *,
    learning_rate: float,
    dropout: float = 0.0,
    seed: int = 0,
) -> Iterator[tuple[Parameters, float]]:
    """Train from the origin, epoch after epoch, without end.

    Args:
        descent: What is minimised.
        queries: (n, d), rows of length 1; where they are, the documents and the origin are, too.
        documents: (m, d), rows of length 1.
        steps: Gives the steps of an epoch, by its number.
        learning_rate: Of Adam.
        dropout: The share of units that are left out.
        seed: For dropout.

    Yields:
        The parameters, which are changed in place by the next epoch, and the mean objective of the epoch.
    """
    parameters = {name: namespace(array).asarray(array, copy=True) for name, array in descent.origin.items()}
    adam = Adam(parameters, learning_rate)
    draw = generator(seed, "dropout")
    width = descent.residual.width
    for epoch in count():
        total, weight = 0.0, 0
        for step in steps(epoch):
            rows = queries[beside(queries, step.queries)], documents[beside(queries, step.documents)]
            kept = [
                beside(queries, _kept(draw, (len(part), width), dropout)) if side in descent.residual.sides else 1
                for part, side in zip(rows, ("query", "document"), strict=True)
            ]
            value, gradient = descent.value_and_gradient(parameters, *rows, step.loss, (kept[0], kept[1]))
            adam.step(gradient)
            total += value * step.weight
            weight += step.weight
        yield parameters, total / max(weight, 1)


def _unit(rows: Rows) -> tuple[Rows, Rows]:
    """Scale rows to length 1; give the factors (n, 1) too."""
    xp = namespace(rows)
    lengths = xp.sqrt(xp.einsum("ij,ij->i", rows, rows))
    scale = (1 / xp.maximum(lengths, 1e-12))[:, None]
    return rows * scale, scale


def _before_scaling(slopes: Rows, unit: Rows, scale: Rows) -> Rows:
    """Go from derivatives by rows of length 1 to those by the rows before they were scaled."""
    return (slopes - namespace(slopes).einsum("ij,ij->i", slopes, unit)[:, None] * unit) * scale


def _kept(draw: np.random.Generator, shape: tuple[int, int], dropout: float) -> Any:
    if not dropout:
        return 1
    factor = np.float32(1 / (1 - dropout))
    return np.where(draw.random(shape, dtype=np.float32) < dropout, np.float32(0), factor)
