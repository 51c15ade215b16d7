"""What tuning may look at: the embeddings and judgements of train and dev, never of test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import Adapter, TrainingPairs
from embertune.adapters.pairs import Labels
from embertune.core.vectors import Vectors
from embertune.evaluation.judgments import Judgments
from embertune.evaluation.metrics import parse_metric
from embertune.training.lessons import Lessons, renumber
from embertune.training.scoring import score
from embertune.training.views import Moved

__all__ = ["Fold", "Pool", "Rows"]

Rows = npt.NDArray[np.intp]
Fold = tuple[Rows, Rows]


@dataclass(frozen=True)
class Pool:
    """The embeddings and judgements that tuning may look at: train and dev, never test.

    Attributes:
        queries: (n, d), rows of length 1.
        documents: (m, d), the whole corpus, rows of length 1.
        judgments: Their relevance, in that order.
        lessons: What else is known of them, such as which documents are no negatives of a query.
    """

    queries: Vectors
    documents: Vectors
    judgments: Judgments
    lessons: Lessons | None = None

    def training(self, rows: Rows, *, whole_corpus: bool = False) -> TrainingPairs:
        """Give the training pairs of some queries; only their positives are candidates, if not the whole corpus.

        A document that no training query asks for would only ever be pushed away: with such
        documents as negatives, nDCG@10 on documents never seen fell from .40 to .17.
        """
        place = np.full(len(self.queries), -1, dtype=np.intp)
        place[rows] = np.arange(len(rows))
        pairs = self.judgments.pairs
        pairs = pairs[place[pairs[:, 0]] >= 0]
        documents = np.arange(len(self.documents)) if whole_corpus else np.unique(pairs[:, 1])
        inverse = np.searchsorted(documents, pairs[:, 1])
        local = np.column_stack([place[pairs[:, 0]], inverse])
        order = np.lexsort((local[:, 1], local[:, 0]))
        rows_of = self.documents if whole_corpus else self.documents[documents]
        ignored = None
        if self.lessons is not None:
            missing = self.lessons.copies.false_negatives(pairs)
            ignored = renumber(Labels(missing, np.zeros(len(missing))), place, documents).positions
        return TrainingPairs(self.queries[rows], rows_of, local[order], ignored)

    def answers(self, rows: Rows) -> Rows:
        """Give the documents that answer some queries, rising."""
        pairs = self.judgments.pairs
        return np.unique(pairs[np.isin(pairs[:, 0], rows), 1])

    def seen(self, fit: Rows, rows: Rows) -> npt.NDArray[np.bool_]:
        """Mark those of some queries one of whose positives is a positive of a query that is fitted on."""
        pairs = self.judgments.pairs
        known = np.unique(pairs[np.isin(pairs[:, 0], fit), 1])
        return np.isin(rows, pairs[np.isin(pairs[:, 1], known), 0])

    def score(
        self, adapters: Sequence[Adapter | Moved], rows: Rows, metric: str, *, answers: Rows | None = None
    ) -> npt.NDArray[np.float64]:
        """Score some queries under adapters over the whole corpus.

        Args:
            adapters: Fitted, and what is after one.
            rows: Which queries.
            metric: What is measured.
            answers: Queries with whose answers they are scored, too.

        Returns:
            (1, adapters, n); with `answers` (2, adapters, n), those second.
        """
        judged = [self.judgments.select(each) for each in (rows, answers) if each is not None]
        return score(adapters, self.queries[rows], self.documents, judged, parse_metric(metric))
