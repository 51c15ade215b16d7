"""The trainer draws from global generators; they are given back as they were."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from embertune._optional import require

__all__ = ["own_randomness"]


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Seed the global generators of Python, numpy and torch for a while; afterwards they are where they were.

    Args:
        seed: Of all of them.
    """
    torch = require("torch", extra="finetune", purpose="Fine-tuning")
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 - put back below
    on_gpu = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - transformers draws from it
    torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])
        if on_gpu:
            torch.cuda.set_rng_state_all(on_gpu)
