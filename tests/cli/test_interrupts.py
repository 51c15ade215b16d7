"""Ctrl-C and readers that leave: nothing half-written, nothing that was paid for is lost, no traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec

import pytest

from embertune.encoders.registry import load_encoder

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")

_SAID = "Interrupted. What was embedded so far is in the cache"


class SlowAPI:
    """An embedding server that answers some requests and then lets its clients wait."""

    def __init__(self, answers: int) -> None:
        self.answers, self.texts = answers, []
        self.is_waiting, self._may_end = threading.Event(), threading.Event()
        lock, api = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                texts = json.loads(self.rfile.read(int(self.headers["content-length"])))["input"]
                with lock:
                    api.answers -= 1
                    served = api.answers >= 0
                if not served:
                    api.is_waiting.set()
                    api._may_end.wait(60)
                    return
                rows = [{"embedding": [len(text), sum(map(ord, text)) % 97, 1.0]} for text in texts]
                data = json.dumps(
                    {"object": "list", "model": "m", "data": rows, "usage": {"prompt_tokens": 1}}
                ).encode()
                with lock:
                    api.texts += texts
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self._may_end.set()
        self._server.shutdown()
        self._server.server_close()


def _start(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "embertune", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.skipif(find_spec("litellm") is None, reason="the api extra is not installed")
def test_ctrl_c_while_an_api_is_silent(small, monkeypatch):
    path = small.folder / "pairs.csv"
    path.write_text("query,document\n" + "".join(f"question {n},answer {n % 40}\n" for n in range(1100)))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-no-key-at-all")
    api = SlowAPI(answers=2)
    command = small.tune("--api-base", api.base, data=path, encoder="openai/text-embedding-3-small")
    before = small.files()
    process = _start(*command)
    try:
        assert api.is_waiting.wait(60)
        # Of three requests at once two are answered; that the answers are kept is seen from here.
        encoder = load_encoder("openai/text-embedding-3-small", api_base=api.base)
        _until(lambda: _missing(encoder) == 1100 - len(api.texts) < 1100 - 512)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
        api.close()
    assert (process.returncode, out) == (130, "")
    assert _SAID in err
    assert "Traceback" not in err
    assert small.files() == before
    assert _missing(encoder) == 1100 - len(api.texts)


def _missing(encoder):
    return len(encoder.uncached([f"question {n}" for n in range(1100)], "query"))


def _until(is_so):
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_ctrl_c_while_fitting(small):
    before = small.files()
    process = _start(*small.tune("--effort", "thorough"), OPENBLAS_NUM_THREADS="1")
    seen = ""
    while "choose on dev" not in seen:
        line = process.stderr.readline()
        assert line, seen
        seen += line
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert _SAID in err
    assert "Traceback" not in err
    assert small.files() == before


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_left(options, small):
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(
        [sys.executable, "-m", "embertune", "inspect", small.data, *options],
        stdout=writer, stderr=subprocess.PIPE, encoding="utf-8", check=False,
    )  # fmt: skip
    os.close(writer)
    assert process.returncode == 1
    assert process.stderr in ("", "read data\n")
