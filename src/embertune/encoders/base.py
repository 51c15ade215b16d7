"""What every encoder offers, and the work that all text encoders share.

A provider implements one method, ``_encode_batch(texts, side)``. Prompts, duplicates, empty texts, the
cache, batches, order, progress and the check of what came back live here, once.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, Self, TypedDict, cast, runtime_checkable

import numpy as np

from embertune.core.paths import as_path
from embertune.core.progress import Progress, silent
from embertune.core.vectors import Vectors, as_vectors, normalize
from embertune.encoders.batching import pack, run_batches
from embertune.encoders.cache import CacheSession, VectorCache, cache_key, default_cache
from embertune.encoders.spec import EncoderSpec
from embertune.errors import ConfigError, DataError, EncoderError

if TYPE_CHECKING:
    from embertune.adapters.base import Adapter
    from embertune.encoders.adapted import AdaptedEncoder

__all__ = ["CommonOptions", "Encoder", "Side", "TextEncoder"]

Side = Literal["query", "document"]


@runtime_checkable
class Encoder(Protocol):
    """Anything that turns queries and documents into vectors; a class of your own needs no base class.

    Example:
        >>> class Lengths:
        ...     spec = EncoderSpec("lengths", "v1", dimension=1)
        ...     def encode_query(self, texts):
        ...         return np.array([[len(text)] for text in texts], dtype=np.float32)
        ...     encode_document = encode_query
        >>> isinstance(Lengths(), Encoder)
        True
    """

    @property
    def spec(self) -> EncoderSpec:
        """What must match between training and serving."""

    def encode_query(self, texts: Sequence[str]) -> Vectors:
        """Embed queries: n texts -> (n, d)."""

    def encode_document(self, texts: Sequence[str]) -> Vectors:
        """Embed documents: n texts -> (n, d)."""


class CommonOptions(TypedDict, total=False):
    """The keywords that every text encoder takes, as in ``load_encoder("static", batch_size=64)``."""

    query_prompt: str
    document_prompt: str
    batch_size: int
    normalize: bool
    cache: VectorCache | str | Path | bool


class TextEncoder(ABC):
    """The base of encoders that compute from text.

    Empty texts (nothing but white space) are never sent, because most APIs refuse a whole request for
    one of them. They get a vector of zeros, which no search finds, and are counted in `empty_texts`.

    Args:
        spec: Provider, model and revision; the dimension may be None until the first answer.
        query_prompt: Put before every query.
        document_prompt: Put before every document.
        batch_size: The most texts per call; None lets the provider choose.
        normalize: Scale every vector to length 1.
        cache: True for this user's cache, False for none, or a folder or `VectorCache` of your own.

    Example:
        >>> class Lengths(TextEncoder):
        ...     def _encode_batch(self, texts, side):
        ...         return np.array([[len(text), 1] for text in texts], dtype=np.float32)
        >>> encoder = Lengths(EncoderSpec("lengths", "v1"), normalize=False, cache=False)
        >>> encoder.encode_query(["four", "four", "seventh"]).tolist()
        [[4.0, 1.0], [4.0, 1.0], [7.0, 1.0]]
    """

    default_batch_size: ClassVar[int] = 256
    batch_tokens: int | None = None
    concurrency: int = 1
    prompts_by_model: ClassVar[bool] = False
    """The provider puts the prompts itself, so texts reach `_encode_batch` without them."""
    variant: str = ""
    """Options that change the vectors and are not in the spec; a part of the cache's key."""
    zeros_allowed: ClassVar[bool] = False
    """A text without any known word gives zeros, as averages of word vectors do."""

    def __init__(
        self,
        spec: EncoderSpec,
        *,
        query_prompt: str = "",
        document_prompt: str = "",
        batch_size: int | None = None,
        normalize: bool = True,
        cache: VectorCache | str | Path | bool = True,
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, got {batch_size}")
        self.batch_size = batch_size or self.default_batch_size
        self._spec = replace(spec, query_prompt=query_prompt, document_prompt=document_prompt, normalized=normalize)
        self._cache = _cache_of(cache)
        self.empty_texts = 0

    @property
    def spec(self) -> EncoderSpec:
        """Provider, model, dimension and prompts; the dimension is known at the latest after the first text."""
        return self._spec

    def encode_query(self, texts: Sequence[str]) -> Vectors:
        """Embed queries.

        Args:
            texts: n queries.

        Returns:
            (n, d), in the order given.

        Raises:
            DataError: Not a list of texts.
            EncoderError: The provider failed, or gave something that is not n good vectors.
        """
        return self.encode(texts, "query")

    def encode_document(self, texts: Sequence[str]) -> Vectors:
        """Embed documents; see `encode_query`."""
        return self.encode(texts, "document")

    def encode(self, texts: Sequence[str], side: Side, *, progress: Progress = silent) -> Vectors:
        """Embed texts of one side, each distinct text once.

        Args:
            texts: n texts.
            side: "query" or "document"; it chooses the prompt and the provider's input type.
            progress: Told of distinct texts as they are done, those from the cache first.

        Returns:
            (n, d), in the order given.

        Raises:
            DataError: Not a list of texts.
            EncoderError: The provider failed, or gave something that is not n good vectors.
        """
        _check_texts(texts)
        self.empty_texts += sum(not text.strip() for text in texts)
        distinct = [text for text in dict.fromkeys(texts) if text.strip()]
        if texts and not distinct and self._spec.dimension is None:
            raise EncoderError(
                f"All {len(texts)} {side} texts are empty, so the dimension of {self._spec} cannot be known. "
                "Give at least one text with a word in it."
            )
        vectors = self._encode_distinct(distinct, side, progress)
        empty = np.zeros(self._spec.dimension or 0, dtype=np.float32)
        rows = [vectors.get(text, empty) for text in texts]
        result = np.array(rows, dtype=np.float32).reshape(len(texts), -1 if rows else len(empty))
        return normalize(result) if self._spec.normalized else result

    def __or__(self, adapter: Adapter) -> AdaptedEncoder:
        """Put an adapter behind this encoder: ``encoder | adapter`` is an encoder itself.

        Raises:
            ArtifactError: The adapter was fitted on another encoder.
        """
        from embertune.encoders.adapted import AdaptedEncoder

        return AdaptedEncoder(self, adapter)

    @abstractmethod
    def _encode_batch(self, texts: list[str], side: Side) -> Vectors:
        """Embed at most `batch_size` distinct texts that are not empty; gives (n, d)."""

    def prompt(self, side: Side) -> str:
        """Give what is put before every text of a side."""
        return self._spec.query_prompt if side == "query" else self._spec.document_prompt

    def without_cache(self) -> Self:
        """Give the same encoder, the model shared, that computes every text anew and keeps nothing."""
        other = copy.copy(self)
        other._cache = None
        return other

    def uncached(self, texts: Sequence[str], side: Side) -> list[str]:
        """Give the distinct texts that `encode` would have to compute now.

        Args:
            texts: Any texts.
            side: "query" or "document".
        """
        distinct = [text for text in dict.fromkeys(texts) if text.strip()]
        if self._cache is None:
            return distinct
        keys = self._keys(distinct, side)
        with self._cache.session() as session:
            found = session.get(list(keys.values()))
        return [text for text in distinct if keys[text] not in found]

    def _keys(self, texts: Sequence[str], side: Side) -> dict[str, bytes]:
        spec = self._spec
        parts = [spec.provider, spec.model, spec.revision or "", self.variant, side, self.prompt(side)]
        return {text: cache_key([*parts, text]) for text in texts}

    def _encode_distinct(self, texts: list[str], side: Side, progress: Progress) -> dict[str, Vectors]:
        if self._cache is None:
            return self._compute(texts, side, progress, {}, None, {})
        keys = self._keys(texts, side)
        with self._cache.session() as session:
            cached = session.get(list(keys.values()))
            found = {text: cached[keys[text]] for text in texts if keys[text] in cached}
            for vector in found.values():
                self._check_dimension(len(vector), "The cache")
            return self._compute(texts, side, progress, found, session, keys)

    def _compute(
        self,
        texts: list[str],
        side: Side,
        progress: Progress,
        found: dict[str, Vectors],
        session: CacheSession | None,
        keys: Mapping[str, bytes],
    ) -> dict[str, Vectors]:
        missing = [text for text in texts if text not in found]
        stage = "embed queries" if side == "query" else "embed documents"
        note = f"{len(found)} from cache" if found else ""
        progress(stage, len(found), len(texts), note)
        batches = pack(missing, size=self.batch_size, tokens=self.batch_tokens)
        for batch, answer in run_batches(lambda b: self._ask(b, side), batches, concurrency=self.concurrency):
            vectors = self._checked(answer, batch, side)
            if session is not None:
                session.put([keys[text] for text in batch], vectors)
            found.update(zip(batch, vectors, strict=True))
            progress(stage, len(found), len(texts), note)
        return found

    def _ask(self, batch: list[str], side: Side) -> Vectors:
        prompt = "" if self.prompts_by_model else self.prompt(side)
        return self._encode_batch([prompt + text for text in batch] if prompt else batch, side)

    def _checked(self, answer: Vectors, batch: list[str], side: Side) -> Vectors:
        who = f"{self._spec.provider}/{self._spec.model}"
        try:
            vectors = as_vectors(answer, f"{side} vectors that {who} gave")
        except DataError as error:
            raise EncoderError(str(error)) from None
        if len(vectors) != len(batch):
            raise EncoderError(
                f"{who} gave {len(vectors)} vectors for {len(batch)} {side} texts. Expected one row per text, in order."
            )
        self._check_dimension(vectors.shape[1], who)
        zeros = np.flatnonzero(~vectors.any(axis=1))
        if len(zeros) and not self.zeros_allowed:
            examples = ", ".join(repr(batch[row][:40]) for row in zeros[:3])
            raise EncoderError(
                f"{who} gave vectors of zeros for {len(zeros)} of {len(batch)} {side} texts (such as {examples}). "
                "Such a text can never be found: remove these texts, or try another model."
            )
        return vectors

    def _check_dimension(self, dimension: int, who: str) -> None:
        if self._spec.dimension is None:
            self._spec = replace(self._spec, dimension=dimension)
        elif dimension != self._spec.dimension:
            raise EncoderError(
                f"{who} gave vectors of {dimension} dimensions where {self._spec.dimension} were expected. Was the "
                "model changed under the same name? Then embed all texts afresh with another cache: "
                "EMBERTUNE_CACHE=NEW_FOLDER."
            )


def _cache_of(choice: VectorCache | str | Path | bool) -> VectorCache | None:
    if isinstance(choice, bool):
        return default_cache() if choice else None
    return choice if isinstance(choice, VectorCache) else VectorCache(as_path(choice))


def _check_texts(texts: Sequence[str]) -> None:
    if isinstance(texts, str):
        raise DataError(f"Expected a list of texts, found one text. Type: encode_query([{texts[:20]!r}])")
    wrong = [(row, text) for row, text in enumerate(cast(Sequence[object], texts)) if not isinstance(text, str)]
    if wrong:
        examples = ", ".join(f"row {row}: {value!r}"[:60] for row, value in wrong[:3])
        raise DataError(
            f"{len(wrong)} of {len(texts)} texts are not strings ({examples}). Remove or convert them first."
        )
