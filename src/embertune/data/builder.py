"""Makes a data set out of rows of texts: merges equal texts, keeps every positive, counts what it left out."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypedDict

from embertune.data.document import Document
from embertune.data.ids import IdBook
from embertune.data.texts import counted, shortened
from embertune.errors import DataError

__all__ = ["PARTS", "DatasetBuilder", "DatasetFields", "as_grade", "as_id", "as_text", "examples", "without_text"]

PARTS = ("train", "dev", "test")


class DatasetFields(TypedDict):
    """The keyword arguments of a Dataset that a builder fills."""

    corpus: dict[str, Document]
    queries: dict[str, str]
    qrels: dict[str, dict[str, float]]
    parts: dict[str, str]
    notes: tuple[str, ...]


class DatasetBuilder:
    """Collects rows of one query and its judged documents.

    Ids are "q1", "q2", … and "d1", "d2", … by first appearance, so the same rows give the same ids; but for texts
    that have ids of their own.

    Args:
        unit: What a place in the source is called in notes: "row", or "line" of a file.
        query_ids: Query -> its own id, of stripped texts.
        document_ids: Document -> its own id, of stripped texts.

    Example:
        >>> builder = DatasetBuilder(unit="row")
        >>> builder.add(1, "why?", [(Document("because"), 1.0)])
        >>> builder.add(2, "why? ", [(Document("because"), 1.0)])
        >>> builder.finish("The pairs")["notes"][1]
        '1 row repeats earlier judgements and was merged (row 2).'
    """

    def __init__(
        self,
        unit: str = "row",
        *,
        query_ids: Mapping[str, str] | None = None,
        document_ids: Mapping[Document, str] | None = None,
    ) -> None:
        self._unit = unit
        self._queries = IdBook("q", query_ids or {})
        self._documents = IdBook("d", document_ids or {})
        self._qrels: dict[str, dict[str, float]] = {}
        self._parts: dict[str, str] = {}
        self._rows = 0
        self._empty: list[str] = []
        self._repeated: list[str] = []
        self._contradicted: list[str] = []
        self._crossed: set[str] = set()

    def add(self, place: int | str, query: str, judged: Sequence[tuple[Document, float]], part: str = "") -> None:
        """Take one row.

        Args:
            place: Row or line number, for the notes.
            query: The text of the query.
            judged: The row's documents and their grades; documents without text are passed over.
            part: "train", "dev", "test", or nothing where the source gives no split.
        """
        self._rows += 1
        query = query.strip()
        cleaned = [(Document(document.text.strip(), document.title.strip()), grade) for document, grade in judged]
        cleaned = [(document, grade) for document, grade in cleaned if document.content]
        if not query or not cleaned:
            self._empty.append(str(place))
            return
        query_id = self._queries.id_of(query)
        grades = self._qrels.setdefault(query_id, {})
        known = len(grades)
        contradicted = False
        for document, grade in cleaned:
            document_id = self._documents.id_of(document)
            contradicted |= grades.get(document_id, grade) != grade
            grades[document_id] = max(grade, grades.get(document_id, grade))
        if contradicted:
            self._contradicted.append(str(place))
        elif len(grades) == known:
            self._repeated.append(str(place))
        if part:
            self._place_in_part(query_id, part)

    def finish(self, source: str) -> DatasetFields:
        """Give the fields of the data set.

        Args:
            source: What the rows came from, as the start of a sentence.

        Raises:
            DataError: No row was usable, or no document is relevant to any query.
        """
        if not self._qrels:
            found = f"{counted(self._rows, self._unit)}, none with both a query and a document"
            raise DataError(f"{source}: found {found}. Expected at least one query with a document that answers it.")
        if not any(grade > 0 for grades in self._qrels.values() for grade in grades.values()):
            raise DataError(
                f"{source}: none of the {sum(map(len, self._qrels.values()))} judgements is above 0, so no document "
                "is relevant to any query. Expected a score above 0 (such as 1) for documents that answer the query."
            )
        return {
            "corpus": {identifier: document for document, identifier in self._documents.ids.items()},
            "queries": {identifier: query for query, identifier in self._queries.ids.items()},
            "qrels": self._qrels,
            "parts": self._parts,
            "notes": tuple(self._notes()),
        }

    def _place_in_part(self, query_id: str, part: str) -> None:
        before = self._parts.get(query_id, part)
        if before != part:
            self._crossed.add(query_id)
        # The later part wins: a query that is judged on must not be trained on.
        self._parts[query_id] = max(before, part, key=PARTS.index)

    def _notes(self) -> Iterable[str]:
        yield (
            f"{counted(self._rows, self._unit)} gave "
            f"{counted(len(self._queries.ids), 'distinct query', 'distinct queries')} and "
            f"{counted(len(self._documents.ids), 'distinct document')} (equal texts are one)."
        )
        if n := len(self._repeated):
            verbs = "repeats earlier judgements and was" if n == 1 else "repeat earlier judgements and were"
            yield f"{counted(n, self._unit)} {verbs} merged ({self._places(self._repeated)})."
        if n := len(self._empty):
            verbs = "has no query or no document and was" if n == 1 else "have no query or no document and were"
            yield f"{counted(n, self._unit)} {verbs} skipped ({self._places(self._empty)})."
        if n := len(self._contradicted):
            yield (
                f"{counted(n, self._unit)} judged a pair twice with different grades; "
                f"the higher was kept ({self._places(self._contradicted)})."
            )
        if n := len(self._crossed):
            one, many = "query occurs in more than one part and was", "queries occur in more than one part and were"
            yield f"{counted(n, one, many)} kept in the last of train, dev, test."

    def _places(self, places: list[str]) -> str:
        return (
            f"{self._unit}{'' if len(places) == 1 else 's'} {', '.join(places[:3])}{', …' if len(places) > 3 else ''}"
        )


def examples(values: Iterable[object], limit: int = 3) -> str:
    """Name the first few of many for an error: ``'a', 'b', 'c', …``.

    Example:
        >>> examples(["a", "b", "c", "d"])
        "'a', 'b', 'c', …"
    """
    listed = list(values)
    return ", ".join(repr(value) for value in listed[:limit]) + (", …" if len(listed) > limit else "")


def without_text(ids: Collection[str], are_queries: bool) -> str:
    """Note which queries or documents were left out because they have no text.

    Example:
        >>> without_text(["q7"], are_queries=True)
        "1 query has no text and was left out (such as 'q7')."
    """
    one, many = ("query", "queries") if are_queries else ("document", "documents")
    found = counted(len(ids), f"{one} has no text and was", f"{many} have no text and were")
    return f"{found} left out (such as {examples(ids)})."


def as_text(value: Any, place: str) -> str:
    """Read a cell as text; nothing (None, NaN, pandas' NA) is the empty text.

    A lone surrogate (half an emoji, left by cutting a text) becomes U+FFFD: no tokenizer and no file takes it.

    Args:
        value: A text or a number.
        place: Where it stands, as the start of the error ("pairs.csv line 3: column 'query'").

    Raises:
        DataError: A mapping, a list or another thing that is no text.

    Example:
        >>> as_text(42, "row 1"), as_text(float("nan"), "row 1")
        ('42', '')
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, Mapping) or hasattr(value, "__len__"):
        raise DataError(f"{place} holds a {type(value).__name__} ({shortened(repr(value), 40)}). Expected a text.")
    return str(value)


def as_id(value: Any, place: str) -> str:
    """Read a cell as an id: a text that any file takes; a whole number that a missing neighbour made a float is one.

    Raises:
        DataError: It is empty, or no text or number.

    Example:
        >>> as_id(7, "row 1"), as_id(7.0, "row 1"), as_id("faq-7", "row 1")
        ('7', '7', 'faq-7')
    """
    identifier = as_text(int(value) if isinstance(value, float) and value.is_integer() else value, place)
    if not identifier:
        raise DataError(f"{place} is empty. Expected a text or a number.")
    return identifier


def as_grade(value: Any, place: str) -> float:
    """Read a cell as a grade.

    Raises:
        DataError: Not a number, or not a finite one.

    Example:
        >>> as_grade("0.5", "row 1"), as_grade(True, "row 1")
        (0.5, 1.0)
    """
    try:
        grade = float(value)
    except (TypeError, ValueError):
        grade = math.nan
    if not math.isfinite(grade):
        raise DataError(
            f"{place} holds {shortened(repr(value), 40)}. Expected a number: above 0 for a relevant document, "
            "0 for one that is not."
        )
    return grade
