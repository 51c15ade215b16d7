"""How many chunks a second get their queries from a provider that answers at once, and what memory that takes.

A server of its own process answers at once, so what is measured is our side: LiteLLM's client, parsing, the journal and
the order. Writes benchmarks/results/synthesis_speed.json; prints a line for each setting.

    python benchmarks/synthesis_speed.py [--chunks 2000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from embertune.core.files import write_whole
from embertune.data.synthesis.base import Chunk
from embertune.data.synthesis.llm import LLMQueryGenerator

RESULTS = Path(__file__).parent / "results" / "synthesis_speed.json"
WANTED = re.compile(r"- passage (\d+): ([^;\n]*)")
WORDS = "the order of keys in a dictionary is kept since version three point seven of the language and may be relied on"


class Instant(asyncio.Protocol):
    """HTTP as far as it is needed here: one request, one answer, the connection stays."""

    def connection_made(self, transport):
        self.transport, self.data = transport, b""

    def data_received(self, data):
        self.data += data
        head, blank, body = self.data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head.lower())
        if not blank or length is None or len(body) < int(length[1]):
            return
        self.data = b""
        answer = json.dumps(answer_to(json.loads(body))).encode()
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(answer), answer)
        )


def answer_to(request):
    items = [
        {
            "passage": int(passage),
            "style": part.split(" ")[1],
            "text": f"how does number {at} {part} of {passage} behave",
        }
        for passage, styles in WANTED.findall(request["messages"][-1]["content"])
        for part in styles.split(", ")
        for at in range(int(part.split(" ")[0]))
    ]
    return {
        "id": "a",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": json.dumps({"queries": items})},
            }
        ],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500},
    }


async def serve():
    server = await asyncio.get_running_loop().create_server(Instant, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def stream(count):
    for i in range(count):
        yield Chunk(f"Passage {i}: {WORDS} {i}, {WORDS}, {WORDS} and more of it at {i * 7}.", source="s", position=i)


def measure(base, count, per_chunk, chunks_per_request):
    options = {"styles": ("question", "keywords", "vague", "typo"), "api_base": base}
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "answers.sqlite3"
        row = {"chunks": count, "queries_per_chunk": per_chunk, "chunks_per_request": chunks_per_request}
        for name in ("asked", "from_journal"):
            generator = LLMQueryGenerator(
                "openai/gpt-4o-mini", chunks_per_request=chunks_per_request, journal=journal, **options
            )
            began, cpu = time.perf_counter(), time.process_time()
            queries = sum(1 for _ in generator.generate(stream(count), per_chunk=per_chunk))
            seconds = time.perf_counter() - began
            row[f"{name}_chunks_per_second"] = round(count / seconds)
            row[f"{name}_cpu_ms_per_chunk"] = round(1000 * (time.process_time() - cpu) / count, 2)
            assert queries == count * per_chunk, queries
        row["peak_memory_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return row


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--chunks", type=int, default=2000)
    parser.add_argument("--serve", action="store_true")
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve())
        return
    os.environ["OPENAI_API_KEY"] = "sk-none"
    with subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True) as server:
        try:
            base = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
            measure(base, 64, 3, 8)  # imports and first connections
            rows = [
                measure(base, arguments.chunks // (4 if size == 1 else 1), per_chunk, size)
                for per_chunk, size in ((3, None), (1, None), (10, None), (20, None), (3, 1))
            ]
            rows.append(measure(base, 5 * arguments.chunks, 3, None))
        finally:
            server.kill()
    for row in rows:
        print(row)
    from importlib.metadata import version

    told = {
        "python": platform.python_version(),
        "litellm": version("litellm"),
        "cores": os.cpu_count(),
        "load_after": os.getloadavg()[0],
        "rows": rows,
    }
    write_whole(RESULTS, json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
