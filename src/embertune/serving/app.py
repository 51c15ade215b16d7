"""The server as an ASGI application: OpenAI's /v1/embeddings and /v1/models, /health, /metrics, /openapi.json."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from embertune._optional import require
from embertune.serving.answers import embedding_list
from embertune.serving.config import ServeConfig, keys_of_environment
from embertune.serving.logs import log_request
from embertune.serving.openapi import openapi
from embertune.serving.problems import ApiError
from embertune.serving.schemas import EmbeddingRequest, parse_request
from embertune.serving.security import KeyCheck, read_body
from embertune.serving.service import Embedded, Service

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["create_app"]

_log = logging.getLogger("embertune.serving")

_JSON = "application/json"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# More numbers than this take over 5 ms to write, which a thread does beside other requests.
_INLINE_NUMBERS = 100_000


def create_app(config: ServeConfig | Service) -> Starlette:
    """Give a server as an ASGI application, for any ASGI server.

    Keys of clients are read from EMBERTUNE_API_KEY; where it is not set, nobody is asked for one.

    Args:
        config: What to serve, or a service that was made of it.

    Raises:
        MissingExtraError: starlette is not installed.
        EmbertuneError: See `Service`.

    Example:
        >>> import tempfile
        >>> from embertune.adapters.identity import IdentityAdapter
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = IdentityAdapter().save(f"{folder}/faq")
        ...     app = create_app(ServeConfig({"faq": f"{folder}/faq"}, upstream="hashing"))
        >>> [route.path for route in app.routes][:2]
        ['/v1/embeddings', '/v1/models']
    """
    require("starlette", extra="serve", purpose="Serving")
    require("orjson", extra="serve", purpose="Serving")
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.routing import Route

    service = config if isinstance(config, Service) else Service(config)
    pages = _Pages(service, KeyCheck(keys_of_environment()))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.close()

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/v1/embeddings", pages.embeddings, methods=["POST"]),
            Route("/v1/models", pages.guarded(pages.models), methods=["GET"]),
            Route("/v1/models/{model:path}", pages.guarded(pages.model), methods=["GET"]),
            Route("/health", pages.health, methods=["GET"]),
            Route("/metrics", pages.guarded(pages.metrics), methods=["GET"]),
            Route("/openapi.json", pages.openapi, methods=["GET"]),
        ],
        exception_handlers={HTTPException: _no_such_page, Exception: _unforeseen},
    )


class _Pages:
    """The answers of one server."""

    def __init__(self, service: Service, keys: KeyCheck) -> None:
        self._service, self._keys = service, keys

    def guarded(self, page: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
        """Give a page that asks for the key first, and says errors as OpenAI does."""

        async def answer(request: Request) -> Response:
            try:
                self._keys.check(request.headers.get("authorization"))
                return page(request)
            except ApiError as error:
                return _json(error.body(), error.status, error.headers)

        return answer

    async def embeddings(self, request: Request) -> Response:
        """Embed."""
        from starlette.responses import Response

        began, asked, done, status = time.perf_counter(), None, None, 500
        request_id = _request_id(request)
        try:
            self._keys.check(request.headers.get("authorization"))
            asked = parse_request(await read_body(request, self._service.config.body_mib * 2**20))
            done = await self._service.embed(asked, request_id)
            content = await _written(done, asked)
            status = 200
            return Response(content, media_type=_JSON, headers={"x-request-id": request_id})
        except ApiError as error:
            status = error.status
            return _json(error.body(), status, {**error.headers, "x-request-id": request_id})
        except Exception as error:
            _log.error("failed", exc_info=error, extra={"fields": {"request": request_id}})
            body = ApiError(500, f"Something went wrong here. The log names it by {request_id}.").body()
            return _json(body, 500, {"x-request-id": request_id})
        finally:
            self._note(request_id, asked, done, status, time.perf_counter() - began)

    def models(self, request: Request) -> Response:
        """List the models."""
        names = self._service.catalogue.names()
        return _json({"object": "list", "data": [self._described(name, adapter) for name, adapter in names]})

    def model(self, request: Request) -> Response:
        """Give one model."""
        wanted = request.path_params["model"]
        for name, adapter in self._service.catalogue.names():
            if name == wanted:
                return _json(self._described(name, adapter))
        self._service.catalogue.resolve(wanted, None)
        raise ApiError(404, f"There is no model {wanted[:80]!r}.", param="model", code="model_not_found")

    async def health(self, request: Request) -> Response:
        """Say whether requests are answered."""
        service = self._service
        adapters = {
            name: {
                "type": served.adapter.type,
                "canaries": served.drift.state if served.drift else "none" if served.canaries is None else "unknown",
                "answers": not service.watch.blocks(served),
            }
            for name, served in service.catalogue.served.items()
        }
        good = all(adapter["answers"] for adapter in adapters.values())
        body = {
            "status": "ok" if good else "changed",
            "upstream": service.upstream.name,
            "shadow": service.shadow is not None,
            "adapters": adapters,
        }
        return _json(body, 200 if good else 503)

    def metrics(self, request: Request) -> Response:
        """Give the counters."""
        from starlette.responses import PlainTextResponse

        metrics = self._service.metrics
        metrics.waiting.set(self._service.batcher.waiting)
        return PlainTextResponse(metrics.text(), media_type="text/plain; version=0.0.4")

    async def openapi(self, request: Request) -> Response:
        """Describe the server."""
        return _json(openapi(self._service, with_key=self._keys.is_needed))

    def _described(self, name: str, adapter: str | None) -> dict[str, Any]:
        created = self._service.catalogue.served[adapter].created if adapter else 0
        return {"id": name, "object": "model", "created": created, "owned_by": "embertune" if adapter else "upstream"}

    def _note(
        self, request_id: str, asked: EmbeddingRequest | None, done: Embedded | None, status: int, seconds: float
    ) -> None:
        """Count a request, and log it without its texts."""
        # A name that nobody serves is a stranger's text, and there are endlessly many.
        model = asked.model if asked is not None and (done is not None or self._knows(asked.model)) else ""
        metrics = self._service.metrics
        metrics.requests.add(model, str(status))
        metrics.seconds.observe(seconds, model)
        fields: dict[str, Any] = {
            "request": request_id,
            "status": status,
            "ms": round(seconds * 1000, 2),
            "model": model,
        }
        if asked is not None:
            fields["inputs"] = len(asked.inputs)
        if done is not None:
            metrics.inputs.add(model, by=len(done.vectors))
            fields.update(side=done.side, cached=done.cached, tokens=done.tokens)
            if done.cosine is not None:
                fields["shadow_cosine"] = round(done.cosine, 6)
        log_request(fields)

    def _knows(self, model: str) -> bool:
        return any(name == model for name, _ in self._service.catalogue.names())


async def _written(done: Embedded, asked: EmbeddingRequest) -> bytes:
    if done.vectors.size <= _INLINE_NUMBERS:
        return embedding_list(done.vectors, asked.model, done.tokens, as_base64=asked.base64)
    return await asyncio.to_thread(embedding_list, done.vectors, asked.model, done.tokens, as_base64=asked.base64)


def _request_id(request: Request) -> str:
    given = request.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    import orjson
    from starlette.responses import Response

    return Response(orjson.dumps(body), status, headers, media_type=_JSON)


async def _no_such_page(request: Request, error: Exception) -> Response:
    status, headers = getattr(error, "status_code", 404), getattr(error, "headers", None)
    said = "takes another method" if status == 405 else "is not there"
    problem = ApiError(status, f"{request.method} {request.url.path[:80]}: this address {said}. See /openapi.json.")
    return _json(problem.body(), status, dict(headers or {}))


async def _unforeseen(request: Request, error: Exception) -> Response:
    _log.error("failed", exc_info=error, extra={"fields": {"page": request.url.path[:80]}})
    return _json(ApiError(500, "Something went wrong here.").body(), 500)
