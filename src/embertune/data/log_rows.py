"""Search logs as searches: who asked what, what was shown at which rank, and what was clicked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from embertune.core.paths import as_path
from embertune.data.builder import as_id, as_text, examples
from embertune.data.log_columns import LOG, recognise_roles
from embertune.data.tables import SUFFIXES, Table, is_frame, read_table, table_of_frame
from embertune.data.texts import counted, shortened
from embertune.errors import DataError

__all__ = ["Click", "Search", "as_flag", "as_seconds", "listed", "read_searches", "rows_of"]

_TUPLE = ("query", "shown", "clicked", "rank", "time", "session")
_EXPECTED = (
    "Expected a row for each search (query, shown documents, clicked document, rank, time, session), or a row for each "
    "result or click (query, document, rank, clicked)."
)
_YES = frozenset({"1", "1.0", "true", "yes", "y", "t", "up", "thumbs_up", "thumbs up", "positive", "good", "like",
                  "liked", "+1", "👍", "helpful"})  # fmt: skip
_NO = frozenset({"0", "0.0", "false", "no", "n", "f", "down", "thumbs_down", "thumbs down", "negative", "bad",
                 "dislike", "disliked", "-1", "-1.0", "👎",
                 "unhelpful", "not helpful"})  # fmt: skip
# Epoch times above this are in milliseconds: in seconds it is the year 5138.
_MILLISECONDS = 1e11


@dataclass(frozen=True)
class Click:
    """A document that was clicked, and how long it was read, if the log says so."""

    document: str
    dwell: float | None = None


@dataclass(frozen=True)
class Search:
    """One search.

    Attributes:
        place: Row or line where it begins, for notes.
        query: As it was typed.
        shown: Document -> its rank, from 1.
        clicks: In the order of the log.
        time: Seconds since 1970; None where the log has no time.
        session: Of the session or, without one, of the user; "" where the log names neither.
        is_user: Whether `session` is a user, whose searches of many days are not one session.
    """

    place: int | str
    query: str
    shown: Mapping[str, int]
    clicks: tuple[Click, ...]
    time: float | None = None
    session: str = ""
    is_user: bool = False


def read_searches(source: Any, columns: Mapping[str, str] | None = None) -> tuple[list[Search], list[str]]:
    """Read a search log.

    Args:
        source: A CSV, TSV, JSONL or Parquet file, a DataFrame, dictionaries, or tuples (query, shown documents, clicked
            document, rank, time, session) of which all after the third may be left out.
        columns: Role -> column where a name is not recognised; the roles are those of `LOG`.

    Returns:
        The searches, and sentences on what was recognised.

    Raises:
        DataError: The log cannot be read as one.

    Example:
        >>> searches, _ = read_searches([("red shoes", ["d1", "d2"], "d2")])
        >>> searches[0].shown, searches[0].clicks
        ({'d1': 1, 'd2': 2}, (Click(document='d2', dwell=None),))
    """
    table = rows_of(source, _TUPLE, 3, _EXPECTED)
    roles = recognise_roles(table.columns, columns, LOG, required=["query"], source=table.source)
    if "shown" in roles:
        # "document" beside a list of what was shown is the clicked one.
        if "clicked" not in roles and "document" in roles:
            roles["clicked"] = roles.pop("document")
        if "clicked" not in roles and "rank" not in roles:
            raise DataError(f"{table.source}: no column says what was clicked. {_EXPECTED} {_say('clicked')}")
        found = [_whole(row, roles, number, table) for number, row in table.rows]
    elif "document" in roles or "clicked" in roles:
        found = list(_gathered(table, roles))
    else:
        raise DataError(f"{table.source}: found the columns {examples(table.columns, 12)}. {_EXPECTED} {_say('shown')}")
    unused = [name for name in table.columns if name not in roles.values()]
    used = ", ".join(f"{role} = {column!r}" for role, column in roles.items())
    return found, [f"Columns: {used}" + (f"; not used: {examples(unused, 8)}." if unused else ".")]


def rows_of(source: Any, names: Sequence[str], least: int, expected: str) -> Table:
    """Read rows from a file, a DataFrame, dictionaries or tuples.

    Args:
        source: Where they are.
        names: What the values of a tuple are called.
        least: How many of them a tuple must have.
        expected: For errors: what the rows should hold.

    Raises:
        DataError: It is none of these, or a row has too few or too many values.

    Example:
        >>> rows_of([("a", 1)], ["query", "n"], 1, "").rows
        [(1, {'query': 'a', 'n': 1})]
    """
    if isinstance(source, str | os.PathLike):
        path = as_path(source)
        if path.suffix.lower() not in SUFFIXES:
            raise DataError(f"{path}: expected a file that ends in {', '.join(SUFFIXES)}. {expected}")
        return read_table(path)
    if is_frame(source):
        return table_of_frame(source)
    if not isinstance(source, Iterable) or isinstance(source, Mapping | bytes):
        raise DataError(f"Found a {type(source).__name__}. {expected}")
    rows = []
    for number, row in enumerate(source, start=1):
        if isinstance(row, Mapping):
            rows.append((number, dict(row)))
        elif isinstance(row, Sequence) and not isinstance(row, str | bytes) and least <= len(row) <= len(names):
            rows.append((number, dict(zip(names, row, strict=False))))
        else:
            raise DataError(f"Row {number} is {shortened(repr(row))}. {expected}")
    if not rows:
        raise DataError(f"Found no rows. {expected}")
    return Table("The rows", "row", list(dict.fromkeys(key for _, row in rows for key in row)), rows)


def listed(cell: Any, place: str, *, is_one: bool = False) -> list[str]:
    """Read a cell that holds one id or text, or several: a list, JSON, or texts with ``|`` between them.

    Args:
        cell: The value.
        place: Where it stands, for the error.
        is_one: A text is one document as a whole, whatever is in it.

    Raises:
        DataError: It holds something else than texts and numbers.

    Example:
        >>> listed("d1|d2", "row 1"), listed('["d1", "d2"]', "row 1"), listed(None, "row 1"), listed(7, "row 1")
        (['d1', 'd2'], ['d1', 'd2'], [], ['7'])
    """
    if hasattr(cell, "tolist"):
        cell = cell.tolist()
    if isinstance(cell, str) and not is_one:
        try:
            cell = json.loads(cell) if cell.lstrip().startswith("[") else cell.split("|")
        except json.JSONDecodeError:
            cell = [cell]
    values = cell if isinstance(cell, list | tuple) else [cell]
    found = [as_id(value, place).strip() if as_text(value, place).strip() else "" for value in values]
    return [value for value in found if value]


def as_flag(value: Any, place: str) -> bool | None:
    """Read yes or no, in the words of such exports; nothing is None.

    Raises:
        DataError: It is neither.

    Example:
        >>> as_flag("👍", "row 1"), as_flag(-1, "row 1"), as_flag("", "row 1")
        (True, False, None)
    """
    text = as_text(value, place).strip().casefold()
    if not text:
        return None
    if text in _YES or text in _NO:
        return text in _YES
    raise DataError(f"{place} holds {shortened(repr(value), 40)}. Expected 1 or 0, up or down, 👍 or 👎.")


def as_seconds(value: Any, place: str) -> float | None:
    """Read a time: seconds or milliseconds since 1970, ISO 8601, or a datetime; nothing is None.

    Raises:
        DataError: It is none of these.

    Example:
        >>> as_seconds("2026-01-02T03:04:05", "row 1"), as_seconds(1767323045000, "row 1"), as_seconds("", "row 1")
        (1767323045.0, 1767323045.0, None)
    """
    if not isinstance(value, datetime):
        text = as_text(value, place).strip()
        if not text:
            return None
        with suppress(ValueError):
            number = float(text)
            return number / 1000 if abs(number) > _MILLISECONDS else number
        try:
            value = datetime.fromisoformat(text)
        except ValueError:
            raise DataError(
                f"{place} holds {shortened(repr(value), 40)}. Expected seconds since 1970, or 2026-01-31T12:00:00."
            ) from None
    zoned: datetime = value if value.tzinfo else value.replace(tzinfo=UTC)
    return zoned.timestamp()


def _whole(row: Mapping[str, Any], roles: Mapping[str, str], number: int, table: Table) -> Search:
    """A row that holds a whole search."""
    at = f"{table.source} {table.unit} {number}"
    ranked = listed(row.get(roles["shown"]), f"{at}: the shown documents")
    shown: dict[str, int] = {}
    for at_rank, document in enumerate(ranked, start=1):
        shown.setdefault(document, at_rank)
    cell = row.get(roles.get("clicked", ""))
    clicked = listed(cell, f"{at}: the clicked document", is_one=isinstance(cell, str) and cell.strip() in shown)
    rank = _rank(row.get(roles.get("rank", "")), at)
    if not clicked and rank is not None:
        if rank > len(ranked):
            raise DataError(
                f"{at}: rank {rank} was clicked, and {counted(len(ranked), 'document was', 'documents were')} shown."
            )
        clicked = [ranked[rank - 1]]
    for document in clicked:
        # Exports cut the list of what was shown; what was clicked stood at the rank that is told, or after the last.
        shown.setdefault(document, rank or len(ranked) + 1)
    dwell = _dwell(row, roles, at)
    return _search(row, roles, number, at, shown, tuple(Click(document, dwell) for document in clicked))


def _gathered(table: Table, roles: Mapping[str, str]) -> Iterator[Search]:
    """Rows that hold one result or one click each: those of one search are brought together."""
    document_role = "document" if "document" in roles else "clicked"
    has_flag = document_role == "document" and "clicked" in roles
    found: dict[tuple[Any, ...], tuple[Search, dict[str, int], list[Click]]] = {}
    for number, row in table.rows:
        at = f"{table.source} {table.unit} {number}"
        documents = listed(row.get(roles[document_role]), f"{at}: the document", is_one=True)
        one = _search(row, roles, number, at, {}, ())
        named = as_text(row.get(roles.get("search", "")), at)
        # Without a name or a time nothing tells two searches for the same words apart, so each row is one.
        key = (one.session, named, one.query, one.time) if named or one.time is not None else (number,)
        _, shown, clicks = found.setdefault(key, (one, {}, []))
        rank = _rank(row.get(roles.get("rank", "")), at)
        for document in documents:
            shown.setdefault(document, rank or len(shown) + 1)
            if not has_flag or as_flag(row.get(roles["clicked"]), f"{at}: the column {roles['clicked']!r}"):
                clicks.append(Click(document, _dwell(row, roles, at)))
    for first, shown, clicks in found.values():
        yield Search(first.place, first.query, shown, tuple(clicks), first.time, first.session, first.is_user)


def _search(
    row: Mapping[str, Any], roles: Mapping[str, str], number: int, at: str, shown: dict[str, int], clicks: Any
) -> Search:
    query = as_text(row.get(roles["query"]), f"{at}: the query").strip()
    session, user = (as_text(row.get(roles.get(role, "")), f"{at}: the {role}").strip() for role in ("session", "user"))
    time = as_seconds(row.get(roles.get("time", "")), f"{at}: the time")
    return Search(number, query, shown, clicks, time, session or user, not session and bool(user))


def _rank(value: Any, at: str) -> int | None:
    text = as_text(value, f"{at}: the rank").strip()
    if not text:
        return None
    try:
        rank = float(text)
    except ValueError:
        rank = 0.0
    if rank < 1 or not rank.is_integer():
        raise DataError(
            f"{at}: the rank is {shortened(text, 40)}. Expected 1 for the first result, 2 for the second, …"
        )
    return int(rank)


def _dwell(row: Mapping[str, Any], roles: Mapping[str, str], at: str) -> float | None:
    text = as_text(row.get(roles.get("dwell", "")), f"{at}: the dwell time").strip()
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{at}: the dwell time is {shortened(text, 40)}. Expected seconds.") from None


def _say(role: str) -> str:
    return f'Say which column it is: --columns "{role}=<your column>"'
