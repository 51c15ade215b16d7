import re

import numpy as np
import pytest
from scipy.linalg import fractional_matrix_power

from embertune.adapters import load_adapter
from embertune.adapters.whitening import WhiteningAdapter
from embertune.core.vectors import normalize
from embertune.errors import ArtifactError, ConfigError, DataError, NotFittedError


def waves(n=40):
    """Forty unit rows of six dimensions, the same on every machine."""
    row, column = np.arange(n)[:, None], np.arange(6)[None]
    return normalize(np.sin(1.7 * row + 0.9 * column**2) + 0.3 * np.cos(0.37 * row * column))


def raw(adapter, rows):
    """What the adapter does before it scales rows to length 1."""
    return (rows - adapter.mean_) @ adapter.matrix


def test_at_full_power_the_covariance_becomes_the_identity():
    adapter = WhiteningAdapter(1, shrinkage=0).fit(None, waves())
    white = raw(adapter, waves())
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-5)
    covariance = white.T @ white / len(white)
    np.testing.assert_allclose(covariance / covariance[0, 0], np.eye(6), atol=1e-4)
    np.testing.assert_allclose(adapter.transform(waves()), normalize(white), atol=1e-5)


def test_cosines_equal_those_of_whitened_principal_components():
    # scikit-learn 1.9: PCA(whiten=True).fit_transform(waves()), rows scaled to length 1, first three by first four.
    expected = [
        [1.0, 0.318836, -0.578377, 0.216463], [0.318836, 1.0, 0.214643, -0.529674],
        [-0.578377, 0.214643, 1.0, -0.083079],
    ]  # fmt: skip
    white = WhiteningAdapter(1, shrinkage=0).fit(None, waves()).transform(waves(), "document")
    np.testing.assert_allclose(white[:3] @ white[:4].T, expected, atol=1e-4)


def test_shrinkage_equals_ledoit_wolf():
    # scikit-learn 1.9: ledoit_wolf_shrinkage(waves()), and of its first eight rows.
    assert WhiteningAdapter().fit(None, waves()).shrinkage_ == pytest.approx(0.0438246478, rel=1e-4)
    assert WhiteningAdapter().fit(None, waves()[:8]).shrinkage_ == pytest.approx(0.2197804647, rel=1e-4)


@pytest.mark.parametrize("power", [0.25, 0.5, 1.0])
def test_part_of_the_power_is_a_power_of_the_shrunken_covariance(power):
    adapter = WhiteningAdapter(power, shrinkage=0.3).fit(None, waves())
    covariance = 0.7 * np.cov(waves().T, bias=True)
    covariance += 0.3 / 0.7 * np.trace(covariance) / 6 * np.eye(6)
    expected = fractional_matrix_power(covariance, -power / 2)
    np.testing.assert_allclose(adapter.matrix / adapter.matrix[0, 0], expected / expected[0, 0], atol=1e-4)


def test_no_power_and_no_centring_is_the_identity():
    adapter = WhiteningAdapter(0, centre=False).fit(None, waves())
    np.testing.assert_allclose(adapter.transform(5 * waves()), waves(), atol=1e-6)
    np.testing.assert_allclose(adapter.matrix, np.eye(6), atol=1e-6)
    assert not adapter.mean_.any()
    centred = WhiteningAdapter(0).fit(None, waves())
    np.testing.assert_allclose(centred.transform(waves()), normalize(waves() - waves().mean(axis=0)), atol=1e-5)


def test_full_shrinkage_leaves_nothing_to_whiten():
    np.testing.assert_allclose(WhiteningAdapter(1, shrinkage=1).fit(None, waves()).matrix, np.eye(6), atol=1e-5)


def test_both_sides_share_the_map_and_pairs_do_not_matter():
    queries, documents = waves(30)[20:], waves(30)[:20]
    adapter = WhiteningAdapter().fit(queries, documents)
    np.testing.assert_array_equal(adapter.transform(documents), adapter.transform(documents, "document"))
    paired = WhiteningAdapter().fit(queries, documents, pairs=[(0, 0)])
    assert paired.matrix.tobytes() == adapter.matrix.tobytes()


def test_queries_are_learned_from_where_they_are_given():
    together = WhiteningAdapter().fit(None, waves(30))
    given = WhiteningAdapter().fit(waves(30)[20:], waves(30)[:20])
    np.testing.assert_allclose(given.matrix, together.matrix, atol=1e-6)
    np.testing.assert_allclose(given.mean_, together.mean_, atol=1e-6)
    assert np.abs(WhiteningAdapter().fit(None, waves(30)[:20]).matrix - together.matrix).max() > 1e-3


def test_lengths_of_the_training_rows_do_not_matter():
    scaled = waves() * np.linspace(0.1, 9, 40)[:, None]
    np.testing.assert_allclose(
        WhiteningAdapter().fit(None, scaled).matrix, WhiteningAdapter().fit(None, waves()).matrix, atol=1e-5
    )


def test_fewer_rows_than_dimensions_need_shrinkage():
    few = waves(4)
    assert np.isfinite(WhiteningAdapter(1).fit(None, few).transform(few)).all()
    assert np.isfinite(WhiteningAdapter(0, shrinkage=0).fit(None, few).transform(few)).all()
    says = (
        "The covariance of 4 rows has rank 3 of 6 and cannot be inverted. Give more documents, or let it be shrunk: "
        "WhiteningAdapter(shrinkage=None)"
    )
    with pytest.raises(DataError, match=f"^{re.escape(says)}$"):
        WhiteningAdapter(1, shrinkage=0).fit(None, few)


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([0], "A covariance was asked for from 1 row. "),
        ([0, 0], "The 2 rows to learn from are all alike, so they have no covariance. "),
        ([0, 1], "The covariance of 2 rows has rank 1 of 6 and cannot be inverted. "),
        ([0, 1, 1, 0], "The covariance of 4 rows has rank 1 of 6 and cannot be inverted. "),
    ],
)
def test_what_is_asked_for_is_enough(rows, found):
    advice = "Give the embeddings of at least three different texts."
    with pytest.raises(DataError, match=f"^{re.escape(found + advice)}$"):
        WhiteningAdapter().fit(None, waves()[rows])
    assert np.isfinite(WhiteningAdapter().fit(None, waves(3)).matrix).all()
    with pytest.raises(DataError, match=re.escape("Give the embeddings of at least two different texts.")):
        WhiteningAdapter(shrinkage=0.5).fit(None, waves(1))
    for enough in (WhiteningAdapter(shrinkage=0.5), WhiteningAdapter(0)):
        assert np.isfinite(enough.fit(None, waves(2)).matrix).all()


def test_saved_bits_are_equal_and_damage_is_found(tmp_path):
    adapter = WhiteningAdapter(0.5).fit(None, waves())
    loaded = load_adapter(adapter.save(tmp_path / "a"))
    assert loaded.transform(waves()).tobytes() == adapter.transform(waves()).tobytes()
    assert loaded.shrinkage_ == pytest.approx(adapter.shrinkage_)
    adapter.mean_ = adapter.mean_[:3]
    with pytest.raises(ArtifactError, match=re.escape("the matrix has shape (6, 6), expected (3, 3)")):
        load_adapter(adapter.save(tmp_path / "a"))


def test_errors():
    with pytest.raises(NotFittedError, match=re.escape("This WhiteningAdapter is not fitted yet.")):
        WhiteningAdapter().transform(waves())
    with pytest.raises(ConfigError) as caught:
        WhiteningAdapter(2, shrinkage=-1, centre="mean").fit(None, waves())
    assert str(caught.value) == (
        "Invalid configuration:\n- power must be from 0 (as it is) to 1 (white), got 2\n"
        "- shrinkage must be from 0 to 1, or None, got -1\n- centre must be True or False, got 'mean'"
    )
    with pytest.raises(DataError, match=re.escape("The queries have 3 dimensions and the documents 6.")):
        WhiteningAdapter().fit(np.eye(3), waves())
    with pytest.raises(DataError, match=re.escape("The 5 rows to learn from are all alike")):
        WhiteningAdapter().fit(None, np.tile(waves(1), (5, 1)))
