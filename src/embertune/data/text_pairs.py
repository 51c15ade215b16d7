"""A data set as positions: its different texts, and which pairs of them are a query and an answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embertune.core.search import Positions
from embertune.data.dataset import Dataset

__all__ = ["TextPairs"]


@dataclass(frozen=True)
class TextPairs:
    """The different queries and documents of a data set, and its pairs.

    Example:
        >>> data = Dataset.from_pairs([("a", "x"), ("b", "x"), ("b", "y")])
        >>> TextPairs.of(data).pairs.tolist()
        [[0, 0], [1, 0], [1, 1]]
    """

    queries: tuple[str, ...]
    """The n different texts of queries that have a relevant document."""
    documents: tuple[str, ...]
    """The m different contents of documents."""
    query_rows: Positions
    """(n,) where the first query of each text stands in the data set."""
    document_rows: Positions
    """(m,) where the first document of each text stands in the data set."""
    pairs: Positions
    """(p, 2) positions of a query and of a document that answers it, each once, in the order of the data set."""

    @classmethod
    def of(cls, dataset: Dataset) -> TextPairs:
        """Read them off a data set; queries or documents of equal text are one.

        Args:
            dataset: Queries without a relevant document are left out.
        """
        documents: dict[str, int] = {}
        first_document: list[int] = []
        place: dict[str, int] = {}
        for row, (document_id, document) in enumerate(dataset.corpus.items()):
            place[document_id] = documents.setdefault(document.content, len(documents))
            if len(documents) > len(first_document):
                first_document.append(row)
        queries: dict[str, int] = {}
        first_query: list[int] = []
        pairs: dict[tuple[int, int], None] = {}
        row_of = {query_id: row for row, query_id in enumerate(dataset.queries)}
        for query_id in dataset.judged:
            at = queries.setdefault(dataset.queries[query_id], len(queries))
            if len(queries) > len(first_query):
                first_query.append(row_of[query_id])
            pairs |= dict.fromkeys((at, place[document_id]) for document_id in dataset.positives(query_id))
        # By query, as they are handed out; within one in the order of its judgements.
        rows = sorted(pairs, key=lambda pair: pair[0])
        return cls(
            tuple(queries),
            tuple(documents),
            np.array(first_query, dtype=np.intp),
            np.array(first_document, dtype=np.intp),
            np.array(rows, dtype=np.intp).reshape(-1, 2),
        )
