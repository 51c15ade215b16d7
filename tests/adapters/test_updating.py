"""Going on from an adapter: a strong pull leaves it, and what it does not concern stays."""

import numpy as np
import pytest

from embertune.adapters import Chain, IdentityAdapter, LinearAdapter, load_adapter
from embertune.adapters.gate import Gate
from embertune.core.vectors import normalize


def pairs(seed, n=60, d=12):
    random = np.random.default_rng(seed)
    documents = normalize(random.normal(size=(n, d)).astype(np.float32))
    return normalize(documents[:, ::-1] + 0.2 * random.normal(size=(n, d)).astype(np.float32)), documents


@pytest.mark.parametrize("kind", ["linear", "both sides", "mlp", "gated", "chain", "gated chain", "half"])
@pytest.mark.parametrize("gated", [True, False])
def test_a_strong_pull_leaves_the_adapter_whatever_its_family(kind, gated, every_kind, some_vectors):
    shipped = every_kind[kind]
    more = shipped.update(*pairs(1), pull=1e7, gated=gated)
    for side in ("query", "document"):
        np.testing.assert_allclose(more.transform(some_vectors, side), shipped.transform(some_vectors, side), atol=1e-4)


def test_stored_documents_stay_bit_by_bit(every_kind, some_vectors):
    for kind in ("linear", "both sides", "query then documents", "whitening"):
        more = every_kind[kind].update(*pairs(1), pull=0.01)
        before = every_kind[kind].transform(some_vectors, "document")
        assert more.transform(some_vectors, "document").tobytes() == before.tobytes()


def test_linear_maps_are_multiplied(some_vectors):
    shipped = LinearAdapter("both", rank=4, pull=0.01).fit(*pairs(0))
    more = shipped.update(*pairs(1), pull=0.05, gated=False)
    asked, documents = pairs(1)
    link = LinearAdapter(pull=0.05).fit(shipped.transform(asked), shipped.transform(documents, "document"))
    assert isinstance(more, LinearAdapter)
    expected = link.transform(shipped.transform(some_vectors))
    np.testing.assert_allclose(more.transform(some_vectors), expected, atol=1e-5)
    np.testing.assert_allclose(more.matrix, shipped.matrix @ link.matrix, atol=1e-5)


def test_from_the_identity_it_is_an_ordinary_fit(some_vectors):
    more = IdentityAdapter().update(*pairs(1), pull=0.05, gated=False)
    assert (
        more.transform(some_vectors).tobytes()
        == LinearAdapter(pull=0.05).fit(*pairs(1)).transform(some_vectors).tobytes()
    )


def test_behind_the_gate_other_queries_stay():
    random = np.random.default_rng(2)
    old = normalize(np.pad(random.normal(size=(60, 6)), ((0, 0), (0, 6))).astype(np.float32))
    new = normalize(np.pad(random.normal(size=(60, 6)), ((0, 0), (6, 0))).astype(np.float32))
    documents = normalize(random.normal(size=(60, 12)).astype(np.float32))
    shipped = LinearAdapter(form="diagonal", pull=0.01).fit(old, documents)
    gated, free = (shipped.update(new, documents, pull=0.01, gated=gated) for gated in (True, False))
    np.testing.assert_allclose(gated.transform(old), shipped.transform(old), atol=1e-6)
    assert np.abs(free.transform(new) - shipped.transform(new)).max() > 0.1
    assert np.abs(gated.transform(new) - shipped.transform(new)).max() > 0.1


def test_chains_grow_by_a_link_and_come_back_from_disk(tmp_path, every_kind, some_vectors):
    shipped = every_kind["chain"]
    once = shipped.update(*pairs(1))
    twice = once.update(*pairs(2))
    assert [len(each._links()) for each in (shipped, once, twice)] == [3, 4, 5]
    nested = every_kind["gated chain"].update(*pairs(1))
    assert isinstance(nested, Chain)
    assert len(nested._links()) == 2
    for name, each in {"twice": twice, "nested": nested}.items():
        loaded = load_adapter(each.save(tmp_path / name))
        assert loaded.transform(some_vectors).tobytes() == each.transform(some_vectors).tobytes()


def test_a_gate_of_the_adapter_stays_before_its_own_map():
    asked, documents = pairs(0)
    shipped = LinearAdapter(pull=0.01).fit(asked, documents).gated(Gate.fit(asked))
    shipped.encoder = {"provider": "made-up", "model": "m", "dimension": 12}
    more = shipped.update(*pairs(1))
    assert more.adapters[0] is shipped
    assert more.encoder == shipped.encoder
