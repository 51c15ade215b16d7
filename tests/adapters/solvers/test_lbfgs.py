import numpy as np
import pytest
from scipy.optimize import minimize as scipy_minimize
from scipy.optimize import rosen, rosen_der

from embertune.adapters.solvers.lbfgs import minimize


def test_finds_the_minimum_that_scipy_finds():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(12, 12))
    matrix, target = root @ root.T + np.eye(12), rng.normal(size=12)

    def quadratic(x):
        return float(0.5 * x @ matrix @ x - target @ x), (matrix @ x - target).astype(np.float32)

    ours = minimize(quadratic, np.zeros(12, dtype=np.float32), max_steps=200, tolerance=1e-9)
    theirs = scipy_minimize(quadratic, np.zeros(12), jac=True, method="L-BFGS-B")
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-3)
    np.testing.assert_allclose(ours.x, np.linalg.solve(matrix, target), atol=1e-3)


def test_walks_the_valley_of_rosenbrock():
    found = minimize(
        lambda x: (float(rosen(x.astype(float))), rosen_der(x.astype(float)).astype(np.float32)),
        np.array([-1.2, 1.0], dtype=np.float32),
        max_steps=200,
        tolerance=1e-12,
    )
    np.testing.assert_allclose(found.x, [1, 1], atol=2e-3)


def test_every_step_lowers_the_objective_and_the_start_is_untouched():
    start = np.array([3.0, -2.0, 1.0], dtype=np.float32)
    found = minimize(lambda x: (float((x**4).sum()), 4 * x**3), start, max_steps=30)
    assert list(found.losses) == sorted(found.losses, reverse=True)
    assert found.losses[0] < 98
    assert start.tolist() == [3.0, -2.0, 1.0]


def test_at_the_minimum_nothing_moves():
    found = minimize(lambda x: (float(x @ x), 2 * x), np.zeros(3, dtype=np.float32))
    assert found.x.tolist() == [0, 0, 0]
    assert found.losses == ()


def test_steps_are_bounded():
    found = minimize(
        lambda x: (float(rosen(x)), rosen_der(x).astype(np.float32)),
        np.array([-1.2, 1.0], dtype=np.float32),
        max_steps=3,
    )
    assert len(found.losses) == 3
    assert found.value == pytest.approx(rosen(found.x), rel=1e-4)


def test_what_is_known_at_the_start_is_not_asked_for_again():
    target = np.array([1.0, -2.0, 0.5], dtype=np.float32)
    asked = []

    def objective(x, pull=0.3):
        asked.append(x)
        return float(((x - target) ** 2).sum() + pull / 2 * (x @ x)), 2 * (x - target) + np.float32(pull) * x

    first = minimize(objective, 0 * target)
    value, gradient = first.pulled(0.1 - 0.3)
    expected = objective(first.x, 0.1)
    np.testing.assert_allclose(value, expected[0], rtol=1e-6)
    np.testing.assert_allclose(gradient, expected[1], atol=1e-6)
    asked.clear()
    known = minimize(lambda x: objective(x, 0.1), first.x, known=(value, gradient))
    assert not any(x is first.x for x in asked)
    afresh = minimize(lambda x: objective(x, 0.1), first.x)
    assert any(x is first.x for x in asked)
    np.testing.assert_allclose(known.x, afresh.x, atol=1e-4)
