"""An answer of vectors as JSON bytes, without a Python object per number."""

from __future__ import annotations

import base64
from collections.abc import Callable

from embertune.core.vectors import Vectors

__all__ = ["embedding_list"]


def embedding_list(vectors: Vectors, model: str, tokens: int, *, as_base64: bool) -> bytes:
    """Give OpenAI's list of embeddings.

    Args:
        vectors: (n, d) float32, C order.
        model: As it was asked for.
        tokens: What the upstream counted for this request.
        as_base64: Little-endian float32 in base64 instead of numbers.

    Example:
        >>> import numpy as np
        >>> embedding_list(np.ones((1, 2), dtype=np.float32), "faq/query", 3, as_base64=True)[:70]
        b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":"'
    """
    import orjson

    def numbers(row: Vectors) -> bytes:
        return orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY)

    def packed(row: Vectors) -> bytes:
        return b'"%b"' % base64.b64encode(row.astype("<f4", copy=False).tobytes())

    write: Callable[[Vectors], bytes] = packed if as_base64 else numbers
    rows = [
        b'{"object":"embedding","index":%d,"embedding":%b}' % (index, write(row)) for index, row in enumerate(vectors)
    ]
    usage = b'{"prompt_tokens":%d,"total_tokens":%d}' % (tokens, tokens)
    return b'{"object":"list","data":[%b],"model":%b,"usage":%b}' % (b",".join(rows), orjson.dumps(model), usage)
