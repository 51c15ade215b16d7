"""What the server adds to its upstream: latency, requests a second, CPU per request, memory over many requests.

    python benchmarks/serving.py [--requests 200000]

Three processes of this machine: a client that keeps connections open and sends one text a request, the server
(`embertune serve`), and an upstream that answers at once with vectors of 1536 dimensions. The adapter is a linear map
of queries: in 256 directions, as tune makes it for so many dimensions, and over all of space. Latency is taken in
turns, one request to the server and one to the upstream, so that what else runs on the machine meets both. The CPU time
of a request is the server's alone, and tells what a machine would do that is not shared. Writes
benchmarks/results/serving.json.
"""

import argparse
import asyncio
import base64
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
DIMENSION = 1536
RANKS = (256, None)
TURNS = 1500
CONNECTIONS = 32
REQUESTS = 5_000
ROUNDS = 6


def adapter(folder, rank):
    """Save a random map with the canaries of the upstream."""
    import numpy as np

    from embertune.adapters.canaries import CANARY_TEXTS, Canaries
    from embertune.adapters.linear import LinearAdapter
    from embertune.core.vectors import normalize

    random = np.random.default_rng(0)
    size = rank or DIMENSION
    tensors = {"query": (0.3 * random.normal(size=(size, size)) / size**0.5).astype(np.float32)}
    if rank:
        tensors["basis"] = np.linalg.qr(random.normal(size=(DIMENSION, rank)))[0].astype(np.float32)
    made = LinearAdapter.from_tensors(tensors, {"rank": rank})
    made.encoder = {"provider": "openai", "model": "instant", "dimension": DIMENSION}
    texts = CANARY_TEXTS["query"], CANARY_TEXTS["document"]
    made.canaries = Canaries(*texts, *(normalize(np.stack([vector_of(text) for text in part])) for part in texts))
    made.save(folder)


def vector_of(text):
    """Give a text's vector: cheap, and another one for another text."""
    import numpy as np

    seed = np.frombuffer(text.encode().ljust(64)[:64], dtype=np.uint8).astype(np.float32)
    return np.tile(seed - 77.0, DIMENSION // 64)


class Upstream(asyncio.Protocol):
    """The least of HTTP that an upstream needs."""

    def __init__(self):
        self.buffer = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.buffer += data
        while (whole := one_message(self.buffer)) is not None:
            body, self.buffer = whole
            self.transport.write(respond(json.loads(body)["input"]))


def respond(texts):
    rows = ",".join(
        f'{{"index":{row},"embedding":"{base64.b64encode(vector_of(text).tobytes()).decode()}"}}'
        for row, text in enumerate(texts)
    )
    body = f'{{"data":[{rows}],"usage":{{"prompt_tokens":{len(texts)}}}}}'.encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def one_message(buffer):
    """Give the body of the first whole message, and what follows it."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    length = int(re.search(rb"content-length: (\d+)", buffer[:end], re.IGNORECASE)[1])
    whole = end + 4 + length
    return (buffer[end + 4 : whole], buffer[whole:]) if len(buffer) >= whole else None


async def run_upstream(port):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", port)
    await server.serve_forever()


class Connection:
    """A connection that is kept."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port):
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, text, model):
        body = json.dumps({"model": model, "input": text, "encoding_format": "base64"}).encode()
        self.writer.write(
            b"POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (len(body), body)
        )
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head, re.IGNORECASE)[1])
        answer = await self.reader.readexactly(length)
        if b" 200 " not in head[:20]:
            raise SystemExit(f"{head!r}\n{answer[:500]!r}")


async def latency(server, upstream):
    """Give milliseconds of new texts, of cached ones, and of the upstream alone."""
    mine, theirs = await Connection.open(server), await Connection.open(upstream)
    found = {"server": [], "cached": [], "upstream": []}
    for turn in range(TURNS):
        for name, connection, text in (
            ("upstream", theirs, f"turn {turn}"), ("server", mine, f"turn {turn}"), ("cached", mine, f"turn {turn}"),
        ):  # fmt: skip
            began = time.perf_counter()
            await connection.ask(text, "bench/query")
            found[name].append(1000 * (time.perf_counter() - began))
    found["added"] = [a - b for a, b in zip(found["server"], found["upstream"], strict=True)]
    return {f"{name}_ms": quantiles(times) for name, times in found.items()}


def quantiles(times):
    """Give the median, and the tenths at both ends: the lower one is near what a machine of its own would give."""
    cut = statistics.quantiles(times, n=10)
    return {"p10": cut[0], "median": cut[4], "p90": cut[8]}


async def load(server, pid, requests, texts):
    """Send requests over many connections; give the rate and the server's CPU time for each."""
    connections = [await Connection.open(server) for _ in range(CONNECTIONS)]
    numbers = iter(range(requests))

    async def work(connection):
        for number in numbers:
            await connection.ask(texts(number), "bench/query")

    before, began = cpu_seconds(pid), time.perf_counter()
    await asyncio.gather(*map(work, connections))
    seconds = time.perf_counter() - began
    spent = cpu_seconds(pid) - before
    for connection in connections:
        connection.writer.close()
    return {"per_second": requests / seconds, "server_cpu_us": 1e6 * spent / requests}


def rounds(port, pid, text):
    """Give the rate of every round, and the server's CPU time for a request over all of them."""
    done = [
        asyncio.run(load(port, pid, REQUESTS, lambda number, turn=turn: text(turn, number))) for turn in range(ROUNDS)
    ]
    return {
        "per_second": sorted(round(one["per_second"]) for one in done),
        "server_cpu_us": statistics.median(one["server_cpu_us"] for one in done),
    }


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process):
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit("a process ended before it listened")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("nobody listens")


def measure(rank, requests, folder):
    adapter(f"{folder}/bench", rank)
    upstream_port, port = free_port(), free_port()
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OPENAI_API_KEY": "none"}
    upstream = subprocess.Popen([sys.executable, __file__, "--upstream", str(upstream_port)], env=env)
    wait_for(upstream_port, upstream)
    command = [sys.executable, "-m", "embertune", "serve", "--adapter", f"{folder}/bench", "--port", str(port),
               "--upstream", "openai/instant", "--api-base", f"http://127.0.0.1:{upstream_port}/v1",
               "--cache-mib", "64"]  # fmt: skip
    with open(f"{folder}/log", "w") as log:
        server = subprocess.Popen(command, env=env, stderr=log)
    try:
        wait_for(port, server)
        row = {"rank": rank, "dimension": DIMENSION, **asyncio.run(latency(port, upstream_port))}
        row["cached"] = rounds(port, server.pid, lambda turn, number: f"text {number % 1000}")
        row["instant"] = rounds(port, server.pid, lambda turn, number: f"new {turn} {number}")
        if requests:
            row["long"] = long_run(port, server.pid, requests)
        return row
    finally:
        server.terminate()
        ended = server.wait(30)
        upstream.kill()
        if ended:
            raise SystemExit(f"the server ended with {ended}: {Path(folder, 'log').read_text()[-2000:]}")


def long_run(port, pid, requests):
    """Half of the texts are new, so that the cache is full long before the end; memory is read ten times."""
    part, memory, rates = requests // 10, [memory_mib(pid)], []
    for turn in range(10):
        done = asyncio.run(load(port, pid, part, lambda n, turn=turn: f"long {n}" if n % 2 else f"long {turn} {n}"))
        memory.append(memory_mib(pid))
        rates.append(round(done["per_second"]))
    return {"requests": requests, "memory_mib": [round(value, 1) for value in memory], "per_second": rates}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=200_000, help="of the long run; 0 for none")
    parser.add_argument("--upstream", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.upstream:
        asyncio.run(run_upstream(args.upstream))
        return
    rows = []
    for rank in RANKS:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(rank, args.requests if rank else 0, folder))
        print(json.dumps(rows[-1]))
    found = {"machine": f"{os.cpu_count()} cores, {platform.machine()}", "python": platform.python_version(),
             "load_average": os.getloadavg()[0], "connections": CONNECTIONS, "rows": rows}  # fmt: skip
    (HERE / "results" / "serving.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
