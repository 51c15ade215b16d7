"""What a data set teaches beside which document answers which query: false negatives, grades, foreign passages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from embertune.adapters.pairs import Labels
from embertune.core.search import Positions
from embertune.core.vectors import Vectors
from embertune.data.dataset import Dataset
from embertune.data.guard import Copies, Guard, find_copies
from embertune.data.texts import counted
from embertune.encoders.encoded import Encoded
from embertune.errors import DataError

__all__ = ["Lessons", "Scores", "check_scores", "renumber"]

Scores = Mapping[str, Mapping[str, float]]
"""Query id -> document id -> a teacher's score."""

# Comparing every two takes their square: half a second for so many, with 384 dimensions, on one thread.
_MOST_COMPARED = 5000


@dataclass(frozen=True, eq=False)
class Lessons:
    """What else is known of queries and documents, by their positions.

    Attributes:
        copies: Which of them say the same.
        labels: Grades of all judged pairs, or a teacher's scores.
        passages: (c, d) of a text that answers nothing; rows of length 1.
    """

    copies: Copies
    labels: Labels
    passages: Vectors | None = None

    @classmethod
    def of(
        cls, dataset: Dataset, encoded: Encoded, *, scores: Scores | None = None, passages: Vectors | None = None
    ) -> Lessons:
        """Read them off texts, vectors and judgements.

        Copies are sought among the documents that answer some query, and among the queries: by their texts and, where
        they are no more than 5000, by their vectors.

        Args:
            dataset: The texts.
            encoded: Its vectors.
            scores: A teacher's; they take the place of the grades.
            passages: (c, d) embedded passages of a text from elsewhere.
        """
        query_at = {query: at for at, query in enumerate(encoded.query_ids)}
        document_at = {document: at for at, document in enumerate(encoded.document_ids)}
        table = sorted(
            (query_at[query], document_at[document], float(value))
            for query, values in (dataset.qrels if scores is None else scores).items()
            for document, value in values.items()
        )
        positions = np.array([row[:2] for row in table], dtype=np.intp).reshape(-1, 2)
        labels = Labels(positions, np.array([row[2] for row in table], dtype=np.float64))
        return cls(_copies(dataset, encoded, document_at), labels, passages)

    def select(self, rows: Positions) -> Lessons:
        """Give the lessons of some queries, by their place among these; documents keep their positions."""
        place = np.full(1 + int(max(part.max(initial=0) for part in (rows, self.copies.queries))), -1, dtype=np.intp)
        place[rows] = np.arange(len(rows))
        both = place[self.copies.queries]
        asked = both[(both >= 0).all(axis=1)]
        positions, values = renumber(self.labels, place)
        return replace(
            self,
            copies=replace(self.copies, queries=asked[np.lexsort(asked.T[::-1])]),
            labels=Labels(positions, values),
        )


def renumber(labels: Labels, queries: Positions, documents: Positions | None = None) -> Labels:
    """Give labels by other positions, sorted, without those that have none.

    Args:
        labels: By the old positions.
        queries: The new position of every query, -1 for none.
        documents: The old positions of the documents that are left, rising; None leaves all as they are.

    Example:
        >>> labels = Labels(np.array([[0, 5], [2, 7]]), np.array([1.0, 3.0]))
        >>> renumber(labels, np.array([1, -1, 0]), np.array([5, 7])).positions.tolist()
        [[0, 1], [1, 0]]
    """
    positions, values = labels
    inside = queries[positions[:, 0]] >= 0
    if documents is not None:
        inside &= np.isin(positions[:, 1], documents)
    positions, values = positions[inside], values[inside]
    columns = positions[:, 1] if documents is None else np.searchsorted(documents, positions[:, 1])
    moved = np.column_stack([queries[positions[:, 0]], columns])
    order = np.lexsort(moved.T[::-1])
    return Labels(moved[order], values[order])


def check_scores(scores: Scores, dataset: Dataset) -> None:
    """Refuse a teacher's scores that do not belong to a data set.

    Raises:
        DataError: They name queries or documents that are not there, or one is no finite number.

    Example:
        >>> check_scores({"q1": {"d1": 2.5}}, Dataset.from_pairs([("a", "x")]))
    """
    expected = f"Expected {{query_id: {{document_id: number}}}} with the ids of {dataset.name}."
    named = [(query, document) for query, values in scores.items() for document in values]
    queries = [query for query in scores if query not in dataset.queries]
    documents = [document for _, document in named if document not in dataset.corpus]
    for unknown, what in ((queries, ("query", "queries")), (documents, ("document", "documents"))):
        if unknown:
            raise DataError(
                f"The scores name {counted(len(unknown), *what)} that {dataset.name} does not have (such as "
                f"{', '.join(map(repr, unknown[:3]))}). {expected}"
            )
    wrong = [pair for pair in named if not _is_number(scores[pair[0]][pair[1]])]
    if wrong:
        query, document = wrong[0]
        raise DataError(
            f"{counted(len(wrong), 'score')} of {len(named)} are no finite numbers (first: "
            f"{scores[query][document]!r} of query {query!r} and document {document!r}). {expected}"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and math.isfinite(value)


def _copies(dataset: Dataset, encoded: Encoded, document_at: Mapping[str, int]) -> Copies:
    answers = sorted({document_at[document] for query in dataset.qrels for document in dataset.positives(query)})
    rows = np.array(answers, dtype=np.intp)
    few = max(len(rows), len(encoded.queries)) <= _MOST_COMPARED
    found = find_copies(
        encoded.queries,
        encoded.documents[rows],
        Guard() if few else Guard(near=None),
        query_texts=list(dataset.queries.values()),
        texts=[dataset.corpus[encoded.document_ids[at]].content for at in answers],
    )
    return replace(found, documents=rows[found.documents])
