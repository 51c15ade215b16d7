"""L-BFGS in float32: scipy's copies every matrix to float64, which doubles time and memory here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from embertune.adapters.device import Array

__all__ = ["Minimum", "minimize"]

Flat = Array

_MEMORY = 8
_ARMIJO = 1e-4
_MAX_HALVINGS = 12


@dataclass(frozen=True)
class Minimum:
    """Where a minimisation ended.

    Attributes:
        x: The point (p,).
        value: The objective there.
        gradient: Its gradient there (p,).
        losses: The objective after every accepted step.
    """

    x: Flat
    value: float
    gradient: Flat
    losses: tuple[float, ...]

    def pulled(self, more: float) -> tuple[float, Flat]:
        """Give value and gradient at x with ``more / 2 * ||x||²`` added to the objective; `more` may be negative."""
        more = float(more)  # a float64 of numpy's would make float64 of the gradient
        return self.value + 0.5 * more * float(self.x @ self.x), self.gradient + more * self.x


def minimize(
    objective: Callable[[Flat], tuple[float, Flat]],
    start: Flat,
    *,
    max_steps: int = 40,
    tolerance: float = 1e-4,
    known: tuple[float, Flat] | None = None,
) -> Minimum:
    """Minimise a smooth function with limited-memory BFGS and a backtracking line search.

    Source: Nocedal and Wright, Numerical Optimization (2006), algorithms 7.4 and 7.5.

    Args:
        objective: Gives the value and the gradient (p,) at a point (p,).
        start: Where to begin (p,), of any library of arrays; it is not changed.
        max_steps: The most steps to take.
        tolerance: Stop once a step lowers the objective by less than this share of it.
        known: Value and gradient at the start, where they are known.

    Example:
        >>> target = np.array([1.0, -2.0], dtype=np.float32)
        >>> minimize(lambda x: (float(((x - target) ** 2).sum()), 2 * (x - target)), 0 * target).x.round(3).tolist()
        [1.0, -2.0]
    """
    x = start
    value, gradient = objective(x) if known is None else known
    memory: deque[tuple[Flat, Flat, float]] = deque(maxlen=_MEMORY)
    losses: list[float] = []
    for _ in range(max_steps):
        direction = _direction(gradient, memory)
        slope = float(gradient @ direction)
        if slope >= 0:
            if not memory:
                break
            # Float32 noise can spoil the curvature pairs; steepest descent starts afresh.
            memory.clear()
            direction, slope = -gradient, -float(gradient @ gradient)
        if not memory:
            direction = direction / max(float(gradient @ gradient) ** 0.5, 1e-12)
            slope = float(gradient @ direction)
        found = _line_search(objective, x, value, direction, slope)
        if found is None:
            break
        new_x, new_value, new_gradient = found
        _remember(memory, new_x - x, new_gradient - gradient)
        gain = value - new_value
        x, value, gradient = new_x, new_value, new_gradient
        losses.append(value)
        if gain <= tolerance * abs(value):
            break
    return Minimum(x, value, gradient, tuple(losses))


def _direction(gradient: Flat, memory: deque[tuple[Flat, Flat, float]]) -> Flat:
    direction = -gradient
    if not memory:
        return direction
    weights = []
    for step, change, rho in reversed(memory):
        weight = rho * float(step @ direction)
        direction = direction - weight * change
        weights.append(weight)
    step, change, rho = memory[-1]
    direction = direction * (1 / (rho * float(change @ change)))
    for (step, change, rho), weight in zip(memory, reversed(weights), strict=True):
        direction = direction + (weight - rho * float(change @ direction)) * step
    return direction


def _remember(memory: deque[tuple[Flat, Flat, float]], step: Flat, change: Flat) -> None:
    curvature = float(step @ change)
    if curvature > 1e-10 * float(change @ change):
        memory.append((step, change, 1 / curvature))


def _line_search(
    objective: Callable[[Flat], tuple[float, Flat]], x: Flat, value: float, direction: Flat, slope: float
) -> tuple[Flat, float, Flat] | None:
    length = 1.0
    for _ in range(_MAX_HALVINGS):
        candidate = x + length * direction
        new_value, new_gradient = objective(candidate)
        if new_value <= value + _ARMIJO * length * slope:
            return candidate, new_value, new_gradient
        # The minimum of the parabola through both values and the slope, kept within sane bounds.
        parabola = -slope * length**2 / (2 * (new_value - value - slope * length))
        length = float(np.clip(parabola, 0.1 * length, 0.5 * length)) if np.isfinite(parabola) else 0.1 * length
    return None
