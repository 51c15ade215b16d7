import numpy as np
import pytest

from embertune.adapters.solvers.anchors import find_anchors
from embertune.core.search import top_k
from embertune.core.vectors import normalize


def plane(seed, n, d, centre=0.5):
    """Vectors that resemble each other, as embeddings do."""
    rng = np.random.default_rng(seed)
    return normalize((rng.normal(size=(n, d)) + centre * rng.normal(size=(1, d))).astype(np.float32))


@pytest.mark.parametrize(("d", "n"), [(8, 300), (200, 300), (200, 5), (200, 9000)])
def test_the_sketch_finds_what_exact_search_finds(d, n):
    vectors = plane(0, n, d)
    rng = np.random.default_rng(1)
    # Near the bound on both sides of it: 1 - cosine = length² / 2 for a step across.
    chosen = rng.choice(n, min(n, 150), replace=False)
    step = normalize(rng.normal(size=(len(chosen), d)).astype(np.float32))
    step -= np.einsum("ij,ij->i", step, vectors[chosen])[:, None] * vectors[chosen]
    length = np.sqrt(2e-4) * rng.uniform(0, 1.5, size=(len(chosen), 1))
    anchors = normalize((vectors[chosen] + length * normalize(step)).astype(np.float32))
    found = find_anchors(vectors, anchors, 1e-4)
    nearest, cosines = top_k(vectors, anchors, 1)
    rows = np.flatnonzero(cosines[:, 0] >= 1 - 1e-4)
    assert 0 < len(rows) < n
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_array_equal(found.anchors, nearest[rows, 0])


def test_nothing_near_and_nothing_given():
    vectors = plane(0, 100, 200)
    assert find_anchors(vectors, plane(9, 100, 200), 1e-4).rows.tolist() == []
    assert find_anchors(vectors[:0], vectors, 1e-4).rows.tolist() == []
