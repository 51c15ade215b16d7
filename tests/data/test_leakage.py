import json
import re

import numpy as np
import pytest

from embertune.core.vectors import normalize
from embertune.data.dataset import Dataset
from embertune.data.leakage import find_leakage
from embertune.errors import ConfigError, DataError, LeakageError


def sides(train, test):
    data = Dataset.from_pairs([(text, f"d {n}") for n, text in enumerate([*train, *test])])
    ids = list(data.queries)
    return data.select(ids[: len(train)]), data.select(ids[len(train) :])


def test_equal_texts_are_found_whatever_their_dress():
    train, test = sides(["How old is it?", "who built it"], ["how old is it", "Who  built IT!", "where is it"])
    leakage = find_leakage(train, test)
    assert [(pair.test_id, pair.train_id, pair.kind) for pair in leakage.pairs] == [
        ("q3", "q1", "exact"),
        ("q4", "q2", "exact"),
    ]
    assert (leakage.exact, leakage.near, leakage.near_checked) == (2, 0, False)
    assert str(leakage) == "Of 3 test queries 2 have an equal text in training, near copies not looked for."
    assert leakage.to_dict()["near"] is None


def test_near_copies_equal_the_whole_matrix():
    rng = np.random.default_rng(0)
    train, test = sides([f"train {n}" for n in range(300)], [f"test {n}" for n in range(280)])
    left = rng.normal(size=(300, 8)).astype(np.float32) * 3
    right = rng.normal(size=(280, 8)).astype(np.float32)
    right[:20] = left[40:60] * 2 + rng.normal(size=(20, 8)).astype(np.float32) * 0.5
    cosines = normalize(right) @ normalize(left).T
    leakage = find_leakage(train, test, train_vectors=left, test_vectors=right, threshold=0.9)
    train_ids = list(train.queries)
    expected = {
        query_id: (train_ids[row.argmax()], row.max())
        for query_id, row in zip(test.queries, cosines, strict=True)
        if row.max() >= 0.9
    }
    assert len(expected) >= 20
    assert {pair.test_id: pair.train_id for pair in leakage.pairs} == {key: value[0] for key, value in expected.items()}
    np.testing.assert_allclose(
        [pair.similarity for pair in leakage.pairs], sorted((v for _, v in expected.values()), reverse=True), atol=1e-6
    )
    assert (leakage.exact, leakage.near) == (0, len(expected))


def test_an_equal_text_is_not_counted_twice_and_a_copy_reaches_a_threshold_of_one():
    train, test = sides(["a?", "b"], ["A", "c", "d"])
    rng = np.random.default_rng(0)
    left = rng.normal(size=(2, 50)).astype(np.float32)
    right = np.stack([left[0], left[1] * 7, -left[1]])
    leakage = find_leakage(train, test, train_vectors=left, test_vectors=right, threshold=1.0)
    assert [(pair.test_id, pair.train_id, pair.kind) for pair in leakage.pairs] == [
        ("q3", "q1", "exact"),
        ("q4", "q2", "near"),
    ]
    assert str(leakage) == "Of 3 test queries 1 has an equal text in training, 1 a near copy (cosine ≥ 1)."


def test_the_record_holds_ids_and_no_texts():
    train, test = sides(["secret question"], ["Secret question!", "another"])
    record = find_leakage(train, test).to_dict()
    assert record == {
        "exact": 1,
        "near": None,
        "threshold": 0.95,
        "test_queries": 2,
        "pairs": [{"test": "q2", "train": "q1", "similarity": 1.0, "kind": "exact"}],
    }
    assert "ecret" not in json.dumps(record)


def test_near_copies_do_not_cross_the_split():
    train, test = sides(["how old is it?", "who built it?"], ["How old is it", "it was built by whom?", "else"])
    vectors = np.array([[1, 0], [0, 1], [1, 0], [0.1, 1], [-1, 0]], dtype=np.float32)
    leakage = find_leakage(train, test, train_vectors=vectors[:2], test_vectors=vectors[2:])
    with pytest.raises(LeakageError) as caught:
        leakage.refuse()
    assert str(caught.value) == (
        "Of 3 test queries 1 has an equal text in training, 1 a near copy (cosine ≥ 0.95). Examples: "
        "q3 'How old is it' = q1 'how old is it?'; q4 'it was built by whom?' ~ q2 'who built it?' (0.995). "
        "Expected none under --strict: remove these queries from one side, split with --split by-document, "
        "or leave --strict out to have them counted only."
    )
    clean = find_leakage(train, test.select(["q5"]), train_vectors=vectors[:2], test_vectors=vectors[4:])
    assert clean.pairs == ()
    clean.refuse()


def test_an_empty_side_leaks_nothing():
    train, test = sides(["a"], ["a b"])
    nothing = train.select([])
    vectors = np.ones((1, 2), dtype=np.float32)
    assert find_leakage(nothing, test, train_vectors=vectors[:0], test_vectors=vectors).pairs == ()


def test_settings_and_shapes_are_checked():
    train, test = sides(["a"], ["b", "c"])
    vectors = np.ones((2, 2), dtype=np.float32)
    with pytest.raises(ConfigError, match=re.escape("threshold must be a cosine above 0 and at most 1, got 95")):
        find_leakage(train, test, threshold=95)
    with pytest.raises(ConfigError, match=re.escape("vectors must be given for both sides")):
        find_leakage(train, test, train_vectors=vectors[:1])
    with pytest.raises(DataError, match=re.escape("Found 2 vectors for 1 training query.")):
        find_leakage(train, test, train_vectors=vectors, test_vectors=vectors)
    with pytest.raises(DataError, match=re.escape("1 of 2 rows of the test queries hold NaN")):
        find_leakage(
            train, test, train_vectors=vectors[:1], test_vectors=np.array([[1, np.nan], [0, 1]], dtype=np.float32)
        )
