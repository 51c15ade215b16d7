"""A fitted adapter as a list of steps over named arrays, for runtimes that have neither Embertune nor, perhaps, numpy.

There are nine operations, so that a reader is a page in any language: ONNX, SQL and torch ones are in
`embertune.integrations`, and `apply_steps` is the one of numpy, written to be copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from embertune.adapters.base import Adapter, Side
from embertune.adapters.bridge import BridgeAdapter
from embertune.adapters.chain import Chain
from embertune.adapters.document import _TOLERANCE, DocumentAdapter
from embertune.adapters.gate import Gate
from embertune.adapters.identity import IdentityAdapter
from embertune.adapters.linear import LinearAdapter
from embertune.adapters.mlp import MLPAdapter
from embertune.adapters.orthogonal import OrthogonalAdapter
from embertune.adapters.truncation import TruncationAdapter
from embertune.adapters.whitening import WhiteningAdapter
from embertune.core.vectors import Vectors
from embertune.errors import ConfigError

__all__ = ["Program", "Step", "apply_steps", "to_program"]

Step = tuple[Any, ...]
"""The name of a result, an operation, and what it is applied to: names of earlier results and of arrays, or numbers."""


@dataclass(frozen=True, eq=False)
class Program:
    """What an adapter does with embeddings "x" (n, d) of one side.

    Attributes:
        steps: In order; the result of the last one is the adapted embeddings. None: they stay as they are.
        arrays: Float32, by the names that steps use.
        dimension: d; None takes any.
        output_dimension: Of what comes out; None is what came in.

    Example:
        >>> from embertune.adapters.linear import LinearAdapter
        >>> program = to_program(LinearAdapter().fit(np.eye(2), np.eye(2)[::-1]), "query")
        >>> program.steps
        (('v0', 'matmul', 'x', 'matrix'), ('v1', 'unit', 'v0'))
        >>> program(np.eye(2, dtype=np.float32)).shape
        (2, 2)
    """

    steps: tuple[Step, ...]
    arrays: dict[str, Vectors]
    dimension: int | None
    output_dimension: int | None

    @property
    def result(self) -> str:
        """The name of the adapted embeddings."""
        return str(self.steps[-1][0]) if self.steps else "x"

    def __call__(self, vectors: Vectors) -> Vectors:
        """Map embeddings (n, d)."""
        return np.asarray(apply_steps(vectors, self.steps, self.arrays))


def apply_steps(vectors: Any, steps: Any, arrays: Any) -> Any:
    """Map embeddings (n, d) by the steps of an exported adapter."""
    operations: Any = {
        "add": np.add,
        "subtract": np.subtract,
        "multiply": np.multiply,
        "matmul": np.matmul,
        "relu": lambda a: np.maximum(a, 0),
        "unit": lambda a: a / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-12),
        # the mean product with the k nearest rows, and a ramp from 0 to 1: how much of the adapter a text is given
        "nearest": lambda a, rows, k: np.sort(a @ rows.T, axis=1)[:, -k:].mean(axis=1, keepdims=True),
        "ramp": lambda a, low, high: np.clip((a - low) / (high - low), 0, 1),
        # documents that are known, by their vectors, are moved
        "moves": lambda a, rows, moves, least: (
            moves[(a @ rows.T).argmax(axis=1)] * ((a @ rows.T).max(axis=1, keepdims=True) >= least)
        ),
    }
    values, name = {**arrays, "x": np.asarray(vectors, dtype=np.float32)}, "x"
    for name, operation, *given in steps:
        values[name] = operations[operation](*(values[a] if isinstance(a, str) else a for a in given))
    return values[name]


def to_program(adapter: Adapter, side: Side) -> Program:
    """Write down what ``adapter.transform(x, side)`` computes, gate and strength included.

    Args:
        adapter: A fitted adapter of one of Embertune's families.
        side: "query" or "document".

    Returns:
        A program that gives the same to 1e-6 for rows longer than 1e-12.

    Raises:
        ConfigError: It is of another family.
        NotFittedError: It is not fitted.

    Example:
        >>> from embertune.adapters.identity import IdentityAdapter
        >>> to_program(IdentityAdapter(), "query").steps
        ()
    """
    writer = _Writer()
    writer.transform(adapter, side, "x")
    changes = adapter.changes(side)
    return Program(tuple(writer.steps), writer.arrays, adapter.dimension, adapter.output_dimension if changes else None)


class _Writer:
    """Steps and arrays as they come about; every method takes and gives names of results."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.arrays: dict[str, Vectors] = {}

    def do(self, operation: str, *given: str | float | int) -> str:
        same = (step[0] for step in self.steps if step[1:] == (operation, *given))
        name = next(same, f"v{len(self.steps)}")
        if name == f"v{len(self.steps)}":
            self.steps.append((name, operation, *given))
        return str(name)

    def keep(self, hint: str, array: Any) -> str:
        name = next(f"{hint}{tail}" for tail in ("", *range(2, 999)) if f"{hint}{tail}" not in self.arrays)
        self.arrays[name] = np.ascontiguousarray(array, dtype=np.float32)
        return name

    def transform(self, adapter: Adapter, side: Side, x: str) -> str:
        if not adapter.changes(side):
            return x
        gate = adapter.gate if side == "query" else adapter.document_gate
        mapped = self.map(adapter, side, x)
        if isinstance(adapter, DocumentAdapter) or (gate is None and adapter.strength == 1):
            return mapped
        weight: str | float = adapter.strength
        if gate is not None:
            weight = self.weigh(gate, x)
            weight = weight if adapter.strength == 1 else self.do("multiply", weight, adapter.strength)
        frozen = self.frozen(adapter, side, x)
        moved = self.do("multiply", self.do("subtract", mapped, frozen), weight)
        return self.do("unit", self.do("add", frozen, moved))

    def weigh(self, gate: Gate, x: str) -> str:
        rows = self.do("unit", x)
        if gate.directions is not None:
            rows = self.do("matmul", rows, self.keep("gate_directions", gate.directions))
        near = self.do("nearest", rows, self.keep("gate_examples", gate.examples), gate.neighbours)
        weight = self.ramp(near, gate.low, gate.high)
        if gate.unlike is None or gate.lead is None:
            return weight
        away = self.do("nearest", rows, self.keep("gate_unlike", gate.unlike), gate.neighbours)
        return self.do("multiply", weight, self.ramp(self.do("subtract", near, away), *gate.lead))

    def ramp(self, values: str, low: float, high: float) -> str:
        return self.do("ramp", values, low, max(high, low + 1e-6))

    def frozen(self, adapter: Adapter, side: Side, x: str) -> str:
        if isinstance(adapter, Chain):
            for link in adapter._links():
                x = self.frozen(link, side, x) if link.changes(side) else x
            return x
        if isinstance(adapter, TruncationAdapter):
            x = self.do("matmul", x, self.keep("start", adapter.start_))
        if isinstance(adapter, BridgeAdapter):
            x = self.do("matmul", x, self.keep("rotation", adapter.rotation_))
        return self.do("unit", x)

    def map(self, adapter: Adapter, side: Side, x: str) -> str:
        # A subclass may map otherwise, so the very class counts.
        write = _FAMILIES.get(type(adapter))
        if write is None:
            families: list[type[Adapter]] = [*_FAMILIES, IdentityAdapter]
            known = ", ".join(sorted(family.type for family in families))
            raise ConfigError(
                f"An adapter of type {adapter.type!r} ({type(adapter).__name__}) cannot be written in steps for other "
                f"runtimes; known are {known}. Serve it with Embertune instead: embertune serve --adapter DIR"
            )
        return write(self, adapter, side, x)


def _linear(writer: _Writer, adapter: Any, side: Side, x: str) -> str:
    learned = adapter._learned()
    inner = learned.inner[side]
    if learned.basis is not None:
        inside = writer.do("matmul", x, writer.keep("basis", learned.basis))
        moved = writer.do("matmul", inside, writer.keep("inner", inner @ learned.basis.T))
        return writer.do("unit", writer.do("add", x, moved))
    if inner.ndim == 1:
        return writer.do("unit", writer.do("multiply", x, writer.keep("factors", 1 + inner)))
    matrix = np.eye(len(inner), dtype=np.float32) + inner
    return writer.do("unit", writer.do("matmul", x, writer.keep("matrix", matrix)))


def _matrix(writer: _Writer, adapter: Any, side: Side, x: str) -> str:
    return writer.do("unit", writer.do("matmul", x, writer.keep("matrix", adapter.matrix)))


def _whitening(writer: _Writer, adapter: Any, side: Side, x: str) -> str:
    centred = writer.do("subtract", writer.do("unit", x), writer.keep("mean", adapter.mean_))
    return _matrix(writer, adapter, side, centred)


def _mlp(writer: _Writer, adapter: Any, side: Side, x: str) -> str:
    names = {name: writer.keep(name, array) for name, array in adapter.tensors().items()}
    unit = writer.do("unit", x)
    hidden = writer.do("add", writer.do("matmul", unit, names["input"]), names["input_bias"])
    moved = writer.do("matmul", writer.do("relu", hidden), names["output"])
    return writer.do("unit", writer.do("add", unit, writer.do("add", moved, names["output_bias"])))


def _document(writer: _Writer, adapter: Any, side: Side, x: str) -> str:
    tensors = adapter.tensors()
    unit = writer.do("unit", x)
    anchors = writer.keep("anchors", tensors["anchors"])
    offsets = writer.keep("offsets", np.float32(adapter.strength) * tensors["offsets"])
    moved = writer.do("moves", unit, anchors, offsets, 1 - _TOLERANCE)
    return writer.do("unit", writer.do("add", unit, moved))


def _chain(writer: _Writer, adapter: Any, side: Side, x: str) -> str:
    links: Sequence[Adapter] = adapter._links()
    for link in links:
        x = writer.transform(link, side, x)
    return x


def _bridge(writer: _Writer, adapter: Any, side: Side, x: str) -> str:
    unit = writer.do("unit", x)
    mapped = writer.do("matmul", unit, writer.keep("matrix", adapter.matrix_))
    if adapter.bias_.any():
        mapped = writer.do("add", mapped, writer.keep("bias", adapter.bias_))
    if adapter.network_:
        names = {name: writer.keep(name, array) for name, array in adapter.network_.items()}
        hidden = writer.do("add", writer.do("matmul", unit, names["input"]), names["input_bias"])
        moved = writer.do("matmul", writer.do("relu", hidden), names["output"])
        mapped = writer.do("add", mapped, writer.do("add", moved, names["output_bias"]))
    return writer.do("unit", mapped)


_FAMILIES: dict[type[Adapter], Callable[[_Writer, Any, Side, str], str]] = {
    BridgeAdapter: _bridge,
    Chain: _chain,
    DocumentAdapter: _document,
    LinearAdapter: _linear,
    MLPAdapter: _mlp,
    OrthogonalAdapter: _matrix,
    TruncationAdapter: _matrix,
    WhiteningAdapter: _whitening,
}
