"""A real upstream that speaks OpenAI's protocol and fails on demand, and a real server in front of it."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embertune.adapters.linear import LinearAdapter
from embertune.encoders.canaries import embed_canaries
from embertune.encoders.hashing import HashingEncoder
from embertune.encoders.spec import EncoderSpec

DIMENSION = 48
ENCODER = HashingEncoder(dimension=DIMENSION)


class OpenAIVectors(HashingEncoder):
    """The upstream's vectors, as an encoder of openai/fake gives them; `scale` and `prompt` are how it may change."""

    def __init__(self) -> None:
        super().__init__(dimension=DIMENSION)
        self._spec = EncoderSpec("openai", "fake", dimension=DIMENSION)


def text_of(entry: Any) -> str:
    return entry if isinstance(entry, str) else " ".join(map(str, entry))


class Upstream:
    """OpenAI's POST /v1/embeddings on 127.0.0.1; a text such as "fault:429 …" gets that fault.

    `fault` is one for every request.
    """

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.fault: str | None = None
        self.delay = 0.0
        self.prompt = ""
        self.busiest = 0
        self._busy = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                upstream.answer(self, body)

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                """A client that gave up is part of the tests, and no news for the terminal."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def texts(self) -> list[str]:
        return [text for request in self.requests for text in request["input"]]

    def close(self) -> None:
        self._closing.set()
        self.stop_listening()

    def stop_listening(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        with self._lock:
            self.requests.append(body)
            self.headers.append({name.lower(): value for name, value in handler.headers.items()})
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
        time.sleep(self.delay)
        found = [text_of(one).split()[0][6:] for one in body["input"] if text_of(one).startswith("fault:")]
        fault = self.fault or (found[0] if found else None)
        status, data, headers = self._content(fault, body)
        with self._lock:
            self._busy -= 1
        if status == 0:
            handler.close_connection = True
            return
        handler.send_response(status)
        length = len(data) + (1000 if fault == "short" else 0)
        for name, value in {"content-type": "application/json", "content-length": str(length), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)
        handler.close_connection = fault == "short"

    def _content(self, fault: str | None, body: dict[str, Any]) -> tuple[int, bytes, dict[str, str]]:
        if fault == "cut":
            return 0, b"", {}
        if fault == "slow":
            self._closing.wait(60)
        if fault is not None and fault.isdigit():
            error = {
                "message": f"no {fault}; key sk-proj-0123456789abcdef",
                "type": "their_type",
                "param": "input",
                "code": "their_code",
            }
            headers = (
                {"retry-after": "7"}
                if fault == "429"
                else {"location": "http://127.0.0.1:1/"}
                if fault == "302"
                else {}
            )
            return int(fault), json.dumps({"error": error}).encode(), headers
        if fault in GARBAGE:
            return 200, GARBAGE[fault](self.good(body)), {}
        return 200, json.dumps(self.good(body)).encode(), {}

    def good(self, body: dict[str, Any]) -> dict[str, Any]:
        texts = [self.prompt + text_of(one) for one in body["input"]]
        vectors = 3 * ENCODER.encode_query(texts)[:, : body.get("dimensions", DIMENSION)]
        as_base64 = body.get("encoding_format") == "base64"
        rows = [
            base64.b64encode(row.astype("<f4").tobytes()).decode() if as_base64 else row.tolist() for row in vectors
        ]
        data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)]
        tokens = sum(len(text.split()) for text in texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": data, "model": body["model"], "usage": usage}


def _without(answer: dict[str, Any], row: int) -> bytes:
    return json.dumps({**answer, "data": [one for at, one in enumerate(answer["data"]) if at != row]}).encode()


def _with(answer: dict[str, Any], embedding: Any) -> bytes:
    return json.dumps({**answer, "data": [{**one, "embedding": embedding} for one in answer["data"]]}).encode()


def _packed(values: list[float]) -> str:
    return base64.b64encode(np.array(values, dtype="<f4").tobytes()).decode()


GARBAGE: dict[str | None, Callable[[dict[str, Any]], bytes]] = {
    "html": lambda answer: b"<html>Bad gateway</html>",
    "empty": lambda answer: b"",
    "half": lambda answer: json.dumps(answer).encode()[:40],
    "list": lambda answer: b"[1, 2, 3]",
    "no-data": lambda answer: b'{"object": "list"}',
    "null-data": lambda answer: b'{"data": null}',
    "short": lambda answer: json.dumps(answer).encode(),
    "fewer": lambda answer: _without(answer, len(answer["data"]) - 1),
    "no-index": lambda answer: json.dumps(
        {"data": [{"embedding": one["embedding"]} for one in answer["data"]]}
    ).encode(),
    "same-index": lambda answer: json.dumps({"data": [{**one, "index": 1} for one in answer["data"]]}).encode(),
    "nan": lambda answer: _with(answer, _packed([float("nan")] * DIMENSION)),
    "zeros": lambda answer: _with(answer, _packed([0.0] * DIMENSION)),
    "narrow": lambda answer: _with(answer, _packed([1.0] * 5)),
    "no-base64": lambda answer: _with(answer, "%%%"),
    "odd-bytes": lambda answer: _with(answer, base64.b64encode(b"12345").decode()),
    "words": lambda answer: _with(answer, ["one", "two"]),
    "nested": lambda answer: _with(answer, [[[1.0]]]),
    "huge": lambda answer: b" " * 5_000_000 + json.dumps(answer).encode(),
}


@pytest.fixture
def upstream(monkeypatch) -> Iterator[Upstream]:
    monkeypatch.setenv("OPENAI_API_KEY", "upstream-secret-0123456789")
    monkeypatch.delenv("EMBERTUNE_API_KEY", raising=False)
    made = Upstream()
    yield made
    made.close()


def make_adapter(seed: int = 0, side: str = "both", encoder: Any = None) -> LinearAdapter:
    """A map of both sides, each another one, with the canaries of its encoder."""
    encoder = encoder or OpenAIVectors()
    dimension = encoder.spec.dimension
    random = np.random.default_rng(seed)
    sides = ("query", "document") if side == "both" else (side,)
    size = (dimension, dimension)
    tensors = {name: (0.5 * random.normal(size=size) / dimension**0.5).astype(np.float32) for name in sides}
    adapter = LinearAdapter.from_tensors(tensors, {"side": side})
    adapter.encoder = encoder.spec.to_dict()
    adapter.canaries = embed_canaries(encoder)
    return adapter


@pytest.fixture(name="make_adapter")
def adapters() -> Callable[..., LinearAdapter]:
    """What makes adapters."""
    return make_adapter


@pytest.fixture
def base_of() -> Callable[[list[str]], Any]:
    """What the upstream gives for texts, at length 1."""
    return OpenAIVectors().encode_query


@pytest.fixture
def adapter(tmp_path) -> LinearAdapter:
    """An adapter on openai/fake, saved as tmp_path/faq."""
    made = make_adapter()
    made.save(tmp_path / "faq")
    return made


@dataclass
class Reply:
    """What a request was answered with."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]

    @property
    def vectors(self) -> Any:
        rows = [row["embedding"] for row in sorted(self.json["data"], key=lambda row: row["index"])]
        if isinstance(rows[0], str):
            return np.stack([np.frombuffer(base64.b64decode(row), dtype="<f4") for row in rows])
        return np.array(rows, dtype=np.float32)


@dataclass
class Running:
    """A server in a thread of its own."""

    port: int
    service: Any
    loop: Any

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {
            "content-type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def embed(self, input: Any, model: str = "faq/query", **fields: Any) -> Reply:
        return self.ask("POST", "/v1/embeddings", {"model": model, "input": input, **fields})

    def at_once(self, *requests: dict[str, Any]) -> list[Reply]:
        """Send requests from a thread each, and give the answers in their order."""
        found: list[Any] = [None] * len(requests)

        def one(at: int) -> None:
            found[at] = self.embed(**requests[at])

        threads = [threading.Thread(target=one, args=(at,)) for at in range(len(requests))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    def run(self, work: Any) -> Any:
        """Run a coroutine in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def statuses(self) -> Counter[str]:
        lines = self.service.metrics.text().splitlines()
        found: Counter[str] = Counter()
        for line in lines:
            if line.startswith("embertune_requests_total{"):
                found[line.partition('status="')[2][:3]] += int(line.rpartition(" ")[2])
        return found


class Thread:
    """A server in a thread of its own, from its start to its end."""

    def __init__(self, config: Any) -> None:
        self.config, self.error = config, None
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._main, daemon=True)
        self.thread.start()
        assert self.ready.wait(30)
        if self.error is not None:
            self.thread.join()
            raise self.error

    def end(self) -> None:
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except Exception as error:
            self.error = error
        finally:
            self.ready.set()

    async def _run(self) -> None:
        import uvicorn

        from embertune.serving.app import create_app
        from embertune.serving.service import Service

        self.service = Service(self.config)
        await self.service.start()
        app = create_app(self.service)
        self.server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, ws="none"))
        self.loop = asyncio.get_running_loop()
        task = asyncio.create_task(self.server.serve())
        while not self.server.started and not task.done():
            await asyncio.sleep(0.005)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        self.ready.set()
        await task


@pytest.fixture
def serve(upstream, tmp_path) -> Iterator[Callable[..., Running]]:
    """Start a server with the adapter tmp_path/faq on the upstream of the tests; keywords are those of ServeConfig."""
    for module in ("uvicorn", "aiohttp", "orjson", "starlette"):
        pytest.importorskip(module, reason=f"{module}, of the extra serve, is not installed")
    from embertune.serving.config import ServeConfig

    running: list[Thread] = []

    def start(adapters: dict[str, Path] | None = None, **settings: Any) -> Running:
        options = {"api_base": upstream.base} if settings.get("upstream", "openai/fake") == "openai/fake" else {}
        given = {"upstream": "openai/fake", "options": options, **settings}
        thread = Thread(ServeConfig(adapters or {"faq": tmp_path / "faq"}, **given))
        running.append(thread)
        return Running(thread.port, thread.service, thread.loop)

    yield start
    for thread in running:
        thread.end()


@pytest.fixture
def server(serve, adapter) -> Running:
    """A server as it is started by itself."""
    return serve()
