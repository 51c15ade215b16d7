"""Which programs are matrices with scalings to length 1 between them, which most runtimes have as layers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from embertune.adapters.program import Program

__all__ = ["Affine", "Unit", "affine_stages"]

Matrix = npt.NDArray[np.float64]


class Affine(NamedTuple):
    """``x matrix + bias``."""

    matrix: Matrix
    """(d, k)"""
    bias: Matrix | None
    """(k,)"""


class Unit(NamedTuple):
    """Rows scaled to length 1."""


class _Value(NamedTuple):
    """``base matrix + bias`` of an earlier result."""

    base: str
    matrix: Matrix
    bias: Matrix


def affine_stages(program: Program, dimension: int) -> list[Affine | Unit] | None:
    """Give a program as a sequence of affine maps and scalings, or None where it is more than that.

    Args:
        program: A program; gates, strengths between 0 and 1, hidden layers and moves are more.
        dimension: Of what it is given.

    Example:
        >>> from embertune.adapters.linear import LinearAdapter
        >>> from embertune.adapters.program import to_program
        >>> fitted = LinearAdapter(pull=0.1).fit(np.eye(3), np.eye(3)[::-1])
        >>> affine, unit = affine_stages(to_program(fitted, "query"), 3)
        >>> bool(np.allclose(affine.matrix, fitted.matrix)), unit
        (True, Unit())
    """
    values: dict[str, _Value] = {"x": _start("x", dimension)}
    stages: list[Affine | Unit] = []
    last = "x"
    for name, operation, *given in program.steps:
        first = values.get(given[0])
        second = program.arrays.get(given[1], values.get(given[1])) if len(given) > 1 else None
        if first is None or first.base != last:
            return None
        if operation == "unit":
            stages += [*_layer(first), Unit()]
            last, values = name, {name: _start(name, first.matrix.shape[1])}
            continue
        found = _applied(operation, first, second)
        if found is None:
            return None
        values[name] = found
    return [*stages, *_layer(values[program.result])]


def _start(name: str, dimension: int) -> _Value:
    return _Value(name, np.eye(dimension), np.zeros(dimension))


def _applied(operation: str, first: _Value, second: Any) -> _Value | None:
    if operation in ("add", "subtract") and second is not None:
        sign = 1 if operation == "add" else -1
        if isinstance(second, _Value):
            if second.base != first.base:
                return None
            return _Value(first.base, first.matrix + sign * second.matrix, first.bias + sign * second.bias)
        return first._replace(bias=first.bias + sign * second)
    if operation == "matmul" and isinstance(second, np.ndarray):
        return _Value(first.base, first.matrix @ second, first.bias @ second)
    if operation == "multiply" and isinstance(second, np.ndarray):
        return _Value(first.base, first.matrix * second, first.bias * second)
    return None


def _layer(value: _Value) -> list[Affine | Unit]:
    size = len(value.matrix)
    if value.matrix.shape == (size, size) and np.array_equal(value.matrix, np.eye(size)) and not value.bias.any():
        return []
    return [Affine(value.matrix, value.bias if value.bias.any() else None)]
