"""Mined negatives as texts: the rows that trainers read, in the four formats of sentence-transformers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from embertune.core.files import write_whole
from embertune.core.search import Positions
from embertune.data.negatives import Negatives
from embertune.data.text_pairs import TextPairs
from embertune.data.texts import counted
from embertune.errors import ConfigError

__all__ = ["FORMATS", "Mined", "RowFormat"]

RowFormat = Literal["triplet", "n-tuple", "labeled-pair", "labeled-list"]
FORMATS: tuple[str, ...] = get_args(RowFormat)


@dataclass(frozen=True)
class Mined:
    """Hard negatives of a data set; printing it says how many there are and what was left out.

    Example:
        >>> texts = TextPairs(("why",), ("so", "no"), np.array([0]), np.array([0, 1]), np.array([[0, 0]]))
        >>> negatives = Negatives(np.array([0]), np.array([[1]]), np.array([[0.25]]), {})
        >>> mined = Mined(texts, negatives, np.array([0.5]), "static", 0)
        >>> list(mined.rows("triplet", scores=True))
        [{'query': 'why', 'positive': 'so', 'negative': 'no', 'scores': [0.5, 0.25]}]
        >>> list(mined.rows("labeled-list"))
        [{'query': 'why', 'documents': ['so', 'no'], 'labels': [1, 0]}]
    """

    texts: TextPairs
    """The texts that positions point at."""
    negatives: Negatives
    """What was found."""
    positive_scores: npt.NDArray[np.floating[Any]]
    """(p,) cosines of the pairs."""
    encoder: str
    """Who embedded."""
    guarded: int
    """Pairs of a query and of a document that looked like an unlabelled answer and were never taken."""

    def rows(self, row_format: RowFormat = "triplet", *, scores: bool = False) -> Iterator[dict[str, Any]]:
        """Give one row after the other, as `embertune.load_dataset` reads them again from JSONL.

        Formats are those of sentence-transformers: "triplet" has a row for each negative, "n-tuple" one for each pair
        that has all its negatives (negative_1, negative_2, …), "labeled-pair" one for each query and document with a
        label, "labeled-list" one for each pair with the lists `documents` and `labels`.

        Args:
            row_format: Which.
            scores: Add the cosines as a list `scores`, the positive's first; as `cosine` to labeled pairs. Labels stay
                beside them, unlike in sentence-transformers, where a reader would take cosines for grades.

        Raises:
            ConfigError: There is no such format.
        """
        makers = {
            "triplet": self._triplets,
            "n-tuple": self._tuples,
            "labeled-pair": self._labelled_pairs,
            "labeled-list": self._labelled_lists,
        }
        if row_format not in makers:
            raise ConfigError(f"The format must be one of {', '.join(FORMATS)}; got {row_format!r}")
        for row in makers[row_format]():
            if not scores:
                row.pop("scores", None)
                row.pop("cosine", None)
            yield row

    def save(self, path: str | Path, row_format: RowFormat = "triplet", *, scores: bool = False) -> Path:
        """Write the rows as JSONL; the file appears whole or not at all.

        Args:
            path: Where to.
            row_format: As in `rows`.
            scores: As in `rows`.

        Raises:
            ConfigError: There is no such format.
            StorageError: The disk refused; an earlier file of that name is unchanged.
        """
        rows = self.rows(row_format, scores=scores)
        return write_whole(path, (json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    def to_dict(self) -> dict[str, Any]:
        """Give the counts and the mean cosines as JSON-able values."""
        found = self.negatives.documents >= 0
        own = self.negatives.scores[found]
        return {
            "encoder": self.encoder,
            "queries": len(self.negatives.queries),
            "pairs": len(self.texts.pairs),
            "negatives": int(found.sum()),
            "wanted": int(found.size),
            "queries_without": int((~found.any(axis=1)).sum()),
            "left_out": dict(self.negatives.left_out),
            "guarded": self.guarded,
            "mean_cosine": {
                "positives": round(float(self.positive_scores.mean()), 4),
                "negatives": round(float(own.mean()), 4) if own.size else None,
            },
        }

    def __str__(self) -> str:
        """Say how many there are, what was left out, and how close they are."""
        facts = self.to_dict()
        lines = [str(self.negatives)]
        if facts["queries_without"]:
            none = counted(facts["queries_without"], "query has", "queries have")
            lines.append(f"{none} no negative left: raise range_max, or lower the margin.")
        means = facts["mean_cosine"]
        if means["negatives"] is not None:
            lines.append(f"Mean cosine ({self.encoder}): positives {means['positives']:.3f}, negatives "
                         f"{means['negatives']:.3f}.")  # fmt: skip
        return "\n".join(lines)

    def _by_pair(self) -> Iterator[tuple[str, str, float, Positions, npt.NDArray[np.floating[Any]]]]:
        """Query, positive and its cosine, and the negatives of the query, for each pair."""
        own = np.searchsorted(self.negatives.queries, self.texts.pairs[:, 0])
        for (query, positive), score, row in zip(self.texts.pairs, self.positive_scores, own, strict=True):
            there = self.negatives.documents[row] >= 0
            yield (
                self.texts.queries[query],
                self.texts.documents[positive],
                float(score),
                self.negatives.documents[row][there],
                self.negatives.scores[row][there],
            )

    def _triplets(self) -> Iterator[dict[str, Any]]:
        for query, positive, score, found, cosines in self._by_pair():
            for negative, cosine in zip(found, cosines.tolist(), strict=True):
                texts = {"query": query, "positive": positive, "negative": self.texts.documents[negative]}
                yield {**texts, "scores": [score, cosine]}

    def _tuples(self) -> Iterator[dict[str, Any]]:
        for query, positive, score, found, cosines in self._by_pair():
            if len(found) == self.negatives.documents.shape[1]:
                names = {f"negative_{at}": self.texts.documents[each] for at, each in enumerate(found, start=1)}
                yield {"query": query, "positive": positive, **names, "scores": [score, *cosines.tolist()]}

    def _labelled_pairs(self) -> Iterator[dict[str, Any]]:
        before: tuple[str, Positions, list[float]] | None = None
        for query, positive, score, found, cosines in self._by_pair():
            if before is not None and before[0] != query:
                yield from self._zeros(*before)
            yield {"query": query, "document": positive, "label": 1, "cosine": score}
            before = (query, found, cosines.tolist())
        if before is not None:
            yield from self._zeros(*before)

    def _zeros(self, query: str, found: Positions, cosines: list[float]) -> Iterator[dict[str, Any]]:
        for document, cosine in zip(found, cosines, strict=True):
            yield {"query": query, "document": self.texts.documents[document], "label": 0, "cosine": cosine}

    def _labelled_lists(self) -> Iterator[dict[str, Any]]:
        for query, positive, score, found, cosines in self._by_pair():
            if len(found):
                documents = [positive, *(self.texts.documents[each] for each in found)]
                labels = [1, *[0] * len(found)]
                yield {"query": query, "documents": documents, "labels": labels, "scores": [score, *cosines.tolist()]}
