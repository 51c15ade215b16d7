"""What a server does without knowing of HTTP: a request in, vectors out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from typing import Any, NamedTuple

import numpy as np

from embertune.adapters.artifact import load_adapter
from embertune.adapters.base import Side
from embertune.core.paths import as_path
from embertune.core.vectors import Vectors, normalize
from embertune.encoders.adapted import check_adapter_fits
from embertune.encoders.from_spec import source_of
from embertune.encoders.spec import EncoderSpec
from embertune.errors import ConfigError, EncoderError
from embertune.serving.adapting import Adapting
from embertune.serving.batching import Answer, Batcher, Lane
from embertune.serving.cache import MemoryCache
from embertune.serving.canaries import CanaryWatch
from embertune.serving.catalogue import Catalogue, load_served
from embertune.serving.config import ServeConfig
from embertune.serving.metrics import Metrics
from embertune.serving.problems import ApiError, bad_request
from embertune.serving.reload import Reloader
from embertune.serving.schemas import EmbeddingRequest, Input
from embertune.serving.shadow import ShadowLog
from embertune.serving.upstream import Upstream, open_upstream

__all__ = ["Embedded", "Service"]

_log = logging.getLogger("embertune.serving")

_PROBE = "how many dimensions has this"


class Embedded(NamedTuple):
    """What is answered.

    Attributes:
        vectors: (n, d) float32.
        tokens: What the upstream counted for it; 0 for what was in the cache.
        cached: How many inputs were in the cache.
        side: Which side they are.
        cosine: In shadow mode the mean cosine of base and adapted vectors; else None.
    """

    vectors: Vectors
    tokens: int
    cached: int
    side: Side
    cosine: float | None = None


class Service:
    """Embeds upstream, adapts and answers.

    Args:
        config: What to serve, and how.

    Raises:
        ArtifactError: An adapter is damaged, or does not fit the upstream.
        EncoderError: The upstream cannot be used.
        ConfigError: A name or an option is impossible.
        StorageError: The shadow file cannot be written.
    """

    def __init__(self, config: ServeConfig) -> None:
        self.config, self.metrics = config, Metrics()
        folders = {name: as_path(folder) for name, folder in config.adapters.items()}
        self.upstream = _upstream_of(config)
        spec = self.upstream.spec
        served = {name: load_served(name, folder, spec) for name, folder in folders.items()}
        base = tuple(dict.fromkeys((spec.model, self.upstream.name)))
        self.catalogue = Catalogue(served, base, same_sides=self.upstream.same_sides, default=config.default)
        self.cache = MemoryCache(config.cache_mib * 2**20)
        self.batcher = Batcher(
            self._call, self.upstream.limits, slots=self.upstream.slots, most_waiting=config.most_waiting
        )
        self.watch = CanaryWatch(
            self._base_now, self.catalogue, self.metrics, policy=config.canaries, name=self.upstream.name
        )
        self.shadow = None if config.shadow is None else ShadowLog(config.shadow, self.metrics)
        self._adapting = Adapting()
        self._tasks: list[asyncio.Task[None]] = []
        self._started = False

    async def start(self) -> None:
        """Look at the canaries, and begin what runs beside the requests.

        Raises:
            ArtifactError: The upstream's vectors are no longer those of training, or of another dimension.
            EncoderError: The upstream refuses to embed.
        """
        if self._started:
            return
        self._started = True
        try:
            await self._look()
        except BaseException:
            await self.close()
            raise
        self._begin(self.watch.run())
        if self.config.reload_seconds:
            reloader = Reloader(self.catalogue, self.watch, self.metrics, seconds=self.config.reload_seconds)
            self._begin(reloader.run(self.upstream.spec))
        if self.shadow is not None:
            self._begin(self.shadow.run())

    async def _look(self) -> None:
        """See that upstream and adapters belong together, as far as can be seen before the first request."""
        await self.watch.start()
        await self._probe()
        for served in self.catalogue.served.values():
            check_adapter_fits(served.adapter, self.upstream.spec, name=f"The adapter {served.name} in {served.folder}")
            self.watch.refuse(served)

    async def close(self) -> None:
        """End what runs beside the requests, wait for calls under way, and let the upstream go."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.batcher.close()
        await self.upstream.close()
        if self.shadow is not None:
            await asyncio.to_thread(self.shadow.flush)

    async def embed(self, request: EmbeddingRequest, request_id: str = "") -> Embedded:
        """Answer a request.

        Args:
            request: Well formed.
            request_id: For the shadow file.

        Raises:
            ApiError: It cannot be answered, and why.
        """
        target = self.catalogue.resolve(request.model, request.side)
        # Kept from here on: a new version that comes while the upstream computes is for later requests.
        served = None if target.served is None else self.catalogue.served[target.served]
        if served is not None and self.watch.blocks(served):
            if self.shadow is None:
                raise ApiError(503, self.watch.refusal(served), code="upstream_changed")
            served = None  # clients get base vectors anyway
        if request.tokens and not self.upstream.takes_tokens:
            raise bad_request(f"{self.upstream.name} takes texts alone, no arrays of tokens. Of LangChain's class this "
                              "is check_embedding_ctx_length=False.", "input")  # fmt: skip
        base, tokens, cached = await self._base(request.inputs, target.side, request.tokens)
        vectors = base if served is None else await self._adapting.transform(served.adapter, base, target.side)
        cosine = None
        if self.shadow is not None and served is not None:
            cosine = self.shadow.add(request_id, request.model, target.side, request.inputs, base, vectors)
            vectors = base
        return Embedded(_cut(vectors, request.dimensions), tokens, cached, target.side, cosine)

    def dimension_of(self, name: str | None) -> int | None:
        """Give how many dimensions an adapter's answers have, or base vectors'; None where that is not known yet."""
        if name is None or self.shadow is not None:
            return self.upstream.spec.dimension
        return self.catalogue.served[name].adapter.output_dimension or self.upstream.spec.dimension

    async def _base(self, inputs: Sequence[Input], side: Side, tokens: bool) -> tuple[Vectors, int, int]:
        """Give base vectors (n, d), the tokens that were paid, and how many came from the cache."""
        keys = [self.cache.key("both" if self.upstream.same_sides else side, one) for one in inputs]
        found = {key: vector for key in keys if (vector := self.cache.get(key)) is not None}
        missing = {key: one for key, one in zip(keys, inputs, strict=True) if key not in found}
        spent = 0
        if missing:
            answer = await self._in_time(self.batcher.submit(list(missing.values()), side, tokens=tokens))
            vectors = normalize(answer.vectors) if self.upstream.spec.normalized else answer.vectors
            spent = answer.tokens
            for key, vector in zip(missing, vectors, strict=True):
                self.cache.put(key, vector)
                found[key] = vector
        self.metrics.misses.add(by=len(missing))
        cached = sum(key not in missing for key in keys)
        self.metrics.hits.add(by=cached)
        return np.stack([found[key] for key in keys]), spent, cached

    async def _in_time(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        try:
            async with asyncio.timeout(self.config.timeout):
                return await work
        except TimeoutError:
            message = f"There was no answer in {self.config.timeout:g} s."
            raise ApiError(504, message, code="timeout") from None

    async def _base_now(self, texts: Sequence[str], side: Side) -> Vectors:
        """Give base vectors of texts as the upstream computes them now."""
        answer = await self.batcher.submit(list(texts), side)
        return normalize(answer.vectors) if self.upstream.spec.normalized else answer.vectors

    async def _call(self, inputs: list[Input], lane: Lane) -> Answer:
        """Ask the upstream, and count."""
        metrics, began = self.metrics, time.perf_counter()
        status = "500"
        try:
            answer = await self.upstream.embed(inputs, lane)
            status = "200"
        except ApiError as error:
            status = str(error.status)
            raise
        finally:
            metrics.calls.add(status)
            metrics.call_seconds.observe(time.perf_counter() - began)
        metrics.call_inputs.add(by=len(inputs))
        metrics.tokens.add(by=answer.tokens)
        return answer

    async def _probe(self) -> None:
        """Learn the dimension where no canary told it, so that what does not fit shows before the first request."""
        if self.upstream.spec.dimension is not None or self.config.canaries == "off":
            return
        try:
            await self._base_now([_PROBE], "query")
        except ApiError as error:
            if error.status in (401, 403, 404):
                raise EncoderError(f"{error.message} (status {error.status})") from None
            _log.warning("upstream_not_reached", extra={"fields": {"status": error.status}})

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))


def _upstream_of(config: ServeConfig) -> Upstream:
    """Open what was named, else whom the first adapter was trained on; prompts and dimensions are that adapter's."""
    source, options = config.upstream, dict(config.options)
    name, folder = next(iter(config.adapters.items()))
    described = load_adapter(as_path(folder)).encoder
    if source is None and described is None:
        raise ConfigError(f"The adapter {name} does not say who made its vectors. Type: --upstream PROVIDER/MODEL")
    if described is not None and (source is None or isinstance(source, str)):
        try:
            trained_on, known = source_of(EncoderSpec.from_dict(described))
        except EncoderError:
            if source is None:
                raise
        else:
            options = {**known, **options} if source in (None, trained_on) else options
            source = source or trained_on
    assert source is not None
    return open_upstream(source, options, timeout=config.timeout, concurrency=config.concurrency)


def _cut(vectors: Vectors, dimensions: int | None) -> Vectors:
    """Give the first dimensions, scaled to length 1 again, as OpenAI does with its models."""
    if dimensions is None or dimensions == vectors.shape[1]:
        return vectors
    if dimensions > vectors.shape[1]:
        raise bad_request(f"dimensions is {dimensions}, and this model gives {vectors.shape[1]}.", "dimensions")
    return normalize(np.ascontiguousarray(vectors[:, :dimensions]))
