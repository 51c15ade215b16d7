import re

import numpy as np
import pytest

from embertune.adapters import LinearAdapter, load_adapter
from embertune.adapters.gate import Gate
from embertune.core.vectors import normalize
from embertune.errors import ConfigError, DataError


def directions(n, around, spread=0.2, seed=0):
    """Unit vectors near one axis of sixteen."""
    centre = np.zeros(16, dtype=np.float32)
    centre[around] = 1
    return normalize((centre + spread * np.random.default_rng(seed).normal(size=(n, 16))).astype(np.float32))


def fitted():
    return LinearAdapter(pull=0.003).fit(directions(60, 0), directions(60, 1, seed=1))


def test_the_weight_is_the_ramp_on_the_mean_cosine_to_the_nearest():
    queries = directions(200, 0)
    gate = Gate.fit(queries, neighbours=3)
    new = np.concatenate([directions(20, 0, 0.5, seed=2), directions(20, 3, seed=3)])
    cosines = np.sort(new @ queries.T, axis=1)[:, -3:].mean(axis=1)
    expected = np.clip((cosines - gate.low) / (gate.high - gate.low), 0, 1)
    np.testing.assert_allclose(gate.weights(new), expected, atol=1e-4)
    assert 0 < (expected > 0).sum() < 40


def test_thresholds_are_quantiles_of_the_training_queries_left_out_one_by_one():
    queries = directions(150, 0)
    cosines = queries @ queries.T
    np.fill_diagonal(cosines, -2)
    near = np.sort(cosines, axis=1)[:, -3:].mean(axis=1)
    gate = Gate.fit(queries)
    np.testing.assert_allclose([gate.low, gate.high], np.quantile(near, [0.01, 0.1]), atol=1e-5)


def test_a_foreign_query_gets_the_frozen_encoder_and_an_own_one_the_adapter():
    adapter = fitted()
    gated = adapter.gated(Gate.fit(directions(60, 0)))
    own, foreign = directions(1, 0, 0.01, seed=5), directions(5, 7, seed=6)
    np.testing.assert_allclose(gated.transform(foreign), foreign, atol=1e-6)
    np.testing.assert_allclose(gated.transform(own), adapter.transform(own), atol=1e-6)
    assert np.abs(adapter.transform(foreign) - foreign).max() > 0.01
    assert adapter.gate is None


def test_documents_of_a_two_sided_map_are_never_gated():
    adapter = LinearAdapter("both", pull=0.003).fit(directions(60, 0), directions(60, 1, seed=1))
    gated = adapter.gated(Gate.fit(directions(60, 0)))
    foreign = directions(5, 7, seed=6)
    np.testing.assert_array_equal(gated.transform(foreign, "document"), adapter.transform(foreign, "document"))


def test_strength_runs_from_the_frozen_encoder_to_as_trained():
    adapter, queries = fitted(), directions(20, 0, seed=4)
    np.testing.assert_allclose(adapter.scaled(0).transform(queries), queries, atol=1e-6)
    np.testing.assert_array_equal(adapter.scaled(1).transform(queries), adapter.transform(queries))
    half = normalize(queries + adapter.transform(queries))
    np.testing.assert_allclose(adapter.scaled(0.5).transform(queries), half, atol=1e-6)
    assert adapter.scaled(0.5).scaled(1).strength == 1
    assert adapter.strength == 1


def test_strength_and_gate_are_saved(tmp_path):
    adapter = fitted().scaled(0.25).gated(Gate.fit(directions(60, 0)))
    loaded = load_adapter(adapter.save(tmp_path / "a"))
    vectors = np.concatenate([directions(5, 0, seed=8), directions(5, 9, seed=9)])
    assert loaded.transform(vectors).tobytes() == adapter.transform(vectors).tobytes()
    assert loaded.strength == 0.25


@pytest.mark.parametrize("strength", [-0.1, 1.5, float("nan")])
def test_an_impossible_strength_is_refused(strength):
    with pytest.raises(
        ConfigError, match=re.escape("strength must be from 0 (nothing of what was learned) to 1")
    ):
        fitted().scaled(strength)


def test_one_query_makes_no_gate():
    with pytest.raises(DataError, match=re.escape("A gate was asked for from 1 different queries")):
        Gate.fit(directions(1, 0))


def test_many_training_queries_are_drawn_from():
    gate = Gate.fit(directions(3000, 0), seed=1)
    assert gate.queries.shape == (2048, 16)
    assert Gate.fit(directions(3000, 0), seed=1).queries.tobytes() == gate.queries.tobytes()


def test_a_query_weighs_the_same_alone_and_among_thousands():
    gate = Gate.fit(directions(200, 0))
    many = directions(3000, 0, 0.4, seed=7)
    alone = [gate.weights(many[at : at + 1])[0] for at in (0, 1023, 1024, 2999)]
    np.testing.assert_allclose(gate.weights(many)[[0, 1023, 1024, 2999]], alone, atol=1e-5)
    assert gate.weights(many[:0]).shape == (0,)


def test_queries_asked_several_times_do_not_close_it_for_themselves():
    queries = np.repeat(directions(30, 0), 4, axis=0)
    gate = Gate.fit(queries)
    assert gate.queries.shape == (30, 16)
    assert (gate.weights(queries) > 0.99).mean() > 0.85
    pair = Gate.fit([[1, 0], [1, 1e-4]])
    np.testing.assert_allclose(pair.weights([[1, 0], [1, 1e-4]]), 1, atol=1e-3)


def test_a_gate_of_another_dimension_is_refused():
    with pytest.raises(DataError, match=re.escape("This gate was fitted on queries of 2 dimensions, and this adapter")):
        fitted().gated(Gate.fit(np.eye(2)))


def test_no_neighbour_is_refused():
    with pytest.raises(DataError, match=re.escape("neighbours must be at least 1, got 0")):
        Gate.fit(directions(5, 0), neighbours=0)
