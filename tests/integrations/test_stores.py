"""One life of a vector database for each of them: read, apply, evaluate, switch, roll back."""

import numpy as np
import pytest

from embertune.adapters.identity import IdentityAdapter
from embertune.adapters.linear import LinearAdapter
from embertune.core.search import top_k
from embertune.core.vectors import normalize
from embertune.errors import ConfigError, StoreError
from embertune.integrations.stores import open_store
from embertune.recipes.apply_adapter import apply_adapter, roll_back

ROWS, WIDTH = 160, 24


@pytest.fixture
def vectors():
    return normalize(np.random.default_rng(0).standard_normal((ROWS, WIDTH)).astype(np.float32))


@pytest.fixture
def adapter():
    return both(1)


def both(seed):
    generator = np.random.default_rng(seed)
    pairs = generator.standard_normal((2, 40, WIDTH)).astype(np.float32)
    return LinearAdapter("both", maps="separate").fit(*pairs)


@pytest.fixture(params=["chroma", "faiss", "lancedb", "pgvector", "qdrant", "weaviate"])
def url(request, vectors, tmp_path):
    return request.getfixturevalue(f"{request.param}_url")


def everything(store, space):
    found = {}
    for batch in store.read(space, 256):
        for name, vector in zip(batch.names, batch.vectors, strict=True):
            assert name not in found
            found[name] = vector
    return found


def as_array(found):
    return np.stack([found[f"d{at}"] for at in range(ROWS)])


def test_vectors_come_out_as_they_went_in(url, vectors):
    store = open_store(url)
    assert store.count("base") == ROWS
    assert np.abs(as_array(everything(store, "base")) - vectors).max() < 1e-6
    assert store.count("tuned") == 0
    assert store.live == "base"
    store.close()


def test_apply_writes_every_vector_once_and_leaves_the_old_ones(url, vectors, adapter):
    store = open_store(url)
    before = as_array(everything(store, "base"))
    done = apply_adapter(adapter, store, batch_size=50)
    assert (done.rows, done.written, done.checked, done.live) == (ROWS, ROWS, ROWS, "base")
    expected = adapter.transform(vectors, "document")
    assert np.abs(as_array(everything(store, "tuned")) - expected).max() < 1e-6
    assert (as_array(everything(store, "base")) == before).all()
    again = apply_adapter(adapter, store)
    assert (again.written, again.rows, again.checked) == (0, ROWS, ROWS)
    store.close()


def test_a_crash_between_batches_loses_and_doubles_nothing(url, vectors, adapter):
    class Crash(Exception):
        pass

    def crash_late(stage, done, total=None, note=""):
        if stage == "apply" and done >= 80:
            raise Crash

    store = open_store(url)
    with pytest.raises(Crash):
        apply_adapter(adapter, store, batch_size=40, progress=crash_late)
    store.close()
    store = open_store(url)
    assert store.count("tuned") == 80
    done = apply_adapter(adapter, store, batch_size=64)
    assert (done.written, done.rows) == (ROWS - 80, ROWS)
    assert np.abs(as_array(everything(store, "tuned")) - adapter.transform(vectors, "document")).max() < 1e-6
    store.close()


def test_two_adapters_never_mix(url, adapter):
    def stop(stage, done, total=None, note=""):
        if stage == "apply":
            raise KeyboardInterrupt

    store = open_store(url)
    with pytest.raises(KeyboardInterrupt):
        apply_adapter(adapter, store, batch_size=40, progress=stop)
    with pytest.raises(StoreError, match=r"vectors looked at in .* are not what this adapter makes of those in"):
        apply_adapter(both(2), store, batch_size=40)
    assert store.count("tuned") == 40
    store.close()


def test_the_database_finds_what_exact_search_finds(url, vectors, adapter):
    store = open_store(url)
    apply_adapter(adapter, store)
    queries = normalize(np.random.default_rng(5).standard_normal((20, WIDTH)).astype(np.float32))
    for space, documents in (("base", vectors), ("tuned", adapter.transform(vectors, "document"))):
        found = store.search(space, queries, 5)
        truth = top_k(queries, documents, 5)[0]
        hits = [len({f"d{at}" for at in row} & set(names)) for row, names in zip(truth, found, strict=True)]
        assert all(len(names) == 5 for names in found)
        assert np.mean(hits) > 4.5
    store.close()


def test_switch_and_rollback(url, vectors, adapter):
    store = open_store(url)
    before = everything(store, "base")
    assert apply_adapter(adapter, store, switch=True).live == "tuned"
    store.close()
    store = open_store(url)
    assert store.live == "tuned"
    assert all((vector == before[name]).all() for name, vector in everything(store, "base").items())
    assert np.abs(as_array(everything(store, "tuned")) - adapter.transform(vectors, "document")).max() < 1e-6
    assert apply_adapter(adapter, store, switch=True).written == 0
    assert roll_back(store)["live"] == "base"
    store.close()
    store = open_store(url)
    after = everything(store, "base")
    assert store.live == "base"
    assert len(after) == ROWS
    assert all((vector == before[name]).all() for name, vector in after.items())
    assert apply_adapter(adapter, store, switch=True).written == 0
    assert store.live == "tuned"
    roll_back(store)
    roll_back(store)
    assert store.live == "base"
    store.close()


def test_an_adapter_of_queries_writes_nothing(url):
    store = open_store(url)
    query_only = LinearAdapter("query").fit(np.eye(WIDTH), np.eye(WIDTH)[::-1])
    with pytest.raises(ConfigError, match=r"leaves documents as they are: nothing has to be written\. Adapt queries"):
        apply_adapter(query_only, store)
    with pytest.raises(ConfigError, match="leaves documents as they are"):
        apply_adapter(IdentityAdapter(), store)
    assert store.count("tuned") == 0
    store.close()
