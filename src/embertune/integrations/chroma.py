"""Chroma: tuned vectors go into a collection of their own, and collections change names at the switch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from embertune._optional import require
from embertune.core.vectors import Vectors
from embertune.errors import StoreError
from embertune.integrations.address import Address, guarded
from embertune.recipes.vector_store import Batch, Metric, Space

__all__ = ["ChromaStore"]

_METRICS: dict[str, Metric] = {"cosine": "cosine", "ip": "dot", "l2": "euclidean"}


@guarded("Chroma")
class ChromaStore:
    """A collection NAME, one NAME_tuned beside it, and NAME_base: what NAME is called while the tuned one has its name.

    Chroma has no aliases, so a switch is two renames; whoever asks between them finds no collection, and a crash
    between them is mended by the next call.

    Args:
        address: A folder or an http(s) URL, and the collection.
    """

    exact = True

    def __init__(self, address: Address) -> None:
        chroma = require("chromadb", extra="chroma", purpose="Reading a Chroma collection")
        self._address, self.label, self.address = address, f"{address.label}#{address.name}", address.name
        quiet = chroma.Settings(anonymized_telemetry=False)
        if "://" in address.place:
            at = urlsplit(address.place)
            self._client = chroma.HttpClient(
                at.hostname or "localhost", at.port or 8000, ssl=at.scheme == "https", settings=quiet
            )
        else:
            self._client = chroma.PersistentClient(address.place, settings=quiet)
        self._out, self._old = address.options.get("out") or f"{address.name}_tuned", f"{address.name}_base"
        if not {address.name, self._old} & self._names():
            raise StoreError(
                f"There is no collection {address.name!r} ({address.label}); found {sorted(self._names())[:5]}. Name "
                "it behind the #."
            )
        self._mend()
        hnsw = self._collection("base").configuration_json.get("hnsw") or {}
        self.metric = _METRICS[hnsw.get("space", "l2")]

    def _names(self) -> set[str]:
        return {each.name for each in self._client.list_collections()}

    def _mend(self) -> None:
        """Give the old collection its name back where a crash left none of that name."""
        if self._address.name not in self._names():
            self._rename(self._old, self._address.name)

    def _rename(self, name: str, to: str) -> None:
        self._client.get_collection(name, embedding_function=None).modify(name=to)

    @property
    def live(self) -> Space:
        """Tuned, while the old collection bears the other name."""
        return "tuned" if self._old in self._names() else "base"

    def where(self, space: Space) -> str:
        """Give the collection's name of the moment."""
        switched = self.live == "tuned"
        if space == "base":
            return self._old if switched else self._address.name
        return self._address.name if switched else self._out

    def _collection(self, space: Space) -> Any:
        return self._client.get_collection(self.where(space), embedding_function=None)

    def count(self, space: Space) -> int:
        """Count records."""
        return int(self._collection(space).count()) if self.where(space) in self._names() else 0

    def read(self, space: Space, size: int) -> Iterator[Batch]:
        """Walk by offset, with documents, metadata and URIs."""
        collection, start = self._collection(space), 0
        kinds = ["embeddings", "documents", "metadatas", "uris"]
        while (found := collection.get(limit=size, offset=start, include=kinds))["ids"]:
            ids = found["ids"]
            rest = list(zip(*(found[kind] or [None] * len(ids) for kind in kinds[1:]), strict=True))
            yield Batch(ids, np.asarray(found["embeddings"], dtype=np.float32), list(ids), rest)
            start += len(ids)

    def present(self, ids: Sequence[Any]) -> set[Any]:
        """Ask for the ids alone."""
        if self.where("tuned") not in self._names():
            return set()
        return set(self._collection("tuned").get(ids=list(ids), include=[])["ids"])

    def fetch(self, space: Space, ids: Sequence[Any]) -> dict[Any, Vectors]:
        """Ask for vectors by id."""
        found = self._collection(space).get(ids=list(ids), include=["embeddings"])
        return dict(zip(found["ids"], np.asarray(found["embeddings"], dtype=np.float32), strict=True))

    def create(self, dimension: int) -> None:
        """Make a collection with the same settings of its index and the same metadata."""
        if self.where("tuned") in self._names():
            return
        base = self._collection("base")
        hnsw = base.configuration_json.get("hnsw")
        kept = {k: hnsw[k] for k in ("space", "ef_construction", "ef_search", "max_neighbors")} if hnsw else None
        self._client.create_collection(
            self._out, configuration={"hnsw": kept} if kept else None, metadata=base.metadata, embedding_function=None
        )

    def write(self, batch: Batch) -> None:
        """Upsert, in parts that Chroma takes at once."""
        collection, most = self._collection("tuned"), self._client.get_max_batch_size()
        for start in range(0, len(batch.ids), most):
            part = batch.select(range(start, min(start + most, len(batch.ids))))
            documents, metadatas, uris = (list(column) for column in zip(*part.rest, strict=True))
            # A collection either has documents and URIs or it has not; None stands for those that lack one.
            named = {"documents": documents, "metadatas": metadatas, "uris": uris}
            given = {kind: values for kind, values in named.items() if any(value is not None for value in values)}
            collection.upsert(ids=part.ids, embeddings=part.vectors, **given)

    def finish(self) -> None:
        """Do nothing: the index grows with the records."""

    def search(self, space: Space, queries: Vectors, k: int) -> list[list[str]]:
        """Ask for all queries at once."""
        found = self._collection(space).query(query_embeddings=queries, n_results=k, include=[])
        return [list(ids) for ids in found["ids"]]

    def switch(self) -> None:
        """Rename the old collection, then the new one."""
        if self.live == "base":
            self._collection("tuned")
            self._rename(self._address.name, self._old)
            self._rename(self._out, self._address.name)

    def rollback(self) -> None:
        """Rename the new collection, then the old one."""
        if self.live == "tuned":
            self._rename(self._address.name, self._out)
            self._rename(self._old, self._address.name)

    def close(self) -> None:
        """Let the client's own cache go."""
        self._client.close()
