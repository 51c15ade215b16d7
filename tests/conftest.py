import os

# Before numpy is loaded: where other processes hold the cores, OpenBLAS's threads wait for each other in a loop, and
# fitting on a hundred queries took 85 s instead of 3.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import importlib.util
from pathlib import Path

import pytest

from embertune.encoders.cost import Cost
from embertune.encoders.hashing import HashingEncoder


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test reads or fills the embedding cache of whoever runs it."""
    monkeypatch.setenv("EMBERTUNE_CACHE", str(tmp_path / "embertune-cache"))


class Priced(HashingEncoder):
    """An encoder that takes a dollar for each text, unless it is in the cache, and remembers what it was asked."""

    def __init__(self):
        super().__init__(cache=True)
        self.cost = Cost()
        self.asked = []

    def estimate(self, texts, side):
        return _price(self.uncached(texts, side))

    def _encode_batch(self, texts, side):
        self.asked += texts
        self.cost += _price(texts)
        return super()._encode_batch(texts, side)


def _price(texts):
    return Cost(len(texts), 10 * len(texts), float(len(texts)))


@pytest.fixture
def priced():
    return Priced


@pytest.fixture
def chat_server():
    """A chat API on 127.0.0.1 that writes queries and passages; see tests/chat_server.py."""
    spec = importlib.util.spec_from_file_location("chat_server", Path(__file__).with_name("chat_server.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    server = module.ChatServer()
    yield server
    server.close()
