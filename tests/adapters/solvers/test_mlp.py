import numpy as np
import pytest

from embertune.adapters.pairs import TrainingPairs
from embertune.adapters.solvers.descent import Descent, train
from embertune.adapters.solvers.losses import info_nce
from embertune.adapters.solvers.mlp import NetworkMap, backward, forward, start
from embertune.adapters.solvers.sampling import Sampler


def network(seed=0, d=5, h=7):
    rng = np.random.default_rng(seed)
    shapes = {"input": (d, h), "input_bias": (h,), "output": (h, d), "output_bias": (d,)}
    return {name: 0.5 * rng.normal(size=shape) for name, shape in shapes.items()}


def rows(seed, n, d=5):
    found = np.random.default_rng(seed).normal(size=(n, d))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def slopes(function, point, step=1e-6):
    """Central differences by every number of every array."""
    found = {}
    for name, array in point.items():
        found[name] = np.zeros_like(array)
        for at in np.ndindex(array.shape):
            values = []
            for sign in (1, -1):
                moved = {key: value.copy() for key, value in point.items()}
                moved[name][at] += sign * step
                values.append(function(moved))
            found[name][at] = (values[0] - values[1]) / (2 * step)
    return found


PAIRS, IGNORED = np.array([[0, 0], [1, 1], [2, 2], [2, 3], [3, 4]]), np.array([[0, 0], [0, 5]])


def contrast(queries, documents):
    return info_nce(queries, documents, PAIRS, temperature=0.3, ignored=IGNORED)


@pytest.mark.parametrize("sides", [("query",), ("query", "document")])
@pytest.mark.parametrize("dropped", [False, True])
def test_the_gradient_equals_finite_differences(sides, dropped):
    queries, documents = rows(1, 4), rows(2, 6)
    kept = tuple(np.random.default_rng(n).integers(0, 2, size=(n, 7)) * 2.0 if dropped else 1 for n in (4, 6))
    objective = Descent(residual=NetworkMap(sides, 7), origin=network(5), pull=0.2)
    point = network(3)
    _, found = objective.value_and_gradient(point, queries, documents, contrast, kept)
    expected = slopes(lambda moved: objective.value_and_gradient(moved, queries, documents, contrast, kept)[0], point)
    for name in point:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-7)


def test_forward_is_its_formula_and_backward_its_derivative():
    net, vectors, weights = network(), rows(1, 3), rows(2, 3)
    hidden = np.maximum(vectors @ net["input"] + net["input_bias"], 0)
    np.testing.assert_allclose(forward(net, vectors), vectors + hidden @ net["output"] + net["output_bias"])
    found = backward(net, vectors, weights)
    expected = slopes(lambda moved: float((forward(moved, vectors) * weights).sum()), net)
    for name in net:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-7)


def test_the_start_is_the_identity_whatever_the_seed():
    vectors = rows(0, 4, d=16).astype(np.float32)
    networks = [start(16, 64, seed) for seed in (0, 1)]
    for net in networks:
        assert forward(net, vectors).tobytes() == vectors.tobytes()
        assert net["input"].var() == pytest.approx(2 / 16, rel=0.2)
    assert not np.array_equal(networks[0]["input"], networks[1]["input"])


def test_training_lowers_the_objective_and_leaves_the_start_alone():
    queries, documents = rows(1, 30, d=8).astype(np.float32), rows(2, 30, d=8).astype(np.float32)
    origin = start(8, 32, 0)
    before = {name: array.copy() for name, array in origin.items()}
    training = TrainingPairs(queries, documents, np.column_stack([np.arange(30)] * 2))
    sampler = Sampler(training=training, batch_size=8, max_candidates=10, temperature=0.1)
    objective = Descent(residual=NetworkMap(("query",), 32), origin=origin, pull=0.0)
    epochs = train(objective, queries, documents, sampler.epoch, learning_rate=0.01, dropout=0.2)
    losses = [next(epochs)[1] for _ in range(10)]
    assert losses[-1] < 0.7 * losses[0]
    for name, array in origin.items():
        np.testing.assert_array_equal(array, before[name])
