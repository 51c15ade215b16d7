import re

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes

from embertune.adapters import load_adapter
from embertune.adapters.orthogonal import OrthogonalAdapter
from embertune.core.vectors import normalize
from embertune.errors import ArtifactError, ConfigError, DataError, NotFittedError


def space(seed=0, n=60, d=8):
    """Documents, a rotation, and queries that are the documents turned back by it."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(d, d)))
    documents = normalize(rng.normal(size=(n, d)).astype(np.float32))
    return (documents @ rotation.T).astype(np.float32), documents, rotation


def test_a_rotated_space_is_recovered():
    queries, documents, rotation = space()
    adapter = OrthogonalAdapter(pull=1e-6).fit(queries, documents)
    np.testing.assert_allclose(adapter.matrix, rotation, atol=1e-4)
    np.testing.assert_allclose(adapter.transform(queries), documents, atol=1e-4)
    np.testing.assert_allclose(adapter.coef_, rotation - np.eye(8), atol=1e-4)


def test_with_noise_it_equals_procrustes_of_scipy():
    queries, documents, _ = space()
    queries = normalize(queries + 0.3 * np.random.default_rng(1).normal(size=queries.shape).astype(np.float32))
    expected, _ = orthogonal_procrustes(queries, documents)
    np.testing.assert_allclose(OrthogonalAdapter(pull=1e-9).fit(queries, documents).matrix, expected, atol=1e-4)


def test_several_positives_count_once_each():
    queries, documents, _ = space(n=12)
    pairs = [(0, 0), (0, 1), (1, 2), (2, 2), (5, 11)]
    rows, columns = np.array(pairs).T
    alone = OrthogonalAdapter(0.05).fit(queries[rows], documents, pairs=np.column_stack([np.arange(5), columns]))
    np.testing.assert_allclose(
        OrthogonalAdapter(0.05).fit(queries, documents, pairs=pairs).matrix, alone.matrix, atol=1e-5
    )


def test_it_minimises_the_objective_of_its_docstring():
    queries, documents, _ = space(n=20, d=5)
    pull = 0.1

    def objective(rotation):
        distance = ((queries @ rotation - documents) ** 2).sum()
        return distance + pull * len(queries) * ((rotation - np.eye(5)) ** 2).sum()

    best = OrthogonalAdapter(pull).fit(queries, documents).matrix.astype(float)
    rng = np.random.default_rng(2)
    for _ in range(50):
        skew = rng.normal(size=(5, 5)) * 0.05
        near, _ = np.linalg.qr(np.eye(5) + skew - skew.T)
        near *= np.sign(np.diag(near))
        assert objective(best @ near) >= objective(best) - 1e-4


def test_a_strong_pull_is_the_identity_and_any_pull_a_rotation():
    queries, documents, _ = space()
    np.testing.assert_allclose(OrthogonalAdapter(1e6).fit(queries, documents).matrix, np.eye(8), atol=1e-5)
    rotation = OrthogonalAdapter(0.1).fit(queries, documents).matrix
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(8), atol=1e-5)


def test_what_no_pair_speaks_of_stays_as_it_is():
    queries, documents = np.zeros((2, 6)), np.zeros((2, 6))
    queries[[0, 1], [0, 1]] = 1
    documents[[0, 1], [1, 0]] = 1, -1  # a quarter turn of the first plane
    matrix = OrthogonalAdapter(1e-6).fit(queries, documents).matrix
    np.testing.assert_allclose(matrix[:2, :2], [[0, 1], [-1, 0]], atol=1e-4)
    np.testing.assert_allclose(matrix[2:, 2:], np.eye(4), atol=1e-5)


def test_it_carries_one_encoder_into_the_space_of_another():
    """Fitted on texts embedded by both, it lets new queries of one find documents of the other."""
    old, new, _ = space(n=80, seed=3)
    bridge = OrthogonalAdapter(1e-4).fit(old[:40], new[:40])
    found = (bridge.transform(old[40:]) @ bridge.transform(new, "document").T).argmax(axis=1)
    np.testing.assert_array_equal(found, np.arange(40, 80))
    assert bridge.transform(new, "document").tobytes() == new.tobytes()


def test_saved_bits_are_equal_and_damage_is_found(tmp_path):
    queries, documents, _ = space()
    adapter = OrthogonalAdapter(0.02).fit(queries, documents)
    loaded = load_adapter(adapter.save(tmp_path / "a"))
    assert loaded.transform(queries).tobytes() == adapter.transform(queries).tobytes()
    assert loaded.get_params() == {"pull": 0.02}
    broken = OrthogonalAdapter(0.02).fit(queries, documents)
    broken.rotation_ = 2 * broken.rotation_
    with pytest.raises(ArtifactError, match="the rotation holds rows whose length is not 1"):
        load_adapter(broken.save(tmp_path / "b"))
    broken.rotation_ = broken.rotation_[:3]
    with pytest.raises(ArtifactError, match=re.escape("the rotation has shape (3, 8), expected (d, d)")):
        load_adapter(broken.save(tmp_path / "b"))


def test_errors():
    with pytest.raises(NotFittedError, match=re.escape("This OrthogonalAdapter is not fitted yet. Call fit(")):
        OrthogonalAdapter().transform(np.eye(2))
    with pytest.raises(ConfigError, match=re.escape("pull must be positive, got 0")):
        OrthogonalAdapter(0).fit(np.eye(2), np.eye(2))
    with pytest.raises(DataError, match=re.escape("The queries have 3 dimensions and the documents 2.")):
        OrthogonalAdapter().fit(np.eye(3), np.eye(2))
