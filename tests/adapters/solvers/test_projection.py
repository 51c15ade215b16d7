import numpy as np
import pytest

from embertune.adapters.solvers.contrastive import InfoNCE
from embertune.adapters.solvers.projection import ProjectionNCE
from embertune.core.vectors import normalize


def problem(seed=0, n=7, m=9, d=5, k=3, candidates=None):
    rng = np.random.default_rng(seed)
    queries = normalize(rng.normal(size=(n, d)).astype(np.float32))
    documents = normalize(rng.normal(size=(m, d)).astype(np.float32))
    pairs = np.array([(i, j) for i in range(n) for j in sorted(rng.choice(m, rng.integers(1, 4), replace=False))])
    chosen = np.arange(m) if candidates is None else np.asarray(candidates)
    plain = rng.normal(size=(d, k)).astype(np.float32)
    return ProjectionNCE(
        queries=queries, documents=documents, pairs=pairs, candidates=chosen, temperature=0.1,
        sides=("query", "document"), plain=plain,
    )  # fmt: skip


def plain_loss(objective, projection):
    """The formula of InfoNCE, pair by pair, in float64."""
    queries, documents = objective.queries.astype(float) @ projection, objective.documents.astype(float) @ projection
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    documents /= np.linalg.norm(documents, axis=1, keepdims=True)
    scores = queries @ documents.T / objective.temperature
    losses = []
    for i, j in objective.pairs:
        positives = set(objective.pairs[objective.pairs[:, 0] == i, 1])
        negatives = [c for c in objective.candidates if c not in positives]
        losses.append(-scores[i, j] + np.log(np.exp(scores[i, j]) + sum(np.exp(scores[i, c]) for c in negatives)))
    return float(np.mean(losses))


@pytest.mark.parametrize("candidates", [None, [0, 2, 3, 8]])
def test_value_equals_the_formula_and_gradient_equals_finite_differences(candidates):
    objective, pull = problem(candidates=candidates), 0.07
    flat = (0.3 * np.random.default_rng(1).normal(size=15)).astype(np.float32)

    def reference(point):
        return plain_loss(objective, objective.plain + point.reshape(5, 3)) + pull / 2 * float(point @ point)

    value, gradient = objective.value_and_gradient(flat, pull)
    assert value == pytest.approx(reference(flat.astype(float)), rel=1e-5)
    for at, step in enumerate(1e-5 * np.eye(15)):
        slope = (reference(flat + step) - reference(flat - step)) / 2e-5
        assert gradient[at] == pytest.approx(slope, abs=2e-4)


def test_a_square_projection_is_the_shared_map_of_infonce():
    objective = problem(d=5, k=5)
    shared = InfoNCE(
        queries=objective.queries, documents=objective.documents, pairs=objective.pairs, temperature=0.1,
        candidates=objective.candidates, sides=("query", "document"), shared=True,
    )  # fmt: skip
    objective = ProjectionNCE(**{**objective.__dict__, "plain": np.eye(5, dtype=np.float32)})
    flat = (0.2 * np.random.default_rng(2).normal(size=25)).astype(np.float32)
    value, gradient = objective.value_and_gradient(flat, 0.1)
    expected = shared.value_and_gradient(flat, 0.1)
    assert value == pytest.approx(expected[0], rel=1e-6)
    np.testing.assert_allclose(gradient, expected[1], atol=1e-5)
