import os

# Before numpy is loaded: where other processes hold the cores, OpenBLAS's threads wait for each other in a loop, and
# fitting on a hundred queries took 85 s instead of 3.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import asyncio
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from embertune.encoders.cost import Cost
from embertune.encoders.hashing import HashingEncoder


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test reads or fills the embedding cache of whoever runs it."""
    monkeypatch.setenv("EMBERTUNE_CACHE", str(tmp_path / "embertune-cache"))


@pytest.fixture(autouse=True, scope="session")
def no_event_loop():
    """LiteLLM makes itself an event loop in a thread that never had one, and leaves it to whatever test runs next."""
    asyncio.set_event_loop(None)


@pytest.fixture(autouse=True)
def closed_connections():
    """LiteLLM keeps its clients, and so connections to servers of tests that are over."""
    yield
    if (litellm := sys.modules.get("litellm")) is not None:
        for client in litellm.in_memory_llm_clients_cache.cache_dict.values():
            if hasattr(client, "close") and not asyncio.iscoroutinefunction(client.close):
                client.close()
        litellm.in_memory_llm_clients_cache.flush_cache()


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


@pytest.fixture(scope="session")
def chat_module():
    """tests/chat_server.py."""
    spec = importlib.util.spec_from_file_location("chat_server", Path(__file__).with_name("chat_server.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def chat_server(chat_module):
    """A chat API on 127.0.0.1 that writes queries and passages."""
    server = chat_module.ChatServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def every_kind():
    """Fitted adapters of 12 dimensions, of every family and form, by what is special about them."""
    from embertune import (
        BridgeAdapter,
        Chain,
        DocumentAdapter,
        Gate,
        IdentityAdapter,
        LinearAdapter,
        MLPAdapter,
        OrthogonalAdapter,
        TruncationAdapter,
        WhiteningAdapter,
    )

    random = np.random.default_rng(0)
    documents = random.normal(size=(90, 12)).astype(np.float32)
    queries = 2 * (documents[:60, ::-1] + 0.3 * random.normal(size=(60, 12))).astype(np.float32)
    answered = np.column_stack([np.arange(60), np.arange(60)])

    def fit(adapter):
        return adapter.fit(queries, documents, pairs=answered)

    gates = {"gate": Gate.fit(queries), "documents": Gate.fit(documents)}
    made = {
        "identity": IdentityAdapter(),
        "linear": fit(LinearAdapter(pull=0.01)),
        "both sides": fit(LinearAdapter("both", pull=0.01)),
        "low rank": fit(LinearAdapter("both", rank=4, pull=0.01)),
        "diagonal": fit(LinearAdapter(form="diagonal", pull=0.01)),
        "mlp": fit(MLPAdapter("both", hidden=20, learning_rate=0.01, max_epochs=3)),
        "orthogonal": fit(OrthogonalAdapter()),
        "truncation": fit(TruncationAdapter(5)),
        "whitening": fit(WhiteningAdapter()),
        "documents": fit(DocumentAdapter("mean", reach=1.0)),
        "rotation bridge": fit(BridgeAdapter("procrustes")),
        "bridge": fit(BridgeAdapter("mlp", hidden=20, max_epochs=3)),
    }
    made |= {
        "half": made["linear"].scaled(0.5),
        "gated": made["linear"].gated(gates["gate"]),
        "gated half": made["both sides"].gated(**gates).scaled(0.5),
        "half bridge": made["bridge"].scaled(0.5),
        "half truncation": made["truncation"].scaled(0.5),
        "half documents": made["documents"].scaled(0.5),
        "nothing": made["mlp"].scaled(0.0),
        "chain": fit(Chain([WhiteningAdapter(), LinearAdapter(rank=3), TruncationAdapter(5)])),
        "query then documents": fit(Chain([LinearAdapter(pull=0.01), DocumentAdapter("mean", reach=1.0)])),
    }
    apart = {name: Gate.fit(own, unlike=random.normal(size=(40, 12)), closed=0.05, opened=0.6)
             for name, own in (("gate", queries), ("documents", documents))}  # fmt: skip
    made["gated apart"] = made["both sides"].gated(**apart)
    made["gated chain"] = made["chain"].gated(**gates).scaled(0.7)
    return made


@pytest.fixture(scope="session")
def some_vectors():
    """Embeddings that the adapters of `every_kind` know and others, of any length, and a row of zeros."""
    random = np.random.default_rng(0)
    known = random.normal(size=(90, 12)).astype(np.float32)
    return np.concatenate([known[::3], 3 * random.normal(size=(20, 12)), np.zeros((1, 12))]).astype(np.float32)
