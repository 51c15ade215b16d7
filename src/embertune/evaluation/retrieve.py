"""From embeddings to a run, by exact search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from embertune.core.search import Positions, top_k
from embertune.core.vectors import Vectors
from embertune.errors import ConfigError
from embertune.evaluation.run import Run

__all__ = ["EncodedTexts", "retrieve", "retrieve_positions"]


class EncodedTexts(Protocol):
    """What is searched: `embertune.encoders.encoded.Encoded`, or anything with the same four attributes."""

    @property
    def query_ids(self) -> Sequence[str]:
        """The n query ids."""

    @property
    def queries(self) -> Vectors:
        """(n, d)."""

    @property
    def document_ids(self) -> Sequence[str]:
        """The m document ids."""

    @property
    def documents(self) -> Vectors:
        """(m, d)."""


def retrieve(encoded: EncodedTexts, top_k: int = 100, *, name: str = "run") -> Run:
    """Rank the corpus for every query by exact search; ties go to the document that stands earlier in the corpus.

    Args:
        encoded: The vectors.
        top_k: How many documents to keep per query; more than there are gives all.
        name: Of the run.

    Raises:
        ConfigError: `top_k` is below 1.
        DataError: Queries and documents have different dimensions.

    Example:
        >>> from embertune.data.dataset import Dataset
        >>> from embertune.encoders.encoded import encode_dataset
        >>> from embertune.encoders.hashing import HashingEncoder
        >>> data = Dataset.from_pairs([("split a list", "split a list with slices"), ("open a file", "use open()")])
        >>> [document for document, _ in retrieve(encode_dataset(HashingEncoder(), data)).ranking("q1")]
        ['d1', 'd2']
    """
    positions, scores = _search(encoded, top_k)
    return Run(name, tuple(encoded.query_ids), tuple(encoded.document_ids), positions, scores)


def retrieve_positions(encoded: EncodedTexts, top_k: int = 100) -> Positions:
    """Rank the corpus and give positions alone, (n, top_k): what `evaluate_positions` takes.

    Raises:
        ConfigError: `top_k` is below 1.
        DataError: Queries and documents have different dimensions.

    Example:
        >>> from embertune.data.dataset import Dataset
        >>> from embertune.encoders.encoded import encode_dataset
        >>> from embertune.encoders.hashing import HashingEncoder
        >>> data = Dataset.from_pairs([("split a list", "split a list with slices"), ("open a file", "use open()")])
        >>> retrieve_positions(encode_dataset(HashingEncoder(), data), top_k=1)[0].tolist()
        [0]
    """
    return _search(encoded, top_k)[0]


def _search(encoded: EncodedTexts, depth: int) -> tuple[Positions, Vectors]:
    if depth < 1:
        raise ConfigError(f"top_k must be at least 1, got {depth}. Type for example: retrieve(encoded, top_k=100)")
    return top_k(encoded.queries, encoded.documents, depth)
