"""What each step of mini-batch training looks at: examples, their negatives, and the loss of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from embertune.adapters.pairs import Labels, TrainingPairs
from embertune.adapters.solvers.batches import batches, gather
from embertune.adapters.solvers.descent import Step
from embertune.adapters.solvers.distillation import margin_mse, mean_margin
from embertune.adapters.solvers.losses import cosent, cosine_mse, info_nce, triplet
from embertune.adapters.solvers.rows import Positions
from embertune.core.random import generator
from embertune.core.vectors import Vectors
from embertune.errors import DataError

__all__ = ["GRADED", "LOSSES", "NEGATIVES", "TAUGHT", "LossName", "NegativesName", "Sampler"]

LossName = Literal["info_nce", "triplet", "triplet_euclidean", "cosent", "mse", "margin_mse", "mean_margin"]
NegativesName = Literal["all", "in-batch", "random", "hard", "judged", "passages"]

LOSSES: tuple[LossName, ...] = (
    "info_nce", "triplet", "triplet_euclidean", "cosent", "mse", "margin_mse", "mean_margin",
)  # fmt: skip
NEGATIVES: tuple[NegativesName, ...] = ("all", "in-batch", "random", "hard", "judged", "passages")
GRADED = ("cosent", "mse")
"""Losses of pairs with a number each."""
TAUGHT = ("margin_mse", "mean_margin")
"""Losses of triplets with the lead that a teacher gives the positive."""


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """Draws the steps of every epoch.

    Attributes:
        training: What is learned from.
        loss: One of `LOSSES`.
        negatives: One of `NEGATIVES`.
        num_negatives: How many for each example.
        batch_size: The most examples in a step; no query and no document is in one twice.
        max_candidates: With info_nce and "all", the most documents that a step is compared with.
        temperature: Of the losses that have one.
        margin: Of the triplet losses.
        by_documents: Whether the derivative by documents is wanted.
        seed: Decides.

    Example:
        >>> rows = np.eye(3, dtype=np.float32)
        >>> training = TrainingPairs(rows, rows, np.array([(0, 0), (1, 1)]), passages=rows[:1])
        >>> sampler = Sampler(training=training, loss="triplet", negatives="passages", num_negatives=1)
        >>> [step.documents.tolist() for step in sampler.epoch(0)], sampler.documents.shape
        ([[0, 1, 3]], (4, 3))
    """

    training: TrainingPairs
    loss: LossName = "info_nce"
    negatives: NegativesName = "all"
    num_negatives: int = 5
    batch_size: int = 256
    max_candidates: int = 1024
    temperature: float = 0.05
    margin: float = 0.2
    by_documents: bool = True
    seed: int = 0

    @cached_property
    def documents(self) -> Vectors:
        """(m + c, d) the documents, and behind them the passages: what the positions of a step point into."""
        if self.negatives != "passages":
            return self.training.documents
        passages = self.training.passages
        if passages is None or not len(passages):
            raise DataError(
                "negatives='passages' learns from passages of another text, and there are none. Type: "
                "embertune.tune(data, encoder, adapter=adapter, passages='book.txt')"
            )
        return np.concatenate([self.training.documents, passages])

    def epoch(self, number: int) -> Iterator[Step]:
        """Give the steps of an epoch.

        Raises:
            DataError: What the loss or the negatives need is not there, or no example has a negative.
        """
        drawn = generator(self.seed, "negatives", str(number))
        some = False
        for rows in batches(self._examples, self.batch_size, seed=self.seed, epoch=number):
            step = self._step(self._examples[rows], drawn)
            if step is not None:
                some = True
                yield step
        if not some and self.loss in TAUGHT:
            raise DataError(
                f"No pair of {len(self._examples)} has a document of a lower score. loss={self.loss!r} learns by how "
                "much an answer should lead over others of its query, so it needs scores of both: from data with "
                "grades (Dataset.from_triplets has 1 and 0), or embertune.tune(..., scores={query_id: {document_id: "
                "score}})"
            )
        if not some:
            raise DataError(
                f"With loss={self.loss!r} and negatives={self.negatives!r} none of {len(self._examples)} examples has "
                "a negative: all that could be one answers the query, or may do so. Choose other negatives, such as "
                "negatives='random', or a larger batch_size."
            )

    def _step(self, chosen: Positions, drawn: np.random.Generator) -> Step | None:
        if self.loss == "info_nce":
            return self._contrast(chosen, drawn)
        negatives = self._drawn(chosen, drawn)
        if self.loss in GRADED:
            return self._graded(chosen, negatives)
        width = negatives.shape[1]
        rows = np.column_stack([np.repeat(chosen, width, axis=0), negatives.ravel()])
        rows = rows[rows[:, 2] >= 0]
        if not len(rows):
            return None
        queries, documents, local = _compact(rows)
        if self.loss in TAUGHT:
            margins = self._value(rows[:, :2]) - self._value(rows[:, ::2])
            taught = margin_mse if self.loss == "margin_mse" else mean_margin
            return _step(queries, documents, taught, local, margins, temperature=self.temperature)
        distance = "cosine" if self.loss == "triplet" else "euclidean"
        return _step(queries, documents, triplet, local, margin=self.margin, distance=distance)

    def _contrast(self, chosen: Positions, drawn: np.random.Generator) -> Step:
        further: Any = ()
        if self.negatives == "all":
            further = self._pool
            if len(further) > self.max_candidates:
                further = drawn.choice(further, self.max_candidates, replace=False)
        elif self.negatives != "in-batch":  # the batch's own documents are candidates anyway
            further = self._drawn(chosen, drawn)
        batch = gather(chosen, known=self._known, negatives=further)
        settings = {"temperature": self.temperature, "ignored": batch.ignored, "by_documents": self.by_documents}
        return _step(batch.queries, batch.documents, info_nce, batch.pairs, **settings)

    def _graded(self, chosen: Positions, negatives: Positions) -> Step:
        """Pairs with their labels, and negatives with 0, or with the lowest label if that is lower."""
        values = np.ones(len(chosen)) if self.training.labels is None else self._value(chosen)
        query, document = np.repeat(chosen[:, 0], negatives.shape[1]), negatives.ravel()
        further = np.unique(np.column_stack([query, document])[document >= 0], axis=0)
        lowest, scale = self._scale
        rows = np.concatenate([chosen, further])
        values = np.concatenate([values, np.full(len(further), lowest)])
        queries, documents, local = _compact(rows)
        if self.loss == "mse":
            return _step(queries, documents, cosine_mse, local, values / scale)
        return _step(queries, documents, cosent, local, values, temperature=self.temperature)

    @cached_property
    def _scale(self) -> tuple[float, float]:
        """What a negative without a label counts as, and what makes cosines of the labels."""
        labels = self.training.labels
        if labels is None:
            return 0.0, 1.0
        return min(0.0, float(labels.values.min())), max(1.0, float(np.abs(labels.values).max()))

    def _drawn(self, chosen: Positions, drawn: np.random.Generator) -> Positions:
        """Give (b, k) positions of negatives of each example; -1 where there is none."""
        shape = len(chosen), self.num_negatives
        if self.loss in TAUGHT or self.negatives == "judged":
            return self._lower(chosen, _from_table(self._labels.positions, chosen[:, 0], self.num_negatives, drawn))
        if self.negatives == "hard":
            given = self.training.negatives
            if given is None:
                raise DataError(
                    "negatives='hard' learns from negatives that were mined, and none were given. embertune.tune mines "
                    "them; by hand type: check_pairs(queries, documents, pairs, negatives=positions)"
                )
            return self._unknown(chosen, _from_table(given, chosen[:, 0], self.num_negatives, drawn))
        if self.negatives == "in-batch":
            return self._unknown(chosen, drawn.choice(np.unique(chosen[:, 1]), shape))
        if self.negatives == "passages":
            return drawn.integers(len(self.training.documents), len(self.documents), shape)
        return self._unknown(chosen, drawn.choice(self._pool, shape))

    def _lower(self, chosen: Positions, negatives: Positions) -> Positions:
        """Keep the negatives whose label is lower than the pair's; a pair without one is above all."""
        pairs = np.column_stack([np.repeat(chosen[:, 0], negatives.shape[1]), np.maximum(negatives, 0).ravel()])
        own = self._value(chosen)
        if self.loss not in TAUGHT:
            own = np.where(np.isnan(own), np.inf, own)
            negatives = self._unknown(chosen, negatives)
        lower = self._value(pairs).reshape(negatives.shape) < own[:, None]
        return np.asarray(np.where(lower, negatives, -1), dtype=np.intp)

    def _unknown(self, chosen: Positions, negatives: Positions) -> Positions:
        """Put -1 for what answers the query, or may do so."""
        keys = chosen[:, :1] * self._width + negatives
        known = _find(self._known_keys, keys) >= 0
        return np.asarray(np.where((negatives < 0) | known, -1, negatives), dtype=np.intp)

    def _value(self, pairs: Positions) -> npt.NDArray[np.float64]:
        """Give the labels of pairs (p,); NaN where there is none."""
        at = _find(self._label_keys, _keys(pairs, self._width))
        return np.where(at >= 0, self._labels.values[at], np.nan)

    @cached_property
    def _examples(self) -> Positions:
        if self.loss in GRADED and self.training.labels is not None:
            return self._labels.positions
        return self.training.pairs

    @cached_property
    def _labels(self) -> Labels:
        labels = self.training.labels
        if labels is None or not len(labels.values):
            what = f"loss={self.loss!r}" if self.loss in TAUGHT else "negatives='judged'"
            raise DataError(
                f"{what} learns from numbers for several documents of a query, and there are none. Give data with "
                "grades or scores (Dataset.from_scored_pairs, Dataset.from_triplets), or a teacher's: "
                "embertune.tune(data, encoder, adapter=adapter, scores={query_id: {document_id: score}})"
            )
        return labels

    @cached_property
    def _label_keys(self) -> Positions:
        return _keys(self._labels.positions, self._width)

    @cached_property
    def _known(self) -> Positions:
        """What is no negative of a query: positives, what may answer it, and with a graded loss what has a grade."""
        parts = [self.training.pairs]
        if self.training.ignored is not None:
            parts.append(self.training.ignored)
        if self.loss in GRADED and self.training.labels is not None:
            parts.append(self.training.labels.positions)
        return parts[0] if len(parts) == 1 else np.unique(np.concatenate(parts), axis=0)

    @cached_property
    def _known_keys(self) -> Positions:
        return _keys(self._known, self._width)

    @cached_property
    def _pool(self) -> Positions:
        """The documents to draw from: not those that only labels or mined negatives brought along."""
        training = self.training
        named = [part.positions if isinstance(part, Labels) else part for part in (training.labels, training.negatives)]
        brought = [part[:, 1] for part in named if part is not None]
        every = np.arange(len(training.documents))
        if not brought:
            return every
        return np.setdiff1d(every, np.setdiff1d(np.concatenate(brought), training.pairs[:, 1]))

    @property
    def _width(self) -> int:
        return len(self.documents)


def _step(queries: Positions, documents: Positions, loss: Callable[..., Any], *rest: Any, **settings: Any) -> Step:
    """Bind a loss to its positions."""
    first, *more = rest
    return Step(queries, documents, partial(_applied, loss, first, tuple(more), settings), len(first))


def _applied(
    loss: Callable[..., Any], first: Any, more: tuple[Any, ...], settings: dict[str, Any], queries: Any, documents: Any
) -> Any:
    return loss(queries, documents, first, *more, **settings)


def _compact(rows: Positions) -> tuple[Positions, Positions, Positions]:
    """Give the different queries and documents of rows, and the rows as positions among these."""
    queries, first = np.unique(rows[:, 0], return_inverse=True)
    documents, rest = np.unique(rows[:, 1:], return_inverse=True)
    return queries, documents, np.column_stack([first.ravel(), rest.reshape(len(rows), -1)])


def _keys(pairs: Positions, width: int) -> Positions:
    """One number for each query and document."""
    return np.asarray(pairs[:, 0] * width + pairs[:, 1])


def _find(keys: Positions, wanted: Positions) -> Positions:
    """Give where each wanted number is among rising keys, -1 where it is not."""
    if not len(keys):
        return np.full(wanted.shape, -1)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.asarray(np.where(keys[at] == wanted, at, -1), dtype=np.intp)


def _from_table(table: Positions, queries: Positions, most: int, drawn: np.random.Generator) -> Positions:
    """Give (b, most) documents that stand beside each query in a table sorted by query: all, or a draw of so many."""
    first, last = (np.searchsorted(table[:, 0], queries, side=side) for side in ("left", "right"))
    counts = (last - first)[:, None]
    within = np.tile(np.arange(most), (len(queries), 1))
    within = np.where(counts > most, drawn.integers(0, np.maximum(counts, 1), within.shape), within)
    found = table[np.minimum(first[:, None] + within, len(table) - 1), 1] if len(table) else within
    return np.asarray(np.where(within < counts, found, -1), dtype=np.intp)
