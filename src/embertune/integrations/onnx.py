"""ONNX: an adapter as a graph for onnxruntime and whatever else reads ONNX, gate and strength included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from embertune._optional import require
from embertune.adapters.base import Adapter, Side
from embertune.adapters.program import Program, Step, to_program
from embertune.core.files import replacing
from embertune.core.paths import as_path
from embertune.errors import ConfigError

__all__ = ["write_onnx"]

_OPSET = 17
_NAMES = {"add": "Add", "subtract": "Sub", "multiply": "Mul", "matmul": "MatMul", "relu": "Relu"}


def write_onnx(adapter: Adapter, path: str | Path, side: Side = "query") -> Path:
    """Write an adapter as an ONNX model with the input "embeddings" (n, d) and the output "adapted".

    Args:
        adapter: A fitted adapter.
        path: Where to.
        side: Whose embeddings it maps.

    Raises:
        ConfigError: The adapter leaves this side as it is, or is of a family of one's own.
        MissingExtraError: onnx is not installed.
        StorageError: The disk refused.
    """
    onnx = require("onnx", extra="onnx", purpose="Writing ONNX")
    program = to_program(adapter, side)
    if not program.steps:
        raise ConfigError(f"This {type(adapter).__name__} leaves the {side} side as it is: there is nothing to write.")
    graph = _Graph(onnx, program)
    for step in program.steps:
        graph.add(step)
    floats = onnx.TensorProto.FLOAT
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            [*graph.nodes, onnx.helper.make_node("Identity", [program.result], ["adapted"])],
            "embertune",
            [onnx.helper.make_tensor_value_info("embeddings", floats, ["n", program.dimension or "d"])],
            [onnx.helper.make_tensor_value_info("adapted", floats, ["n", program.output_dimension or "d"])],
            graph.constants,
        ),
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=8,  # that of opset 17: onnxruntime 1.12 and later read it
        producer_name="embertune",
    )
    onnx.checker.check_model(model)
    with replacing(path) as file:
        file.write(model.SerializeToString())
    return as_path(path)


class _Graph:
    """Nodes and constants, as they come about."""

    def __init__(self, onnx: Any, program: Program) -> None:
        self.onnx, self.nodes, self.constants = onnx, [], []  # type: ignore[var-annotated]
        for name, array in program.arrays.items():
            self._constant(array, name)
        # Rows are compared by a product, and ONNX multiplies by columns.
        self.columns = {
            step[3]: self._constant(program.arrays[step[3]].T, f"{step[3]}_columns")
            for step in program.steps
            if step[1] in ("nearest", "moves")
        }

    def add(self, step: Step) -> None:
        """Add the nodes of a step."""
        name, operation, *given = step
        values = [self._value(each) for each in given]
        if operation in _NAMES:
            self._node(_NAMES[operation], values, name)
        else:
            getattr(self, f"_{operation}")(values, given, name)

    def _unit(self, values: list[str], given: list[Any], name: str) -> None:
        length = self._node("ReduceL2", values[:1], axes=[1], keepdims=1)
        self._node("Div", [values[0], self._node("Max", [length, self._value(1e-12)])], name)

    def _nearest(self, values: list[str], given: list[Any], name: str) -> None:
        products = self._node("MatMul", [values[0], self.columns[given[1]]])
        best = self._node("TopK", [products, self._constant(np.array([given[2]], dtype=np.int64))], more=1)
        self._node("ReduceMean", [best], name, axes=[1], keepdims=1)

    def _ramp(self, values: list[str], given: list[Any], name: str) -> None:
        low, high = given[1:]
        risen = self._node("Mul", [self._node("Sub", values[:2]), self._value(1 / (high - low))])
        self._node("Clip", [risen, self._scalar(0), self._scalar(1)], name)

    def _moves(self, values: list[str], given: list[Any], name: str) -> None:
        products = self._node("MatMul", [values[0], self.columns[given[1]]])
        best = self._node("ReduceMax", [products], axes=[1], keepdims=1)
        known = self._node("Cast", [self._node("GreaterOrEqual", [best, values[3]])], to=self.onnx.TensorProto.FLOAT)
        nearest = self._node("ArgMax", [products], axis=1, keepdims=0)
        self._node("Mul", [self._node("Gather", [values[2], nearest], axis=0), known], name)

    def _value(self, given: Any) -> str:
        if isinstance(given, str):
            return "embeddings" if given == "x" else given
        return self._constant(np.array([given], dtype=np.float32))

    def _scalar(self, number: float) -> str:
        return self._constant(np.array(number, dtype=np.float32))

    def _constant(self, array: Any, name: str = "") -> str:
        name = name or f"c{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _node(self, kind: str, inputs: list[str], name: str = "", more: int = 0, **attributes: Any) -> str:
        name = name or f"n{len(self.nodes)}"
        outputs = [name, *(f"{name}_{at}" for at in range(more))]
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, outputs, **attributes))
        return name
