"""Chroma: an encoder with an adapter behind it as `EmbeddingFunction`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embertune._optional import require
from embertune.encoders.load_adapted import load_adapted
from embertune.errors import ConfigError
from embertune.integrations.lazy import lazy_class

if TYPE_CHECKING:
    EmbertuneEmbeddingFunction: Any

__all__ = ["EmbertuneEmbeddingFunction"]


def _bases() -> tuple[Any, Callable[[type], type]]:
    purpose = "An `EmbeddingFunction` of Chroma"
    base = require("chromadb", extra="chroma", purpose=purpose).EmbeddingFunction
    functions = require("chromadb.utils.embedding_functions", extra="chroma", purpose=purpose)
    return base, functions.register_embedding_function


def _embedding_function() -> type:
    base, register = _bases()

    class EmbertuneEmbeddingFunction(base):  # type: ignore[misc, valid-type]
        """Documents by `__call__`, queries by `embed_query`; a collection keeps the names and finds it again.

        Args:
            adapter: The folder of an adapter.
            encoder: Who embeds, as in `embertune.load_encoder`; None: whom it was trained on.
        """

        def __init__(self, adapter: str | Path, encoder: str | None = None) -> None:
            if not isinstance(adapter, str | Path) or not isinstance(encoder, str | None):
                raise ConfigError(
                    "A collection keeps its embedding function, so it takes names. Save the adapter, and type: "
                    'EmbertuneEmbeddingFunction(adapter="my-adapter", encoder="PROVIDER/MODEL")'
                )
            self._names = {"adapter": str(adapter), "encoder": encoder}
            self._encoder = load_adapted(adapter, encoder)

        def __call__(self, input: list[str]) -> Any:
            return list(self._encoder.encode_document(list(input)))

        def embed_query(self, input: list[str]) -> Any:
            return list(np.asarray(self._encoder.encode_query(list(input))))

        def default_space(self) -> str:
            return "cosine"

        @staticmethod
        def name() -> str:
            return "embertune"

        def get_config(self) -> dict[str, Any]:
            return dict(self._names)

        @staticmethod
        def build_from_config(config: dict[str, Any]) -> Any:
            return EmbertuneEmbeddingFunction(**config)

    return register(EmbertuneEmbeddingFunction)


def __getattr__(name: str) -> Any:
    """Make the class when it is first asked for."""
    return lazy_class(globals(), name, {"EmbertuneEmbeddingFunction": _embedding_function})
