"""pgvector: an adapter as a SQL function from vector to vector, with its weights in a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from embertune.adapters.base import Adapter, Side
from embertune.adapters.program import Program, Step, to_program
from embertune.core.files import write_whole
from embertune.core.vectors import Vectors
from embertune.errors import ConfigError

__all__ = ["write_sql"]

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,39}")
_ROWS = 100
_WIDEST = 16_000  # dimensions that a value of pgvector has at most


def write_sql(adapter: Adapter, path: str | Path, side: Side = "query", *, name: str = "embertune") -> Path:
    """Write a SQL file that makes the function NAME_query(vector), or NAME_document(vector), in one transaction.

    It needs PostgreSQL with pgvector 0.5 or newer, and runs in any client. The function reads the table NAME_weights,
    to which the file of the other side adds; running a file again replaces what it made.

    Args:
        adapter: A fitted adapter.
        path: Where to.
        side: Whose embeddings the function maps.
        name: What functions and table begin with.

    Raises:
        ConfigError: The adapter leaves this side as it is, is of a family of one's own, or is too wide; or the name is
            none of SQL.
        StorageError: The disk refused.

    Example:
        >>> import tempfile
        >>> from embertune.adapters.linear import LinearAdapter
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = write_sql(LinearAdapter().fit(np.eye(2), np.eye(2)[::-1]), f"{folder}/tuned.sql")
        ...     print([line for line in file.read_text().splitlines() if ":=" in line][1].strip())
        v1 := v0 * array_fill((coalesce(1 / nullif(vector_norm(v0), 0), 0))::real, ARRAY[2])::vector;
    """
    program = to_program(adapter, side)
    if not program.steps:
        raise ConfigError(f"This {type(adapter).__name__} leaves the {side} side as it is: there is nothing to write.")
    if not _NAME.fullmatch(name):
        raise ConfigError(f"name must be lower-case letters, digits and _, at most 40, got {name!r}")
    if wide := [str(array.shape) for array in program.arrays.values() if max(array.shape) > _WIDEST]:
        raise ConfigError(f"pgvector holds at most {_WIDEST:,} dimensions, and this adapter has {wide[0]}.")
    return write_whole(path, "\n".join(_lines(program, side, name)) + "\n")


def _lines(program: Program, side: Side, name: str) -> Iterator[str]:
    table = f"{name}_weights"
    sql = _Sql(program, f"{table} WHERE side = '{side}' AND part =")
    body = [f"  {step[0]} := {sql.expression(step)};" for step in program.steps]
    yield f"-- {side} embeddings through an adapter, by Embertune. Needs pgvector 0.5 or newer."
    yield "BEGIN;"
    yield (
        f"CREATE TABLE IF NOT EXISTS {table} "
        "(side text, part text, place int, weights vector, PRIMARY KEY (side, part, place));"
    )
    yield f"DELETE FROM {table} WHERE side = '{side}';"
    for part, array in program.arrays.items():
        yield from _inserts(table, side, part, array.T if part in sql.by_columns else array)
    yield f"ANALYZE {table};"
    yield f"CREATE OR REPLACE FUNCTION {name}_{side}(x vector) RETURNS vector AS $$"
    yield "DECLARE"
    yield from (f"  {step[0]} {'vector' if sql.width[step[0]] else 'float8'};" for step in program.steps)
    yield "BEGIN"
    yield from body
    yield f"  RETURN {program.result};"
    yield "END"
    # The path of now, so that the table is found whoever calls.
    yield "$$ LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path FROM CURRENT;"
    yield "COMMIT;"


def _inserts(table: str, side: str, part: str, array: Vectors) -> Iterator[str]:
    rows = np.atleast_2d(array)
    for start in range(0, len(rows), _ROWS):
        # str gives a float32 in as few digits as tell it from its neighbours.
        texts = (",".join(map(str, row)) for row in rows[start : start + _ROWS])
        values = (f"('{side}', '{part}', {start + at}, '[{text}]')" for at, text in enumerate(texts))
        yield f"INSERT INTO {table} VALUES\n" + ",\n".join(values) + ";"


class _Sql:
    """Steps as expressions of PL/pgSQL.

    Attributes:
        width: Of every result, the dimension; 0 is a number.
        by_columns: Arrays that are multiplied with: a product is an inner product for each column.
    """

    def __init__(self, program: Program, table: str) -> None:
        self.arrays, self.table = program.arrays, table
        self.width: dict[str, int] = {"x": program.dimension or 0}
        self.by_columns = {step[3] for step in program.steps if step[1] == "matmul"}

    def expression(self, step: Step) -> str:
        """Give a step as an expression, and note its width; steps are given in order."""
        name, operation, *given = step
        expression: str = getattr(self, f"_{operation}")(*given)
        self.width[name] = self._width(operation, given)
        return expression

    def _width(self, operation: str, given: list[Any]) -> int:
        if operation in ("nearest", "ramp"):
            return 0
        return int(self.arrays[given[1]].shape[1]) if operation == "matmul" else self.width[given[0]]

    def _value(self, given: Any, width: int) -> str:
        """Give a result, an array of one row, or a number as a vector."""
        if given in self.arrays:
            return f"(SELECT weights FROM {self.table} '{given}')"
        if isinstance(given, str) and self.width[given]:
            return given
        return self._filled(given, width) if width else str(given)

    def _filled(self, number: Any, width: int) -> str:
        return f"array_fill(({number})::real, ARRAY[{width}])::vector"

    def _add(self, a: str, b: Any) -> str:
        return f"{a} + {self._value(b, self.width[a])}"

    def _subtract(self, a: str, b: Any) -> str:
        return f"{a} - {self._value(b, self.width[a])}"

    def _multiply(self, a: str, b: Any) -> str:
        return f"{a} * {self._value(b, self.width[a])}"

    def _matmul(self, a: str, b: str) -> str:
        products = f"array_agg(inner_product({a}, weights)::real ORDER BY place)"
        return f"(SELECT {products} FROM {self.table} '{b}')::vector"

    def _relu(self, a: str) -> str:
        rows = f"unnest({a}::real[]) WITH ORDINALITY AS u (value, place)"
        return f"(SELECT array_agg(greatest(value, 0) ORDER BY place) FROM {rows})::vector"

    def _unit(self, a: str) -> str:
        # l2_normalize came with pgvector 0.7 alone.
        inverse = f"coalesce(1 / nullif(vector_norm({a}), 0), 0)"
        return f"{a} * {self._filled(inverse, self.width[a])}"

    def _nearest(self, a: str, rows: str, k: int) -> str:
        return f"(SELECT avg(product) FROM ({self._ranked(a, rows, k)}) AS best)"

    def _ramp(self, a: str, low: float, high: float) -> str:
        return f"least(greatest(({a} - {low!r}) / {high - low!r}, 0), 1)"

    def _moves(self, a: str, rows: str, moves: str, least: float) -> str:
        best = f"(SELECT place FROM ({self._ranked(a, rows, 1)}) AS best WHERE product >= {least!r})"
        return (
            f"coalesce((SELECT weights FROM {self.table} '{moves}' AND place = {best}), "
            f"{self._value(0, self.width[a])})"
        )

    def _ranked(self, a: str, rows: str, k: int) -> str:
        product = f"inner_product({a}, weights) AS product"
        return f"SELECT place, {product} FROM {self.table} '{rows}' ORDER BY product DESC LIMIT {k}"
