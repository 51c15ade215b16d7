"""A user's own function as an encoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

from embertune.core.vectors import Vectors
from embertune.encoders.base import CommonOptions, Side, TextEncoder
from embertune.encoders.spec import EncoderSpec

__all__ = ["FunctionEncoder"]


class FunctionEncoder(TextEncoder):
    """Embed with a function of your own: a list of texts in, an array (n, d) out.

    Args:
        function: Called with at most `batch_size` distinct texts.
        query_function: Called for queries instead, where the two sides differ.
        name: Names the function in records, and switches the cache on. Change it whenever the function's
            answers change: without a name nothing is cached, because code cannot be told apart by its text.
        options: See `TextEncoder`.

    Example:
        >>> import numpy as np
        >>> encoder = FunctionEncoder(lambda texts: np.array([[len(t), 1.0] for t in texts]), normalize=False)
        >>> encoder.encode_query(["ab", "abc"]).tolist()
        [[2.0, 1.0], [3.0, 1.0]]
    """

    def __init__(
        self,
        function: Callable[[list[str]], Any],
        *,
        query_function: Callable[[list[str]], Any] | None = None,
        name: str | None = None,
        **options: Unpack[CommonOptions],
    ) -> None:
        if name is None:
            options["cache"] = False
        model = name or str(getattr(function, "__qualname__", type(function).__qualname__))
        super().__init__(EncoderSpec("function", model), **options)
        self._functions: dict[Side, Callable[[list[str]], Any]] = {
            "query": query_function or function,
            "document": function,
        }

    def _encode_batch(self, texts: list[str], side: Side) -> Vectors:
        vectors: Vectors = self._functions[side](texts)
        return vectors
