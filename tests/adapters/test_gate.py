import re

import numpy as np
import pytest

from embertune.adapters import DocumentAdapter, LinearAdapter, load_adapter
from embertune.adapters.gate import Gate
from embertune.adapters.state import from_state, to_state
from embertune.core.vectors import normalize
from embertune.errors import ConfigError, DataError


def directions(n, around, spread=0.2, seed=0):
    """Unit vectors near one axis of sixteen."""
    centre = np.zeros(16, dtype=np.float32)
    centre[around] = 1
    return normalize((centre + spread * np.random.default_rng(seed).normal(size=(n, 16))).astype(np.float32))


def aside(vectors):
    """Turn unit vectors away, by less than they spread."""
    return normalize(vectors + 0.7 * np.eye(16, dtype=np.float32)[1])


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


def test_equal_shares_put_the_ramp_below_all_training_queries():
    queries = directions(150, 0)
    cosines = queries @ queries.T
    np.fill_diagonal(cosines, -2)
    near = np.sort(cosines, axis=1)[:, -3:].mean(axis=1)
    gate = Gate.fit(queries, closed=0, opened=0)
    width = (np.median(near) - near.min()) / 4
    np.testing.assert_allclose([gate.low, gate.high], [near.min() - width, near.min()], atol=1e-5)
    assert gate.weights(directions(20, 3, seed=3)).max() == 0


def test_what_it_is_not_for_closes_it_by_a_second_ramp():
    queries, others = directions(150, 0, 0.25), aside(directions(40, 0, 0.25, seed=1))
    gate = Gate.fit(queries, unlike=others)

    def near(rows, examples):
        return np.sort(rows @ examples.T, axis=1)[:, -3:].mean(axis=1)

    inside = queries @ queries.T
    np.fill_diagonal(inside, -2)
    alone = np.sort(inside, axis=1)[:, -3:].mean(axis=1)
    np.testing.assert_allclose([gate.low, gate.high], np.quantile(alone, [0.01, 0.1]), atol=1e-5)
    np.testing.assert_allclose(gate.lead, np.quantile(alone - near(queries, others), [0.01, 0.1]), atol=1e-5)
    new = np.concatenate([directions(20, 0, 0.25, seed=2), aside(directions(20, 0, 0.25, seed=3)), directions(5, 3)])
    ramps = [
        np.clip((values - low) / (high - low), 0, 1)
        for values, (low, high) in (
            (near(new, queries), (gate.low, gate.high)),
            (near(new, queries) - near(new, others), gate.lead),
        )
    ]
    np.testing.assert_allclose(gate.weights(new), ramps[0] * ramps[1], atol=1e-4)
    np.testing.assert_allclose([gate.weights(row[None])[0] for row in new], gate.weights(new), atol=1e-4)
    # Both take part here: some are shut by the one alone, some by the other.
    assert min((ramps[0][ramps[1] == 0]).max(), (ramps[1][ramps[0] == 0]).max()) > 0


def test_a_near_kind_is_told_apart_where_the_likeness_alone_does_not():
    own, other = directions(400, 0, 0.25), directions(400, 0, 0.25, seed=1)
    other = aside(other)
    alone, apart = Gate.fit(own[:300]), Gate.fit(own[:300], unlike=other[:300])
    assert alone.weights(other[300:]).mean() > 0.7
    assert apart.weights(other[300:]).mean() < 0.05
    assert apart.weights(own[300:]).mean() > 0.85


def test_an_empty_unlike_is_refused():
    with pytest.raises(DataError, match="A gate was given no embedding that is unlike"):
        Gate.fit(directions(9, 0), unlike=np.zeros((0, 16)))


def test_a_foreign_query_gets_the_frozen_encoder_and_an_own_one_the_adapter():
    adapter = fitted()
    gated = adapter.gated(Gate.fit(directions(60, 0)))
    own, foreign = directions(1, 0, 0.01, seed=5), directions(5, 7, seed=6)
    np.testing.assert_allclose(gated.transform(foreign), foreign, atol=1e-6)
    np.testing.assert_allclose(gated.transform(own), adapter.transform(own), atol=1e-6)
    assert np.abs(adapter.transform(foreign) - foreign).max() > 0.01
    assert adapter.gate is None


def two_sided():
    return LinearAdapter("both", pull=0.003).fit(directions(60, 0), directions(60, 1, seed=1))


def test_a_foreign_document_stays_and_an_own_one_is_mapped():
    adapter = two_sided()
    gated = adapter.gated(Gate.fit(directions(60, 0)), documents=Gate.fit(directions(60, 1, seed=1)))
    foreign, own = directions(5, 7, seed=6), directions(1, 1, 0.01, seed=5)
    given = foreign.copy()
    for side in ("query", "document"):
        np.testing.assert_allclose(gated.transform(foreign, side), foreign, atol=1e-6)
    mixed = np.concatenate([foreign, own])
    expected = np.concatenate([foreign, adapter.transform(own, "document")])
    np.testing.assert_allclose(gated.transform(mixed, "document"), expected, atol=1e-6)
    assert foreign.tobytes() == given.tobytes()
    half = normalize(own + adapter.transform(own, "document"))
    np.testing.assert_allclose(gated.scaled(0.5).transform(own, "document"), half, atol=1e-6)


@pytest.mark.parametrize("side", ["queries", "documents"])
def test_one_gate_of_a_map_of_both_sides_is_refused(side):
    gate = Gate.fit(directions(60, 0))
    given, other = (
        ({"gate": gate}, "documents") if side == "queries" else ({"gate": None, "documents": gate}, "queries")
    )
    found = f"This LinearAdapter maps both sides, and a gate was given without one for {other}: "
    with pytest.raises(ConfigError, match=re.escape(found)):
        two_sided().gated(**given)


def test_offsets_take_no_gate():
    offsets = DocumentAdapter().fit(directions(9, 0), directions(9, 1))
    with pytest.raises(ConfigError, match=re.escape("A DocumentAdapter takes no gate: queries stay as they are")):
        offsets.gated(Gate.fit(directions(60, 0)))
    assert offsets.gated(None).gate is None


def test_both_gates_are_saved_and_what_was_saved_before_is_loaded(tmp_path):
    queries, documents = wide(80, seed=1), wide(90, seed=2)
    adapter = LinearAdapter("both", pull=0.1, max_steps=3).fit(queries[:80], documents[:80])
    folder = adapter.gated(Gate.fit(queries), documents=Gate.fit(documents, closed=0.2, opened=0.7)).save(
        tmp_path / "a"
    )
    loaded = load_adapter(folder)
    assert (loaded.gate.dimension, loaded.gate.examples.shape) == (96, (80, 64))
    assert loaded.document_gate.low < loaded.document_gate.high
    # Until there were gates of documents and directions an artefact had these alone.
    config, tensors = to_state(adapter._with(gate=Gate(normalize(queries), 0.1, 0.5)))
    del config["document_gate"]
    old = from_state(config, tensors)
    assert set(tensors) == {"query", "document", "gate.queries"}
    assert old.document_gate is None
    np.testing.assert_allclose(old.gate.weights(queries), 1)


def test_what_it_is_not_for_is_saved_on_both_sides_or_missed(tmp_path):
    queries, documents, others = wide(80, seed=1), wide(90, seed=2), wide(40, seed=3)
    adapter = LinearAdapter("both", pull=0.1, max_steps=3).fit(queries, documents[:80])
    gates = Gate.fit(queries, unlike=others), Gate.fit(documents, unlike=others[:9])
    saved = adapter.gated(gates[0], documents=gates[1])
    loaded = load_adapter(saved.save(tmp_path / "a"))
    for side in ("query", "document"):
        assert loaded.transform(wide(60, seed=4), side).tobytes() == saved.transform(wide(60, seed=4), side).tobytes()
    config, tensors = to_state(saved)
    assert config["gate"]["lead"] == list(gates[0].lead)
    for name, key in (("gate", "gate.unlike_queries"), ("document_gate", "gate.unlike_documents")):
        without = {other: array for other, array in tensors.items() if other != key}
        with pytest.raises(DataError, match=f"of the {name} there are thresholds without embeddings"):
            from_state(config, without)
        with pytest.raises(DataError, match=f"the {name}'s embeddings have 64 dimensions, its embeddings that it is"):
            from_state(config, {**tensors, key: tensors[key][:, :9]})


def wide(n, seed):
    """Vectors of 96 dimensions in a cone of 30, with noise outside."""
    rng = np.random.default_rng(seed)
    basis = np.random.default_rng(9).normal(size=(30, 96))
    return ((2 + rng.normal(size=(n, 30))) @ basis + rng.normal(size=(n, 96))).astype(np.float32)


def test_many_dimensions_are_compared_within_principal_directions():
    queries = normalize(wide(300, seed=1))
    gate = Gate.fit(queries, closed=0.05, opened=0.5)
    directions_ = gate.directions
    np.testing.assert_allclose(directions_.T @ directions_, np.eye(64), atol=1e-5)
    _, _, right = np.linalg.svd(queries, full_matrices=False)
    # Of the directions that matter none is lost: the noise outside is a hundredth of their variance.
    np.testing.assert_allclose(np.linalg.norm(right[:30] @ directions_, axis=1), 1, atol=1e-3)
    new = normalize(wide(50, seed=4))
    cosines = np.sort((new @ directions_) @ (queries @ directions_).T, axis=1)[:, -3:].mean(axis=1)
    np.testing.assert_allclose(
        gate.weights(new), np.clip((cosines - gate.low) / (gate.high - gate.low), 0, 1), atol=1e-4
    )
    inside = (queries @ directions_) @ (queries @ directions_).T
    np.fill_diagonal(inside, -2)
    near = np.sort(inside, axis=1)[:, -3:].mean(axis=1)
    np.testing.assert_allclose([gate.low, gate.high], np.quantile(near, [0.05, 0.5]), atol=1e-5)


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
    with pytest.raises(ConfigError, match=re.escape("strength must be from 0 (nothing of what was learned) to 1")):
        fitted().scaled(strength)


def test_one_query_makes_no_gate():
    with pytest.raises(DataError, match=re.escape("A gate was asked for from 1 different embeddings")):
        Gate.fit(directions(1, 0))


def test_many_training_queries_are_drawn_from():
    gate = Gate.fit(directions(3000, 0), seed=1)
    assert gate.examples.shape == (2048, 16)
    assert Gate.fit(directions(3000, 0), seed=1).examples.tobytes() == gate.examples.tobytes()


def test_a_query_weighs_the_same_alone_and_among_thousands():
    gate = Gate.fit(directions(200, 0))
    many = directions(3000, 0, 0.4, seed=7)
    alone = [gate.weights(many[at : at + 1])[0] for at in (0, 1023, 1024, 2999)]
    np.testing.assert_allclose(gate.weights(many)[[0, 1023, 1024, 2999]], alone, atol=1e-5)
    assert gate.weights(many[:0]).shape == (0,)


def test_queries_asked_several_times_do_not_close_it_for_themselves():
    queries = np.repeat(directions(30, 0), 4, axis=0)
    gate = Gate.fit(queries)
    assert gate.examples.shape == (30, 16)
    assert (gate.weights(queries) > 0.99).mean() > 0.85
    pair = Gate.fit([[1, 0], [1, 1e-4]])
    np.testing.assert_allclose(pair.weights([[1, 0], [1, 1e-4]]), 1, atol=1e-3)


def test_a_gate_of_another_dimension_is_refused():
    with pytest.raises(DataError, match=re.escape("This gate was fitted on queries of 2 dimensions, and this adapter")):
        fitted().gated(Gate.fit(np.eye(2)))


def test_no_neighbour_is_refused():
    with pytest.raises(DataError, match=re.escape("neighbours must be at least 1, got 0")):
        Gate.fit(directions(5, 0), neighbours=0)


@pytest.mark.parametrize("half", [{"unlike": np.eye(16, dtype=np.float32)}, {"lead": (0.0, 0.1)}])
def test_half_of_the_second_ramp_is_refused(half):
    with pytest.raises(
        DataError, match=re.escape("A gate was given one of unlike and lead. Expected both, or neither")
    ):
        Gate(directions(9, 0), 0.1, 0.2, **half)


def test_others_of_another_dimension_are_refused():
    with pytest.raises(DataError, match="examples of 16 dimensions and others, unlike these, of 8"):
        Gate.fit(directions(9, 0), unlike=np.eye(8))


@pytest.mark.parametrize("lead", [[], [0.1], [0.2, 0.1], [float("nan"), 0.1], "0.1"])
def test_a_damaged_lead_is_refused(lead):
    config, tensors = to_state(fitted().gated(Gate.fit(directions(60, 0), unlike=directions(9, 3))))
    config["gate"]["lead"] = lead
    with pytest.raises(DataError, match=r"the gate.s lead is .*, expected two numbers that rise"):
        from_state(config, tensors)
