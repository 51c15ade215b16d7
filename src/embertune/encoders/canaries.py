"""Canaries of an encoder: embedded when an adapter is made, and again to see whether it is still the same."""

from __future__ import annotations

import logging

from embertune.adapters.canaries import CANARY_TEXTS, Canaries, Drift
from embertune.core.vectors import as_vectors
from embertune.data.dataset import Dataset
from embertune.encoders.base import Encoder, TextEncoder
from embertune.encoders.precomputed import PrecomputedEncoder
from embertune.errors import DataError, EncoderError

__all__ = ["canary_dataset", "check_canaries", "embed_canaries"]

_log = logging.getLogger(__name__)


def canary_dataset() -> Dataset:
    """Give the texts as a data set, so that their cost is estimated like any other's.

    Example:
        >>> data = canary_dataset()
        >>> len(data.queries), len(data.corpus)
        (16, 16)
    """
    return Dataset.from_pairs(list(zip(CANARY_TEXTS["query"], CANARY_TEXTS["document"], strict=True)))


def embed_canaries(encoder: Encoder) -> Canaries | None:
    """Embed 32 short texts, to be kept with an adapter.

    They may come from the cache: then they are of the age of the vectors that are trained on, which is what counts.

    Args:
        encoder: Whose vectors are trained on.

    Returns:
        The canaries; None for an encoder that cannot embed texts that it does not know.

    Example:
        >>> from embertune.encoders.hashing import HashingEncoder
        >>> embed_canaries(HashingEncoder()).query_vectors.shape
        (16, 64)
    """
    if isinstance(encoder, PrecomputedEncoder):
        return None
    queries, documents = CANARY_TEXTS["query"], CANARY_TEXTS["document"]
    try:
        return Canaries(
            queries,
            documents,
            as_vectors(encoder.encode_query(list(queries))),
            as_vectors(encoder.encode_document(list(documents))),
        )
    # A stranger's encoder may know the texts of one data set alone, and says so in its own way.
    except Exception as error:
        _log.warning("There will be no canaries: %s cannot embed them (%s).", encoder.spec, type(error).__name__)
        return None


def check_canaries(encoder: Encoder, canaries: Canaries) -> Drift:
    """Tell whether an encoder still gives the vectors that an adapter was trained on; no cache is asked.

    Args:
        encoder: The one that the adapter is to follow.
        canaries: Of the adapter.

    Raises:
        EncoderError: It failed, or gave something that is no vector for each text.

    Example:
        >>> from embertune.encoders.hashing import HashingEncoder
        >>> kept = embed_canaries(HashingEncoder())
        >>> check_canaries(HashingEncoder(), kept).state, check_canaries(HashingEncoder(query_prompt="q: "), kept).state
        ('same', 'changed')
    """
    fresh = encoder.without_cache() if isinstance(encoder, TextEncoder) else encoder
    try:
        return canaries.compare(
            fresh.encode_query(list(canaries.queries)), fresh.encode_document(list(canaries.documents))
        )
    except DataError as error:
        raise EncoderError(f"{encoder.spec}: {error}") from None
