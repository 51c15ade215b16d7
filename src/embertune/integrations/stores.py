"""From the address of a vector database to the store behind it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from embertune.integrations.address import parse

if TYPE_CHECKING:
    from embertune.recipes.vector_store import VectorStore

__all__ = ["open_store"]

_CLASSES = {
    "chroma": "chroma.ChromaStore",
    "faiss": "faiss.FaissStore",
    "lancedb": "lancedb.LanceStore",
    "postgresql": "pgvector.PgVectorStore",
    "qdrant": "qdrant.QdrantStore",
    "weaviate": "weaviate.WeaviateStore",
}


def open_store(url: str, *, out: str | None = None) -> VectorStore:
    """Open a vector database.

    Args:
        url: Such as "chroma:./db#docs" or "postgresql://me@host/shop?table=items"; all forms: `KINDS`.
        out: What the place of the tuned vectors is called; None: the name of the place of the others, and "_tuned".

    Raises:
        ConfigError: The address has none of the known forms.
        MissingExtraError: Its client is not installed.
        StoreError: The database refused, or has no such place.

    Example:
        >>> open_store("faiss:x.faiss")
        Traceback (most recent call last):
        ...
        embertune.errors.StoreError: There is no file x.faiss. Expected an index that faiss.write_index wrote.
    """
    address = parse(url, out)
    module, _, name = _CLASSES[address.kind].partition(".")
    store: VectorStore = getattr(import_module(f"embertune.integrations.{module}"), name)(address)
    return store
