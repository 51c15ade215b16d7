import json
import re

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes

from embertune.adapters import BridgeAdapter, load_adapter
from embertune.adapters.solvers.bridging import _Bridge, affine, network_residual, scaled_rotation
from embertune.core.vectors import normalize
from embertune.encoders.hashing import HashingEncoder
from embertune.errors import ArtifactError, ConfigError, DataError, NotFittedError

KINDS = ["procrustes", "affine", "mlp"]


def rows(n=120, d=8, seed=0):
    return normalize(np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32))


def turn(d, k, seed=1):
    """Orthonormal rows or columns, whichever are fewer."""
    square, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(max(d, k),) * 2))
    return square[:d, :k].astype(np.float32)


def target(k, **more):
    return {"provider": "made-up", "model": "old", "dimension": k, **more}


def test_the_rotation_is_that_of_scipy():
    x = rows()
    y = normalize(x @ turn(8, 8) + 0.3 * rows(seed=2))
    expected, scale = orthogonal_procrustes(x, y)
    found = scaled_rotation(x, y)
    np.testing.assert_allclose(found, expected * scale / len(x), atol=1e-5)


@pytest.mark.parametrize(("d", "k"), [(6, 9), (9, 6)])
def test_between_dimensions_it_is_procrustes_of_the_padded_space(d, k):
    x, y = rows(d=d), rows(d=k, seed=3)
    most = max(d, k)
    padded = [np.pad(part, ((0, 0), (0, most - part.shape[1]))) for part in (x, y)]
    expected, _ = orthogonal_procrustes(*padded)
    found = BridgeAdapter("procrustes", target=target(k)).fit(x, y).rotation_
    # Where the narrower space was padded, directions are free; those of rows and their goals are not.
    trace = np.einsum("ij,ij->", x @ expected[:d, :k], y)
    assert np.einsum("ij,ij->", normalize(x) @ (found / np.linalg.norm(found, 2)), y) == pytest.approx(trace, rel=1e-4)


@pytest.mark.parametrize("kind", ["procrustes", "affine"])
def test_a_rotated_space_of_more_dimensions_is_found_exactly(kind):
    x = rows(d=6)
    y = x @ turn(6, 10)
    bridge = BridgeAdapter(kind, target=target(10)).fit(x[:80], y[:80])
    np.testing.assert_allclose(bridge.transform(x[80:]), y[80:], atol=1e-4)
    assert (bridge.dimension, bridge.output_dimension) == (6, 10)
    # Neighbours of the mapped texts are then those of the space they came from.
    assert ((bridge.transform(x) @ y.T).argmax(axis=1) == np.arange(120)).all()


def test_affine_is_ridge_regression():
    x, y = rows(d=5), rows(d=3, seed=4)
    start = turn(5, 3)
    design = np.hstack([x, np.ones((120, 1))])
    penalty = np.diag([2.0 * 120 / 5] * 5 + [0])
    left = y - x @ start
    expected = np.linalg.solve(design.T @ design + penalty, design.T @ left)
    matrix, bias = affine(x, y, start, pull=2.0)
    np.testing.assert_allclose(matrix, start + expected[:-1], atol=1e-5)
    np.testing.assert_allclose(bias, expected[-1], atol=1e-5)


def test_a_rank_bounds_what_is_added_and_a_strong_pull_leaves_the_rotation():
    x, y = rows(d=7), rows(d=7, seed=5)
    start = scaled_rotation(x, y)
    for rank in (1, 3):
        matrix, _ = affine(x, y, start, pull=0.1, rank=rank)
        assert np.linalg.matrix_rank((matrix - start).astype(float), tol=1e-5) == rank
    matrix, _ = affine(x, y, start, pull=1e9)
    np.testing.assert_allclose(matrix, start, atol=1e-6)


def test_the_gradient_of_the_network_is_that_of_finite_differences():
    random = np.random.default_rng(0)
    x, slopes = random.normal(size=(7, 4)), random.normal(size=(7, 3))
    shapes = {"input": (4, 5), "input_bias": (5,), "output": (5, 3), "output_bias": (3,)}
    parameters = {name: random.normal(size=shape) for name, shape in shapes.items()}
    layer = _Bridge((np.zeros((4, 3)), np.zeros(3)), 5)
    gradient = layer.backward(parameters, x, slopes, "query")
    for name, array in parameters.items():
        step = np.zeros_like(array)
        step.flat[1] = 1e-6
        moved = [network_residual({**parameters, name: array + sign * step}, x) for sign in (1, -1)]
        assert gradient[name].flat[1] == pytest.approx(((moved[0] - moved[1]) * slopes).sum() / 2e-6, rel=1e-5)


def test_a_network_learns_what_no_affine_map_can():
    x = rows(n=400, d=4)
    y = normalize(np.abs(x))
    error = {}
    for kind in ("affine", "mlp"):
        bridge = BridgeAdapter(kind, pull=0.01, hidden=64, max_epochs=60, learning_rate=0.01).fit(x[:300], y[:300])
        error[kind] = 1 - float(np.einsum("ij,ij->i", bridge.transform(x[300:]), y[300:]).mean())
    assert error["mlp"] < error["affine"] / 4


@pytest.mark.parametrize("kind", KINDS)
def test_it_comes_back_from_disk_with_both_encoders(kind, tmp_path):
    bridge = BridgeAdapter(kind, target=target(5), hidden=7, max_epochs=1).fit(rows(d=9), rows(d=5, seed=6))
    bridge.encoder = target(9, model="new")
    loaded = load_adapter(bridge.save(tmp_path / "bridge"))
    x = rows(d=9, seed=7)
    for side in ("query", "document"):
        assert loaded.transform(x, side).tobytes() == bridge.transform(x, side).tobytes()
    config = json.loads((tmp_path / "bridge" / "config.json").read_text())
    assert (config["encoder"]["model"], config["target"]["model"]) == ("new", "old")
    assert loaded.target == target(5)
    np.testing.assert_allclose(loaded.scaled(0).transform(x), normalize(x @ bridge.rotation_), atol=1e-6)


def test_it_is_refused_behind_another_encoder():
    bridge = BridgeAdapter().fit(rows(d=64), rows(d=64, seed=1))
    bridge.encoder = HashingEncoder(query_prompt="q: ").spec.to_dict()
    with pytest.raises(ArtifactError, match=re.escape("query_prompt")):
        _ = HashingEncoder() | bridge


def test_damage_is_found(tmp_path):
    bridge = BridgeAdapter("affine", target=target(5)).fit(rows(d=9), rows(d=5, seed=6))
    bridge.target = target(6)
    with pytest.raises(ArtifactError, match=re.escape("lead to 5 dimensions, and the target is said to have 6")):
        load_adapter(bridge.save(tmp_path / "a"))
    bridge.target, bridge.bias_ = target(5), np.zeros(4, np.float32)
    with pytest.raises(ArtifactError, match=re.escape("bias has shape (4,), expected (5,)")):
        load_adapter(bridge.save(tmp_path / "b"))


def test_errors():
    with pytest.raises(NotFittedError, match=re.escape("This BridgeAdapter is not fitted yet.")):
        BridgeAdapter().transform(np.eye(2))
    message = "The queries have 8 dimensions and the documents 6; without a target 8 are expected. Name the encoder of "
    with pytest.raises(DataError, match=re.escape(message)):
        BridgeAdapter().fit(rows(), rows(d=6))
    with pytest.raises(DataError, match=re.escape("'old' has 5. Name")):
        BridgeAdapter(target=target(5)).fit(rows(), rows(d=6))
    with pytest.raises(ConfigError) as caught:
        BridgeAdapter("line", pull=0, rank=0, target={"dimension": 3}).fit(rows(), rows())
    assert caught.value.problems == [
        "kind must be 'procrustes' or 'affine' or 'mlp', got 'line'",
        "rank must be at least 1, got 0",
        "pull must be positive, got 0",
        "target must be what encoder.spec.to_dict() gives, got {'dimension': 3}",
    ]
