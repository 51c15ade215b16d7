import numpy as np
import pytest

from embertune.adapters.solvers.losses import info_nce
from embertune.adapters.solvers.offsets import Contrast, mean_moved, nudged, sum_of_queries
from embertune.core.vectors import normalize


def problem(seed=0, n=12, k=5, others=7, d=6):
    rng = np.random.default_rng(seed)
    queries, documents, rest = (normalize(rng.normal(size=(size, d)).astype(np.float32)) for size in (n, k, others))
    pairs = np.unique([*np.column_stack([np.arange(n), np.arange(n) % k]).tolist(), [0, 2], [3, 1]], axis=0)
    return queries, documents, rest, pairs


def contrast(seed=0, others=7, **changes):
    queries, documents, rest, pairs = problem(seed, others=others)
    settings = dict(temperature=0.2, shrinkage=0.0, outside=1.0) | changes
    return Contrast(queries=queries, documents=documents, pairs=pairs, others=rest, **settings)


def test_nudged_equals_the_formula_of_its_authors():
    """nudge-ft 0.1.2, NUDGEN._sol_maxm, in numpy."""
    rng = np.random.default_rng(0)
    documents, sums = normalize(rng.normal(size=(50, 8)).astype(np.float32)), rng.normal(size=(50, 8))
    sums[::2] += 2 * documents[::2]
    sums[::10] = 3 * documents[::10] + 0.01 * sums[::10]
    gamma = 0.3
    along, squares = (sums * documents).sum(1), (sums * sums).sum(1)
    mu = along + np.sqrt(gamma / (4 - gamma) * (squares - along**2))
    expected = documents + gamma * (sums - mu[:, None] * documents) / (2 * (mu - along))[:, None]
    expected[along < 0] = documents[along < 0]
    inside = along / np.sqrt(squares) >= 1 - gamma / 2
    expected[inside] = normalize(sums[inside].astype(np.float32))
    assert 0 < inside.sum() < (along >= 0).sum() < 50
    found = nudged(documents, sums.astype(np.float32), np.full(50, gamma, dtype=np.float32))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_nudged_is_the_best_within_its_bound():
    rng = np.random.default_rng(1)
    document, total = normalize(rng.normal(size=(1, 4)).astype(np.float32)), rng.normal(size=(1, 4)).astype(np.float32)
    total *= np.sign(total @ document.T)
    found = nudged(document, total, np.array([0.2], dtype=np.float32))
    near = normalize((document + 0.4 * rng.normal(size=(5000, 4))).astype(np.float32))
    near = near[((near - document) ** 2).sum(axis=1) <= 0.2]
    assert len(near) > 100
    assert (near @ total.T).max() <= float((found @ total.T)[0, 0]) + 1e-6
    assert ((found - document) ** 2).sum() == pytest.approx(0.2, abs=1e-5)


def test_sums_and_means():
    queries = np.array([[1, 0], [0, 1], [0, 1]], dtype=np.float32)
    sums = sum_of_queries(queries, np.array([[0, 1], [1, 1], [2, 0]]), 3)
    np.testing.assert_array_equal(sums, [[0, 1], [1, 1], [0, 0]])
    moved = mean_moved(np.array([[1, 0]], np.float32), np.array([[0.5, 0.5]], np.float32), np.array([2.0], np.float32))
    np.testing.assert_allclose(moved, np.array([[2, 1]]) / np.sqrt(5), rtol=1e-6)


@pytest.mark.parametrize("cells", [4_000_000, 10])
def test_the_slope_is_minus_the_gradient_of_info_nce_per_query_of_a_document(cells, monkeypatch):
    monkeypatch.setattr("embertune.adapters.solvers.offsets._BLOCK_CELLS", cells)
    case = contrast(shrinkage=0.5)
    everything = np.concatenate([case.documents, case.others])
    _, _, by_documents = info_nce(case.queries, everything, case.pairs, temperature=0.2)
    counts = np.bincount(case.pairs[:, 1])[:, None] + 0.5
    expected = -by_documents[:5] * len(case.pairs) * 0.2 / counts
    np.testing.assert_allclose(case._slope(case.documents), expected, atol=1e-6)


def test_where_no_others_are_known_the_places_moved_from_stand_in():
    case = contrast(others=0)
    moved = next(case.path([0.7]))
    everything = np.concatenate([moved, case.documents])
    ignored = case.pairs + np.array([0, 5])
    _, _, by_documents = info_nce(case.queries, everything, case.pairs, temperature=0.2, ignored=ignored)
    expected = -by_documents[:5] * len(case.pairs) * 0.2 / np.bincount(case.pairs[:, 1])[:, None]
    np.testing.assert_allclose(case._slope(moved), expected, atol=1e-6)


def test_the_weight_of_others():
    """Twice the weight is each of them twice; none is without them."""
    once, twice = contrast(outside=2.0), contrast()
    doubled = Contrast(**{**twice.__dict__, "others": np.concatenate([twice.others] * 2)})
    np.testing.assert_allclose(once._slope(once.documents), doubled._slope(once.documents), atol=1e-6)
    case = contrast(outside=0.0)
    _, _, by_documents = info_nce(case.queries, case.documents, case.pairs, temperature=0.2)
    expected = -by_documents * len(case.pairs) * 0.2 / np.bincount(case.pairs[:, 1])[:, None]
    np.testing.assert_allclose(case._slope(case.documents), expected, atol=1e-6)


def test_a_path_does_not_depend_on_the_stops_asked_for():
    case = contrast()
    stops = [0.05, 0.1, 0.25, 0.6, 1.0, 3.0]
    together = list(case.path(stops))
    for stop, moved in zip(stops, together, strict=True):
        assert next(case.path([stop])).tobytes() == moved.tobytes()
        np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 1, atol=1e-6)
    losses = [info_nce(case.queries, np.concatenate([moved, case.others]), case.pairs, temperature=0.2)[0]
              for moved in [case.documents, *together]]  # fmt: skip
    assert losses == sorted(losses, reverse=True)


def test_a_single_document_without_competitors_stays():
    case = Contrast(
        queries=np.eye(2, dtype=np.float32), documents=np.eye(1, 2, dtype=np.float32), pairs=np.array([[0, 0], [1, 0]]),
        others=np.empty((0, 2), dtype=np.float32), temperature=0.05, shrinkage=0.0, outside=1.0,
    )  # fmt: skip
    np.testing.assert_array_equal(next(case.path([1.0])), case.documents)
