"""Weaviate: tuned vectors go into a collection of their own, and an alias leads applications to one or the other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from embertune._optional import require
from embertune.core.vectors import Vectors
from embertune.errors import StoreError
from embertune.integrations.address import Address, guarded
from embertune.recipes.vector_store import Batch, Metric, Space

__all__ = ["WeaviateStore"]

_METRICS: dict[str, Metric] = {"cosine": "cosine", "dot": "dot", "l2-squared": "euclidean"}


@guarded("Weaviate")
class WeaviateStore:
    """A collection, one beside it for tuned vectors, and an alias, which switches at once (Weaviate 1.32 and later).

    Properties are copied, references to other collections are not; collections of several tenants are refused.

    Args:
        address: An http(s) URL, the collection, and if need be `?id=PROPERTY` that data sets know documents by,
            `vector=NAME`, `alias=COLLECTION_live`, `grpc=50051`. A key is taken from WEAVIATE_API_KEY.
    """

    exact = True

    def __init__(self, address: Address) -> None:
        weaviate = require("weaviate", extra="weaviate", purpose="Reading a Weaviate collection")
        self._address, self._weaviate, options = address, weaviate, address.options
        self.label = f"{address.label}#{address.name}"
        at, key = urlsplit(address.place), os.environ.get("WEAVIATE_API_KEY")
        secure = at.scheme == "https"
        self._client = weaviate.connect_to_custom(
            http_host=at.hostname, http_port=at.port or (443 if secure else 8080), http_secure=secure,
            grpc_host=at.hostname, grpc_port=int(options.get("grpc") or (443 if secure else 50051)), grpc_secure=secure,
            auth_credentials=weaviate.auth.AuthApiKey(key) if key else None,
            # Among the checks is a question to PyPI for the client's newest version.
            skip_init_checks=True,
        )  # fmt: skip
        self.address = options.get("alias") or f"{address.name}_live"
        self._collections = {"base": address.name, "tuned": options.get("out") or f"{address.name}_tuned"}
        if not self._client.collections.exists(address.name):
            found = sorted(self._client.collections.list_all())[:5]
            raise StoreError(
                f"There is no collection {address.name!r} ({address.label}); found {found}. Name it behind the #."
            )
        self._schema = self._client.collections.export_config(address.name).to_dict()
        if (self._schema.get("multiTenancyConfig") or {}).get("enabled"):
            raise StoreError(
                f"{address.name!r} has several tenants, which Embertune does not know of ({address.label})."
            )
        self.metric = self._metric(options.get("vector"))

    def _metric(self, name: str | None) -> Metric:
        named = self._schema.get("vectorConfig") or {}
        self._vector = name or (next(iter(named)) if len(named) == 1 else "default")
        if named and self._vector not in named:
            raise StoreError(
                f"The vectors of {self.label} are {', '.join(named)}. Say which: ?vector={next(iter(named))}"
            )
        config = (named[self._vector] if named else self._schema)["vectorIndexConfig"]
        distance = config.get("distance") or config.get("distanceMetric") or "cosine"
        if distance not in _METRICS:
            raise StoreError(f"{self.label} compares by {distance}; expected {', '.join(_METRICS)}.")
        return _METRICS[distance]

    @property
    def live(self) -> Space:
        """Where the alias leads."""
        found = self._client.alias.get(alias_name=self.address)
        return "tuned" if found is not None and found.collection == self._collections["tuned"] else "base"

    def where(self, space: Space) -> str:
        """Give the name of the collection."""
        return self._collections[space]

    def _collection(self, space: Space) -> Any:
        return self._client.collections.use(self._collections[space])

    def _exists(self) -> bool:
        return bool(self._client.collections.exists(self._collections["tuned"]))

    def count(self, space: Space) -> int:
        """Count objects."""
        if space == "tuned" and not self._exists():
            return 0
        return int(self._collection(space).aggregate.over_all(total_count=True).total_count)

    def read(self, space: Space, size: int) -> Iterator[Batch]:
        """Walk along UUIDs, with properties."""
        query, after = self._collection(space).query, None
        while found := query.fetch_objects(limit=size, after=after, include_vector=True).objects:
            after = found[-1].uuid
            vectors = np.array([each.vector[self._vector] for each in found], dtype=np.float32)
            rest = [each.properties for each in found]
            yield Batch([str(each.uuid) for each in found], vectors, [self._named(each) for each in found], rest)

    def _named(self, found: Any) -> str:
        field = self._address.options.get("id")
        if field is None:
            return str(found.uuid)
        if found.properties.get(field) is None:
            raise StoreError(f"Object {found.uuid} of {self.label} has no property {field!r}, which ?id= names.")
        return str(found.properties[field])

    def present(self, ids: Sequence[Any]) -> set[Any]:
        """Ask for ids alone."""
        if not self._exists():
            return set()
        found = self._collection("tuned").query.fetch_objects_by_ids(list(ids), limit=len(ids), return_properties=False)
        return {str(each.uuid) for each in found.objects}

    def fetch(self, space: Space, ids: Sequence[Any]) -> dict[Any, Vectors]:
        """Ask for vectors by id."""
        found = self._collection(space).query.fetch_objects_by_ids(
            list(ids), limit=len(ids), include_vector=True, return_properties=False
        )
        return {str(each.uuid): np.array(each.vector[self._vector], dtype=np.float32) for each in found.objects}

    def create(self, dimension: int) -> None:
        """Make a collection with the same schema; Weaviate learns the dimension from the first object."""
        if not self._exists():
            self._client.collections.create_from_dict({**self._schema, "class": self._collections["tuned"]})

    def write(self, batch: Batch) -> None:
        """Put objects in under their own UUIDs, which makes a second time harmless."""
        named = bool(self._schema.get("vectorConfig"))
        make = self._weaviate.classes.data.DataObject
        objects = [
            make(properties=rest, uuid=each, vector={self._vector: vector} if named else vector)
            for each, rest, vector in zip(batch.ids, batch.rest, batch.vectors.tolist(), strict=True)
        ]
        done = self._collection("tuned").data.insert_many(objects)
        if done.has_errors:
            first = next(iter(done.errors.values())).message
            raise StoreError(f"Weaviate refused {len(done.errors)} of {len(objects)} objects ({self.label}): {first}")

    def finish(self) -> None:
        """Do nothing: the index grows with the objects."""

    def search(self, space: Space, queries: Vectors, k: int) -> list[list[str]]:
        """Ask query by query."""
        query, target = self._collection(space).query, self._vector if self._schema.get("vectorConfig") else None
        found = (query.near_vector(each, limit=k, target_vector=target).objects for each in queries.tolist())
        return [[self._named(each) for each in objects] for objects in found]

    def switch(self) -> None:
        """Let the alias lead to the tuned collection, in one operation."""
        self._lead("tuned")

    def rollback(self) -> None:
        """Let the alias lead to the old collection, in one operation."""
        self._lead("base")

    def _lead(self, space: Space) -> None:
        if self._client.alias.exists(alias_name=self.address):
            self._client.alias.update(alias_name=self.address, new_target_collection=self._collections[space])
        else:
            self._client.alias.create(alias_name=self.address, target_collection=self._collections[space])

    def close(self) -> None:
        """End the connection."""
        self._client.close()
