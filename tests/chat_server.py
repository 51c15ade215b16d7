"""An OpenAI-like chat server on 127.0.0.1 that writes queries and answers, and fails in every way that providers do.

Run as a script it serves until it is killed, and appends what it answered to a file.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_WANTED = re.compile(r"^- passage (\d+): ([^;\n]*)", re.MULTILINE)
_PASSAGE = re.compile(r'<passage number="(\d+)">\n(.*?)\n</passage>', re.DOTALL)
_CHUNKS = re.compile(r"^Write (\d+) new passage", re.MULTILINE)
_QUESTION = re.compile(r"^Question: (.*)", re.MULTILINE)
_MARK = re.compile(r"mark\w+")
FAULTS = ["cut", "half", "broken json", "prose", "none", "too few", "other passage", 500, 503, 429, "empty"]
# LiteLLM takes seconds to import, so one process imports it and forks those that are killed.
_FORKS = """
import litellm
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        run()
        os._exit(0)
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""


class ChatServer:
    """`script` holds how to answer the next requests; after that `faults` says how many of them fail by chance."""

    def __init__(self, *, faults: float = 0.0, log: str | None = None, seed: int = 0) -> None:
        self.script: list[Any] = []
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.given: list[str] = []  # every query in an answer that was sent whole
        self.delay = 0.0
        self.busiest = self._busy = 0
        self.write = write_queries
        self._faults, self._random, self._log = faults, random.Random(seed), log
        self._count = 0
        self._lock = threading.Lock()
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                chat.answer(self, body)

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that gave up is part of the tests, and no news for the terminal."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        with self._lock:
            self._count += 1
            number = self._count
            self.requests.append(body)
            self.headers.append({name.lower(): value for name, value in handler.headers.items()})
            self.times.append(time.monotonic())
            how = self.script.pop(0) if self.script else "ok"
            if how == "ok" and self._random.random() < self._faults:
                how = self._random.choice(FAULTS)
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
        time.sleep(self.delay)
        with self._lock:
            self._busy -= 1
        status, data, headers, queries = self._content(how, body, number)
        if status == 0:
            handler.close_connection = True
            return
        handler.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(data)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if how == "half":
            handler.wfile.write(data[: len(data) // 2])
            handler.close_connection = True
            return
        handler.wfile.write(data)
        with self._lock:
            self.given += queries
            if self._log:
                with open(self._log, "a", encoding="utf-8") as file:
                    file.writelines(query + "\n" for query in queries)

    def _content(self, how: Any, body: dict[str, Any], number: int) -> tuple[int, bytes, dict[str, str], list[str]]:
        if how == "cut":
            return 0, b"", {}, []
        if isinstance(how, int):
            how = (how, "busy now", {"retry-after": "0.05"} if how == 429 else {})
        if isinstance(how, tuple):
            status, said, *headers = how
            error = {"error": {"message": said, "type": "t", "code": said if " " not in said else None}}
            return status, json.dumps(error).encode(), dict(headers[0]) if headers else {}, []
        key, items = self.write(body, number)
        if how == "too few":
            items = items[: max(1, len(items) // 2)]
        alone = len({item.get("passage") for item in items}) == 1
        if how == "other passage":
            items = [{**item, "passage": 99} for item in items]
        told = {"answer": items[0]["text"], "passages": [1]} if key == "answer" else {key: items}
        written = json.dumps(told, ensure_ascii=False)
        content = {
            "broken json": written[: len(written) // 20],
            "prose": f"Of course! Here they are:\n```json\n{written}\n```\nHave fun.",
            "none": "I cannot do that.",
            "empty": None,
        }.get(how, how.removeprefix("say ") if str(how).startswith("say ") else written)
        usable = how in ("ok", "prose", "too few") or (how == "other passage" and alone)
        message = {"role": "assistant", "content": content}
        answer = {
            "id": f"a{number}",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
        }
        queries = [item["text"] for item in items] if usable and key in ("queries", "answer") else []
        return 200, json.dumps(answer).encode(), {}, queries


def write_queries(body: dict[str, Any], number: int) -> tuple[str, list[dict[str, Any]]]:
    """Write what is wanted, each with the passage's mark, so that one can tell what it was written for."""
    user = body["messages"][-1]["content"]
    if question := _QUESTION.search(user):
        return "answer", [{"text": f"answer {number} to {question[1]}"}]
    if chunks := _CHUNKS.search(user):
        return "chunks", [
            {"title": f"thing mark{number}n{at}x", "text": f"The thing mark{number}n{at}x {_words(number, at)}."}
            for at in range(int(chunks[1]))
        ]
    shown = dict(_PASSAGE.findall(user))
    items = []
    for passage, styles in _WANTED.findall(user):
        mark = _MARK.search(shown[passage])
        for part in styles.split(", "):
            count, style = part.split(" ")[:2]
            for at in range(int(count)):
                text = f"{style} {at} about {mark[0] if mark else passage} in answer {number}"
                items.append({"passage": int(passage), "style": style, "text": text})
    return "queries", items


def _words(number: int, at: int) -> str:
    """Ten words that no other passage has."""
    return " ".join(f"word{number}of{at}at{place}" for place in range(10))


@contextmanager
def killable_runs(program: str, log: Path, *arguments: object, faults: float = 0.0) -> Iterator[Callable[..., int]]:
    """Give a function that runs a program against a server of its own, which is not killed with it.

    Args:
        program: Text that defines `run()`; its `sys.argv` holds the server's address and the arguments.
        log: Where the server writes what it gave, a line each.
        arguments: For the program.
        faults: How many of the server's answers fail.

    The function kills the run once the server has `given` so many answers in all (None: not), and tells how it ended.
    """
    log.touch()
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "text": True}
    environment = {**os.environ, "OPENAI_API_KEY": "sk-of-a-test", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with subprocess.Popen([sys.executable, __file__, str(faults), str(log)], **pipes) as server:
        try:
            base = server.stdout.readline().strip()
            command = [sys.executable, "-c", "import os, sys\n" + program + _FORKS, base, *map(str, arguments)]
            with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, **pipes) as parent:

                def run(given: int | None) -> int:
                    parent.stdin.write("run\n")
                    parent.stdin.flush()
                    pid = int(parent.stdout.readline())
                    if given is not None:
                        until = time.monotonic() + 120
                        while len(log.read_text("utf-8").splitlines()) < given and time.monotonic() < until:
                            time.sleep(0.02)
                        os.kill(pid, signal.SIGKILL)
                    return int(parent.stdout.readline())

                yield run
                parent.stdin.close()
        finally:
            server.kill()


if __name__ == "__main__":
    server = ChatServer(faults=float(sys.argv[1]), log=sys.argv[2])
    sys.stdout.write(server.base + "\n")
    sys.stdout.flush()
    threading.Event().wait()
