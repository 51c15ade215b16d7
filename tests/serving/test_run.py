"""`embertune serve` as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import numpy as np
import pytest

for name in ("uvicorn", "aiohttp", "orjson", "starlette"):
    pytest.importorskip(name, reason=f"{name}, of the extra serve, is not installed")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def post(port, body):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/embeddings", json.dumps(body).encode(),
                                     {"content-type": "application/json"})  # fmt: skip
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


class Process:
    def __init__(self, *arguments):
        self.port = free_port()
        command = [sys.executable, "-m", "embertune", "serve", "--port", str(self.port), *map(str, arguments)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
        self.lines = []
        self._reader = threading.Thread(target=lambda: self.lines.extend(iter(self.process.stderr.readline, "")))
        self._reader.start()

    def wait_until_it_listens(self):
        for _ in range(3000):
            assert self.process.poll() is None, self.lines
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)

    def end(self, number):
        self.process.send_signal(number)
        return self.wait()

    def wait(self):
        code = self.process.wait(60)
        self._reader.join()
        assert self.process.stdout.read() == ""
        self.process.stdout.close()
        self.process.stderr.close()
        return code


@pytest.fixture
def start(adapter, upstream, tmp_path):
    made = []

    def run(*arguments):
        source = ("--upstream", "openai/fake", "--api-base", upstream.base)
        made.append(Process("--adapter", tmp_path / "faq", *source, *arguments))
        return made[-1]

    yield run
    for process in made:
        if process.process.poll() is None:
            process.process.kill()
            process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_and_stops_when_all_is_answered(start, adapter, base_of, upstream, number):
    server = start()
    server.wait_until_it_listens()
    answer = post(server.port, {"model": "faq/query", "input": "a private text"})
    assert np.array(answer["data"][0]["embedding"]) == pytest.approx(
        adapter.transform(base_of(["a private text"]))[0], abs=1e-6
    )
    upstream.delay = 1.0
    found = []
    thread = threading.Thread(target=lambda: found.append(post(server.port, {"model": "faq/query", "input": "late"})))
    asked = len(upstream.requests)
    thread.start()
    while len(upstream.requests) == asked:
        time.sleep(0.01)
    assert server.end(number) == 0
    thread.join()
    assert len(found[0]["data"]) == 1
    events = [json.loads(line) for line in server.lines]
    assert [event["event"] for event in events if event["event"] in ("starting", "canaries", "request", "stopped")] == [
        "canaries", "starting", "request", "request", "stopped",
    ]  # fmt: skip
    request = next(event for event in events if event["event"] == "request")
    assert set(request) == {
        *("time", "level", "event", "request", "status", "model", "ms", "inputs", "side", "cached", "tokens"),
    }  # fmt: skip
    log = "".join(server.lines)
    assert "private" not in log
    assert os.environ["OPENAI_API_KEY"] not in log


def test_quiet_logs_no_requests(start):
    server = start("--quiet")
    server.wait_until_it_listens()
    post(server.port, {"model": "faq/query", "input": "a text"})
    assert server.end(signal.SIGTERM) == 0
    assert server.lines == []


def test_a_port_that_is_taken(start):
    first = start()
    first.wait_until_it_listens()
    second = start("--port", first.port)
    assert second.wait() == 1
    said = [line for line in second.lines if not line.startswith("{")]
    assert said == [
        f"Error: Nobody can listen at 127.0.0.1:{first.port}: the port is taken, or the address is not this machine's. "
        "Choose another: --port 8001\n"
    ]


def test_what_does_not_fit_is_one_sentence(start, upstream):
    upstream.prompt = "changed: "
    server = start()
    assert server.wait() == 1
    assert server.lines[-1].startswith(
        "Error: openai/fake no longer gives the vectors that the adapter faq was trained on"
    )
    assert "Traceback" not in "".join(server.lines)


def test_names_come_from_folders_and_must_differ(run_command, adapter, tmp_path):
    assert run_command("--adapter", tmp_path / "faq", "--adapter", f"faq={tmp_path}").startswith(
        "Two adapters are called 'faq'. Tell them apart: --adapter NAME="
    )
    assert "there is no adapter" not in run_command("--adapter", tmp_path / "faq", "--host", "0.0.0.0")


@pytest.fixture
def run_command(monkeypatch):
    """Give the error of a command that is refused before it serves."""
    from embertune.cli.serve import command
    from embertune.errors import EmbertuneError

    monkeypatch.delenv("EMBERTUNE_API_KEY", raising=False)

    def run(*arguments):
        with pytest.raises(EmbertuneError) as caught:
            command.main([str(argument) for argument in arguments], standalone_mode=False)
        return str(caught.value)

    return run
