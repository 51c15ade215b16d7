"""A residual network of one hidden layer: forward, and the derivative written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from embertune.adapters.device import namespace
from embertune.adapters.solvers.descent import Parameters, Side
from embertune.adapters.solvers.rows import Rows
from embertune.core.random import generator

__all__ = ["Network", "NetworkMap", "backward", "forward", "start"]

Network = Parameters
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


def forward(network: Mapping[str, Rows], vectors: Rows, *, kept: Any = 1) -> Rows:
    """Give ``x + relu(x input + input_bias) output + output_bias`` (n, d), not scaled to length 1.

    Args:
        network: See `Network`.
        vectors: (n, d).
        kept: (n, h) factors of the hidden units: 0 where dropped, else 1 / share kept.
    """
    return vectors + _units(network, vectors) * kept @ network["output"] + network["output_bias"]


def backward(network: Mapping[str, Rows], vectors: Rows, slopes: Rows, *, kept: Any = 1) -> Network:
    """Go from the derivatives by `forward`'s output (n, d) to those by the network."""
    units = _units(network, vectors)
    by_units = (slopes @ network["output"].T) * kept * (units > 0)
    return {
        "input": vectors.T @ by_units,
        "input_bias": by_units.sum(axis=0),
        "output": (units * kept).T @ slopes,
        "output_bias": slopes.sum(axis=0),
    }


def _units(network: Mapping[str, Rows], vectors: Rows) -> Rows:
    return namespace(vectors).maximum(vectors @ network["input"] + network["input_bias"], 0)


@dataclass(frozen=True)
class NetworkMap:
    """One network as a `Residual`, for queries alone or for both sides.

    Attributes:
        sides: Which sides pass it.
        width: h.
    """

    sides: tuple[Side, ...]
    width: int

    def forward(self, parameters: Mapping[str, Rows], rows: Rows, side: Side, *, kept: Any = 1) -> Rows:
        """Map rows (n, d), whatever their side."""
        return forward(parameters, rows, kept=kept)

    def backward(
        self, parameters: Mapping[str, Rows], rows: Rows, slopes: Rows, side: Side, *, kept: Any = 1
    ) -> Parameters:
        """Go from the derivatives by the mapped rows to those by the network."""
        return backward(parameters, rows, slopes, kept=kept)
