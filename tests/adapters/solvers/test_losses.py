import re

import numpy as np
import pytest

import embertune.adapters.solvers.losses as module
from embertune.adapters.solvers.contrastive import InfoNCE
from embertune.adapters.solvers.distillation import margin_mse, mean_margin
from embertune.adapters.solvers.losses import cosent, cosine_mse, info_nce, triplet
from embertune.adapters.solvers.softmax import softmax
from embertune.errors import ConfigError, DataError

PAIRS = np.array([(0, 1), (0, 4), (1, 0), (2, 4), (4, 2), (4, 3)])  # query 3 has none, query 0 and document 4 have two
TRIPLETS = np.array([(0, 1, 2), (0, 1, 3), (1, 0, 4), (2, 4, 0), (2, 4, 5), (2, 4, 1), (0, 2, 1)])
GRADES = [2, 0, 1, 1, 0.5, 3]
MARGINS = [0.3, -0.2, 0.5, 0.1, 0.9, 0.0, 0.4]
IGNORED = [(4, 0), (0, 2), (2, 1)]

LOSSES = {
    "info_nce": lambda q, d: info_nce(q, d, PAIRS, temperature=0.3),
    "info_nce sampled": lambda q, d: info_nce(
        q, d, PAIRS[::-1], temperature=0.3, candidates=[5, 0, 4], ignored=IGNORED
    ),
    "triplet cosine": lambda q, d: triplet(q, d, TRIPLETS, margin=0.2),
    "triplet euclidean": lambda q, d: triplet(q, d, TRIPLETS, margin=0.2, distance="euclidean"),
    "cosent": lambda q, d: cosent(q, d, PAIRS, GRADES, temperature=0.3),
    "cosine_mse": lambda q, d: cosine_mse(q, d, PAIRS, GRADES),
    "margin_mse": lambda q, d: margin_mse(q, d, TRIPLETS, MARGINS, temperature=0.4),
    "mean_margin": lambda q, d: mean_margin(q, d, TRIPLETS, MARGINS, temperature=0.4),
}


def unit_rows(seed, count, dimension=7, dtype=np.float64):
    rows = np.random.default_rng(seed).normal(size=(count, dimension))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(dtype)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_equal_finite_differences(name):
    loss, rows = LOSSES[name], [unit_rows(1, 5), unit_rows(2, 6)]
    _, *gradients = loss(*rows)
    for side in (0, 1):
        for at in np.ndindex(rows[side].shape):
            values = []
            for step in (1e-6, -1e-6):
                moved = [part.copy() for part in rows]
                moved[side][at] += step
                values.append(loss(*moved)[0])
            assert gradients[side][at] == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-7)


@pytest.mark.parametrize("name", LOSSES)
def test_single_precision_stays_single_and_agrees_with_double(name):
    double = [unit_rows(1, 5), unit_rows(2, 6)]
    single = [rows.astype(np.float32) for rows in double]
    copies = [rows.copy() for rows in single]
    value, *gradients = LOSSES[name](*single)
    expected, *by_rows = LOSSES[name](*double)
    assert value == pytest.approx(expected, rel=1e-5)
    for gradient, other, rows, copy in zip(gradients, by_rows, single, copies, strict=True):
        assert gradient.dtype == np.float32
        np.testing.assert_allclose(gradient, other, atol=1e-5)
        np.testing.assert_array_equal(rows, copy)


@pytest.mark.parametrize("name", LOSSES)
def test_the_order_of_rows_of_positions_does_not_matter(name, monkeypatch):
    rows = unit_rows(1, 5), unit_rows(2, 6)
    value, *gradients = LOSSES[name](*rows)
    order = np.random.default_rng(0).permutation(len(PAIRS)), np.random.default_rng(0).permutation(len(TRIPLETS))
    here = globals()
    monkeypatch.setitem(here, "PAIRS", PAIRS[order[0]])
    monkeypatch.setitem(here, "GRADES", np.array(GRADES)[order[0]])
    monkeypatch.setitem(here, "TRIPLETS", TRIPLETS[order[1]])
    monkeypatch.setitem(here, "MARGINS", np.array(MARGINS)[order[1]])
    shuffled, *others = LOSSES[name](*rows)
    assert shuffled == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(others[0], gradients[0], atol=1e-12)
    np.testing.assert_allclose(others[1], gradients[1], atol=1e-12)


def test_all_rows_equal_give_the_logarithm_of_the_number_of_candidates():
    rows = np.tile(unit_rows(0, 1), (9, 1))
    own = np.column_stack([np.arange(9), np.arange(9)])
    assert info_nce(rows, rows, own)[0] == pytest.approx(np.log(9), rel=1e-6)
    # The positive counts beside the sampled candidates, whether it is among them or not.
    assert info_nce(rows, rows, [(0, 0)], candidates=[0, 5, 6])[0] == pytest.approx(np.log(3), rel=1e-6)
    assert info_nce(rows, rows, [(0, 0)], candidates=[5, 6])[0] == pytest.approx(np.log(3), rel=1e-6)
    # Other positives and ignored documents are no negatives.
    assert info_nce(rows, rows, [(0, 0), (0, 1)])[0] == pytest.approx(np.log(8), rel=1e-6)
    assert info_nce(rows, rows, [(0, 0)], ignored=[(0, 3), (0, 4), (1, 5)])[0] == pytest.approx(np.log(7), rel=1e-6)


def test_all_cosines_equal_give_the_exact_value_of_every_other_loss():
    rows = np.tile(unit_rows(0, 1), (6, 1))
    assert triplet(rows, rows, TRIPLETS, margin=0.2)[0] == pytest.approx(0.2)
    assert triplet(rows, rows, TRIPLETS, margin=0.2, distance="euclidean")[0] == pytest.approx(0.2)
    # log(1 + the number of pairs of pairs with unequal grades)
    unequal = sum(a > b for a in GRADES for b in GRADES)
    assert unequal == 14
    assert cosent(rows, rows, PAIRS, GRADES)[0] == pytest.approx(np.log(1 + unequal))
    assert cosine_mse(rows, rows, PAIRS, GRADES)[0] == pytest.approx(np.mean([(1 - grade) ** 2 for grade in GRADES]))
    assert margin_mse(rows, rows, TRIPLETS, MARGINS)[0] == pytest.approx(np.mean(np.square(MARGINS)))
    assert mean_margin(rows, rows, TRIPLETS, MARGINS)[0] == pytest.approx(np.mean(np.square([0.05, 0.5, 1 / 3, 0.4])))


def test_pairs_of_equal_grade_teach_cosent_nothing():
    value, *gradients = cosent(unit_rows(1, 5), unit_rows(2, 6), PAIRS, [1] * 6)
    assert value == 0
    assert not np.any(gradients[0])
    assert not np.any(gradients[1])


@pytest.mark.parametrize("candidates", [None, [1, 2, 5]])
def test_info_nce_equals_the_objective_of_linear_maps_at_the_identity(candidates):
    queries, documents = unit_rows(1, 5, dtype=np.float32), unit_rows(2, 6, dtype=np.float32)
    columns = np.arange(6) if candidates is None else np.array(candidates)
    objective = InfoNCE(queries=queries, documents=documents, pairs=PAIRS, candidates=columns, temperature=0.1)
    expected, slope = objective.value_and_gradient(np.zeros(49, dtype=np.float32), 0.0)
    value, by_q, _ = info_nce(queries, documents, PAIRS, temperature=0.1, candidates=candidates)
    assert value == pytest.approx(expected, rel=1e-6)
    # normalize(q + q W) at W = 0: what points along q is lost.
    tangent = by_q - np.einsum("ij,ij->i", by_q, queries)[:, None] * queries
    np.testing.assert_allclose(queries.T @ tangent, slope.reshape(7, 7), atol=1e-5)


def test_blocks_equal_the_whole_and_hold_no_more_than_the_bound(monkeypatch):
    queries, documents = unit_rows(1, 50), unit_rows(2, 30)
    rng = np.random.default_rng(3)
    pairs = np.column_stack([np.sort(rng.integers(50, size=80)), rng.integers(30, size=80)])
    ignored = rng.integers(30, size=(40, 2))
    value, *gradients = info_nce(queries, documents, pairs, ignored=ignored)
    largest = []

    def watched(logits, *rest):
        largest.append(logits.size)
        return softmax(logits, *rest)

    monkeypatch.setattr(module, "softmax", watched)
    monkeypatch.setattr(module, "_BLOCK_CELLS", 90)
    blocked, *others = info_nce(queries, documents, pairs, ignored=ignored)
    assert max(largest) == 90
    assert blocked == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(others[0], gradients[0], atol=1e-12)
    np.testing.assert_allclose(others[1], gradients[1], atol=1e-12)


def test_without_the_derivative_by_documents_the_rest_is_the_same():
    rows = unit_rows(1, 5), unit_rows(2, 6)
    value, by_q, _ = info_nce(*rows, PAIRS)
    other, by_q_alone, by_d = info_nce(*rows, PAIRS, by_documents=False)
    assert other == value
    np.testing.assert_array_equal(by_q_alone, by_q)
    assert by_d.shape == (6, 7)
    assert not by_d.any()


def test_a_query_on_its_document_has_no_slope_by_euclidean_distance():
    rows = unit_rows(1, 2)
    value, by_q, by_d = triplet(rows, rows, [(0, 0, 1)], margin=2, distance="euclidean")
    apart = np.linalg.norm(rows[0] - rows[1])
    assert value == pytest.approx(2 - apart)
    np.testing.assert_allclose(by_q[0], (rows[1] - rows[0]) / apart)
    np.testing.assert_array_equal(by_d[0], np.zeros(7))


def test_mean_margin_is_margin_mse_against_the_mean_of_the_negatives():
    queries, documents = unit_rows(1, 3), unit_rows(2, 9)
    triplets = [(i, i, 3 + 2 * i + k) for i in range(3) for k in range(2)]
    margins = np.random.default_rng(5).normal(size=6)
    means = np.concatenate([documents[:3], documents[3:].reshape(3, 2, 7).mean(axis=1)])
    expected, by_q, _ = margin_mse(
        queries, means, [(i, i, 3 + i) for i in range(3)], margins.reshape(3, 2).mean(axis=1)
    )
    value, by_queries, _ = mean_margin(queries, documents, triplets, margins)
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(by_queries, by_q, atol=1e-12)


def test_nothing_to_learn_from_is_said():
    rows = np.eye(2)
    with pytest.raises(
        DataError, match=re.escape("There is no pair to learn from. Give at least one row of 2 positions.")
    ):
        info_nce(rows, rows, [])
    with pytest.raises(DataError, match=re.escape("There is no triplet to learn from.")):
        triplet(rows, rows, [], margin=0.1)
    message = "There are 2 pairs and 3 grades. Give one grade for each pair."
    with pytest.raises(DataError, match=re.escape(message)):
        cosent(rows, rows, [(0, 0), (1, 1)], [1, 2, 3])
    message = "There are 1 triplets and 2 margins. Give one margin for each triplet."
    with pytest.raises(DataError, match=re.escape(message)):
        margin_mse(rows, rows, [(0, 0, 1)], [1, 2])
    with pytest.raises(ConfigError, match=re.escape("distance must be 'cosine' or 'euclidean', got 'manhattan'")):
        triplet(rows, rows, [(0, 0, 1)], margin=0.1, distance="manhattan")


def theirs(name, columns, labels=None, **settings):
    """The value of a sentence-transformers loss, and its gradients by each column of vectors."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import losses

    if "distance_metric" in settings:
        settings["distance_metric"] = getattr(losses.TripletDistanceMetric, settings["distance_metric"])
    loss = getattr(losses, name)(SentenceTransformer(modules=[torch.nn.Identity()]), **settings)
    tensors = [torch.tensor(column, requires_grad=True) for column in columns]
    value = loss.compute_loss_from_embeddings(tensors, None if labels is None else torch.tensor(labels))
    value.backward()
    return value.item(), [tensor.grad.numpy() for tensor in tensors]


def assert_equal_to_theirs(ours, expected, scatter):
    """Theirs has a gradient for each row of each column; ours adds them up by document."""
    value, by_q, by_d = ours
    assert value == pytest.approx(expected[0], rel=1e-5)
    sums = np.zeros_like(by_q), np.zeros_like(by_d)
    for (side, index), gradient in zip(scatter, expected[1], strict=True):
        np.add.at(sums[side], index, gradient)
    # theirs goes through one more normalisation where it takes cosines, which loses what points along the row
    for mine, their, rows in zip((by_q, by_d), sums, ROWS, strict=True):
        np.testing.assert_allclose(tangent(mine, rows), tangent(their, rows), atol=1e-5)


def tangent(gradient, rows):
    return gradient - np.einsum("ij,ij->i", gradient, rows)[:, None] * rows


ROWS = unit_rows(1, 5, dtype=np.float32), unit_rows(2, 6, dtype=np.float32)


def columns_of(index):
    """Rows of positions as their columns of vectors, and where each column's gradient belongs."""
    vectors = [ROWS[0][index[:, 0]], *(ROWS[1][column] for column in index.T[1:])]
    return vectors, [(0, index[:, 0]), *((1, column) for column in index.T[1:])]


@pytest.mark.torch
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_info_nce_equals_multiple_negatives_ranking(temperature):
    index = np.array([(0, 3), (1, 0), (2, 5), (4, 1)])
    columns, scatter = columns_of(index)
    expected = theirs("MultipleNegativesRankingLoss", columns, scale=1 / temperature)
    ours = info_nce(*ROWS, index, temperature=temperature, candidates=index[:, 1])
    assert_equal_to_theirs(ours, expected, scatter)


@pytest.mark.torch
def test_info_nce_with_hard_negatives_equals_multiple_negatives_ranking():
    index = np.array([(0, 3, 2), (1, 0, 4)])  # every row's negative is everybody's candidate
    columns, scatter = columns_of(index)
    expected = theirs("MultipleNegativesRankingLoss", columns, scale=20)
    ours = info_nce(*ROWS, index[:, :2], candidates=index[:, 1:].ravel())
    assert_equal_to_theirs(ours, expected, scatter)


@pytest.mark.torch
@pytest.mark.parametrize(("distance", "margin"), [("cosine", 0.2), ("euclidean", 0.3), ("euclidean", 5.0)])
def test_triplet_equals_theirs(distance, margin):
    columns, scatter = columns_of(TRIPLETS)
    expected = theirs("TripletLoss", columns, distance_metric=distance.upper(), triplet_margin=margin)
    assert_equal_to_theirs(triplet(*ROWS, TRIPLETS, margin=margin, distance=distance), expected, scatter)


@pytest.mark.torch
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_cosent_equals_theirs(scale):
    columns, scatter = columns_of(PAIRS)
    expected = theirs("CoSENTLoss", columns, GRADES, scale=scale)
    assert_equal_to_theirs(cosent(*ROWS, PAIRS, GRADES, temperature=1 / scale), expected, scatter)


@pytest.mark.torch
def test_cosine_mse_equals_cosine_similarity_loss():
    columns, scatter = columns_of(PAIRS)
    expected = theirs("CosineSimilarityLoss", columns, GRADES)
    assert_equal_to_theirs(cosine_mse(*ROWS, PAIRS, GRADES), expected, scatter)


@pytest.mark.torch
def test_margin_mse_equals_theirs():
    columns, scatter = columns_of(TRIPLETS)
    expected = theirs("MarginMSELoss", columns, np.array(MARGINS, dtype=np.float32))
    assert_equal_to_theirs(margin_mse(*ROWS, TRIPLETS, MARGINS), expected, scatter)


@pytest.mark.torch
def test_margin_mse_and_mean_margin_of_several_negatives_equal_theirs():
    index = np.array([(0, 1, 2, 3), (1, 0, 4, 5), (2, 4, 0, 1)])
    columns, scatter = columns_of(index)
    margins = np.array(MARGINS[:6], dtype=np.float32).reshape(3, 2)
    triplets = np.array([(q, p, n) for q, p, *negatives in index for n in negatives])
    expected = theirs("MarginMSELoss", columns, margins)
    assert_equal_to_theirs(margin_mse(*ROWS, triplets, margins), expected, scatter)
    # Mean-margin is theirs with one negative: the mean.
    means = [*columns[:2], (columns[2] + columns[3]) / 2]
    value, (by_q, _, _) = theirs("MarginMSELoss", means, margins.mean(axis=1))
    ours = mean_margin(*ROWS, triplets, margins)
    assert ours[0] == pytest.approx(value, rel=1e-5)
    np.testing.assert_allclose(ours[1][:3], by_q, atol=1e-6)
