import re

import numpy as np
import pytest

from embertune.adapters import load_adapter
from embertune.adapters.mlp import MLPAdapter
from embertune.core.vectors import normalize
from embertune.errors import ArtifactError, ConfigError, NotFittedError
from embertune.testing import check_adapter


def space(seed=0, n=60, d=8):
    """Queries that are their documents bent: a map that is not linear leads back."""
    rng = np.random.default_rng(seed)
    documents = normalize(rng.normal(size=(n, d)).astype(np.float32))
    queries = normalize(np.abs(documents) + 0.3 * documents[:, ::-1])
    return queries, documents


def hits(adapter, queries, documents):
    found = adapter.transform(queries) @ adapter.transform(documents, "document").T
    return int((found.argmax(axis=1) == np.arange(len(documents))).sum())


@pytest.mark.parametrize("side", ["query", "both"])
def test_it_learns(side):
    queries, documents = space()
    before = int(((queries @ documents.T).argmax(axis=1) == np.arange(60)).sum())
    adapter = MLPAdapter(side, hidden=128, learning_rate=0.01, pull=1e-3, batch_size=16, max_epochs=60)
    adapter.fit(queries, documents)
    assert before < 20
    assert hits(adapter, queries, documents) > 50
    assert len(adapter.losses_) == adapter.best_epoch_ == 60
    left = adapter.transform(documents, "document").tobytes() == documents.tobytes()
    assert left is (side == "query")


@pytest.mark.parametrize("params", [{"side": "both"}, {"dropout": 0.3}, {"max_candidates": 5, "batch_size": 7}])
def test_every_variant_keeps_the_contract(params):
    check_adapter(MLPAdapter(**{"hidden": 24, "max_epochs": 3, **params}))


def test_the_best_epoch_is_kept_and_is_a_copy():
    queries, documents = space()
    seen = []

    def validate(adapter):
        seen.append((adapter, {name: array.copy() for name, array in adapter.tensors().items()}))
        return [0.1, 0.2, 0.5, 0.4, 0.5, 0.3, 0.9][len(seen) - 1]

    adapter = MLPAdapter(hidden=16, patience=3).fit(queries, documents, validate=validate)
    assert adapter.scores_ == (0.1, 0.2, 0.5, 0.4, 0.5, 0.3)
    assert (adapter.best_epoch_, len(adapter.losses_)) == (2, 5)
    for name, array in adapter.tensors().items():
        np.testing.assert_array_equal(array, seen[2][1][name])
        assert not np.array_equal(array, seen[3][1][name])
    # What was handed out earlier is not written to by later epochs.
    for handed, then in seen:
        for name, array in handed.tensors().items():
            np.testing.assert_array_equal(array, then[name])


def test_where_no_epoch_is_better_the_identity_is_kept():
    queries, documents = space()
    adapter = MLPAdapter(hidden=16, patience=2).fit(queries, documents, validate=lambda adapter: 0.5)
    assert adapter.best_epoch_ == 0
    np.testing.assert_allclose(adapter.transform(queries), normalize(queries), atol=1e-7)


def test_dropout_is_off_when_judging_and_blocks_change_nothing(monkeypatch):
    queries, documents = space()
    adapter = MLPAdapter(hidden=32, dropout=0.5, max_epochs=3).fit(queries, documents)
    once = adapter.transform(queries)
    assert adapter.transform(queries).tobytes() == once.tobytes()
    monkeypatch.setattr("embertune.adapters.mlp._BLOCK", 7)
    np.testing.assert_allclose(adapter.transform(queries), once, atol=1e-6)


@pytest.mark.parametrize("length", [0.1, 8])
def test_lengths_of_rows_do_not_matter_when_fitting_or_mapping(length):
    queries, documents = space()
    params = {"side": "both", "hidden": 32, "learning_rate": 0.01, "max_epochs": 10}
    adapter = MLPAdapter(**params).fit(queries, documents)
    scaled = MLPAdapter(**params).fit(length * queries, length * documents)
    expected = adapter.transform(queries)
    assert np.abs(expected - queries).max() > 0.1
    np.testing.assert_allclose(adapter.transform(length * queries), expected, atol=1e-5)
    np.testing.assert_allclose(scaled.transform(length * queries), expected, atol=1e-3)


def test_a_strong_pull_is_the_start():
    queries, documents = space()
    adapter = MLPAdapter(hidden=16, pull=1e6, learning_rate=1e-4).fit(queries, documents)
    np.testing.assert_allclose(adapter.transform(queries), normalize(queries), atol=0.01)


def test_saved_bits_are_equal_and_damage_is_found(tmp_path):
    queries, documents = space()
    adapter = MLPAdapter("both", hidden=16, max_epochs=2, seed=3).fit(queries, documents)
    loaded = load_adapter(adapter.save(tmp_path / "a"))
    for side in ("query", "document"):
        assert loaded.transform(queries, side).tobytes() == adapter.transform(queries, side).tobytes()
    assert loaded.get_params() == adapter.get_params()
    adapter.network_ = {**adapter.network_, "input_bias": np.zeros(3, dtype=np.float32)}
    with pytest.raises(ArtifactError, match=re.escape("input_bias has shape (3,), expected (16,)")):
        load_adapter(adapter.save(tmp_path / "b"))
    adapter.network_["input_bias"] = np.full(16, np.nan, dtype=np.float32)
    with pytest.raises(ArtifactError, match="'input_bias' holds NaN or infinite values"):
        load_adapter(adapter.save(tmp_path / "b"))


def test_errors():
    with pytest.raises(NotFittedError, match=re.escape("This MLPAdapter is not fitted yet. Call fit(")):
        MLPAdapter().transform(np.eye(2))
    bad = MLPAdapter("document", hidden=0, learning_rate=0, dropout=1.0, pull=-1.0)
    says = (
        "Invalid configuration:\n- side must be 'query' or 'both', got 'document'\n- hidden must be at least 1, got 0\n"
        "- pull must be 0 or more, got -1.0\n- learning_rate must be positive, got 0\n"
        "- dropout must be from 0 to below 1, got 1.0"
    )
    with pytest.raises(ConfigError, match=re.escape(says)):
        bad.fit(np.eye(2), np.eye(2))
    with pytest.raises(ConfigError, match=re.escape("validate must give a number, higher for a better adapter, and g")):
        MLPAdapter(hidden=2).fit(np.eye(2), np.eye(2), validate=lambda adapter: None)
