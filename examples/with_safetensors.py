"""Plain safetensors: matrices and steps in one file, and a reader that needs numpy and safetensors alone."""

import json

import numpy as np
from safetensors import safe_open
from toy import QUERY, save_adapter

import embertune

adapter = save_adapter("my-adapter")
print(embertune.export(adapter, "safetensors", "query.safetensors"))


def read(path):
    """Give the function that maps embeddings (n, d)."""
    with safe_open(path, "np") as file:
        steps, arrays = json.loads(file.metadata()["steps"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    operations = {
        "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "matmul": np.matmul,
        "unit": lambda a: a / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-12),
        "nearest": lambda a, rows, k: np.sort(a @ rows.T, axis=1)[:, -k:].mean(axis=1, keepdims=True),
        "ramp": lambda a, low, high: np.clip((a - low) / (high - low), 0, 1),
    }  # fmt: skip

    def adapt(vectors):
        values = {**arrays, "x": np.asarray(vectors, dtype=np.float32)}
        for name, operation, *given in steps:
            values[name] = operations[operation](*(values[a] if isinstance(a, str) else a for a in given))
        return values[name]

    return adapt


base = embertune.load_encoder("static").encode_query([QUERY])
expected = embertune.load_adapter(adapter).transform(base)
print("largest difference:", f"{np.abs(read('query.safetensors')(base) - expected).max():.0e}")
assert np.allclose(read("query.safetensors")(base), expected, atol=1e-5)
