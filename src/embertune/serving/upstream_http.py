"""An upstream that speaks OpenAI's protocol, spoken to directly: token arrays pass, and errors keep their status."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from embertune._optional import require
from embertune.core.secrets import scrub
from embertune.core.vectors import Vectors, as_vectors
from embertune.encoders.api_limits import limits_of
from embertune.encoders.spec import EncoderSpec
from embertune.errors import ConfigError, DataError, EncoderError
from embertune.serving.batching import Answer, Lane
from embertune.serving.problems import ApiError
from embertune.serving.schemas import Input

if TYPE_CHECKING:
    import aiohttp

__all__ = ["HttpUpstream"]

_OPENAI = "https://api.openai.com/v1"
_MIB = 2**20
# 8192 numbers of 24 characters: more than any model gives for one input.
_MOST_BYTES_PER_INPUT = 8192 * 24
_CONNECT_SECONDS = 10.0
_KEPT_HEADERS = ("retry-after", "retry-after-ms", "x-should-retry")


class HttpUpstream:
    """A server with POST /embeddings as OpenAI's.

    The key is read from OPENAI_API_KEY and goes into the request alone.

    Args:
        model: Its name there.
        timeout: Seconds that one call may take.
        slots: The most calls under way.
        api_base: Address of another server, up to and with /v1; else OPENAI_BASE_URL, else OpenAI's own.
        dimensions: Ask for shorter vectors.
        query_prompt: Put before every query.
        document_prompt: Put before every document.
        normalize: Scale every vector to length 1.

    Raises:
        EncoderError: The key is missing.
        ConfigError: The address is none.
    """

    takes_tokens = True

    def __init__(
        self,
        model: str,
        *,
        timeout: float,
        slots: int,
        api_base: str | None = None,
        dimensions: int | None = None,
        query_prompt: str = "",
        document_prompt: str = "",
        normalize: bool = True,
    ) -> None:
        require("aiohttp", extra="serve", purpose="Serving")
        self._spec = EncoderSpec("openai", model, None, dimensions, query_prompt, document_prompt, normalize)
        base = api_base or os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE") or _OPENAI
        if urlsplit(base).scheme not in ("http", "https") or not urlsplit(base).hostname:
            raise ConfigError(f"{scrub(base)!r} is no address. Expected such as --api-base http://localhost:8080/v1")
        self._url, self.slots, self._timeout = f"{base.rstrip('/')}/embeddings", slots, timeout
        self._proxy = _proxy_for(base)
        self._dimensions = dimensions
        self._key = os.environ.get("OPENAI_API_KEY", "").strip()
        if not self._key and base == _OPENAI:
            raise EncoderError(
                f"openai/{model} needs a key, and OPENAI_API_KEY is not set. Type: export OPENAI_API_KEY=..."
            )
        self.limits = limits_of("openai", model)
        self.same_sides = query_prompt == document_prompt
        self._session: aiohttp.ClientSession | None = None

    @property
    def spec(self) -> EncoderSpec:
        """The dimension is known after the first answer, unless it was asked for."""
        return self._spec

    @property
    def name(self) -> str:
        """As in --upstream."""
        return f"openai/{self._spec.model}"

    async def embed(self, inputs: list[Input], lane: Lane) -> Answer:
        """Embed texts or arrays of tokens; see `embertune.serving.upstream.Upstream`."""
        prompt = self._spec.query_prompt if lane.side == "query" else self._spec.document_prompt
        if prompt and lane.tokens:
            raise ApiError(400, f"{self.name} has a prompt before every {lane.side}, which cannot stand before tokens. "
                           "Send texts.", param="input")  # fmt: skip
        body: dict[str, Any] = {
            "model": self._spec.model,
            "input": [f"{prompt}{one}" for one in inputs] if prompt else inputs,
            "encoding_format": "base64",
        }
        if self._dimensions is not None:
            body["dimensions"] = self._dimensions
        status, headers, data = await self._post(body, len(inputs))
        if status != 200:
            raise self._refused(status, headers, data)
        return self._read(data, len(inputs))

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _post(self, body: dict[str, Any], count: int) -> tuple[int, Mapping[str, str], bytes]:
        import aiohttp
        import orjson

        data = orjson.dumps(body)
        again = True
        while True:
            try:
                async with asyncio.timeout(self._timeout):
                    return await self._exchange(data, _MIB + count * _MOST_BYTES_PER_INPUT)
            except TimeoutError:
                raise ApiError(504, f"{self.name} gave no answer in {self._timeout:g} s.", code="timeout") from None
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                # A connection that was kept is often closed by the other side just as it is used again.
                refused = isinstance(error, aiohttp.ClientConnectorError)
                if refused or not again:
                    said = "cannot be reached" if refused else "closed the connection without an answer"
                    raise ApiError(502, f"{self.name} {said}.", code="upstream_unreachable") from None
                again = False
            except aiohttp.ClientError as error:
                said = type(error).__name__  # its text may quote the request
                raise ApiError(502, f"{self.name}: the answer broke off ({said}).", code="upstream_broken") from None

    async def _exchange(self, data: bytes, most: int) -> tuple[int, Mapping[str, str], bytes]:
        session = self._opened()
        # A redirect would be followed with the key, and by GET.
        async with session.post(self._url, data=data, allow_redirects=False, proxy=self._proxy) as response:
            pieces, size = [], 0
            async for piece in response.content.iter_any():
                size += len(piece)
                if size > most:
                    raise ApiError(502, f"{self.name} gave more than {most // _MIB} MiB.", code="upstream_broken")
                pieces.append(piece)
            return response.status, response.headers, b"".join(pieces)

    def _opened(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:  # not earlier: it belongs to the loop that is running
            headers = {"content-type": "application/json", "accept": "application/json"}
            if self._key:
                headers["authorization"] = f"Bearer {self._key}"
            self._session = aiohttp.ClientSession(
                headers=headers,
                connector=aiohttp.TCPConnector(limit=self.slots),
                timeout=aiohttp.ClientTimeout(total=None, connect=min(_CONNECT_SECONDS, self._timeout)),
            )
        return self._session

    def _refused(self, status: int, headers: Mapping[str, str], data: bytes) -> ApiError:
        """Give an error of the upstream as ours: its status, its words without keys, when to try again."""
        if not 400 <= status < 600:
            return ApiError(502, f"{self.name} answered with status {status}.", code="upstream_broken")
        said = _said(data)
        kept = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
        message = scrub(said.get("message") or f"status {status}")[:2000]
        texts = {name: value for name in ("type", "param", "code") if isinstance(value := said.get(name), str)}
        return ApiError(status, f"{self.name}: {message}", headers=kept, **texts)

    def _read(self, data: bytes, count: int) -> Answer:
        import orjson

        try:
            answer = orjson.loads(data)
            rows = sorted(answer["data"], key=lambda row: int(row["index"]))
            if [row["index"] for row in rows] != list(range(count)):
                raise ValueError(f"{len(rows)} vectors for {count} inputs, or numbered otherwise")
            vectors = as_vectors([_vector(row["embedding"]) for row in rows])
            usage = answer.get("usage") or {}
            tokens = int(usage.get("prompt_tokens") or usage.get("total_tokens") or 0)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError, DataError) as error:
            said = type(error).__name__ if not isinstance(error, DataError) else str(error)
            raise ApiError(
                502, f"{self.name} gave an answer that cannot be used ({said}).", code="upstream_broken"
            ) from None
        self._check(vectors)
        return Answer(vectors, tokens)

    def _check(self, vectors: Vectors) -> None:
        dimension = vectors.shape[1]
        if self._spec.dimension is None:
            self._spec = replace(self._spec, dimension=dimension)
        if dimension != self._spec.dimension:
            message = f"{self.name} gave vectors of {dimension} dimensions where {self._spec.dimension} were expected."
            raise ApiError(502, message, code="upstream_changed")
        if not vectors.any(axis=1).all():
            raise ApiError(502, f"{self.name} gave a vector of zeros.", code="upstream_broken")


def _proxy_for(url: str) -> str | None:
    """Give the proxy that the environment names for an address; aiohttp would look it up anew for every request."""
    from urllib.request import getproxies, proxy_bypass

    address = urlsplit(url)
    return None if proxy_bypass(address.hostname or "") else getproxies().get(address.scheme)


def _vector(value: Any) -> Any:
    """Decode float32 in base64, which not every server gives when it is asked to."""
    return np.frombuffer(base64.b64decode(value, validate=True), dtype="<f4") if isinstance(value, str) else value


def _said(data: bytes) -> dict[str, Any]:
    """Give the error object of an answer: OpenAI's, or what other servers put in its place."""
    import orjson

    try:
        answer = orjson.loads(data)
    except ValueError:
        return {}
    error = answer.get("error", answer) if isinstance(answer, dict) else None
    if isinstance(error, str):
        return {"message": error}
    if not isinstance(error, dict):
        return {}
    message = error.get("message") or error.get("detail")
    return {**error, "message": message if isinstance(message, str) else None}
