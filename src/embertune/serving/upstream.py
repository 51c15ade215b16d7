"""Who computes the base vectors: an API that is spoken to directly, or any encoder, in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from embertune.core.secrets import scrub
from embertune.core.vectors import as_vectors
from embertune.encoders.api_limits import Limits, limits_of
from embertune.encoders.base import Encoder, TextEncoder
from embertune.encoders.litellm import LiteLLMEncoder
from embertune.encoders.precomputed import PrecomputedEncoder
from embertune.encoders.registry import load_encoder
from embertune.encoders.spec import EncoderSpec
from embertune.errors import ConfigError, DataError, EncoderError, RateLimitError
from embertune.serving.batching import Answer, Lane
from embertune.serving.problems import ApiError
from embertune.serving.schemas import Input
from embertune.serving.upstream_http import HttpUpstream

__all__ = ["EncoderUpstream", "Upstream", "open_upstream"]

# A local model's limit is its memory; this is what its own batches are cut from.
_LOCAL = Limits(2048, 300_000)


class Upstream(Protocol):
    """Where base vectors come from."""

    @property
    def spec(self) -> EncoderSpec:
        """What must be what an adapter was trained on."""

    @property
    def name(self) -> str:
        """What to call it in messages."""

    limits: Limits
    slots: int
    takes_tokens: bool
    same_sides: bool

    async def embed(self, inputs: list[Input], lane: Lane) -> Answer:
        """Embed distinct inputs of one lane.

        Raises:
            ApiError: It failed, with the status to answer.
        """

    async def close(self) -> None:
        """Let go of connections and threads."""


def open_upstream(
    source: str | Encoder, options: dict[str, Any] | None = None, *, timeout: float = 30.0, concurrency: int = 8
) -> Upstream:
    """Give the upstream that a name stands for.

    Args:
        source: "openai/MODEL" is spoken to directly; every other form is that of `load_encoder`.
        options: Keywords of `load_encoder`, such as query_prompt, dimensions or api_base.
        timeout: Seconds that one call may take.
        concurrency: The most calls under way at once.

    Raises:
        EncoderError: It is unknown, cannot be loaded, its key is missing, or it holds vectors of known ids alone.
        ConfigError: An option is impossible.
        MissingExtraError: A package is missing.

    Example:
        >>> open_upstream("hashing").spec.dimension
        64
    """
    given = options or {}
    if isinstance(source, str) and source.startswith("openai/"):
        return HttpUpstream(source.removeprefix("openai/"), timeout=timeout, slots=concurrency, **given)
    encoder = load_encoder(source, **given)
    if isinstance(source, str) and isinstance(encoder, LiteLLMEncoder):
        # Whoever asks tries again by himself; a server that also does multiplies the load on a provider in trouble.
        encoder = load_encoder(source, **given, timeout=timeout, max_retries=0, concurrency=1)
    if isinstance(encoder, PrecomputedEncoder):
        raise EncoderError(
            f"{encoder.spec} holds vectors of known ids and cannot embed what a server is asked. Name the model that "
            "made them: --upstream PROVIDER/MODEL"
        )
    return EncoderUpstream(encoder, concurrency=concurrency)


class EncoderUpstream:
    """An encoder, called in a thread so that the server goes on listening.

    Args:
        encoder: Any encoder; its cache is left alone, because the server has one of its own.
        concurrency: The most calls at once to an API; a local model is called one batch at a time.

    Raises:
        ConfigError: It has an adapter behind it already.
    """

    takes_tokens = False

    def __init__(self, encoder: Encoder, *, concurrency: int = 8) -> None:
        if hasattr(encoder, "adapter"):
            raise ConfigError(f"{encoder.spec} has an adapter behind it already. Serve the encoder itself.")
        self._encoder = encoder.without_cache() if isinstance(encoder, TextEncoder) else encoder
        remote = isinstance(encoder, LiteLLMEncoder)
        spec = encoder.spec
        self.limits = limits_of(spec.provider, spec.model) if remote else _LOCAL
        self.slots = concurrency if remote else 1
        self.same_sides = spec.provider in ("static", "hashing", "model2vec") and not (
            spec.query_prompt or spec.document_prompt
        )
        self._pool = ThreadPoolExecutor(self.slots, thread_name_prefix="embertune-serve")

    @property
    def spec(self) -> EncoderSpec:
        """That of the encoder."""
        return self._encoder.spec

    @property
    def name(self) -> str:
        """Provider and model."""
        return f"{self.spec.provider}/{self.spec.model}"

    async def embed(self, inputs: list[Input], lane: Lane) -> Answer:
        """Embed texts; see `Upstream`."""
        # A copy counts its own tokens alone, while other calls are under way.
        encoder = self._encoder.without_cache() if isinstance(self._encoder, LiteLLMEncoder) else self._encoder
        call = encoder.encode_query if lane.side == "query" else encoder.encode_document
        texts = [str(one) for one in inputs]
        earlier = _tokens(encoder)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._pool, call, texts)
            vectors = as_vectors(found, "vectors")
        except (EncoderError, DataError) as error:
            raise _translated(error, self.name) from None
        if len(vectors) != len(texts):
            raise ApiError(502, f"{self.name} gave {len(vectors)} vectors for {len(texts)} texts.")
        self._encoder = encoder  # which knows its dimension by now
        return Answer(vectors, _tokens(encoder) - earlier)

    async def close(self) -> None:
        """Leave what is under way to end by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _tokens(encoder: Encoder) -> int:
    return encoder.cost.tokens if isinstance(encoder, LiteLLMEncoder) else 0


def _translated(error: Exception, name: str) -> ApiError:
    """Give what an encoder raised as an answer: with the provider's status where it is known."""
    status = next((found for found in map(_status, _causes(error)) if found is not None), 502)
    headers = {}
    if isinstance(error, RateLimitError):
        status = 429
        if error.retry_after is not None:
            headers["retry-after"] = f"{error.retry_after:.0f}"
    said = scrub(str(error))
    return ApiError(status, said if said.startswith(name) else f"{name}: {said}", headers=headers)


def _causes(error: BaseException | None) -> Sequence[BaseException]:
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def _status(error: BaseException) -> int | None:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) and 400 <= status < 600 else None
