from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest


def vector_of(text: str) -> list[float]:
    return [float(len(text)), float(sum(map(ord, text)) % 97 + 1), float(ord(text[0])), 1.0]


class FakeAPI:
    """An OpenAI-like server on 127.0.0.1; `script` holds how to answer the next requests, then all go well."""

    def __init__(self) -> None:
        self.script: list[Any] = []
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.busiest = 0
        self.delay = 0.0
        self.together = 1  # no answer before so many requests were under way at once
        self.refuse: Any = None
        self._busy = 0
        self._lock = threading.Condition()
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                api.answer(self, body)

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
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
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        with self._lock:
            self.requests.append(body)
            self.headers.append({name.lower(): value for name, value in handler.headers.items()})
            self.times.append(time.monotonic())
            how = self.script.pop(0) if self.script else "ok"
            if self.refuse is not None and self.refuse(body):
                how = (400, "refused")
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
            self._lock.notify_all()
            self._lock.wait_for(lambda: self.busiest >= self.together, timeout=20)
        time.sleep(self.delay)
        with self._lock:
            self._busy -= 1
        status, data, headers = self._content(how, body)
        if status == 0:
            handler.close_connection = True
            return
        handler.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(data)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    def _content(self, how: Any, body: dict[str, Any]) -> tuple[int, bytes, dict[str, str]]:
        if how == "cut":
            return 0, b"", {}
        if how == "broken json":
            return 200, b'{"data": [{"embed', {}
        if isinstance(how, tuple):
            status, said, *headers = how
            error = {"error": {"message": said, "type": "t", "code": said if " " not in said else None}}
            return status, json.dumps(error).encode(), dict(headers[0]) if headers else {}
        items = [
            {"object": "embedding", "index": index, "embedding": vector_of(text)}
            for index, text in enumerate(body["input"])
        ]
        tokens = sum(len(text.split()) for text in body["input"])
        answer = {
            "object": "list",
            "model": "m",
            "data": _SPOILED.get(how, list)(items),
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
        return 200, json.dumps(answer).encode(), {}


def _encoded(values: list[float]) -> str:
    return base64.b64encode(np.array(values, dtype="<f4").tobytes()).decode()


_SPOILED = {
    "too few": lambda items: items[:-1],
    "reversed": lambda items: items[::-1],
    "base64": lambda items: [{**item, "embedding": _encoded(item["embedding"])} for item in items],
    "nan": lambda items: [{**items[0], "embedding": [float("nan")] * 4}, *items[1:]],
    "same index": lambda items: [{**item, "index": 0} for item in items],
    "odd indices": lambda items: [{**items[0], "index": 7}, *items[1:]],
}


@pytest.fixture
def api() -> Iterator[FakeAPI]:
    server = FakeAPI()
    yield server
    server.close()
