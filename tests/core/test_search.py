"""Blocked search equals a stable sort of the whole score matrix, on ids and on scores."""

import re

import numpy as np
import pytest

from embertune.core import search
from embertune.core.search import top_k
from embertune.core.vectors import normalize
from embertune.errors import ConfigError, DataError


def whole_search(queries, documents, k):
    scores = (queries.astype(np.float64) @ documents.astype(np.float64).T).astype(np.float32)
    positions = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return positions, np.take_along_axis(scores, positions, axis=1)


def vectors(seed, n, d, duplicates=None):
    random = np.random.default_rng(seed)
    drawn = normalize(random.normal(size=(duplicates or n, d)).astype(np.float32))
    return drawn[random.integers(duplicates, size=n)] if duplicates else drawn


@pytest.mark.parametrize("k", [1, 3, 10, 96, 97, 98, 500])
@pytest.mark.parametrize(("query_block", "document_block"), [(256, 4096), (1, 97), (4, 1), (3, 10), (7, 96)])
def test_blocked_search_equals_whole_search_with_ties_everywhere(monkeypatch, query_block, document_block, k):
    monkeypatch.setattr(search, "_QUERY_BLOCK", query_block)
    monkeypatch.setattr(search, "_DOCUMENT_BLOCK", document_block)
    random = np.random.default_rng(k)
    queries = random.integers(-2, 3, size=(11, 4)).astype(np.float32)
    documents = random.integers(-2, 3, size=(97, 4)).astype(np.float32)
    positions, scores = top_k(queries, documents, k)
    expected_positions, expected_scores = whole_search(queries, documents, k)
    np.testing.assert_array_equal(positions, expected_positions)
    np.testing.assert_array_equal(scores, expected_scores)
    assert len(np.unique(expected_scores)) < expected_scores.size / 2 or k == 1


@pytest.mark.parametrize("dimensions", [3, 64, 100, 256])
def test_equal_documents_rank_by_position_whatever_the_blocks(monkeypatch, dimensions):
    # In float32, BLAS gave equal rows unequal scores at the edges of a block, so their order hung on the block size.
    queries, documents = vectors(1, 120, dimensions), vectors(2, 1003, dimensions, duplicates=50)
    expected = whole_search(queries, documents, 40)
    for blocks in [(256, 4096), (1, 4096), (7, 64), (256, 5), (3, 333)]:
        monkeypatch.setattr(search, "_QUERY_BLOCK", blocks[0])
        monkeypatch.setattr(search, "_DOCUMENT_BLOCK", blocks[1])
        positions, scores = top_k(queries, documents, 40)
        np.testing.assert_array_equal(positions, expected[0])
        np.testing.assert_array_equal(scores, expected[1])


@pytest.mark.parametrize("values", [2, 5, 10**6])
@pytest.mark.parametrize("m", [128, 1000, 4096, 9001])
@pytest.mark.parametrize("k", [1, 10, 31])
def test_the_shortcut_for_small_k_misses_nothing(values, m, k):
    random = np.random.default_rng(m + k)
    queries = np.eye(9, dtype=np.float32)
    documents = random.integers(-values, values, size=(m, 9)).astype(np.float32)
    positions, scores = top_k(queries, documents, k)
    expected_positions, expected_scores = whole_search(queries, documents, k)
    np.testing.assert_array_equal(positions, expected_positions)
    np.testing.assert_array_equal(scores, expected_scores)


def test_a_query_alone_gets_the_ranking_it_gets_in_a_batch():
    queries, documents = vectors(3, 30, 96), vectors(4, 9001, 96, duplicates=3000)
    together, scores = top_k(queries, documents, 25)
    for row in range(len(queries)):
        alone = top_k(queries[row : row + 1], documents, 25)
        np.testing.assert_array_equal(alone[0][0], together[row])
        np.testing.assert_array_equal(alone[1][0], scores[row])


def test_the_first_k_do_not_depend_on_k():
    queries, documents = vectors(5, 20, 16), vectors(6, 400, 16, duplicates=60)
    whole = top_k(queries, documents, 400)[0]
    assert all((np.sort(row) == np.arange(400)).all() for row in whole)
    for k in (1, 2, 17, 399):
        np.testing.assert_array_equal(top_k(queries, documents, k)[0], whole[:, :k])


def test_all_documents_equal_rank_in_the_order_of_the_corpus():
    positions, scores = top_k(vectors(7, 3, 8), np.ones((5000, 8), np.float32), 6)
    np.testing.assert_array_equal(positions, np.tile(np.arange(6), (3, 1)))
    assert (scores == scores[:, :1]).all()


def test_zero_vectors_score_zero_between_likes_and_unlikes():
    documents = np.array([[-1, 0], [0, 0], [1, 0], [0, 0]], np.float32)
    positions, scores = top_k(np.array([[1, 0], [0, 0]], np.float32), documents, 4)
    assert positions.tolist() == [[2, 1, 3, 0], [0, 1, 2, 3]]
    assert scores.tolist() == [[1, 0, 0, -1], [0, 0, 0, 0]]


def test_documents_may_be_a_memory_map_of_half_precision(tmp_path):
    queries, documents = vectors(8, 5, 12), vectors(9, 300, 12).astype(np.float16)
    np.save(tmp_path / "documents.npy", documents)
    positions, scores = top_k(queries, np.load(tmp_path / "documents.npy", mmap_mode="r"), 7)
    expected = whole_search(queries, documents, 7)
    np.testing.assert_array_equal(positions, expected[0])
    np.testing.assert_array_equal(scores, expected[1])


@pytest.mark.parametrize(("n", "m"), [(0, 5), (4, 0), (0, 0)])
def test_nothing_to_search_gives_empty_results(n, m):
    positions, scores = top_k(np.ones((n, 3), np.float32), np.ones((m, 3), np.float32), 2)
    assert positions.shape == scores.shape == (n, min(m, 2))


def test_inputs_are_not_modified():
    queries, documents = vectors(10, 4, 6), vectors(11, 9, 6)
    copies = queries.copy(), documents.copy()
    queries.flags.writeable = documents.flags.writeable = False
    top_k(queries, documents, 3)
    np.testing.assert_array_equal(queries, copies[0])
    np.testing.assert_array_equal(documents, copies[1])


def test_wrong_arguments_are_told():
    message = "Queries have 3 dimensions and documents 4. Both must come from the same encoder."
    with pytest.raises(DataError, match=re.escape(message)):
        top_k(np.ones((1, 3), np.float32), np.ones((1, 4), np.float32), 1)
    for k in (0, -1):
        with pytest.raises(ConfigError, match=re.escape(f"k must be at least 1, got {k}.")):
            top_k(np.ones((1, 3), np.float32), np.ones((1, 3), np.float32), k)


@pytest.mark.parametrize(("scale", "k"), [(1.0, 1), (1.0, 10), (1.0, 32), (1e-25, 10), (1e18, 10)])
def test_the_float32_filter_changes_neither_ranking_nor_scores(monkeypatch, scale, k):
    """Near-copies, whose scores are closer than float32 products are right, and equal documents."""
    rng = np.random.default_rng(3)
    documents = rng.normal(size=(9000, 48)).astype(np.float32)
    documents[1000:1200] = documents[0] + 1e-7 * rng.normal(size=(200, 48)).astype(np.float32)
    documents[4090:4100] = documents[0]
    documents[:, :24] *= np.float32(scale)
    queries = np.concatenate([documents[:40], rng.normal(size=(40, 48)).astype(np.float32)])
    found = search.top_k(queries, documents, k)
    monkeypatch.setattr(search, "_MOST_FILTERED", 0)
    expected = search.top_k(queries, documents, k)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
