"""LanceDB: tuned vectors go into a table of their own, and become the next version of the old one at the switch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from embertune._optional import require
from embertune.core.vectors import Vectors
from embertune.errors import StoreError
from embertune.integrations.address import Address, guarded
from embertune.recipes.vector_store import Batch, Metric, Space

__all__ = ["LanceStore"]

_METRICS: dict[str, Metric] = {"cosine": "cosine", "dot": "dot", "l2": "euclidean"}
_TAG, _MARK = "embertune-base", b"embertune"


@guarded("LanceDB")
class LanceStore:
    """A table NAME and one NAME_tuned beside it.

    LanceDB knows neither aliases nor, without its cloud, new names for tables; but a table keeps its versions. The
    switch writes the tuned table as NAME's next version in one commit, with the old one under the tag
    "embertune-base"; the way back restores that one.

    Args:
        address: A folder, the table, and if need be `?id=id&column=vector`.
    """

    exact = True

    def __init__(self, address: Address) -> None:
        lance = require("lancedb", extra="lancedb", purpose="Reading a LanceDB table")
        self._arrow = require("pyarrow", extra="lancedb", purpose="Reading a LanceDB table")
        self._address, self.label, self.address = address, f"{address.label}#{address.name}", address.name
        self._db = lance.connect(address.place)
        self._id, self._column = address.options.get("id", "id"), address.options.get("column", "vector")
        self._out = address.options.get("out") or f"{address.name}_tuned"
        if not self._exists(address.name):
            found = sorted(self._tables())[:5]
            raise StoreError(
                f"There is no table {address.name!r} ({address.label}); found {found}. Name it behind the #."
            )
        names = self._db.open_table(address.name).schema.names
        if missing := {self._id, self._column} - set(names):
            raise StoreError(
                f"{address.name} has no column {', '.join(sorted(missing))}; found {', '.join(names)}. Name them: "
                f"#{address.name}?id=COLUMN&column=COLUMN"
            )
        self._index = self._index_of(self._table("base"))
        self.metric = _METRICS[(self._index or {}).get("metric", "l2")]

    def _tables(self) -> list[str]:
        found = self._db.list_tables()
        return list(getattr(found, "tables", found))

    def _exists(self, name: str) -> bool:
        return name in self._tables()

    def _index_of(self, table: Any) -> dict[str, Any] | None:
        for index in table.list_indices():
            if index.columns == [self._column]:
                return {"metric": table.index_stats(index.name).distance_type.lower(), "type": index.index_type}
        return None

    @property
    def live(self) -> Space:
        """What the table's newest version says of itself."""
        metadata = self._db.open_table(self._address.name).schema.metadata or {}
        return "tuned" if metadata.get(_MARK) == b"tuned" else "base"

    def where(self, space: Space) -> str:
        """Give the name of the table, and the tag of a version."""
        if space == "base" and self.live == "tuned":
            return f"{self._address.name}@{_TAG}"
        return self._address.name if space == "base" else self._out

    def _table(self, space: Space) -> Any:
        table = self._db.open_table(self._address.name if space == "base" else self._out)
        if space == "base" and self.live == "tuned":
            table.checkout(_TAG)
        return table

    def count(self, space: Space) -> int:
        """Count rows."""
        return int(self._table(space).count_rows()) if space == "base" or self._exists(self._out) else 0

    def read(self, space: Space, size: int) -> Iterator[Batch]:
        """Stream whole rows."""
        for rows in self._table(space).search().to_batches(size):
            if rows.num_rows:
                ids = rows.column(self._id).to_pylist()
                # Half a row of arrow per row: select() picks them, and write() puts them together again.
                yield Batch(
                    ids, self._vectors(rows), list(map(str, ids)), [rows.slice(at, 1) for at in range(len(ids))]
                )

    def _vectors(self, rows: Any) -> Vectors:
        column = rows.column(self._column)
        flat = column.combine_chunks().flatten() if hasattr(column, "combine_chunks") else column.flatten()
        return np.asarray(flat.to_numpy(zero_copy_only=False), dtype=np.float32).reshape(rows.num_rows, -1)

    def _where(self, ids: Sequence[Any]) -> str:
        return f"{self._id} IN ({', '.join(_literal(each) for each in ids)})"

    def present(self, ids: Sequence[Any]) -> set[Any]:
        """Ask for ids alone."""
        if not self._exists(self._out):
            return set()
        found = self._table("tuned").search().where(self._where(ids)).select([self._id]).limit(len(ids)).to_arrow()
        return set(found.column(self._id).to_pylist())

    def fetch(self, space: Space, ids: Sequence[Any]) -> dict[Any, Vectors]:
        """Ask for vectors by id."""
        wanted = self._table(space).search().where(self._where(ids)).select([self._id, self._column])
        found = wanted.limit(len(ids)).to_arrow()
        return dict(zip(found.column(self._id).to_pylist(), self._vectors(found), strict=True))

    def create(self, dimension: int) -> None:
        """Make a table with the same columns, vectors of the new dimension."""
        if not self._exists(self._out):
            self._db.create_table(self._out, schema=self._schema(dimension))

    def _schema(self, dimension: int) -> Any:
        arrow, schema = self._arrow, self._table("base").schema
        at = schema.get_field_index(self._column)
        field = arrow.field(self._column, arrow.list_(arrow.float32(), dimension))
        return schema.set(at, field).with_metadata({_MARK: b"tuned"})

    def write(self, batch: Batch) -> None:
        """Append one version."""
        arrow, schema = self._arrow, self._schema(batch.vectors.shape[1])
        rows = arrow.Table.from_batches(batch.rest)
        vectors = arrow.FixedSizeListArray.from_arrays(arrow.array(batch.vectors.ravel()), batch.vectors.shape[1])
        columns = [vectors if name == self._column else rows.column(name) for name in schema.names]
        self._table("tuned").add(arrow.Table.from_arrays(columns, schema=schema))

    def finish(self) -> None:
        """Build an index of the same kind, if the old table has one."""
        self._build(self._table("tuned"))

    def _build(self, table: Any) -> None:
        if self._index is None:
            return
        if self._index_of(table) is not None:
            table.optimize()
            return
        configs = require("lancedb.index", extra="lancedb", purpose="Building a LanceDB index")
        kind = self._index["type"].removeprefix("Ivf") if "Hnsw" in self._index["type"] else self._index["type"]
        table.create_index(self._column, config=getattr(configs, kind)(distance_type=self._index["metric"]))

    def search(self, space: Space, queries: Vectors, k: int) -> list[list[str]]:
        """Ask query by query."""
        table = self._table(space)
        found = []
        for query in queries:
            wanted = table.search(query, vector_column_name=self._column).distance_type(self._distance)
            found.append(
                [str(each) for each in wanted.select([self._id]).limit(k).to_arrow().column(self._id).to_pylist()]
            )
        return found

    @property
    def _distance(self) -> str:
        return next(name for name, metric in _METRICS.items() if metric == self.metric)

    def switch(self) -> None:
        """Tag the old version, and write the tuned rows as the next one."""
        if self.live == "tuned":
            return
        table, tuned = self._db.open_table(self._address.name), self._table("tuned")
        if _TAG in table.tags.list():
            table.tags.update(_TAG, table.version)
        else:
            table.tags.create(_TAG, table.version)
        rows = self._arrow.RecordBatchReader.from_batches(tuned.schema, tuned.search().to_batches(4096))
        self._build(self._db.create_table(self._address.name, rows, mode="overwrite", schema=tuned.schema))

    def rollback(self) -> None:
        """Restore the tagged version, its index as well."""
        if self.live == "tuned":
            table = self._table("base")
            table.restore()

    def close(self) -> None:
        """Do nothing: LanceDB holds no lock."""


def _literal(value: Any) -> str:
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"
