"""Base vectors of texts that were asked for lately, in memory: a text is paid for once while it is remembered."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

from embertune.core.vectors import Vectors

__all__ = ["MemoryCache"]

# The key, the array's header and the two entries of the dictionary, by sys.getsizeof.
_OVERHEAD = 400


class MemoryCache:
    """The most recently used vectors, up to a number of bytes.

    It is in memory, not the cache on disk that tuning has: that one never forgets, and a server's texts never end.
    Texts are not kept, only hashes of them.

    Args:
        size: Bytes; 0 keeps nothing.

    Example:
        >>> import numpy as np
        >>> cache = MemoryCache(1000)
        >>> for text in ("a", "b", "c"):
        ...     cache.put(cache.key("query", text), np.zeros(4, dtype=np.float32))
        >>> [cache.get(cache.key("query", text)) is not None for text in ("a", "b", "c")]
        [False, True, True]
    """

    def __init__(self, size: int) -> None:
        self.size, self.filled = size, 0
        self._kept: OrderedDict[bytes, Vectors] = OrderedDict()

    def key(self, side: str, text: str | Sequence[int]) -> bytes:
        """Hash what determines a vector within one server: the side and the text or its tokens."""
        kind, data = ("text", text.encode()) if isinstance(text, str) else ("tokens", repr(tuple(text)).encode())
        return hashlib.blake2b(data, digest_size=32, person=f"{side}/{kind}".encode()).digest()

    def get(self, key: bytes) -> Vectors | None:
        """Give a vector (d,), or None."""
        vector = self._kept.get(key)
        if vector is not None:
            self._kept.move_to_end(key)
        return vector

    def put(self, key: bytes, vector: Vectors) -> None:
        """Keep a vector (d,), and forget the ones that were not used for longest."""
        cost = vector.nbytes + _OVERHEAD
        if cost > self.size:
            return
        before = self._kept.pop(key, None)
        if before is not None:
            self.filled -= before.nbytes + _OVERHEAD
        # A copy: a row of a batch would keep the whole batch in memory.
        self._kept[key] = vector.copy()
        self.filled += cost
        while self.filled > self.size:
            _, oldest = self._kept.popitem(last=False)
            self.filled -= oldest.nbytes + _OVERHEAD

    def __len__(self) -> int:
        """Give how many vectors are kept."""
        return len(self._kept)
