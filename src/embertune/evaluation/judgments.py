"""Relevance judgements as arrays: which document at which position is how relevant to which query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embertune.core.search import Positions
from embertune.errors import DataError
from embertune.evaluation.metrics import Ranked, Scores

__all__ = ["Judgments"]


@dataclass(frozen=True, eq=False)
class Judgments:
    """Grades above 0 of n queries over m documents, by position; 0 and below is not relevant and gains nothing.

    Attributes:
        offsets: (n + 1,) where the entries of each query start.
        documents: Positions of relevant documents, rising within a query.
        values: Their grades.
        ideal: (n, r) grades of all relevant documents of a query, falling; padded with 0. Relevant documents
            that are not among the m count too: they cannot be found, and a perfect score is then out of reach.
        n_documents: m.

    Example:
        >>> judgments = Judgments.from_qrels({"q": {"b": 2, "a": 1, "c": 0}}, ["q"], ["a", "b", "c"])
        >>> judgments.grades(np.array([[2, 1, -1]]))
        array([[0., 2., 0.]])
        >>> judgments.ideal
        array([[2., 1.]])
    """

    offsets: Positions
    documents: Positions
    values: Scores
    ideal: Scores
    n_documents: int

    @classmethod
    def from_qrels(
        cls, qrels: Mapping[str, Mapping[str, float]], query_ids: Sequence[str], document_ids: Sequence[str]
    ) -> Judgments:
        """Bring judgements into the order of queries and documents.

        Args:
            qrels: Query id -> document id -> grade. A query of `query_ids` that is not here has no relevant document.
            query_ids: The n queries.
            document_ids: The m documents.

        Raises:
            DataError: An id occurs twice, or a grade is not a finite number.

        Example:
            >>> Judgments.from_qrels({"q": {"elsewhere": 1}}, ["q", "p"], ["a"]).n_relevant
            array([1, 0])
        """
        place = {document: position for position, document in enumerate(document_ids)}
        for kind, ids, distinct in (("query", query_ids, len(set(query_ids))), ("document", document_ids, len(place))):
            if distinct != len(ids):
                raise DataError(f"{len(ids) - distinct} of {len(ids)} {kind} ids occur twice. Expected each id once.")
        rows: list[int] = []
        columns: list[int] = []
        grades: list[float] = []
        for row, query in enumerate(query_ids):
            for document, grade in qrels.get(query, {}).items():
                if not np.isfinite(grade):
                    raise DataError(f"The grade of document {document!r} for query {query!r} is {grade}, not a number.")
                if grade > 0:
                    rows.append(row)
                    columns.append(place.get(document, -1))
                    grades.append(float(grade))
        triples = np.array(rows, np.intp), np.array(columns, np.intp), np.array(grades, np.float64)
        return cls._from_triples(*triples, size=(len(query_ids), len(place)))

    @classmethod
    def _from_triples(cls, rows: Positions, columns: Positions, grades: Scores, size: tuple[int, int]) -> Judgments:
        n, m = size
        order = np.lexsort((-grades, rows))
        counts = np.bincount(rows, minlength=n)
        ideal = np.zeros((n, int(counts.max(initial=0))))
        starts = np.concatenate([[0], counts.cumsum()[:-1]]) if n else np.zeros(0, np.intp)
        ideal[rows[order], np.arange(len(rows)) - starts[rows[order]]] = grades[order]
        found = columns >= 0
        rows, columns, grades = rows[found], columns[found], grades[found]
        order = np.lexsort((columns, rows))
        offsets = np.concatenate([[0], np.bincount(rows, minlength=n).cumsum()]).astype(np.intp)
        return cls(offsets, columns[order], grades[order], ideal, m)

    def __len__(self) -> int:
        """How many queries there are."""
        return len(self.offsets) - 1

    @property
    def n_relevant(self) -> npt.NDArray[np.intp]:
        """How many documents are relevant to each query, found in the corpus or not: (n,)."""
        return np.asarray((self.ideal > 0).sum(axis=1), dtype=np.intp)

    @property
    def pairs(self) -> Positions:
        """Positions of each query and each of its relevant documents in the corpus: (p, 2).

        Example:
            >>> Judgments.from_qrels({"q": {"b": 1, "a": 1}}, ["q"], ["a", "b"]).pairs.tolist()
            [[0, 0], [0, 1]]
        """
        return np.column_stack([self._rows(), self.documents])

    def select(self, rows: npt.ArrayLike) -> Judgments:
        """Give the judgements of some queries, by position and in the order given.

        Example:
            >>> judgments = Judgments.from_qrels({"p": {"a": 1}, "q": {"b": 3}}, ["p", "q"], ["a", "b"])
            >>> judgments.select([1]).ideal
            array([[3.]])
        """
        chosen = np.asarray(rows, dtype=np.intp)
        counts = np.diff(self.offsets)[chosen]
        offsets = np.concatenate([[0], counts.cumsum()]).astype(np.intp)
        entries = np.repeat(self.offsets[chosen] - offsets[:-1], counts) + np.arange(offsets[-1])
        return Judgments(offsets, self.documents[entries], self.values[entries], self.ideal[chosen], self.n_documents)

    def grades(self, positions: Positions) -> Scores:
        """Look up the grades of ranked documents.

        Args:
            positions: (n, k) document positions; -1 where nothing stands.

        Returns:
            (n, k), 0 for what is not relevant.

        Raises:
            DataError: The rankings are not one per query, or name positions beyond the corpus.
        """
        positions = np.asarray(positions)
        if positions.ndim != 2 or len(positions) != len(self):
            raise DataError(
                f"Found rankings of shape {positions.shape} for {len(self)} queries. "
                f"Expected ({len(self)}, k): one row per query."
            )
        if positions.size and (positions.max() >= self.n_documents or positions.min() < -1):
            raise DataError(
                f"The rankings name positions from {positions.min()} to {positions.max()}, the corpus has "
                f"{self.n_documents} documents. Expected 0 to {self.n_documents - 1}, or -1 for nothing."
            )
        if not len(self.documents):
            return np.zeros(positions.shape)
        # One number per (query, document), rising, so that one binary search answers for all queries at once.
        known = self._rows() * self.n_documents + self.documents
        wanted = np.arange(len(self))[:, None] * self.n_documents + positions
        at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        return np.where((known[at] == wanted) & (positions >= 0), self.values[at], 0.0)

    def rank(self, positions: Positions) -> Ranked:
        """Turn rankings into gains for the metrics.

        Args:
            positions: (n, k) document positions, best first; -1 where nothing stands.

        Raises:
            DataError: As `grades`.

        Example:
            >>> from embertune.evaluation.metrics import ndcg
            >>> judgments = Judgments.from_qrels({"q": {"b": 1}}, ["q"], ["a", "b"])
            >>> ndcg(judgments.rank(np.array([[1, 0]])))
            array([1.])
        """
        grades = self.grades(positions)
        return Ranked(grades, self.ideal, np.asarray((np.asarray(positions) >= 0).sum(axis=1), dtype=np.intp))

    def _rows(self) -> Positions:
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))
