"""Change a data set by hand: other texts, other grades, pairs struck out. A new one is made; the old stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from embertune.data.builder import examples
from embertune.data.dataset import Dataset
from embertune.data.document import Document
from embertune.data.texts import counted
from embertune.errors import DataError

__all__ = ["Edits", "apply_edits"]

Pair = tuple[str, str]


@dataclass(frozen=True)
class Edits:
    """What is to be changed.

    Example:
        >>> print(Edits().with_grade("q1", "d3", None).with_query("q2", "How old is it?"))
        1 query rewritten, 1 pair struck out
    """

    queries: Mapping[str, str] = field(default_factory=dict)
    """New texts of queries, by id."""
    documents: Mapping[str, str] = field(default_factory=dict)
    """New texts of documents, by id; titles stay."""
    grades: Mapping[Pair, float | None] = field(default_factory=dict)
    """New grades by (query id, document id); None strikes the pair out."""

    def __hash__(self) -> int:
        """Hash the content, so that who keeps edits can tell that they changed."""
        return hash(tuple(tuple(each.items()) for each in (self.queries, self.documents, self.grades)))

    def with_query(self, key: str, text: str) -> Edits:
        """Give these and one query more."""
        return replace(self, queries={**self.queries, key: text})

    def with_document(self, key: str, text: str) -> Edits:
        """Give these and one document more."""
        return replace(self, documents={**self.documents, key: text})

    def with_grade(self, query: str, document: str, grade: float | None) -> Edits:
        """Give these and one grade more."""
        return replace(self, grades={**self.grades, (query, document): grade})

    def without(self, query: str, document: str) -> Edits:
        """Give these but for what concerns a pair and its texts."""
        return Edits(
            {key: text for key, text in self.queries.items() if key != query},
            {key: text for key, text in self.documents.items() if key != document},
            {pair: grade for pair, grade in self.grades.items() if pair != (query, document)},
        )

    def __bool__(self) -> bool:
        """Whether there is anything to change."""
        return bool(self.queries or self.documents or self.grades)

    def __str__(self) -> str:
        """Count them."""
        struck = sum(grade is None for grade in self.grades.values())
        told = [
            counted(len(self.queries), "query rewritten", "queries rewritten") if self.queries else "",
            counted(len(self.documents), "document rewritten", "documents rewritten") if self.documents else "",
            counted(len(self.grades) - struck, "grade changed", "grades changed") if len(self.grades) > struck else "",
            counted(struck, "pair struck out", "pairs struck out") if struck else "",
        ]
        return ", ".join(filter(None, told)) or "nothing changed"


def apply_edits(dataset: Dataset, edits: Edits) -> Dataset:
    """Make the data set that is left after edits; a query whose last pair is struck out goes with it.

    Args:
        dataset: What to change; it stays as it is.
        edits: The changes.

    Raises:
        DataError: An edit names what is not there, gives an empty text, or strikes out the last pair of all.

    Example:
        >>> data = Dataset.from_pairs([("how old", "Built in 1900."), ("asdf", "Built in 1900.")])
        >>> left = apply_edits(data, Edits().with_grade("q2", "d1", None).with_query("q1", "How old is it?"))
        >>> left.queries, left.qrels
        ({'q1': 'How old is it?'}, {'q1': {'d1': 1.0}})
    """
    _check(dataset, edits)
    qrels = {query: dict(grades) for query, grades in dataset.qrels.items()}
    gone = set()
    for (query, document), grade in edits.grades.items():
        if grade is not None:
            qrels[query][document] = float(grade)
            continue
        qrels[query].pop(document)
        if not qrels[query]:
            del qrels[query]
            gone.add(query)
    if not any(grade > 0 for grades in qrels.values() for grade in grades.values()):
        raise DataError("No pair with a grade above 0 would be left. Expected at least one: strike out fewer pairs.")
    return Dataset(
        corpus={
            key: Document(edits.documents[key], document.title) if key in edits.documents else document
            for key, document in dataset.corpus.items()
        },
        queries={key: edits.queries.get(key, text) for key, text in dataset.queries.items() if key not in gone},
        qrels=qrels,
        name=dataset.name,
        parts={key: part for key, part in dataset.parts.items() if key not in gone},
        notes=(*dataset.notes, f"Edited by hand: {edits}."),
        synthetic={key: origin for key, origin in dataset.synthetic.items() if key not in gone},
    )


def _check(dataset: Dataset, edits: Edits) -> None:
    known = {(query, document) for query, grades in dataset.qrels.items() for document in grades}
    for what, ids, there in (
        ("queries", edits.queries, dataset.queries),
        ("documents", edits.documents, dataset.corpus),
        ("pairs", edits.grades, known),
    ):
        if unknown := [key for key in ids if key not in there]:
            raise DataError(f"{len(unknown)} {what} to be edited are not in {dataset.name} ({examples(unknown)}).")
    if empty := [key for texts in (edits.queries, edits.documents) for key, text in texts.items() if not text.strip()]:
        raise DataError(f"The new text of {examples(empty)} is empty. Write one, or strike the pair out.")
