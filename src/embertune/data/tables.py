"""Tables of rows (JSONL, CSV, TSV, Parquet, DataFrames) and the data set that they make."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from embertune._optional import require
from embertune.data.builder import DatasetBuilder, as_grade, as_id, as_text, examples
from embertune.data.columns import Columns, recognise_columns
from embertune.data.document import Document
from embertune.data.ids import settle_ids, unnamed
from embertune.data.lines import read_json, read_json_lines, read_lines
from embertune.errors import DataError

if TYPE_CHECKING:
    from embertune.data.dataset import Dataset

__all__ = ["SUFFIXES", "Table", "build", "is_frame", "read_table", "table_of_frame"]

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")

_QUERIES, _DOCUMENTS = ("query", "queries"), ("document", "documents")
_LONGEST_FIELD = 2**31 - 1  # csv refuses fields above 128 KiB unless told; contracts and books are longer


@dataclass(frozen=True)
class Table:
    """Rows with numbers, and where they come from.

    Example:
        >>> Table("a.csv", "line", ["query"], [(2, {"query": "why?"})]).columns
        ['query']
    """

    source: str
    unit: str
    columns: Sequence[str]
    rows: Iterable[tuple[int, Mapping[str, Any]]]


def build(tables: Sequence[tuple[str, Table]], columns: Mapping[str, str | Sequence[str]] | None, name: str) -> Dataset:
    """Make one data set of one or several tables.

    A cell of documents may hold a list of them (FlagEmbedding's ``pos`` and ``neg``). A score column gives the
    grade of the document, or a list with one for each; without one it is 1. Negatives have grade 0. Columns of ids
    give the ids, where each names one text only; a text without one gets an id that no other has.

    Args:
        tables: The part ("train", "dev", "test" or nothing) and the table.
        columns: As in `recognise_columns`.
        name: What reports call the data set.

    Raises:
        DataError: Columns are not recognised, a cell holds something else than a text, or no row is usable.

    Example:
        >>> table = Table("a.csv", "line", ["query", "pos"], [(2, {"query": "why?", "pos": ["so", "because"]})])
        >>> build([("", table)], None, "toy").qrels
        {'q1': {'d1': 1.0, 'd2': 1.0}}
    """
    from embertune.data.dataset import Dataset

    notes: dict[str, None] = {}
    rows: list[_Row] = []
    for part, table in tables:
        found = recognise_columns(table.columns, columns, table.source)
        notes[_columns_note(found, table.columns)] = None
        for number, row in table.rows:
            at = number if len(tables) == 1 else f"{number} of {part}"
            rows.append(_read_row(row, found, f"{table.source} {table.unit} {number}", at, part))
    source = tables[0][1].source if len(tables) == 1 else f"{len(tables)} files"
    settled = _settle(rows, columns or {}, source)
    builder = DatasetBuilder(tables[0][1].unit, query_ids=settled.queries, document_ids=settled.documents)
    for one in rows:
        builder.add(one.place, one.query, [(judged.document, judged.grade) for judged in one.judged], one.part)
    fields = builder.finish(source)
    unnamed_notes = (
        *unnamed(fields["queries"], settled.queries, _QUERIES),
        *unnamed(fields["corpus"], settled.documents, _DOCUMENTS),
    )
    fields["notes"] = (*notes, *fields["notes"], *settled.notes, *unnamed_notes)
    return Dataset(name=name, **fields)


class _Judged(NamedTuple):
    document: Document
    grade: float
    document_id: str


class _Row(NamedTuple):
    place: int | str
    part: str
    query: str
    query_id: str
    judged: list[_Judged]


class _Settled(NamedTuple):
    queries: dict[str, str]
    documents: dict[Document, str]
    notes: list[str]


def _settle(rows: Sequence[_Row], told: Mapping[str, Any], source: str) -> _Settled:
    named = ((row.query, row.query_id) for row in rows)
    queries, notes = settle_ids(named, kind=_QUERIES, is_told="query_id" in told, source=source)
    judged = ((one.document, one.document_id) for row in rows for one in row.judged if one.document.content)
    documents, more = settle_ids(judged, kind=_DOCUMENTS, is_told="document_id" in told, source=source)
    return _Settled(queries, documents, notes + more)


def _read_row(row: Mapping[str, Any], columns: Columns, source: str, place: int | str, part: str) -> _Row:
    query = as_text(row.get(columns.query), f"{source}: column {columns.query!r}").strip()
    query_id = _id_of(row.get(columns.query_id), f"{source}: column {columns.query_id!r}") if columns.query_id else ""
    return _Row(place, part, query, query_id, _judged(row, columns, source))


def _judged(row: Mapping[str, Any], columns: Columns, place: str) -> list[_Judged]:
    title = as_text(row.get(columns.title), f"{place}: column {columns.title!r}").strip() if columns.title else ""
    positives = _texts(row.get(columns.document), f"{place}: column {columns.document!r}")
    # Negatives alone teach nothing, so a row without its document is an empty row; a title alone is no document.
    if not any(text for text, _ in positives):
        return []
    if columns.document_id:
        ids = _ids_of(row.get(columns.document_id), len(positives), f"{place}: column {columns.document_id!r}")
        positives = [(text, identifier) for (text, _), identifier in zip(positives, ids, strict=True)]
    grades = (
        _grades(row.get(columns.score), len(positives), f"{place}: column {columns.score!r}") if columns.score else []
    )
    negatives = [
        _Judged(Document(text), 0.0, identifier)
        for column in columns.negatives
        for text, identifier in _texts(row.get(column), f"{place}: column {column!r}")
    ]
    graded = zip(positives, grades or [1.0] * len(positives), strict=True)
    return [*(_Judged(Document(text, title), grade, identifier) for (text, identifier), grade in graded), *negatives]


def _grades(cell: Any, documents: int, place: str) -> list[float]:
    """One grade for all documents of a row, or a list with one for each (sentence-transformers' labeled lists)."""
    grades = [as_grade(value, place) for value in _listed(cell)]
    if len(grades) == 1:
        return grades * documents
    if len(grades) != documents:
        raise DataError(f"{place} holds {len(grades)} grades for {documents} documents. Expected one for each.")
    return grades


def _texts(cell: Any, place: str) -> list[tuple[str, str]]:
    """The texts of a cell, each with its id or none: one, or a list of them (numpy arrays come out of Parquet)."""
    return [_text_of(item, place) for item in _listed(cell)]


def _listed(cell: Any) -> Sequence[Any]:
    if hasattr(cell, "tolist"):
        cell = cell.tolist()
    return cell if isinstance(cell, (list, tuple)) else [cell]


def _text_of(item: Any, place: str) -> tuple[str, str]:
    # Tevatron's lists hold {"docid", "title", "text"}.
    if isinstance(item, Mapping) and "text" in item:
        return as_text(item["text"], place).strip(), _id_of(item.get("docid"), f"{place}: 'docid'")
    return as_text(item, place).strip(), ""


def _ids_of(cell: Any, expected: int, place: str) -> list[str]:
    ids = [_id_of(item, place) for item in _listed(cell)]
    # One id beside a list of documents names none of them.
    return ids if len(ids) == expected else [""] * expected


def _id_of(cell: Any, place: str) -> str:
    return as_id(cell, place).strip() if as_text(cell, place) else ""


def _columns_note(columns: Columns, present: Sequence[str]) -> str:
    roles = [f"query = {columns.query!r}", f"document = {columns.document!r}"]
    if columns.negatives:
        roles.append(f"negatives = {examples(columns.negatives)}")
    if columns.score:
        roles.append(f"grade = {columns.score!r}")
    others = (("title", columns.title), ("query id", columns.query_id), ("document id", columns.document_id))
    roles += [f"{role} = {column!r}" for role, column in others if column]
    unused = [name for name in present if name not in columns.used]
    return f"Columns: {', '.join(roles)}" + (f"; not used: {examples(unused, 8)}." if unused else ".")


def read_table(path: Path) -> Table:
    r"""Read a table by the ending of its file.

    Raises:
        DataError: Missing, empty, broken, not UTF-8, or of an unknown kind.
        MissingExtraError: Parquet without pyarrow.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.csv")
        ...     _ = path.write_text("query,document\nwhy?,because\n")
        ...     read_table(path).rows
        [(2, {'query': 'why?', 'document': 'because'})]
    """
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return _table_of_objects(path, "line", list(read_json_lines(path)))
    if suffix == ".json":
        return _read_json_list(path)
    if suffix == ".parquet":
        return _read_parquet(path)
    return _read_delimited(path)


def is_frame(value: Any) -> bool:
    """Tell whether something is a DataFrame (pandas, polars), a Hugging Face data set or an Arrow table.

    Example:
        >>> is_frame("pairs.csv")
        False
    """
    return hasattr(value, "columns") or hasattr(value, "column_names")


def table_of_frame(frame: Any) -> Table:
    """Read a DataFrame (pandas, polars), a Hugging Face data set or an Arrow table, by duck typing.

    Raises:
        DataError: It is none of these.

    Example:
        >>> import polars
        >>> table_of_frame(polars.DataFrame({"query": ["why?"]})).columns
        ['query']
    """
    if not is_frame(frame):
        raise DataError(
            f"Found a {type(frame).__name__}. Expected a DataFrame (pandas or polars) or a Hugging Face data set."
        )
    keys = list(frame.column_names if hasattr(frame, "column_names") else frame.columns)
    if doubled := sorted({str(key) for key in keys if keys.count(key) > 1}):
        raise DataError(f"The DataFrame has the column {doubled[0]!r} more than once. Expected each once: rename one.")
    values = {str(key): _column_values(frame[key]) for key in keys}
    rows = [
        (number, dict(zip(values, cells, strict=True)))
        for number, cells in enumerate(zip(*values.values(), strict=True), 1)
    ]
    return Table("The DataFrame", "row", list(values), rows)


def _column_values(column: Any) -> list[Any]:
    for method in ("to_list", "to_pylist"):
        if hasattr(column, method):
            return list(getattr(column, method)())
    return list(column)


def _table_of_objects(path: Path, unit: str, rows: list[tuple[int, dict[str, Any]]]) -> Table:
    if not rows:
        raise DataError(f'{path} is empty. Expected rows such as {{"query": "…", "document": "…"}}.')
    columns = dict.fromkeys(key for _, row in rows for key in row)
    return Table(str(path), unit, list(columns), rows)


def _read_json_list(path: Path) -> Table:
    value = read_json(path)
    if not isinstance(value, list):
        found = f"an object with the keys {examples(value, 8)}" if isinstance(value, dict) else type(value).__name__
        raise DataError(
            f"{path}: found {found}. Expected a list of objects with a query and a document each, or LlamaIndex's "
            "object with queries, corpus and relevant_docs."
        )
    for number, row in enumerate(value, start=1):
        if not isinstance(row, dict):
            raise DataError(
                f"{path}: item {number} is a {type(row).__name__}. Expected an object with a query and a document."
            )
    return _table_of_objects(path, "item", list(enumerate(value, start=1)))


def _read_parquet(path: Path) -> Table:
    parquet = require("pyarrow.parquet", extra="parquet", purpose="Reading Parquet files")
    try:
        table = table_of_frame(parquet.read_table(path))
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.") from None
    except (OSError, ValueError) as error:  # pyarrow.ArrowInvalid is a ValueError
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path} cannot be read as Parquet ({reason}). Write it again: frame.to_parquet(...)") from None
    return Table(str(path), "row", table.columns, table.rows)


def _read_delimited(path: Path) -> Table:
    lines = list(read_lines(path))
    header = next((line for line in lines if line.strip()), "")
    if not header:
        raise DataError(f"{path} is empty. Expected a header line such as query,document and one line for each pair.")
    # Excel writes ";" where the comma is the decimal sign; the header has no text in which either could stand.
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=header.count)
    rows = _parse(path, lines, delimiter)
    if len(rows) < 2:
        raise DataError(f"{path} has a header ({header.strip()}) and no rows. Expected one line for each pair.")
    columns = [name.strip() for name in rows[0][1]]
    if doubled := sorted({name for name in columns if columns.count(name) > 1}):
        raise DataError(f"{path}: the column {doubled[0]!r} stands more than once in the header. Expected each once.")
    return Table(str(path), "line", columns, list(_named(path, columns, rows[1:])))


def _parse(path: Path, lines: list[str], delimiter: str) -> list[tuple[int, list[str]]]:
    # Some programs quote in TSV and some write bare quotes; what cannot be read as quoted is read as bare.
    ways: tuple[Literal[0, 3], ...] = (csv.QUOTE_MINIMAL, csv.QUOTE_NONE)
    limit = csv.field_size_limit(_LONGEST_FIELD)
    try:
        for quoting in ways if delimiter == "\t" else ways[:1]:
            reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
            try:
                return _numbered(reader)
            except csv.Error as error:
                problem = (
                    f'{path}:{reader.line_num}: {error}. Is a quote opened and not closed? Inside quotes, write "".'
                )
        raise DataError(problem)
    finally:
        csv.field_size_limit(limit)


def _numbered(reader: Any) -> list[tuple[int, list[str]]]:
    rows, start = [], 1
    for row in reader:
        if row:
            rows.append((start, row))
        start = reader.line_num + 1
    return rows


def _named(path: Path, columns: list[str], rows: list[tuple[int, list[str]]]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, row in rows:
        if len(row) > len(columns):
            raise DataError(
                f"{path}:{number}: found {len(row)} values for {len(columns)} columns ({examples(columns)}). "
                "Put a text that holds the separator in double quotes."
            )
        yield number, dict(zip(columns, row, strict=False))
