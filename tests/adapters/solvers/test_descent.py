import numpy as np
import pytest

from embertune.adapters.solvers.descent import Descent, Step, train
from embertune.adapters.solvers.distillation import margin_mse, mean_margin
from embertune.adapters.solvers.linear import LinearMaps
from embertune.adapters.solvers.losses import cosent, cosine_mse, info_nce, triplet
from embertune.adapters.solvers.mlp import NetworkMap

PAIRS = np.array([[0, 0], [1, 2], [2, 1], [3, 3]])
TRIPLETS = np.array([[0, 0, 4], [1, 2, 0], [2, 1, 3], [3, 3, 1], [3, 3, 2]])
GRADES, MARGINS = [1, 0.2, 0.7, 0], [0.1, 0.9, 0.3, -0.2, 0.6]
LOSSES = {
    "info_nce": lambda q, d: info_nce(q, d, PAIRS, temperature=0.3),
    "triplet": lambda q, d: triplet(q, d, TRIPLETS, margin=0.4),
    "triplet_euclidean": lambda q, d: triplet(q, d, TRIPLETS, margin=0.4, distance="euclidean"),
    "cosent": lambda q, d: cosent(q, d, PAIRS, GRADES, temperature=0.3),
    "mse": lambda q, d: cosine_mse(q, d, PAIRS, GRADES),
    "margin_mse": lambda q, d: margin_mse(q, d, TRIPLETS, MARGINS, temperature=0.4),
    "mean_margin": lambda q, d: mean_margin(q, d, TRIPLETS, MARGINS, temperature=0.4),
}
BASIS = np.linalg.qr(np.random.default_rng(9).normal(size=(5, 3)))[0]
MAPS = {
    "query": LinearMaps(("query",), 5),
    "separate": LinearMaps(("query", "document"), 5),
    "shared": LinearMaps(("query", "document"), 5, shared=True),
    "diagonal": LinearMaps(("query", "document"), 5, diagonal=True),
    "low rank": LinearMaps(("query", "document"), 5, BASIS),
    "network": NetworkMap(("query", "document"), 6),
}


def unit_rows(seed, count):
    rows = np.random.default_rng(seed).normal(size=(count, 5))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def drawn(residual, seed, size=0.3):
    rng = np.random.default_rng(seed)
    if isinstance(residual, NetworkMap):
        shapes = {"input": (5, 6), "input_bias": (6,), "output": (6, 5), "output_bias": (5,)}
    else:
        shapes = {name: array.shape for name, array in residual.origin().items()}
    return {name: size * rng.normal(size=shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("maps", MAPS)
@pytest.mark.parametrize("dropped", [False, True])
def test_the_gradient_of_every_loss_by_every_map_equals_finite_differences(loss, maps, dropped):
    residual = MAPS[maps]
    queries, documents, point = unit_rows(1, 4), unit_rows(2, 5), drawn(residual, 3)
    rng = np.random.default_rng(4)
    kept = tuple(rng.integers(0, 2, size=(n, residual.width)) * 2.0 if dropped else 1 for n in (4, 5))
    objective = Descent(residual=residual, origin=drawn(residual, 5), pull=0.2)
    _, found = objective.value_and_gradient(point, queries, documents, LOSSES[loss], kept)
    for name, array in point.items():
        for at in np.ndindex(array.shape):
            values = []
            for step in (1e-6, -1e-6):
                moved = {key: value.copy() for key, value in point.items()}
                moved[name][at] += step
                values.append(objective.value_and_gradient(moved, queries, documents, LOSSES[loss], kept)[0])
            assert found[name][at] == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("maps", MAPS)
def test_without_parameters_a_map_is_the_identity(maps):
    rows, zeros = unit_rows(0, 4), {name: 0 * array for name, array in drawn(MAPS[maps], 0).items()}
    np.testing.assert_array_equal(MAPS[maps].forward(zeros, rows, "query"), rows)


def test_the_mean_of_an_epoch_counts_every_example_once():
    residual = MAPS["query"]
    queries, documents = unit_rows(1, 4).astype(np.float32), unit_rows(2, 5).astype(np.float32)
    steps = [
        Step(np.array([0]), np.arange(5), lambda q, d: (1.0, np.zeros_like(q), np.zeros_like(d)), 3),
        Step(np.array([1]), np.arange(5), lambda q, d: (5.0, np.zeros_like(q), np.zeros_like(d)), 1),
    ]
    objective = Descent(residual=residual, origin=residual.origin(), pull=0.0)
    parameters, loss = next(train(objective, queries, documents, lambda epoch: steps, learning_rate=0.1))
    assert loss == 2.0
    np.testing.assert_array_equal(parameters["query"], 0)
