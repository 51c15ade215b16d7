import re

import numpy as np
import pytest

from embertune.adapters.solvers.batches import batches, gather
from embertune.adapters.solvers.losses import info_nce
from embertune.errors import ConfigError, DataError


def crowded(seed=0, count=500):
    """Pairs of few queries and documents, some with many pairs."""
    rng = np.random.default_rng(seed)
    drawn = np.column_stack([rng.integers(120, size=count), (60 * rng.random(count) ** 2).astype(int)])
    return np.unique(drawn, axis=0)


@pytest.mark.parametrize("size", [1, 2, 16, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_no_batch_repeats_a_positive_or_a_query_and_every_pair_comes_once(size, seed):
    pairs = crowded(seed)
    found = list(batches(pairs, size, seed=seed))
    assert sorted(np.concatenate(found).tolist()) == list(range(len(pairs)))
    for batch in found:
        assert 1 <= len(batch) <= size
        assert len(np.unique(pairs[batch, 0])) == len(np.unique(pairs[batch, 1])) == len(batch)


def test_distinct_pairs_fill_every_batch():
    pairs = np.column_stack([np.arange(100), np.arange(100)])
    assert sorted(len(batch) for batch in batches(pairs, 32, seed=3)) == [4, 32, 32, 32]


def test_frequent_documents_are_spread_so_that_no_more_batches_are_needed_than_must_be():
    # Document 0 has 20 pairs, so 20 batches are the fewest; the 180 others fill them.
    pairs = np.column_stack([np.arange(200), np.r_[np.zeros(20, dtype=int), np.arange(1, 181)]])
    sizes = [len(batch) for batch in batches(pairs, 10, seed=0)]
    assert sizes == [10] * 20
    # A document in every pair leaves batches of one.
    lone = np.column_stack([np.arange(7), np.zeros(7, dtype=int)])
    assert [len(batch) for batch in batches(lone, 4, seed=0)] == [1] * 7


def test_seed_and_epoch_move_the_batches_and_nothing_else_does():
    pairs = crowded()

    def listed(**which):
        return [batch.tolist() for batch in batches(pairs, 16, **which)]

    assert listed(seed=1) == listed(seed=1, epoch=0)
    assert listed(seed=1) != listed(seed=2)
    assert listed(seed=1) != listed(seed=1, epoch=1)
    before = pairs.copy()
    listed(seed=1)
    np.testing.assert_array_equal(pairs, before)


def test_loss_of_a_gathered_batch_equals_the_loss_on_all_rows():
    rng = np.random.default_rng(4)
    queries, documents = 0.1 * rng.normal(size=(120, 6)), 0.1 * rng.normal(size=(70, 6))
    known = crowded()
    batch = known[max(batches(known, 16, seed=0), key=len)]
    negatives = np.array([[61, 65, -1], [3, 61, 69]])
    small = gather(batch, known=known, negatives=negatives)
    value, by_q, by_d = info_nce(queries[small.queries], documents[small.documents], small.pairs, ignored=small.ignored)
    candidates = np.union1d(batch[:, 1], [61, 65, 3, 69])
    expected, by_queries, by_documents = info_nce(queries, documents, batch, candidates=candidates, ignored=known)
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(by_q, by_queries[small.queries], atol=1e-12)
    np.testing.assert_allclose(by_d, by_documents[small.documents], atol=1e-12)
    # Without what is known, another query's answer would have counted as a negative somewhere.
    assert info_nce(queries, documents, batch, candidates=candidates)[0] > expected


def test_impossible_settings_are_said():
    with pytest.raises(ConfigError, match=re.escape("batch_size must be at least 1, got 0")):
        next(batches([(0, 0)], 0, seed=0))
    with pytest.raises(DataError, match=re.escape("There is no pair to learn from.")):
        next(batches([], 4, seed=0))
