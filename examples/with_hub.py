"""The Hugging Face hub: push an adapter, and pull it elsewhere. The key is read from HF_TOKEN.

Needs: huggingface_hub
"""

import sys

import numpy as np
from toy import save_adapter

import embertune

repo = sys.argv[1] if len(sys.argv) > 1 else "someone/faq-adapter"
adapter = save_adapter("my-adapter")
print(embertune.push(adapter, repo))  # private, and without files that hold texts of the data
print(embertune.pull(repo, "pulled"))
vectors = np.random.default_rng(0).normal(size=(2, 256))
assert np.array_equal(
    embertune.load_adapter("pulled").transform(vectors), embertune.load_adapter(adapter).transform(vectors)
)
