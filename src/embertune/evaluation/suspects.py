"""Labels that look wrong, and documents that look like answers and have no label: what a person should look at first.

Two retrievers that know nothing of the labels, embeddings and BM25, rank the corpus for every query. Where both place a
labelled document far down, and an unlabelled one far up, one of the two labels is suspect.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from embertune.core.progress import Progress, silent
from embertune.core.vectors import Vectors
from embertune.data.dataset import Dataset
from embertune.data.texts import counted, normalize_text
from embertune.encoders.encoded import Encoded
from embertune.errors import ConfigError, DataError
from embertune.evaluation.baselines import BM25

__all__ = ["Suspect", "Suspects", "find_suspects"]

Floats = npt.NDArray[np.float64]

_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")
_DEPTH = 20
_BLOCK = 256
# A copy of an answer is an answer: as suspect as a document that stands ten times as high as the answer.
_COPY_SCORE = float(np.log(10))


@dataclass(frozen=True)
class Suspect:
    """A judgement that may be wrong, or one that may be missing.

    Attributes:
        kind: "wrong": the document is labelled as an answer; "missing": it is not labelled.
        query_id: The query.
        document_id: The document to be judged.
        other_id: What speaks against it: of a wrong label the unlabelled document that stands highest; of a missing
            one the labelled answer that stands highest.
        score: Mean over the retrievers of ln(rank of the label / rank of the unlabelled document): how many times
            further down the label stands, as a logarithm. Copies of an answer have ln 10 at least.
        ranks: Retriever -> rank of the document, and of the other; labelled answers stand in no one's way.
        is_copy: Whether it is a copy, or nearly, of a labelled answer.

    Example:
        >>> suspect = Suspect("wrong", "q1", "d7", "d2", 3.0, {"encoder": (80, 1), "bm25": (20, 2)}, False)
        >>> print(suspect.why)
        labelled, and only at rank 80 (encoder), 20 (bm25); unlabelled d2 is at 1 (encoder), 2 (bm25)
    """

    kind: Literal["wrong", "missing"]
    query_id: str
    document_id: str
    other_id: str
    score: float
    ranks: dict[str, tuple[int, int]]
    is_copy: bool

    @property
    def why(self) -> str:
        """Say what makes it suspect."""
        own, other = (", ".join(f"{pair[at]} ({name})" for name, pair in self.ranks.items()) for at in (0, 1))
        if self.kind == "wrong":
            return f"labelled, and only at rank {own}; unlabelled {self.other_id} is at {other}"
        copy = f"nearly equal to the labelled {self.other_id}; " if self.is_copy else ""
        return f"{copy}not labelled, and at rank {own}; the labelled {self.other_id} is at {other}"

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON-able values."""
        return {
            "kind": self.kind,
            "query_id": self.query_id,
            "document_id": self.document_id,
            "other_id": self.other_id,
            "score": round(self.score, 4),
            "ranks": {name: list(pair) for name, pair in self.ranks.items()},
            "is_copy": self.is_copy,
        }


@dataclass(frozen=True)
class Suspects:
    """What was found, the likeliest first.

    Attributes:
        found: Every suspect.
        queries: How many queries were looked at.
        labels: How many labelled answers they have.
        estimate: How many of these labels are no better than random documents; see `find_suspects`.

    Example:
        >>> str(Suspects((), queries=10, labels=12, estimate=1)).splitlines()[0]
        '10 queries with 12 labelled answers: 0 labels look wrong, 0 look missing.'
    """

    found: tuple[Suspect, ...]
    queries: int
    labels: int
    estimate: int

    def __str__(self) -> str:
        """Give the counts, and the estimate."""
        wrong = sum(suspect.kind == "wrong" for suspect in self.found)
        return (
            f"{counted(self.queries, 'query', 'queries')} with {counted(self.labels, 'labelled answer')}: "
            f"{wrong} labels look wrong, {len(self.found) - wrong} look missing.\n"
            f"About {self.estimate} labels ({self.estimate / max(self.labels, 1):.1%}) fit no better than random ones."
        )


def find_suspects(
    dataset: Dataset,
    encoded: Encoded,
    *,
    per_query: int = 3,
    near: float = 0.97,
    progress: Progress = silent,
) -> Suspects:
    """Find the labels that are likeliest wrong or missing.

    A label is suspect when an unlabelled document outranks it, by the mean of both retrievers: each alone is fooled by
    its own blind spots. How many labels are wrong at all is estimated as the share of true null hypotheses is (Storey
    2002): a label that is no better than a random document has its mean rank in the lower half of the corpus half of
    the time, and a good one hardly ever, so those that do are counted twice. Labels that are wrong and yet near are not
    in that number.

    Args:
        dataset: Queries without a relevant document are passed over.
        encoded: Its vectors.
        per_query: The most missing labels to name of one query.
        near: Cosine from which an unlabelled document counts as a copy of an answer.
        progress: Told as queries are done.

    Returns:
        The suspects, the highest score first.

    Raises:
        ConfigError: `per_query` is below 1.
        DataError: No query has a relevant document, or no document is unlabelled.

    Example:
        >>> from embertune.encoders.encoded import encode_dataset
        >>> from embertune.encoders.hashing import HashingEncoder
        >>> words = ("cat", "dog", "owl", "fox")
        >>> pairs = [(f"where does the {word} live", f"the {word} lives in the woods") for word in words]
        >>> data = Dataset.from_pairs([*pairs[:3], (pairs[3][0], pairs[0][1]), ("a fifth", pairs[3][1])])
        >>> first = find_suspects(data, encode_dataset(HashingEncoder(), data)).found[0]
        >>> first.query_id, first.document_id, first.other_id
        ('q4', 'd1', 'd4')
    """
    if per_query < 1:
        raise ConfigError(f"per_query must be at least 1, got {per_query}")
    ids = dataset.judged
    if not ids or len(dataset.corpus) < 2:
        raise DataError(f"{dataset.name} has no query with a relevant document, or one document alone. Nothing to do.")
    place = {query: row for row, query in enumerate(encoded.query_ids)}
    at = {document: position for position, document in enumerate(encoded.document_ids)}
    index = BM25.index(dataset.corpus[document].content for document in encoded.document_ids)
    contents = _copies_by_text(dataset, encoded)
    found: list[Suspect] = []
    shares: list[Floats] = []
    for done, (query, cosines) in enumerate(_scored(ids, encoded, place)):
        judged = dataset.qrels[query]
        scores = {"encoder": cosines, "bm25": index.score(dataset.queries[query])}
        positives = np.array([at[document] for document, grade in judged.items() if grade > 0], dtype=np.intp)
        free = np.ones(len(at), dtype=np.bool_)
        free[[at[document] for document in judged]] = False
        if free.any():
            one = _Query(query, scores, positives, free, encoded, contents)
            found += one.suspects(per_query, near)
            shares.append(one.shares())
        progress("audit", done + 1, len(ids))
    order = sorted(range(len(found)), key=lambda row: (-found[row].score, found[row].kind != "wrong", row))
    return Suspects(tuple(found[row] for row in order), len(ids), sum(map(len, shares)), _estimate(shares))


class _Query:
    """One query: where labelled and unlabelled documents stand."""

    def __init__(
        self,
        query: str,
        scores: dict[str, Floats],
        positives: npt.NDArray[np.intp],
        free: npt.NDArray[np.bool_],
        encoded: Encoded,
        contents: npt.NDArray[np.intp],
    ) -> None:
        self._query, self._scores, self._positives, self._free = query, scores, positives, free
        self._encoded, self._contents = encoded, contents
        self._sorted = {name: np.sort(values[free]) for name, values in scores.items()}

    def _ranks(self, documents: npt.NDArray[np.intp]) -> dict[str, Floats]:
        """Rank documents among the unlabelled ones."""
        ranks = {}
        for name, values in self._scores.items():
            own, others = values[documents], self._sorted[name]
            low, high = (np.searchsorted(others, own, side=side).astype(np.float64) for side in _SIDES)
            # Equals share the mean of their ranks; an unlabelled document is one of its own equals.
            ranks[name] = 1 + (len(others) - high) + (high - low - self._free[documents]) / 2
        return ranks

    def suspects(self, per_query: int, near: float) -> Iterator[Suspect]:
        free = np.flatnonzero(self._free)
        tops = [free[np.argsort(-values[free], kind="stable")[:_DEPTH]] for values in self._scores.values()]
        candidates = np.unique(np.concatenate(tops))
        theirs, ours = self._ranks(candidates), self._ranks(self._positives)
        high, low = (np.mean([np.log(values) for values in ranks.values()], axis=0) for ranks in (theirs, ours))
        rival = int(np.argmin(high))
        for row, label in enumerate(self._positives):
            score = float(low[row] - high[rival])
            if score > 0:
                yield self._suspect("wrong", label, candidates[rival], score, (ours, row), (theirs, rival))
        best = int(np.argmin(low))
        copies = self._copies(candidates, near)
        scores = np.where(copies, np.maximum(low[best] - high, _COPY_SCORE), low[best] - high)
        for row in np.argsort(-scores, kind="stable")[:per_query]:
            if scores[row] > 0:
                yield self._suspect(
                    "missing", candidates[row], self._positives[best], float(scores[row]), (theirs, int(row)),
                    (ours, best), bool(copies[row]),
                )  # fmt: skip

    def _suspect(
        self,
        kind: Literal["wrong", "missing"],
        document: np.intp,
        other: np.intp,
        score: float,
        own: tuple[dict[str, Floats], int],
        against: tuple[dict[str, Floats], int],
        is_copy: bool = False,
    ) -> Suspect:
        ids = self._encoded.document_ids
        pairs = {name: (own[0][name][own[1]], against[0][name][against[1]]) for name in own[0]}
        ranks = {name: (round(float(one)), round(float(other))) for name, (one, other) in pairs.items()}
        return Suspect(kind, self._query, ids[document], ids[other], score, ranks, is_copy)

    def _copies(self, candidates: npt.NDArray[np.intp], near: float) -> npt.NDArray[np.bool_]:
        vectors: Vectors = self._encoded.documents
        cosines = vectors[candidates] @ vectors[self._positives].T
        equal = np.isin(self._contents[candidates], self._contents[self._positives])
        return np.asarray((cosines >= near).any(axis=1) | equal)

    def shares(self) -> Floats:
        """Give where the labels stand, from 0 (first) to 1 (last), as the mean over the retrievers."""
        ranks = self._ranks(self._positives)
        shares = [(values - 0.5) / (1 + self._free.sum()) for values in ranks.values()]
        return np.asarray(np.mean(shares, axis=0), dtype=np.float64)


def _scored(ids: tuple[str, ...], encoded: Encoded, place: dict[str, int]) -> Iterator[tuple[str, Floats]]:
    """Give each query and its cosines with the corpus."""
    for start in range(0, len(ids), _BLOCK):
        block = ids[start : start + _BLOCK]
        cosines = encoded.queries[[place[query] for query in block]] @ encoded.documents.T
        yield from zip(block, cosines.astype(np.float64), strict=True)


def _copies_by_text(dataset: Dataset, encoded: Encoded) -> npt.NDArray[np.intp]:
    """Number documents so that those of equal text have the same number."""
    numbers: dict[str, int] = {}
    texts = (normalize_text(dataset.corpus[document].content) for document in encoded.document_ids)
    return np.array([numbers.setdefault(text, len(numbers)) for text in texts], dtype=np.intp)


def _estimate(shares: list[Floats]) -> int:
    """Double the labels whose mean rank is in the lower half: of random documents these are half."""
    return int(2 * (np.concatenate([np.zeros(0), *shares]) > 0.5).sum())
