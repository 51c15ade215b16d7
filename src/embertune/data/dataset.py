"""The data set: a corpus, queries, and which documents answer which query."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from embertune.core.hashing import fingerprint_texts
from embertune.data.builder import PARTS, DatasetBuilder, as_grade, as_text, examples
from embertune.data.document import Document
from embertune.data.from_chunks import FromChunks
from embertune.data.from_prompt import FromPrompt
from embertune.data.from_use import FromUse
from embertune.data.origin import Origin, count_generators
from embertune.data.qrels import judged_queries
from embertune.data.readonly import ReadOnlyDict
from embertune.data.texts import counted, is_broken, shortened
from embertune.errors import DataError

__all__ = ["Dataset", "Document"]


@dataclass(frozen=True)
class Dataset(FromChunks, FromPrompt, FromUse):
    """A retrieval data set in BEIR's terms; nothing in it can be changed after it is made, which raises a TypeError.

    The mappings are copied and locked (also those inside `qrels`), so the data set stays as it is whatever becomes of
    what it was made from. Two data sets are equal when corpus, queries, judgements, parts and synthetic queries are;
    name and notes tell where they came from and do not count.

    Raises:
        DataError: Judgements or parts name ids that are not there, or a grade is not a finite number.

    Example:
        >>> data = Dataset.from_pairs([("how old is it?", "It was built in 1900."), ("who built it?", "Anna did.")])
        >>> data.queries, data.qrels["q1"]
        ({'q1': 'how old is it?', 'q2': 'who built it?'}, {'d1': 1.0})
    """

    corpus: Mapping[str, Document]
    """Document id -> Document, in the order of the source."""
    queries: Mapping[str, str]
    """Query id -> text, in the order of the source."""
    qrels: Mapping[str, Mapping[str, float]]
    """Query id -> document id -> grade: above 0 relevant, 0 or below judged not relevant (explicit negatives are 0)."""
    name: str = field(default="dataset", compare=False)
    """What reports call it."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """Query id -> "train", "dev" or "test" where the source gave a split; else empty."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """Sentences: what loading merged, dropped and skipped, with counts."""
    synthetic: Mapping[str, Origin] = field(default_factory=dict)
    """Query id -> who wrote it, of the queries that nobody asked. They are never in test where others are."""

    def __post_init__(self) -> None:
        """Refuse ids that match nothing and grades that are no numbers, and lock what is inside."""
        problems = [*_type_problems(self), *_id_problems(self)]
        if problems:
            raise DataError(
                f"The data set {self.name!r} does not fit together:\n" + "\n".join(f"- {p}" for p in problems)
            )
        # "frozen" keeps the fields; that nothing changes inside them either is what the fingerprint rests on.
        for name in ("corpus", "queries", "parts", "synthetic"):
            object.__setattr__(self, name, ReadOnlyDict.of(getattr(self, name)))
        qrels = {query_id: ReadOnlyDict.of(grades) for query_id, grades in self.qrels.items()}
        object.__setattr__(self, "qrels", ReadOnlyDict(qrels))

    def __hash__(self) -> int:
        """Hash the content, so that equal data sets have equal hashes."""
        return hash(self.fingerprint)

    def __str__(self) -> str:
        """Show the counts and the notes."""
        positives = sum(len(self.positives(query_id)) for query_id in self.qrels)
        judged = sum(map(len, self.qrels.values()))
        lines = [
            self.name,
            f"  documents   {len(self.corpus)}",
            f"  queries     {len(self.queries)}",
            f"  judgements  {judged} ({positives} relevant)",
        ]
        if self.parts:
            counts = Counter(self.parts.values())
            lines.append("  parts       " + ", ".join(f"{part} {counts[part]}" for part in PARTS if counts[part]))
        if self.synthetic:
            made = count_generators(self.synthetic, self.queries)
            lines.append("  synthetic   " + ", ".join(f"{count} by {name}" for name, count in made.items()))
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    @cached_property
    def fingerprint(self) -> str:
        """Hash of texts, ids, grades, parts and origins ("sha256:…"); the order of files and rows does not matter."""
        return fingerprint_texts(_content(self))

    @cached_property
    def judged(self) -> tuple[str, ...]:
        """The queries that have a relevant document, in the order of `queries`: what can be learned from and judged on.

        Example:
            >>> Dataset.from_scored_pairs([("a", "x", 1), ("b", "x", 0)]).judged
            ('q1',)
        """
        relevant = set(judged_queries(self.qrels))
        return tuple(query_id for query_id in self.queries if query_id in relevant)

    def positives(self, query_id: str) -> list[str]:
        """List the documents relevant to a query (grade above 0).

        Raises:
            DataError: There is no such query.

        Example:
            >>> Dataset.from_triplets([("q", "answer", "no answer")]).positives("q1")
            ['d1']
        """
        if query_id not in self.queries:
            near = get_close_matches(query_id, self.queries, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise DataError(f"{self.name} has no query {query_id!r} among its {len(self.queries)}.{hint}")
        return [document_id for document_id, grade in self.qrels.get(query_id, {}).items() if grade > 0]

    def select(self, query_ids: Iterable[str]) -> Dataset:
        """Keep some queries and their judgements; the corpus stays whole.

        Args:
            query_ids: Which to keep; they stay in the order of this data set.

        Raises:
            DataError: Some ids are not queries of this data set.

        Example:
            >>> data = Dataset.from_pairs([("a", "x"), ("b", "y")])
            >>> part = data.select(["q2"])
            >>> list(part.queries), len(part.corpus)
            (['q2'], 2)
        """
        wanted = set(query_ids)
        if unknown := sorted(wanted - self.queries.keys()):
            raise DataError(
                f"{len(unknown)} of {len(wanted)} ids are not queries of {self.name} (such as {examples(unknown)}). "
                "Expected keys of dataset.queries."
            )
        # What was checked as a whole need not be checked in part: with ten folds of 5000 documents that took .4 s.
        part = object.__new__(Dataset)
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name in ("queries", "qrels", "parts", "synthetic"):
                value = ReadOnlyDict({query_id: kept for query_id, kept in value.items() if query_id in wanted})
            object.__setattr__(part, each.name, value)
        return part

    def save(self, folder: str | Path) -> None:
        """Write a BEIR folder; see `embertune.data.beir.write_beir` for the files and what happens on a full disk.

        Raises:
            StorageError: The disk or the folder refused; what was there before is unharmed.

        Example:
            >>> from tempfile import TemporaryDirectory
            >>> from embertune.data.io import load_dataset
            >>> data = Dataset.from_pairs([("a", "x"), ("b", "y")])
            >>> with TemporaryDirectory() as folder:
            ...     data.save(folder)
            ...     load_dataset(folder) == data
            True
        """
        from embertune.data.beir import write_beir

        write_beir(self, Path(folder))

    @classmethod
    def from_pairs(cls, pairs: Iterable[Sequence[str | Document]], *, name: str = "dataset") -> Dataset:
        """Make a data set of queries and the documents that answer them.

        Equal documents are merged; a query that occurs several times keeps all its documents. Rows without text
        and repeated rows are counted in `notes`.

        Args:
            pairs: (query, document) each.
            name: What reports call it.

        Raises:
            DataError: A row is not a pair of texts, or there is no usable row.

        Example:
            >>> data = Dataset.from_pairs([("a", "x"), ("a", "y"), ("b", "x"), ("", "z")])
            >>> data.positives("q1"), data.notes[1]
            (['d1', 'd2'], '1 row has no query or no document and was skipped (row 4).')
        """
        builder = DatasetBuilder()
        for number, row in _rows_of(pairs, 2, "(query, document)"):
            builder.add(number, as_text(row[0], f"Row {number}: the query"), [(_document(row[1], number), 1.0)])
        return cls(name=name, **builder.finish("The pairs"))

    @classmethod
    def from_triplets(cls, triplets: Iterable[Sequence[Any]], *, name: str = "dataset") -> Dataset:
        """Make a data set of queries, documents that answer them, and documents that do not.

        A document that is positive in one row and negative in another for the same query stays positive.

        Args:
            triplets: (query, positive, negative) each; the negative may be a list of them.
            name: What reports call it.

        Raises:
            DataError: A row is not such a triplet, or there is no usable row.

        Example:
            >>> Dataset.from_triplets([("a", "x", ["y", "z"])]).qrels
            {'q1': {'d1': 1.0, 'd2': 0.0, 'd3': 0.0}}
        """
        builder = DatasetBuilder()
        for number, row in _rows_of(triplets, 3, "(query, positive, negative)"):
            query, positive, negatives = row
            # None and NaN are a cell without a negative; they become the empty text, which the builder passes over.
            if isinstance(negatives, (str, Document)) or not hasattr(negatives, "__iter__"):
                negatives = [negatives]
            positive = _document(positive, number)
            judged = [(positive, 1.0), *((_document(negative, number), 0.0) for negative in negatives)]
            # Negatives alone teach nothing, so a row without its positive is an empty row.
            builder.add(number, as_text(query, f"Row {number}: the query"), judged if positive.content.strip() else [])
        return cls(name=name, **builder.finish("The triplets"))

    @classmethod
    def from_scored_pairs(cls, pairs: Iterable[Sequence[Any]], *, name: str = "dataset") -> Dataset:
        """Make a data set of pairs of texts and how alike they are; the score becomes the grade.

        The first text is the query, the second the document. A score above 0 makes it relevant, with that weight
        in graded metrics; 0 and below make it judged not relevant.

        Args:
            pairs: (text, text, similarity) each.
            name: What reports call it.

        Raises:
            DataError: A row is not such a triple, a score is not a finite number, or there is no usable row.

        Example:
            >>> Dataset.from_scored_pairs([("a", "x", 0.9), ("a", "y", 0)]).qrels
            {'q1': {'d1': 0.9, 'd2': 0.0}}
        """
        builder = DatasetBuilder()
        for number, row in _rows_of(pairs, 3, "(text, text, similarity)"):
            grade = as_grade(row[2], f"Row {number}: the similarity")
            builder.add(number, as_text(row[0], f"Row {number}: the first text"), [(_document(row[1], number), grade)])
        return cls(name=name, **builder.finish("The scored pairs"))

    @classmethod
    def from_frame(
        cls, frame: Any, columns: Mapping[str, str | Sequence[str]] | None = None, *, name: str = "dataset"
    ) -> Dataset:
        """Make a data set of a pandas or polars DataFrame, or of a Hugging Face data set.

        Args:
            frame: Columns as in `embertune.data.columns`: query and document, with negatives or a score if it has them.
            columns: Role -> column where the names are not recognised: ``{"query": "my question"}``.
            name: What reports call it.

        Raises:
            DataError: The columns are not recognised, or there is no usable row.

        Example:
            >>> import pandas
            >>> Dataset.from_frame(pandas.DataFrame({"Question": ["a"], "chunk": ["x"]})).corpus
            {'d1': Document(text='x', title='')}
        """
        from embertune.data.tables import build, table_of_frame

        return build([("", table_of_frame(frame))], columns, name)


def _rows_of(rows: Iterable[Sequence[Any]], width: int, expected: str) -> Iterable[tuple[int, Sequence[Any]]]:
    if hasattr(rows, "columns") or hasattr(rows, "column_names"):
        raise DataError(f"Found a {type(rows).__name__}, a table. Type: Dataset.from_frame(table)")
    if isinstance(rows, Mapping):
        raise DataError(f"Found a {type(rows).__name__}. Expected {width} values in each row: {expected}.")
    for number, row in enumerate(rows, start=1):
        if isinstance(row, (str, bytes, Mapping)) or not hasattr(row, "__len__") or len(row) != width:
            raise DataError(f"Row {number} is {shortened(repr(row))}. Expected {width} values: {expected}.")
        yield number, row


def _document(value: Any, number: int) -> Document:
    if isinstance(value, Document):
        return value
    return Document(as_text(value, f"Row {number}: the document"))


def _type_problems(dataset: Dataset) -> Iterable[str]:
    for what, ids in (("document", dataset.corpus), ("query", dataset.queries)):
        if wrong := [key for key in ids if not isinstance(key, str)]:
            found = f"{len(wrong)} of {len(ids)} {what} ids"
            yield f"{found} are no text (such as {examples(wrong)}); expected str(id), also in the qrels"
        if wrong := [key for key in ids if isinstance(key, str) and (not key or is_broken(key))]:
            found = f"{len(wrong)} of {len(ids)} {what} ids"
            yield f"{found} are empty or hold half an emoji, which no file takes (such as {examples(wrong)})"
    if wrong := [key for key, document in dataset.corpus.items() if not isinstance(document, Document)]:
        yield (
            f"{len(wrong)} of {len(dataset.corpus)} documents are no Document (such as {examples(wrong)}); "
            "expected corpus={id: Document(text)}"
        )
    if wrong := [key for key, text in dataset.queries.items() if not isinstance(text, str)]:
        found = f"{len(wrong)} of {len(dataset.queries)} queries"
        yield f"{found} are no text (such as {examples(wrong)}); expected queries={{id: text}}"


def _id_problems(dataset: Dataset) -> Iterable[str]:
    if unknown := [query_id for query_id in dataset.qrels if query_id not in dataset.queries]:
        found = f"{len(unknown)} of {len(dataset.qrels)} query ids"
        yield f"{found} in the qrels are not among the queries (such as {examples(unknown)})"
    corpus = dataset.corpus
    named = {document_id: None for grades in dataset.qrels.values() for document_id in grades}
    if unknown := [document_id for document_id in named if document_id not in corpus]:
        found = f"{len(unknown)} of {len(named)} document ids"
        yield f"{found} in the qrels are not in the corpus (such as {examples(unknown)})"
    infinite = [key for key, grades in dataset.qrels.items() if not all(map(math.isfinite, grades.values()))]
    if infinite:
        found = counted(len(infinite), "query has", "queries have")
        yield f"{found} a grade that is not a finite number (such as {examples(infinite)})"
    if unknown := [query_id for query_id in dataset.parts if query_id not in dataset.qrels]:
        found = counted(len(unknown), "query id in the parts has", "query ids in the parts have")
        yield f"{found} no judgement in the qrels (such as {examples(unknown)})"
    if unknown := [query_id for query_id in dataset.synthetic if query_id not in dataset.queries]:
        found = counted(len(unknown), "query id in synthetic is", "query ids in synthetic are")
        yield f"{found} not among the queries (such as {examples(unknown)})"
    if wrong := sorted(set(dataset.parts.values()) - set(PARTS)):
        yield f"the parts are called {examples(wrong)}; expected 'train', 'dev' or 'test'"


def _content(dataset: Dataset) -> Iterable[str]:
    """Every text of a data set, with a heading before each field so that none can pass for another."""
    yield f"corpus {len(dataset.corpus)}"
    for document_id in sorted(dataset.corpus):
        yield from (document_id, *dataset.corpus[document_id])
    yield f"queries {len(dataset.queries)}"
    for query_id in sorted(dataset.queries):
        yield from (query_id, dataset.queries[query_id])
    yield "qrels"
    for query_id in sorted(dataset.qrels):
        for document_id, grade in sorted(dataset.qrels[query_id].items()):
            # Adding 0.0 makes -0.0 equal to 0.0, as it is in comparisons.
            yield from (query_id, document_id, repr(float(grade) + 0.0))
    yield "parts"
    for query_id in sorted(dataset.parts):
        yield from (query_id, dataset.parts[query_id])
    # Who wrote a query decides on which side of a split it may stand; data sets without such queries keep their hash.
    if dataset.synthetic:
        yield "synthetic"
    for query_id in sorted(dataset.synthetic):
        yield from (query_id, *dataset.synthetic[query_id])
