"""Histograms count every relevant pair once and no relevant pair as irrelevant."""

import re

import numpy as np
import pytest

from embertune.core.vectors import normalize
from embertune.errors import DataError
from embertune.evaluation.cosines import EDGES, cosine_histogram
from embertune.evaluation.judgments import Judgments


@pytest.fixture
def space():
    random = np.random.default_rng(0)
    queries, documents = (normalize(random.normal(size=(n, 5)).astype(np.float32)) for n in (30, 20))
    qrels = {f"q{row}": {f"d{at}": 1 for at in random.choice(20, 3, replace=False)} for row in range(30)}
    return queries, documents, Judgments.from_qrels(qrels, list(qrels), [f"d{at}" for at in range(20)])


def test_edges_are_those_of_the_record():
    assert len(EDGES) == 41
    np.testing.assert_allclose(EDGES, np.linspace(-1, 1, 41), atol=1e-12)


def test_relevant_pairs_equal_a_histogram_of_the_whole_matrix(space):
    queries, documents, judgments = space
    found = cosine_histogram(queries, documents, judgments, seed=0)
    relevant = judgments.grades(np.tile(np.arange(20), (30, 1))) > 0
    cosines = queries.astype(float) @ documents.astype(float).T
    assert found["relevant"] == np.histogram(cosines[relevant], bins=EDGES)[0].tolist()
    assert sum(found["relevant"]) == 90
    share = np.array(found["irrelevant"]) / sum(found["irrelevant"])
    expected = np.histogram(cosines[~relevant], bins=EDGES)[0] / (~relevant).sum()
    # About 8 500 pairs are left: six standard errors of a share.
    assert np.abs(share - expected).max() < 6 * np.sqrt(0.25 / 8500)
    assert 8_000 < sum(found["irrelevant"]) < 9_000


def test_no_relevant_pair_is_counted_as_irrelevant():
    judgments = Judgments.from_qrels({"q": {"a": 1, "b": 1}}, ["q"], ["a", "b"])
    found = cosine_histogram(np.ones((1, 1), np.float32), np.ones((2, 1), np.float32), judgments, seed=0)
    assert (sum(found["relevant"]), sum(found["irrelevant"])) == (2, 0)


def test_one_seed_draws_the_same_pairs_for_other_vectors(space):
    queries, documents, judgments = space
    first = cosine_histogram(queries, documents, judgments, seed=0)
    assert cosine_histogram(queries, documents, judgments, seed=0) == first
    assert cosine_histogram(-queries, documents, judgments, seed=0)["irrelevant"] != first["irrelevant"]
    assert cosine_histogram(queries, documents, judgments, seed=1)["irrelevant"] != first["irrelevant"]
    assert cosine_histogram(queries, documents, judgments, seed=1)["relevant"] == first["relevant"]


def test_equal_vectors_fall_into_the_last_bin_in_spite_of_rounding():
    vector = normalize(np.random.default_rng(3).normal(size=(200, 7)).astype(np.float32))
    ids = [str(at) for at in range(200)]
    judgments = Judgments.from_qrels({key: {key: 1} for key in ids}, ids, ids)
    assert cosine_histogram(vector, vector, judgments, seed=0)["relevant"][-1] == 200


def test_other_sizes_are_told(space):
    queries, documents, judgments = space
    message = "Found vectors of 29 queries and 20 documents, and judgements of 30 and 20."
    with pytest.raises(DataError, match=re.escape(message)):
        cosine_histogram(queries[1:], documents, judgments, seed=0)
