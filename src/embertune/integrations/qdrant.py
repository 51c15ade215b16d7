"""Qdrant: tuned vectors go into a collection of their own, and an alias leads applications to one or the other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from embertune._optional import require
from embertune.core.vectors import Vectors
from embertune.errors import StoreError
from embertune.integrations.address import Address, guarded
from embertune.recipes.vector_store import Batch, Metric, Space

__all__ = ["QdrantStore"]

_METRICS: dict[str, Metric] = {"Cosine": "cosine", "Dot": "dot", "Euclid": "euclidean"}


@guarded("Qdrant")
class QdrantStore:
    """A collection, one beside it for tuned vectors, and an alias, which switches at once.

    Args:
        address: A folder or an http(s) URL, the collection, and if need be `?id=FIELD` of the payload that data sets
            know documents by, `vector=NAME`, `alias=COLLECTION_live`. A key is taken from QDRANT_API_KEY.
    """

    exact = True

    def __init__(self, address: Address) -> None:
        qdrant = require("qdrant_client", extra="qdrant", purpose="Reading a Qdrant collection")
        self._address, self._models, options = address, qdrant.models, address.options
        self.label = f"{address.label}#{address.name}"
        remote = {"url": address.place, "api_key": os.environ.get("QDRANT_API_KEY"), "timeout": 60}
        self._client = qdrant.QdrantClient(**(remote if "://" in address.place else {"path": address.place}))
        self.address = options.get("alias") or f"{address.name}_live"
        self._collections = {"base": address.name, "tuned": options.get("out") or f"{address.name}_tuned"}
        if not self._client.collection_exists(address.name):
            found = sorted(each.name for each in self._client.get_collections().collections)
            raise StoreError(
                f"There is no collection {address.name!r} ({address.label}); found {found[:5]}. Name it behind the #."
            )
        self._config = self._client.get_collection(address.name).config
        vectors, self._name = self._config.params.vectors, options.get("vector")
        if isinstance(vectors, dict) and self._name not in vectors:
            raise StoreError(
                f"The vectors of {address.name!r} have names, {', '.join(vectors)}. Say which: "
                f"#{address.name}?vector={next(iter(vectors))}"
            )
        self._params = vectors[self._name] if isinstance(vectors, dict) else vectors
        if self._params.distance.value not in _METRICS:
            raise StoreError(
                f"{address.name!r} compares by {self._params.distance.value}; expected {', '.join(_METRICS)}."
            )
        self.metric = _METRICS[self._params.distance.value]

    @property
    def live(self) -> Space:
        """Where the alias leads."""
        leads = {each.alias_name: each.collection_name for each in self._client.get_aliases().aliases}
        return "tuned" if leads.get(self.address) == self._collections["tuned"] else "base"

    def where(self, space: Space) -> str:
        """Give the name of the collection."""
        return self._collections[space]

    def _exists(self) -> bool:
        return bool(self._client.collection_exists(self._collections["tuned"]))

    def count(self, space: Space) -> int:
        """Count points exactly."""
        if space == "tuned" and not self._exists():
            return 0
        return int(self._client.count(self._collections[space], exact=True).count)

    def read(self, space: Space, size: int) -> Iterator[Batch]:
        """Scroll, with the payload."""
        after: Any = None
        wanted = True if self._name is None else [self._name]
        while True:
            points, after = self._client.scroll(
                self._collections[space], limit=size, offset=after, with_payload=True, with_vectors=wanted
            )
            if points:
                vectors = np.array([self._vector(point) for point in points], dtype=np.float32)
                payloads = [point.payload or {} for point in points]
                yield Batch([point.id for point in points], vectors, [self._named(p) for p in points], payloads)
            if after is None:
                return

    def _vector(self, point: Any) -> Any:
        return point.vector if self._name is None else point.vector[self._name]

    def _named(self, point: Any) -> str:
        field = self._address.options.get("id")
        if field is None:
            return str(point.id)
        if field not in (point.payload or {}):
            raise StoreError(f"The payload of point {point.id!r} of {self.label} has no {field!r}, which ?id= names.")
        return str(point.payload[field])

    def present(self, ids: Sequence[Any]) -> set[Any]:
        """Ask for ids alone."""
        if not self._exists():
            return set()
        name = self._collections["tuned"]
        return {each.id for each in self._client.retrieve(name, list(ids), with_payload=False, with_vectors=False)}

    def fetch(self, space: Space, ids: Sequence[Any]) -> dict[Any, Vectors]:
        """Ask for vectors by id."""
        found = self._client.retrieve(self._collections[space], list(ids), with_payload=False, with_vectors=True)
        return {each.id: np.array(self._vector(each), dtype=np.float32) for each in found}

    def create(self, dimension: int) -> None:
        """Make a collection with the same settings."""
        if self._exists():
            return
        params = self._params.model_copy(update={"size": dimension})
        self._client.create_collection(
            self._collections["tuned"],
            vectors_config=params if self._name is None else {self._name: params},
            **self._settings(),
        )

    def _settings(self) -> dict[str, Any]:
        params, hnsw = self._config.params, getattr(self._config, "hnsw_config", None)
        named = {name: getattr(params, name) for name in ("shard_number", "replication_factor", "on_disk_payload")}
        named["quantization_config"] = self._config.quantization_config
        if hnsw is not None:
            named["hnsw_config"] = self._models.HnswConfigDiff(**hnsw.model_dump(exclude_none=True))
        return {key: value for key, value in named.items() if value is not None}

    def write(self, batch: Batch) -> None:
        """Upsert and wait until it is kept."""
        vectors = batch.vectors.tolist()
        given = vectors if self._name is None else {self._name: vectors}
        self._client.upsert(
            self._collections["tuned"], self._models.Batch(ids=batch.ids, vectors=given, payloads=batch.rest), wait=True
        )

    def finish(self) -> None:
        """Do nothing: Qdrant builds its index itself, in the background."""

    def search(self, space: Space, queries: Vectors, k: int) -> list[list[str]]:
        """Ask for all queries in batches."""
        requests = [
            self._models.QueryRequest(query=query, using=self._name, limit=k, with_payload=True)
            for query in queries.tolist()
        ]
        found = []
        for start in range(0, len(requests), 64):
            found += self._client.query_batch_points(self._collections[space], requests[start : start + 64])
        return [[self._named(point) for point in answer.points] for answer in found]

    def switch(self) -> None:
        """Let the alias lead to the tuned collection, in one operation."""
        self._lead("tuned")

    def rollback(self) -> None:
        """Let the alias lead to the old collection, in one operation."""
        self._lead("base")

    def _lead(self, space: Space) -> None:
        models, steps = self._models, []
        if self.address in {each.alias_name for each in self._client.get_aliases().aliases}:
            steps.append(models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=self.address)))
        alias = models.CreateAlias(collection_name=self._collections[space], alias_name=self.address)
        self._client.update_collection_aliases([*steps, models.CreateAliasOperation(create_alias=alias)])

    def close(self) -> None:
        """Let go of the folder's lock, or of connections."""
        self._client.close()
