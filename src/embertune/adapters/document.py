"""Offsets for documents that have training queries: the stored vectors move, everything else stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import Adapter, Side, TrainingPairs, check_pairs
from embertune.adapters.gate import Gate
from embertune.adapters.params import check_finite, impossible
from embertune.adapters.solvers.anchors import Matches, find_anchors
from embertune.adapters.solvers.offsets import Contrast, mean_moved, nudged, sum_of_queries
from embertune.adapters.solvers.rows import Positions
from embertune.core.random import generator
from embertune.core.vectors import Vectors, as_vectors, normalize
from embertune.errors import ConfigError, DataError

__all__ = ["DocumentAdapter"]

# 1 - cosine of an embedding and of how it was stored, the most of 500 passages of three sets: float16 1e-7, bfloat16
# 2e-6, int8 with one scale 9e-5. Half of the passages that lack one word are further than 3e-4; no two different ones
# of five sets in MiniLM's space are nearer than 1e-3. A text that differs in a full stop may be as near as 1e-6: it
# is moved with its twin.
_TOLERANCE = 1e-4

_METHODS = ("contrast", "mean", "nudge")


class DocumentAdapter(Adapter):
    """Move the vectors of documents that have training queries towards those queries; leave all others as they are.

    There is no model: what is learned is where each of these documents stood (its anchor) and by how much it moves.
    A vector is recognised by its anchor, at a cosine of at least 1 - 1e-4, so that it needs no ids and works behind
    every encoder and database. Queries stay as they are. Chain it after a `LinearAdapter` to move documents towards
    adapted queries.

    Documents that move come to stand before those that do not. Methods differ in how they deal with it:

    * "contrast": a document is pulled by each of its queries by as much as it does not win it yet, and pushed by
      queries of others that it wins; documents without queries are competitors too. On scifact (MiniLM), half of whose
      judgements were left unseen, nDCG@10 of seen documents rose from .615 to .858 where unseen ones lost no more than
      .002; with the other two methods to .757. On a set whose documents resemble each other (finance, static vectors)
      only this one gained at all: .503 to .531 seen, .286 to .328 unseen.
    * "mean": ``normalize(d + reach * mean of its queries)``, in milliseconds.
    * "nudge": turned towards its queries until the squared distance is `reach` (Zeighami et al., NUDGE, ICLR 2025:
      NUDGE-N), in milliseconds.

    Args:
        method: Which.
        reach: How far they go: for "mean" a multiple, for "nudge" a squared distance up to 4, for "contrast" a time. To
            be chosen on queries of both kinds of documents, with `fit_path`; .05 to 6 have been best.
        shrinkage: A document with n queries goes n / (n + shrinkage) of the way.
        outside: Of "contrast": the weight of documents without training queries as competitors. At 1 they count as the
            others do, and seen documents gain a little more; less is safer for unseen ones; 0 leaves them out.
            Where `fit` is given none, the places that documents moved from stand in for them at weight 1, which is
            worse: give the corpus.
        temperature: Of "contrast"'s softmax over cosines.
        max_others: The most documents without training queries that each query is compared with; of more a sample is
            drawn, and weighs as much as they all.
        seed: For that draw.

    Attributes:
        anchors_: (k, d) where the documents stood, rows of length 1.
        offsets_: (k, d) by how much they move.

    Example:
        >>> documents = np.eye(3, dtype=np.float32)
        >>> adapter = DocumentAdapter("mean", reach=1.0).fit([[0, 1, 1]], documents, pairs=[(0, 1)])
        >>> adapter.transform(documents, side="document").round(2).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.9200000166893005, 0.3799999952316284], [0.0, 0.0, 1.0]]
        >>> adapter.changed(documents).tolist()
        [1]
    """

    type: ClassVar[str] = "document"
    side = "document"

    def __init__(
        self,
        method: Literal["contrast", "mean", "nudge"] = "contrast",
        *,
        reach: float = 0.2,
        shrinkage: float = 0.0,
        outside: float = 0.3,
        temperature: float = 0.05,
        max_others: int = 4096,
        seed: int = 0,
    ) -> None:
        self.method = method
        self.reach = reach
        self.shrinkage = shrinkage
        self.outside = outside
        self.temperature = temperature
        self.max_others = max_others
        self.seed = seed

    anchors_: Vectors
    offsets_: Vectors

    @property
    def wants_corpus(self) -> bool:
        """True: documents that no query asks for are learned from, too."""
        return True

    @property
    def dimension(self) -> int | None:
        """Dimension of the embeddings it was fitted on."""
        return int(self._anchors().shape[1])

    def fit(self, queries: Any, documents: Any, *, pairs: Any = None) -> Self:
        """Find where documents go.

        Args:
            queries: (n, d), as they will be searched with: adapted, if they will be adapted.
            documents: (m, d); those that no pair names are competitors that stay. Without `pairs`, row i answers
                query i.
            pairs: (p, 2) positions of a query and of one of its positives.

        Raises:
            ConfigError: A parameter is impossible.
            DataError: The arrays do not fit together.
        """
        (fitted,) = self.fit_path(check_pairs(queries, documents, pairs), [self.reach])
        self._forget()
        self.anchors_, self.offsets_ = fitted.anchors_, fitted.offsets_
        return self

    def fit_path(self, training: TrainingPairs, reaches: Sequence[float]) -> Iterator[DocumentAdapter]:
        """Fit one adapter per reach, for little more than the cost of the last.

        Args:
            training: What `check_pairs` gave.
            reaches: Rising.

        Yields:
            A fitted copy per reach. All share one array of anchors, so `match` holds for all of them.

        Raises:
            ConfigError: A parameter is impossible, or the reaches do not rise.
            DataError: The embeddings of all documents that have queries are zeros.
        """
        self._check(reaches)
        anchors, pairs = _anchored(training)
        for reach, moved in zip(reaches, self._moved(training, anchors, pairs, reaches), strict=True):
            params = {**self.get_params(), "reach": reach}
            yield self.from_tensors({"anchors": anchors, "offsets": moved - anchors}, params)

    def _moved(
        self, training: TrainingPairs, anchors: Vectors, pairs: Positions, reaches: Sequence[float]
    ) -> Iterator[Vectors]:
        if self.method == "contrast":
            others, weight = self._others(training, anchors)
            yield from Contrast(
                queries=training.queries,
                documents=anchors,
                pairs=pairs,
                others=others,
                temperature=self.temperature,
                shrinkage=self.shrinkage,
                outside=weight,
            ).path(reaches)
            return
        counts = np.bincount(pairs[:, 1], minlength=len(anchors)).astype(np.float32)
        means = sum_of_queries(training.queries, pairs, len(anchors)) / counts[:, None]
        shares = counts / (counts + np.float32(self.shrinkage))
        move = mean_moved if self.method == "mean" else nudged
        for reach in reaches:
            yield move(anchors, means, np.float32(reach) * shares)

    def _others(self, training: TrainingPairs, anchors: Vectors) -> tuple[Vectors, float]:
        """Give documents that no pair names, or a sample of them, and the weight of each."""
        rest = np.setdiff1d(np.arange(len(training.documents)), training.pairs[:, 1])
        drawn = rest
        if len(rest) > self.max_others:
            drawn = np.sort(generator(self.seed, "others").choice(rest, self.max_others, replace=False))
        others = training.documents[drawn]
        # A copy of a document that moves will move with it.
        stays = np.any(others, axis=1)
        stays[find_anchors(others, anchors, _TOLERANCE).rows] = False
        if not stays.any():
            # At .3 as for real ones, seen documents of cranfield fell from .243 to .209.
            return others[:0], float(self.outside > 0)
        return others[stays], self.outside * len(rest) / len(drawn)

    def changes(self, side: Side) -> bool:
        """Tell that documents move and queries stay."""
        return side == "document"

    def match(self, documents: Any) -> Matches:
        """Find which vectors are of documents that move.

        Args:
            documents: (m, d).

        Returns:
            Their positions among the documents, and of each the position of its anchor.

        Raises:
            NotFittedError: `fit` was not called.
            DataError: The dimension is another one, or some values are not finite.
        """
        anchors = self._anchors()
        vectors = normalize(as_vectors(documents, "documents"))
        if vectors.shape[1] != anchors.shape[1]:
            raise DataError(
                f"The documents have {vectors.shape[1]} dimensions; this adapter was fitted on {anchors.shape[1]}. "
                "Use the encoder that it was fitted on."
            )
        return find_anchors(vectors, anchors, _TOLERANCE)

    def changed(self, documents: Any) -> Positions:
        """Tell which stored vectors change: those that have to be written again.

        Args:
            documents: (m, d).

        Returns:
            Their positions, rising. All others are the same before and after, but for being scaled to length 1.
        """
        return self.match(documents).rows

    def move(self, documents: Vectors, matches: Matches) -> Vectors:
        """Transform documents without looking for those that move, for many adapters of one path.

        Args:
            documents: (m, d), checked.
            matches: What `match` gave, of this adapter or of another one on the same path.

        Returns:
            (m, d), rows of length 1.
        """
        moved = normalize(documents)
        if self.strength:
            offsets = np.float32(self.strength) * self.offsets_[matches.anchors]
            moved[matches.rows] = normalize(moved[matches.rows] + offsets)
        return moved

    def gated(self, gate: Gate | None, *, documents: Gate | None = None) -> Self:
        """Refuse gates: queries stay as they are, and no document moves but those that it was fitted on.

        Raises:
            ConfigError: There is a gate.
        """
        if gate is not None or documents is not None:
            raise ConfigError(
                "A DocumentAdapter takes no gate: queries stay as they are, and no document moves but those that it "
                "was fitted on. Gate what maps queries, before it is chained: "
                "Chain([adapter.gated(Gate.fit(queries)), documents])"
            )
        return self._with(gate=None, document_gate=None)

    def transform(self, vectors: Any, side: Side = "query") -> Vectors:
        """Map embeddings; see `Adapter.transform`. The strength multiplies the offsets."""
        # The base class would blend, and so round, the rows that do not move too.
        return super().transform(vectors, side) if self.strength == 1 else self._at_full().transform(vectors, side)

    def _at_full(self) -> Self:
        self._anchors()
        return self._with(offsets_=np.float32(self.strength) * self.offsets_, strength=1.0)

    def _map(self, vectors: Vectors, side: Side) -> Vectors:
        return self.move(vectors, self.match(vectors))

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Give "anchors" and "offsets", (k, d) each."""
        return {"anchors": self._anchors(), "offsets": self.offsets_}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[Any]], params: Mapping[str, Any]) -> Self:
        """Build a fitted adapter from what `tensors` gave and the constructor's arguments.

        Raises:
            ConfigError: A parameter is impossible.
            DataError: The arrays do not fit together, or hold values that are not finite.
        """
        adapter = cls(**params)
        adapter._check([adapter.reach])
        anchors, offsets = tensors["anchors"], tensors["offsets"]
        if anchors.ndim != 2 or not len(anchors) or anchors.shape != offsets.shape:
            raise DataError(f"the anchors have shape {anchors.shape} and the offsets {offsets.shape}, expected (k, d)")
        check_finite(tensors)
        adapter.anchors_, adapter.offsets_ = as_vectors(anchors), as_vectors(offsets)
        return adapter

    def _anchors(self) -> Vectors:
        if not hasattr(self, "anchors_"):
            raise self._not_fitted()
        return self.anchors_

    def _check(self, reaches: Sequence[float]) -> None:
        problems = impossible(
            self.get_params(),
            choices={"method": _METHODS},
            at_least={"max_others": 1},
            positive=("temperature",),
            not_negative=("shrinkage", "outside"),
        )
        problems += [f"reach must be positive, got {reach}" for reach in reaches if not reach > 0]
        problems += [f"reach must be finite, got {reach}" for reach in reaches if reach == np.inf]
        problems += [
            f"reaches must rise, got {after} after {before}" for before, after in pairwise(reaches) if after <= before
        ]
        problems += [
            f"reach must be at most 4 with method='nudge', got {reach}"
            for reach in reaches
            if self.method == "nudge" and 4 < reach < np.inf
        ]
        if problems:
            raise ConfigError(problems)


def _anchored(training: TrainingPairs) -> tuple[Vectors, Positions]:
    """Give the different documents with queries, and the pairs of a query and one of these, sorted by query."""
    named, column = np.unique(training.pairs[:, 1], return_inverse=True)
    documents = training.documents[named]
    # The embedding of an empty text may be all zeros: it has no direction to be recognised by.
    known = np.flatnonzero(np.any(documents, axis=1))
    if not len(known):
        raise DataError("The embeddings of all documents that have queries are zeros. Embed texts that are not empty.")
    anchors, which = np.unique(documents[known], axis=0, return_inverse=True)
    place = np.full(len(named), -1, dtype=np.intp)
    place[known] = which.ravel()
    pairs = np.column_stack([training.pairs[:, 0], place[column.ravel()]])
    return anchors, np.unique(pairs[pairs[:, 1] >= 0], axis=0)
