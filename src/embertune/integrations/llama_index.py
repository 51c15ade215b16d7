"""LlamaIndex: an encoder with an adapter behind it as `BaseEmbedding`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from embertune._optional import require
from embertune.encoders.load_adapted import load_adapted
from embertune.integrations.lazy import lazy_class

if TYPE_CHECKING:
    EmbertuneEmbedding: Any

__all__ = ["EmbertuneEmbedding"]


def _bases() -> tuple[Any, Any]:
    purpose = "A `BaseEmbedding` of LlamaIndex"
    base = require("llama_index.core.embeddings", extra="llama-index", purpose=purpose).BaseEmbedding
    return base, require("pydantic", extra="llama-index", purpose=purpose).PrivateAttr


def _embedding() -> type:
    base, private = _bases()

    class EmbertuneEmbedding(base):  # type: ignore[misc, valid-type]
        """An encoder with an adapter behind it, as LlamaIndex wants embeddings.

        Args:
            adapter: An adapter, or the folder of one.
            encoder: Who embeds, as in `embertune.load_encoder`; None: whom it was trained on.
            options: Of `BaseEmbedding`, such as ``embed_batch_size``.
        """

        _encoder: Any = private()

        def __init__(self, adapter: Any, encoder: Any = None, **options: Any) -> None:
            adapted = load_adapted(adapter, encoder)
            options.setdefault("model_name", str(adapted.spec))
            super().__init__(**options)
            self._encoder = adapted

        @classmethod
        def class_name(cls) -> str:
            return "EmbertuneEmbedding"

        def _get_query_embedding(self, query: str) -> list[float]:
            return [float(value) for value in self._encoder.encode_query([query])[0]]

        def _get_text_embedding(self, text: str) -> list[float]:
            return self._get_text_embeddings([text])[0]

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            rows: list[list[float]] = self._encoder.encode_document(texts).tolist()
            return rows

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return await asyncio.to_thread(self._get_query_embedding, query)

        async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return await asyncio.to_thread(self._get_text_embeddings, texts)

    return EmbertuneEmbedding


def __getattr__(name: str) -> Any:
    """Make the class when it is first asked for."""
    return lazy_class(globals(), name, {"EmbertuneEmbedding": _embedding})
