"""pgvector: tuned vectors go into a table of their own by COPY, and a view leads applications to one or the other.

A column in the same table would have to be filled by UPDATE, which writes every row anew, and an entry into each index
of the table for it, that of the old vectors among them: see docs/experiments.md for what that costs.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from embertune._optional import require
from embertune.core.vectors import Vectors
from embertune.errors import ConfigError, StoreError
from embertune.integrations.address import Address, guarded
from embertune.integrations.pgcopy import from_copy, to_copy, vector_from
from embertune.recipes.vector_store import Batch, Metric, Space

__all__ = ["PgVectorStore"]

_OPERATORS: dict[str, tuple[Metric, str]] = {
    "vector_cosine_ops": ("cosine", "<=>"), "vector_ip_ops": ("dot", "<#>"), "vector_l2_ops": ("euclidean", "<->"),
}  # fmt: skip
_NOTE = "embertune: "
_INDEX = """
    SELECT am.amname, op.opcname, i.relname, array_to_string(i.reloptions, ', ') FROM pg_index x
    JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am am ON am.oid = i.relam
    JOIN pg_opclass op ON op.oid = x.indclass[0]
    JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0]
    WHERE x.indrelid = to_regclass(%s) AND a.attname = %s AND am.amname IN ('hnsw', 'ivfflat')
    ORDER BY i.relname LIMIT 1
"""


@guarded("PostgreSQL")
class PgVectorStore:
    """A table with a pgvector column, the table of tuned vectors beside it, and a view that joins one of them.

    Args:
        address: `?table=`, and if they differ `id=id`, `column=embedding`, `view=TABLE_live`, `metric=cosine` (of a
            column without an index).
    """

    exact = True

    def __init__(self, address: Address) -> None:
        psycopg = require("psycopg", extra="pgvector", purpose="Reading a PostgreSQL database")
        self._address, self.label, self._sql = address, address.label, psycopg.sql
        options = address.options
        self._id, self._column = options.get("id", "id"), options.get("column", "embedding")
        self._tables = {"base": address.name, "tuned": options.get("out") or f"{address.name}_tuned"}
        self.address = options.get("view") or f"{address.name}_live"
        self._view, self._errors = psycopg.sql.Identifier(*self.address.split(".")), psycopg.errors
        self._connect, self._writer = psycopg.connect, ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None
        self._db = psycopg.connect(address.place, autocommit=True)
        try:
            self._look(options.get("metric", "cosine"))
        except BaseException:
            self._db.close()
            raise

    def _look(self, metric: str) -> None:
        """Learn what kind of id and of index there is."""
        # What a crash of the server loses of the last second the next call finds missing; `finish` waits for all.
        self._db.execute("SET synchronous_commit TO off")
        self._type = self._id_type()
        self._index = self._db.execute(_INDEX, (self._quoted("base").as_string(self._db), self._column)).fetchone()
        named: dict[str, str] = {metric: ops for ops, (metric, _) in _OPERATORS.items()}
        if metric not in named:
            raise ConfigError(f"metric must be one of {', '.join(named)}, got {metric!r}")
        self._ops = self._index[1] if self._index else named[metric]
        if self._ops not in _OPERATORS:
            raise StoreError(f"{self._index[2]} is an index by {self._ops}; expected one of {', '.join(_OPERATORS)}.")
        self.metric = _OPERATORS[self._ops][0]

    def _id_type(self) -> str:
        found = dict(
            self._db.execute(
                "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = to_regclass(%s) "
                "AND attnum > 0 AND NOT attisdropped", (self._quoted("base").as_string(self._db),)
            ).fetchall()
        )  # fmt: skip
        if not found:
            raise StoreError(f"There is no table {self._tables['base']} ({self.label}). Name it with ?table=NAME")
        if found.get(self._column) != "vector" or found.get(self._id) not in _NAMES:
            vectors = [name for name, kind in found.items() if kind == "vector"]
            raise StoreError(
                f"{self._tables['base']} has no column {self._id!r} of whole numbers, text or uuid, or no column "
                f"{self._column!r} of type vector; found {', '.join(f'{n} ({k})' for n, k in found.items())}. Name "
                f"them: ?table={self._tables['base']}&id=NAME&column={vectors[0] if vectors else 'NAME'}"
            )
        return str(found[self._id])

    def _quoted(self, space: Space) -> Any:
        return self._sql.Identifier(*self._tables[space].split("."))

    def _do(self, text: str, *values: Any, space: Space = "base", **more: Any) -> Any:
        names = {"table": self._quoted(space), "id": self._sql.Identifier(self._id), "kind": self._sql.SQL(self._type),
                 "column": self._sql.Identifier(self._column), **more}  # fmt: skip
        # With values a % begins a placeholder, in a quoted name, too.
        said = {key: each.as_string(self._db).replace("%", "%%" if values else "%") for key, each in names.items()}
        return self._db.execute(text.format(**said), values or None)

    def where(self, space: Space) -> str:
        """Give the name of the table."""
        return self._tables[space]

    @property
    def live(self) -> Space:
        """What the view joins."""
        return "tuned" if self._note() == self._tables["tuned"] else "base"

    def _note(self) -> str | None:
        """Read from the view's comment which table it leads to; None for a view of somebody else, or none."""
        text = "SELECT obj_description(to_regclass(%s), 'pg_class')"
        found = self._db.execute(text, (self._view.as_string(self._db),)).fetchone()[0]
        return found.removeprefix(_NOTE) if found and found.startswith(_NOTE) else None

    def _kind(self, name: str) -> Any:
        quoted = self._sql.Identifier(*name.split(".")).as_string(self._db)
        return self._db.execute("SELECT to_regclass(%s)", (quoted,)).fetchone()[0]

    def _exists(self) -> bool:
        return self._kind(self._tables["tuned"]) is not None

    def count(self, space: Space) -> int:
        """Count rows that have a vector."""
        self._wait()
        if space == "tuned" and not self._exists():
            return 0
        return int(self._do("SELECT count({column}) FROM {table}", space=space).fetchone()[0])

    def read(self, space: Space, size: int) -> Iterator[Batch]:
        """Walk along the primary key by binary COPY, one block ahead and in a connection of its own."""
        with self._connect(self._address.place, autocommit=True) as db, ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(self._block, db, space, size, None)
            while (block := coming.result())[0]:
                ids, vectors = block
                names = list(map(_NAMES[self._type], ids))
                coming = ahead.submit(self._block, db, space, size, names[-1])
                yield Batch(ids, vectors, names)

    def _block(self, db: Any, space: Space, size: int, after: str | None) -> tuple[list[bytes], Vectors]:
        text = "COPY (SELECT {id}, {column} FROM {table} WHERE {column} IS NOT NULL"
        text += "" if after is None else " AND {id} > {after}::{kind}"
        query = self._sql.SQL(text + " ORDER BY {id} LIMIT {size}) TO STDOUT (FORMAT BINARY)").format(
            id=self._sql.Identifier(self._id), column=self._sql.Identifier(self._column), table=self._quoted(space),
            after=self._sql.Literal(after), kind=self._sql.SQL(self._type), size=self._sql.Literal(size),
        )  # fmt: skip
        with db.cursor().copy(query) as copy:
            return from_copy(b"".join(copy))

    def present(self, ids: Sequence[Any]) -> set[Any]:
        """Look ids up in the primary key."""
        if not self._exists():
            return set()
        text = "SELECT {id}::text FROM {table} WHERE {id} = ANY(%s::text[]::{kind}[])"
        names = {_NAMES[self._type](each): each for each in ids}
        return {names[row[0]] for row in self._do(text, list(names), space="tuned")}

    def fetch(self, space: Space, ids: Sequence[Any]) -> dict[Any, Vectors]:
        """Look vectors up by the primary key."""
        text = "SELECT {id}::text, vector_send({column}) FROM {table} WHERE {id} = ANY(%s::text[]::{kind}[])"
        names = {_NAMES[self._type](each): each for each in ids}
        return {names[name]: vector_from(raw) for name, raw in self._do(text, list(names), space=space)}

    def create(self, dimension: int) -> None:
        """Make the table, with a primary key of the same type."""
        self._do("CREATE TABLE IF NOT EXISTS {table} ({id} {kind} PRIMARY KEY, {column} vector({size}) NOT NULL)",
                 space="tuned", size=self._sql.Literal(dimension))  # fmt: skip

    def write(self, batch: Batch) -> None:
        """Copy rows in, while the caller makes the next ones; one COPY is one transaction."""
        self._wait()
        self._pending = self._writer.submit(self._copy_in, batch)

    def _wait(self) -> None:
        """Wait until all is written, and raise what went wrong."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _copy_in(self, batch: Batch) -> None:
        text = self._sql.SQL("COPY {} ({}, {}) FROM STDIN (FORMAT BINARY)").format(
            self._quoted("tuned"), self._sql.Identifier(self._id), self._sql.Identifier(self._column)
        )
        with self._db.cursor().copy(text) as copy:
            copy.write(to_copy(batch.ids, batch.vectors))

    def finish(self) -> None:
        """Build an index like that of the old column, if it has one; tell the planner what is there."""
        self._wait()
        if self._index:
            method, ops, name, settings = self._index
            more = {"method": self._sql.Identifier(method), "ops": self._sql.Identifier(ops)}
            # 63 bytes is PostgreSQL's longest name; a digest keeps the names of two places apart.
            tag = uuid.uuid5(uuid.NAMESPACE_OID, self._tables["tuned"]).hex[:8]
            more["name"] = self._sql.Identifier(f"{name[:50]}_{tag}")
            how = f" WITH ({settings})" if settings else ""
            self._do("CREATE INDEX IF NOT EXISTS {name} ON {table} USING {method} ({column} {ops})" + how,
                     space="tuned", **more)  # fmt: skip
        self._db.execute("SET synchronous_commit TO on")
        self._do("ANALYZE {table}", space="tuned")

    def search(self, space: Space, queries: Vectors, k: int) -> list[list[str]]:
        """Ask the planner, which takes the index where that is quicker."""
        text = f"SELECT {{id}}::text FROM {{table}} ORDER BY {{column}} {_OPERATORS[self._ops][1]} %s::vector LIMIT %s"
        found = (self._do(text, "[" + ",".join(map(str, query.tolist())) + "]", k, space=space) for query in queries)
        return [[row[0] for row in rows] for rows in found]

    def switch(self) -> None:
        """Let the view join the tuned vectors."""
        self._lead("tuned")

    def rollback(self) -> None:
        """Let the view show the table as it is."""
        self._lead("base")

    def _lead(self, space: Space) -> None:
        columns = self._db.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped "
            "ORDER BY attnum", (self._quoted("base").as_string(self._db),)
        ).fetchall()  # fmt: skip
        side = "t" if space == "tuned" else "b"
        shown = ", ".join(f"{side if name == self._column else 'b'}.{{c{at}}}" for at, (name,) in enumerate(columns))
        join = " JOIN {tuned} t ON t.{id} = b.{id}" if space == "tuned" else ""
        made = self._sql.SQL(f"CREATE OR REPLACE VIEW {{view}} AS SELECT {shown} FROM {{table}} b{join}").format(
            view=self._view, table=self._quoted("base"), tuned=self._quoted("tuned"), id=self._sql.Identifier(self._id),
            **{f"c{at}": self._sql.Identifier(name) for at, (name,) in enumerate(columns)},
        )  # fmt: skip
        if self._kind(self.address) is not None and self._note() is None:
            raise StoreError(
                f"{self.address} exists and was not made by this command ({self.label}). Give the view that "
                "applications will read another name: ?view=NAME"
            )
        note = self._sql.Literal(f"{_NOTE}{self._tables[space]}")
        self._db.execute("SET synchronous_commit TO on")
        with self._db.transaction():
            try:
                with self._db.transaction():
                    self._db.execute(made)
            except self._errors.InvalidTableDefinition:
                # Another dimension or another column: a view cannot be replaced by that.
                self._db.execute(self._sql.SQL("DROP VIEW {}").format(self._view))
                self._db.execute(made)
            self._db.execute(self._sql.SQL("COMMENT ON VIEW {} IS {}").format(self._view, note))

    def close(self) -> None:
        """End the connection, when what is under way is written."""
        self._writer.shutdown()
        self._db.close()


def _integer(raw: bytes) -> str:
    return str(int.from_bytes(raw, "big", signed=True))


def _uuid(raw: bytes) -> str:
    return str(uuid.UUID(bytes=raw))


def _text(raw: bytes) -> str:
    return raw.decode()


_NAMES: dict[str, Callable[[bytes], str]] = {
    "bigint": _integer, "integer": _integer, "smallint": _integer, "uuid": _uuid, "text": _text,
    "character varying": _text,
}  # fmt: skip
