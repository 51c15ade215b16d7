"""LangChain: an encoder with an adapter behind it as `Embeddings`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embertune._optional import require
from embertune.adapters.base import Adapter
from embertune.encoders.load_adapted import load_adapted
from embertune.integrations.lazy import lazy_class

if TYPE_CHECKING:
    EmbertuneEmbeddings: Any

__all__ = ["EmbertuneEmbeddings"]


def _embeddings() -> type:
    base: Any = require(
        "langchain_core.embeddings", extra="langchain", purpose="An `Embeddings` class of LangChain"
    ).Embeddings

    class EmbertuneEmbeddings(base):  # type: ignore[misc]
        """An encoder with an adapter behind it, as LangChain wants embeddings.

        Args:
            adapter: An adapter, or the folder of one.
            encoder: Who embeds, as in `embertune.load_encoder`; None: whom it was trained on.
        """

        def __init__(self, adapter: Adapter | str | Path, encoder: Any = None) -> None:
            self.encoder = load_adapted(adapter, encoder)

        def embed_query(self, text: str) -> list[float]:
            return [float(value) for value in self.encoder.encode_query([text])[0]]

        def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
            rows: list[list[float]] = self.encoder.encode_document(list(texts)).tolist()
            return rows

    return EmbertuneEmbeddings


def __getattr__(name: str) -> Any:
    """Make the class when it is first asked for."""
    return lazy_class(globals(), name, {"EmbertuneEmbeddings": _embeddings})
