from __future__ import annotations

import numpy as np
import pytest

from embertune.adapters.artifact import load_adapter, save
from embertune.adapters.canaries import CANARY_TEXTS, Canaries
from embertune.adapters.identity import IdentityAdapter
from embertune.adapters.linear import LinearAdapter
from embertune.core.vectors import normalize
from embertune.errors import ArtifactError, DataError

DIMENSION = 32


def vectors(seed, length=1.0):
    return (length * normalize(np.random.default_rng(seed).normal(size=(16, DIMENSION)))).astype(np.float32)


@pytest.fixture
def kept():
    return Canaries(CANARY_TEXTS["query"], CANARY_TEXTS["document"], vectors(0, 5), vectors(1, 5))


def turned(rows, cosine):
    """Give rows at a cosine to the given ones, of their length."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / lengths
    other = np.random.default_rng(9).normal(size=rows.shape)
    other -= (other * unit).sum(axis=1, keepdims=True) * unit
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    return (lengths * (cosine * unit + np.sqrt(1 - cosine**2) * other)).astype(np.float32)


def test_there_are_32_different_short_texts():
    texts = [text for part in CANARY_TEXTS.values() for text in part]
    assert len(set(texts)) == len(texts) == 32
    assert max(map(len, texts)) <= 80


@pytest.mark.parametrize(
    ("cosine", "state"),
    [(1.0, "same"), (0.9999, "same"), (0.9991, "same"), (0.9989, "moved"), (0.9905, "moved"), (0.9895, "changed"),
     (0.5, "changed"), (-1.0, "changed")],
)  # fmt: skip
@pytest.mark.parametrize("side", ["query", "document"])
def test_the_side_that_moved_further_decides(kept, cosine, state, side):
    found = {"query": kept.query_vectors, "document": kept.document_vectors}
    found[side] = turned(found[side], cosine)
    drift = kept.compare(found["query"], found["document"])
    assert drift.state == state
    assert drift.cosine == pytest.approx(cosine, abs=1e-5)
    assert state == "same" or f"median cosine of {side} canaries" in drift.reason


def test_one_odd_text_is_no_change(kept):
    queries = kept.query_vectors.copy()
    queries[3] = -queries[3]
    assert kept.compare(queries, kept.document_vectors).state == "same"


@pytest.mark.parametrize(("factor", "state"), [(1.0, "same"), (1.009, "same"), (1.02, "changed"), (0.2, "changed")])
def test_another_length_is_another_normalisation(kept, factor, state):
    drift = kept.compare(kept.query_vectors, factor * kept.document_vectors)
    assert (drift.state, drift.length) == (state, pytest.approx(factor, abs=1e-5))
    assert state == "same" or drift.reason.endswith("times as long as in training: another normalisation")


def test_other_dimensions_are_a_change(kept):
    drift = kept.compare(kept.query_vectors[:, :8], kept.document_vectors[:, :8])
    assert (drift.state, drift.reason) == ("changed", "vectors have 8 dimensions, 32 when it was trained")


def test_zeros_stay_zeros(kept):
    """An encoder that averages known words gives zeros for a text without any."""
    queries = kept.query_vectors.copy()
    queries[:12] = 0
    old = Canaries(kept.queries, kept.documents, queries, kept.document_vectors)
    assert old.compare(queries, kept.document_vectors).state == "same"
    assert old.compare(kept.query_vectors, kept.document_vectors).state == "changed"


def test_what_is_no_vector_for_each_text_is_refused(kept):
    with pytest.raises(DataError, match=r"^15 vectors came for 16 query canaries\. Expected as many\.$"):
        kept.compare(kept.query_vectors[1:], kept.document_vectors)
    with pytest.raises(DataError, match="NaN"):
        kept.compare(kept.query_vectors * np.nan, kept.document_vectors)
    with pytest.raises(DataError, match=r"^The canaries are 1 queries and 1 documents with vectors of shapes"):
        Canaries(("a",), ("b",), vectors(0), vectors(1))


@pytest.mark.parametrize("make", [IdentityAdapter, lambda: LinearAdapter(max_steps=1).fit(np.eye(4), np.eye(4))])
def test_an_artefact_keeps_them(kept, make, tmp_path):
    adapter = make()
    adapter.canaries = kept
    save(adapter, tmp_path / "mine")
    found = load_adapter(tmp_path / "mine").canaries
    assert (found.queries, found.documents) == (kept.queries, kept.documents)
    assert np.array_equal(found.query_vectors, kept.query_vectors)
    assert np.array_equal(found.document_vectors, kept.document_vectors)
    assert (tmp_path / "mine" / "canaries.safetensors").stat().st_mode & 0o777 == 0o644
    adapter.canaries = None
    save(adapter, tmp_path / "mine")  # a folder with canaries is a saved adapter, and is replaced whole
    assert load_adapter(tmp_path / "mine").canaries is None
    assert not (tmp_path / "mine" / "canaries.safetensors").exists()


def test_an_artefact_of_before_has_none_and_loads(tmp_path):
    save(IdentityAdapter(), tmp_path / "mine")
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["adapter.safetensors", "config.json"]
    assert load_adapter(tmp_path / "mine").canaries is None


@pytest.mark.parametrize("damage", [b"", b"not a file of tensors", None])
def test_damaged_ones_are_said(kept, damage, tmp_path):
    adapter = IdentityAdapter()
    adapter.canaries = kept
    folder = save(adapter, tmp_path / "mine")
    path = folder / "canaries.safetensors"
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    with pytest.raises(ArtifactError, match=r"mine is damaged: canaries\.safetensors cannot be read: "):
        load_adapter(folder)


def test_a_scaled_copy_keeps_them_and_a_new_fit_forgets_them(kept):
    adapter = LinearAdapter(max_steps=1).fit(np.eye(4), np.eye(4))
    adapter.canaries = kept
    assert adapter.scaled(0.5).canaries is kept
    assert adapter.fit(np.eye(4), np.eye(4)).canaries is None
