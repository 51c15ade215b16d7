"""Haystack: an encoder with an adapter behind it as embedder components for queries and for documents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from embertune._optional import require
from embertune.encoders.adapted import AdaptedEncoder
from embertune.encoders.load_adapted import load_adapted
from embertune.errors import ConfigError
from embertune.integrations.lazy import lazy_class

if TYPE_CHECKING:
    EmbertuneDocumentEmbedder: Any
    EmbertuneTextEmbedder: Any

__all__ = ["EmbertuneDocumentEmbedder", "EmbertuneTextEmbedder"]


class _Embedder:
    """What both components have in common: they are written into pipelines by names, and load when first run."""

    def __init__(self, adapter: str, encoder: str | None = None) -> None:
        if not isinstance(adapter, str | Path) or not isinstance(encoder, str | None):
            raise ConfigError(
                "A component is saved with its pipeline, so it takes names. Save the adapter, and type: "
                f'{type(self).__name__}(adapter="my-adapter", encoder="PROVIDER/MODEL")'
            )
        self.adapter, self.encoder = str(adapter), encoder
        self._loaded: AdaptedEncoder | None = None

    def warm_up(self) -> None:
        """Load adapter and encoder."""
        self._load()

    def _load(self) -> AdaptedEncoder:
        self._loaded = self._loaded or load_adapted(self.adapter, self.encoder)
        return self._loaded

    def _to_dict(self, haystack: Any) -> dict[str, Any]:
        told: dict[str, Any] = haystack.default_to_dict(self, adapter=self.adapter, encoder=self.encoder)
        return told


def _haystack() -> Any:
    return require("haystack", extra="haystack", purpose="A component of Haystack")


def _text_embedder() -> type:
    haystack = _haystack()

    class EmbertuneTextEmbedder(_Embedder):
        """Embed a query; see `EmbertuneDocumentEmbedder` for the arguments."""

        @haystack.component.output_types(embedding=list[float])  # type: ignore[untyped-decorator]
        def run(self, text: str) -> dict[str, Any]:
            return {"embedding": self._load().encode_query([text])[0].tolist()}

        def to_dict(self) -> dict[str, Any]:
            return self._to_dict(haystack)

    return _component(haystack, EmbertuneTextEmbedder)


def _document_embedder() -> type:
    haystack = _haystack()

    class EmbertuneDocumentEmbedder(_Embedder):
        """Embed documents by their content.

        Args:
            adapter: The folder of an adapter.
            encoder: Who embeds, as in `embertune.load_encoder`; None: whom it was trained on.
        """

        @haystack.component.output_types(documents=list[haystack.Document])  # type: ignore[untyped-decorator,name-defined]
        def run(self, documents: list[Any]) -> dict[str, Any]:
            vectors = self._load().encode_document([document.content or "" for document in documents])
            pairs = zip(documents, vectors.tolist(), strict=True)
            return {"documents": [_with_embedding(document, vector) for document, vector in pairs]}

        def to_dict(self) -> dict[str, Any]:
            return self._to_dict(haystack)

    return _component(haystack, EmbertuneDocumentEmbedder)


def _with_embedding(document: Any, vector: list[float]) -> Any:
    from dataclasses import replace

    return replace(document, embedding=vector)


def _component(haystack: Any, cls: type) -> type:
    # Haystack finds a class again by its path, which it reads when it decorates.
    cls.__module__, cls.__qualname__ = __name__, cls.__name__
    made: type = haystack.component(cls)
    return made


def __getattr__(name: str) -> Any:
    """Make a class when it is first asked for."""
    makers = {"EmbertuneDocumentEmbedder": _document_embedder, "EmbertuneTextEmbedder": _text_embedder}
    return lazy_class(globals(), name, makers)
