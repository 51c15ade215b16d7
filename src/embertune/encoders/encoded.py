"""A whole data set as vectors: the arrays that training and evaluation work on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from embertune.adapters.base import Adapter
from embertune.core.progress import Progress, silent
from embertune.core.search import Positions
from embertune.core.vectors import Vectors, as_vectors, normalize
from embertune.data.dataset import Dataset
from embertune.encoders.adapted import AdaptedEncoder
from embertune.encoders.base import Encoder, Side, TextEncoder
from embertune.encoders.cost import Cost, Priced
from embertune.encoders.precomputed import PrecomputedEncoder
from embertune.errors import DataError, EncoderError

__all__ = ["Encoded", "encode_dataset", "encode_texts", "estimate_dataset"]


@dataclass(frozen=True)
class Encoded:
    """The vectors of a data set.

    Attributes:
        query_ids: The n query ids, in the order of the data set.
        queries: (n, d), rows of length 1.
        document_ids: The m document ids, in the order of the data set.
        documents: (m, d), rows of length 1.
        seconds: How long embedding took, or looking up.
        cost: What was paid for it; None for an encoder that costs no money.
    """

    query_ids: tuple[str, ...]
    queries: Vectors
    document_ids: tuple[str, ...]
    documents: Vectors
    seconds: float
    cost: Cost | None = None

    def query_rows(self, ids: Iterable[str]) -> Positions:
        """Give where some queries stand."""
        return self._rows(self._query_at, ids)

    def document_rows(self, ids: Iterable[str]) -> Positions:
        """Give where some documents stand."""
        return self._rows(self._document_at, ids)

    @staticmethod
    def _rows(place: Mapping[str, int], ids: Iterable[str]) -> Positions:
        return np.array([place[each] for each in ids], dtype=np.intp)

    @cached_property
    def _query_at(self) -> dict[str, int]:
        return {query: row for row, query in enumerate(self.query_ids)}

    @cached_property
    def _document_at(self) -> dict[str, int]:
        return {document: row for row, document in enumerate(self.document_ids)}

    def adapted(self, adapter: Adapter) -> Encoded:
        """Give the same data set behind an adapter; nothing is embedded again.

        Args:
            adapter: Fitted on vectors of this encoder.
        """
        return replace(
            self,
            queries=adapter.transform(self.queries, "query"),
            documents=adapter.transform(self.documents, "document"),
        )


def encode_dataset(encoder: Encoder, dataset: Dataset, *, progress: Progress = silent) -> Encoded:
    """Embed the queries and the corpus of a data set, each distinct text once.

    Precomputed vectors are looked up by id; every other encoder reads the query texts and the
    documents' ``content``, their title and text.

    Args:
        encoder: From `load_encoder`, or any object with its two methods.
        dataset: What to embed.
        progress: Told as texts are done.

    Returns:
        Ids and vectors in the order of the data set. An empty text has a vector of zeros.

    Raises:
        EncoderError: The encoder failed, or has no vector for some of the ids.

    Example:
        >>> from embertune.data.dataset import Dataset
        >>> from embertune.encoders.hashing import HashingEncoder
        >>> data = Dataset.from_pairs([("split a list", "use slices"), ("open a file", "use open()")])
        >>> encoded = encode_dataset(HashingEncoder(), data)
        >>> encoded.queries.shape, encoded.documents.shape
        ((2, 64), (2, 64))
    """
    if isinstance(encoder, AdaptedEncoder):
        return encode_dataset(encoder.encoder, dataset, progress=progress).adapted(encoder.adapter)
    started = time.perf_counter()
    earlier = encoder.cost if isinstance(encoder, Priced) else Cost()
    query_ids, document_ids = tuple(dataset.queries), tuple(dataset.corpus)
    if isinstance(encoder, PrecomputedEncoder):
        queries = encoder.lookup(query_ids, "query")
        documents = encoder.lookup(document_ids, "document")
    else:
        contents = [document.content for document in dataset.corpus.values()]
        queries = encode_texts(encoder, list(dataset.queries.values()), "query", progress=progress)
        documents = encode_texts(encoder, contents, "document", progress=progress)
    if queries.shape[1] != documents.shape[1]:
        raise EncoderError(
            f"{encoder.spec} gave queries of {queries.shape[1]} dimensions and documents of {documents.shape[1]}. "
            "Both must come from the same model."
        )
    cost = encoder.cost - earlier if isinstance(encoder, Priced) else None
    return Encoded(query_ids, queries, document_ids, documents, time.perf_counter() - started, cost)


def estimate_dataset(encoder: Encoder, dataset: Dataset) -> Cost | None:
    """Say what embedding a data set would cost now; what is in the cache costs nothing.

    Args:
        encoder: Any encoder.
        dataset: What to embed.

    Returns:
        The estimate; None for an encoder that costs no money.

    Example:
        >>> from embertune.encoders.hashing import HashingEncoder
        >>> estimate_dataset(HashingEncoder(), Dataset.from_pairs([("a", "b")])) is None
        True
    """
    if isinstance(encoder, AdaptedEncoder):
        return estimate_dataset(encoder.encoder, dataset)
    if not isinstance(encoder, Priced):
        return None
    contents = [document.content for document in dataset.corpus.values()]
    return encoder.estimate(list(dataset.queries.values()), "query") + encoder.estimate(contents, "document")


def encode_texts(encoder: Encoder, texts: list[str], side: Side, *, progress: Progress = silent) -> Vectors:
    """Embed texts as a data set's are, each distinct one once.

    Args:
        encoder: From `load_encoder`, or any object with its two methods.
        texts: n of them.
        side: Whether they are queries or documents.
        progress: Told as texts are done, by encoders that tell.

    Returns:
        (n, d), rows of length 1; an empty text has a vector of zeros.

    Raises:
        EncoderError: The encoder failed, or gave something else than a row for each text.

    Example:
        >>> from embertune.encoders.hashing import HashingEncoder
        >>> encode_texts(HashingEncoder(), ["split a list", "open a file"], "query").shape
        (2, 64)
    """
    if isinstance(encoder, TextEncoder):
        vectors = encoder.encode(texts, side, progress=progress)
        # Scaling twice would move the last bits, and a served query must equal its row here.
        return vectors if encoder.spec.normalized else normalize(vectors)
    call: Callable[[Sequence[str]], Vectors] = encoder.encode_query if side == "query" else encoder.encode_document
    place = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    try:
        vectors = as_vectors(call(list(place)), f"{side} vectors of {encoder.spec}")
    except DataError as error:
        raise EncoderError(str(error)) from None
    if len(vectors) != len(place):
        raise EncoderError(
            f"{encoder.spec} gave {len(vectors)} vectors for {len(place)} {side} texts. Expected one row per text."
        )
    return normalize(vectors[np.fromiter((place[text] for text in texts), dtype=np.intp, count=len(texts))])
