from itertools import chain

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from embertune.data.dataset import Dataset, Document
from embertune.data.groups import fill_parts, group_by_document, share_out


def test_components_equal_scipy():
    rng = np.random.default_rng(0)
    for _ in range(20):
        pairs = {(int(a), int(b)) for a, b in rng.integers(60, size=(70, 2))}
        data = Dataset.from_pairs([(f"query {a}", f"document {b}") for a, b in sorted(pairs)])
        rows, columns = np.array(sorted(pairs)).T
        _, labels = connected_components(coo_matrix((np.ones(len(rows)), (rows, columns + 60)), shape=(120, 120)))
        expected: dict[int, set[str]] = {}
        for a in {a for a, _ in pairs}:
            expected.setdefault(labels[a], set()).add(f"query {a}")
        found = {frozenset(data.queries[query_id] for query_id in group) for group in group_by_document(data)}
        assert found == {frozenset(group) for group in expected.values()}


def test_equal_documents_with_two_ids_connect_and_negatives_do_not():
    data = Dataset(
        corpus={"x": Document("same"), "y": Document("same"), "z": Document("other")},
        queries={"a": "1", "b": "2", "c": "3"},
        qrels={"a": {"x": 1, "z": 0}, "b": {"y": 1}, "c": {"z": 1}},
    )
    assert group_by_document(data) == [["a", "b"], ["c"]]


@pytest.mark.parametrize(
    ("total", "fractions", "sizes"),
    [
        (10, (0.6, 0.2, 0.2), [6, 2, 2]),
        (5, (0.6, 0.2, 0.2), [3, 1, 1]),
        (7, (0.7, 0.1, 0.2), [5, 1, 1]),
        (100, (0.29, 0.29, 0.42), [29, 29, 42]),
        (3, (0.5, 0.5), [2, 1]),
        (0, (0.5, 0.5), [0, 0]),
        (1000, (1 / 3, 1 / 3, 1 / 3), [334, 333, 333]),
    ],
)
def test_shares_are_the_rounded_fractions(total, fractions, sizes):
    assert share_out(total, fractions) == sizes


def test_shares_sum_to_the_total_and_are_within_one_of_the_fraction():
    rng = np.random.default_rng(1)
    for _ in range(200):
        total, fractions = int(rng.integers(500)), rng.dirichlet([1, 1, 1])
        sizes = share_out(total, fractions)
        assert sum(sizes) == total
        assert all(abs(size - total * fraction) < 1 for size, fraction in zip(sizes, fractions, strict=True))


def test_groups_of_one_fill_every_part_exactly():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sizes = [int(size) for size in rng.integers(0, 20, size=3)]
        parts = fill_parts([[str(n)] for n in range(sum(sizes))], sizes, rng)
        assert [len(part) for part in parts] == sizes
        assert sorted(chain.from_iterable(parts)) == sorted(str(n) for n in range(sum(sizes)))


def test_small_groups_make_up_for_a_large_one():
    groups = [[f"large {n}" for n in range(15)], *[[f"small {n}"] for n in range(35)]]
    for seed in range(20):
        parts = fill_parts(groups, [30, 10, 10], np.random.default_rng(seed))
        assert [len(part) for part in parts] == [30, 10, 10]


def test_no_part_collects_the_large_groups():
    groups = [[f"{n} a", f"{n} b"] if n < 50 else [str(n)] for n in range(150)]
    large_in_train = [
        sum("a" in name for name in fill_parts(groups, [120, 40, 40], np.random.default_rng(seed))[0])
        for seed in range(50)
    ]
    # 30 of 50 expected, standard deviation of the mean below .5
    assert 28 < np.mean(large_in_train) < 32
