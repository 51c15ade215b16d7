"""ONNX: the adapter as a graph, for services in other languages.

Needs: onnx onnxruntime
"""

import numpy as np
import onnxruntime
from toy import QUERY, save_adapter

import embertune

adapter = save_adapter("my-adapter")
print(embertune.export(adapter, "onnx", "query.onnx"))
session = onnxruntime.InferenceSession("query.onnx", providers=["CPUExecutionProvider"])

base = embertune.load_encoder("static").encode_query([QUERY])  # what your provider gives
(tuned,) = session.run(None, {"embeddings": base})
expected = embertune.load_adapter(adapter).transform(base)
print("largest difference:", f"{np.abs(tuned - expected).max():.0e}")
assert np.allclose(tuned, expected, atol=1e-5)
