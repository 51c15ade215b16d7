"""Adam: steps of a size that follows the gradient's history, for mini-batches."""

from __future__ import annotations

from collections.abc import Mapping

from embertune.adapters.device import namespace
from embertune.adapters.solvers.rows import Rows

__all__ = ["Adam"]

_BETAS = 0.9, 0.999
_TINY = 1e-8


class Adam:
    """Adam with torch's defaults.

    Source: Kingma and Ba, Adam: A Method for Stochastic Optimization (2015), algorithm 1.

    Args:
        parameters: Arrays by name; `step` changes them in place.
        learning_rate: Size of the first step, about.

    Example:
        >>> import numpy as np
        >>> place = {"x": np.array([1.0, -2.0])}
        >>> adam = Adam(place, learning_rate=0.1)
        >>> for _ in range(200):
        ...     adam.step({"x": 2 * place["x"]})
        >>> bool(np.abs(place["x"]).max() < 1e-3)
        True
    """

    def __init__(self, parameters: Mapping[str, Rows], learning_rate: float) -> None:
        self.parameters, self.learning_rate = parameters, learning_rate
        self.steps = 0
        self._means = {name: namespace(array).zeros_like(array) for name, array in parameters.items()}
        self._squares = {name: namespace(array).zeros_like(array) for name, array in parameters.items()}

    def step(self, gradients: Mapping[str, Rows]) -> None:
        """Take one step down the gradients, an array for each name."""
        self.steps += 1
        slow, slower = _BETAS
        size = self.learning_rate / (1 - slow**self.steps)
        unbias = 1 / (1 - slower**self.steps)
        for name, gradient in gradients.items():
            mean, square = self._means[name], self._squares[name]
            mean += (1 - slow) * (gradient - mean)
            square += (1 - slower) * (gradient * gradient - square)
            self.parameters[name][...] -= size * mean / (namespace(mean).sqrt(unbias * square) + _TINY)
