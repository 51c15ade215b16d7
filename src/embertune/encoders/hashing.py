"""An offline, deterministic encoder for tests: character trigrams, hashed. It knows no language."""

from __future__ import annotations

import zlib
from typing import Unpack

import numpy as np

from embertune.core.vectors import Vectors
from embertune.encoders.base import CommonOptions, Side, TextEncoder
from embertune.encoders.spec import EncoderSpec

__all__ = ["HashingEncoder"]


class HashingEncoder(TextEncoder):
    """Count character trigrams into `dimension` buckets by their CRC-32.

    Source: the hashing trick, Weinberger et al., Feature Hashing for Large Scale Multitask Learning (2009).

    Args:
        dimension: Number of buckets.
        options: See `TextEncoder`; not cached unless asked, since hashing is as fast as looking up.

    Example:
        >>> a, b, c = HashingEncoder().encode_query(["split a list", "splitting lists", "open a file"])
        >>> bool(a @ b > a @ c)
        True
    """

    def __init__(self, *, dimension: int = 64, **options: Unpack[CommonOptions]) -> None:
        options.setdefault("cache", False)
        super().__init__(EncoderSpec("hashing", f"trigrams-{dimension}", dimension=dimension), **options)

    def _encode_batch(self, texts: list[str], side: Side) -> Vectors:
        vectors = np.zeros((len(texts), self._spec.dimension or 1), dtype=np.float32)
        for row, text in enumerate(texts):
            data = f"  {text.lower()} ".encode("utf-8", "surrogatepass")
            buckets = [zlib.crc32(data[at : at + 3]) % vectors.shape[1] for at in range(len(data) - 2)]
            vectors[row] = np.bincount(buckets, minlength=vectors.shape[1])
        return vectors
