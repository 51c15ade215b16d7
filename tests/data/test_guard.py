import re
from pathlib import Path

import numpy as np
import pytest

from embertune.core.vectors import normalize
from embertune.data.guard import Guard, false_negatives, near_copies, overlapping_texts
from embertune.data.negatives import MiningConfig, mine_hard_negatives
from embertune.data.words import word_spans
from embertune.errors import ConfigError, DataError

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def far_apart(count, dimension=64, seed=0):
    """Rows of length 1 whose cosines are far below .99."""
    return normalize(np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32))


def found(*arguments, **settings):
    return list(map(tuple, false_negatives(*arguments, **settings).tolist()))


PAIRS = [(0, 0), (1, 1), (2, 2), (2, 3)]


def test_nothing_stands_out_among_rows_far_apart():
    assert found(far_apart(3), far_apart(6, seed=1), PAIRS) == []


def test_vectors_equal_or_nearly_equal_to_a_positive():
    queries, documents = far_apart(3), far_apart(7, seed=1)
    documents[4] = documents[0]
    documents[5] = normalize(documents[[3]] + 0.1 * documents[[6]])[0]
    cosine = float(documents[5] @ documents[3])
    assert 0.985 < cosine < 0.9999
    assert found(queries, documents, PAIRS, Guard(near=cosine - 1e-4)) == [(0, 4), (2, 5)]
    assert found(queries, documents, PAIRS, Guard(near=cosine + 1e-4)) == [(0, 4)]
    assert found(queries, documents, PAIRS, Guard(near=None)) == []
    # Length does not count, and inputs stay as they are.
    copies = queries.copy(), documents.copy()
    assert found(3 * queries, 0.1 * documents, PAIRS, Guard(near=cosine - 1e-4)) == [(0, 4), (2, 5)]
    np.testing.assert_array_equal(queries, copies[0])
    np.testing.assert_array_equal(documents, copies[1])


def test_texts_equal_but_for_case_and_punctuation():
    texts = ["How old?", "b", "c", "d", "how OLD", "e"]
    assert found(far_apart(3), far_apart(6, seed=1), PAIRS, texts=texts) == [(0, 4)]


def test_positives_of_an_equal_query_and_their_copies():
    queries, documents = far_apart(3), far_apart(6, seed=1)
    documents[5] = documents[1]
    same = ["How old is it?", "how old is it", "who"]
    assert found(queries, documents, PAIRS, query_texts=same) == [(0, 1), (0, 5), (1, 0), (1, 5)]
    queries[2] = queries[0]
    assert found(queries, documents, PAIRS) == [(0, 2), (0, 3), (1, 5), (2, 0)]


def chunks(words, overlap, count, seed=0):
    """A text cut into chunks of some words that overlap."""
    step = words - overlap
    text = [f"w{number}" for number in np.random.default_rng(seed).permutation(10_000)[: step * count + overlap]]
    return [" ".join(text[at * step : at * step + words]) for at in range(count)]


@pytest.mark.parametrize(
    ("overlap", "shared_words", "expected"),
    [
        (8, 8, [3, 5]),
        (8, 9, []),
        (24, 24, [3, 5]),  # the second neighbour shares 16 words, the third 8
        (24, 16, [2, 3, 5, 6]),
        (24, 8, [1, 2, 3, 5, 6, 7]),
    ],
)
def test_overlapping_chunks_are_those_that_share_so_many_words(overlap, shared_words, expected):
    texts, vectors = chunks(32, overlap, 9), far_apart(9)
    guard = Guard(shared_words=shared_words)
    assert found(vectors[:1], vectors, [(0, 4)], guard, texts=texts) == [(0, chunk) for chunk in expected]


def test_only_chunks_of_one_source_overlap_where_sources_are_given():
    texts = [*chunks(32, 16, 3), *chunks(32, 16, 3)]
    vectors = far_apart(6)
    guard = Guard(near=None)
    everything = found(vectors[:1], vectors, [(0, 1)], guard, texts=texts)
    assert everything == [(0, 0), (0, 2), (0, 3), (0, 4), (0, 5)]
    # Of another source only the equal text is left.
    assert found(vectors[:1], vectors, [(0, 1)], guard, texts=texts, sources=list("aaabbb")) == [(0, 0), (0, 2), (0, 4)]
    nowhere = [None] * 6
    assert found(vectors[:1], vectors, [(0, 1)], guard, texts=texts, sources=nowhere) == [(0, 4)]
    # Without texts all that comes from one source counts.
    assert found(vectors[:1], vectors, [(0, 1)], guard, sources=list("aaabbb")) == [(0, 0), (0, 2)]
    assert found(vectors[:1], vectors, [(0, 1)], guard, sources=nowhere) == []


@pytest.mark.parametrize(("copies", "kept"), [(10, 9), (11, 0)])
def test_boilerplate_is_no_overlap(copies, kept):
    notice = " ".join(f"notice{word}" for word in range(20))
    texts = [f"{own} {notice}" for own in chunks(30, 0, copies)]
    assert len(overlapping_texts(texts, of=np.array([0]), words=16)) == kept


def test_overlaps_equal_a_plain_comparison_of_runs():
    rng = np.random.default_rng(0)
    texts = [" ".join(map(str, rng.integers(3, size=rng.integers(1, 12)))) for _ in range(25)] + ["", "我 我 我 我"]
    length = 5

    def runs(text):
        words = [text[a:b] for a, b in word_spans(text)]
        return {tuple(words[at : at + length]) for at in range(len(words) - length + 1)}

    held = [runs(text) for text in texts]
    sharers = {run: sum(run in other for other in held) for run in set().union(*held)}
    of = np.array([0, 3, 7, 25, 26])
    expected = [
        (int(a), b)
        for a in of
        for b in range(len(texts))
        if a != b and any(sharers[run] <= 10 for run in held[a] & held[b])
    ]
    assert len(expected) > 3
    assert list(map(tuple, overlapping_texts(texts, of=of, words=length).tolist())) == expected


def test_near_copies_in_blocks_are_those_of_the_whole_product(monkeypatch):
    monkeypatch.setattr("embertune.data.guard._BLOCK_CELLS", 100)
    vectors = far_apart(30, dimension=3)
    expected = np.argwhere(vectors.astype(float) @ vectors.T.astype(float) >= 0.9)
    assert len(expected) > 40
    np.testing.assert_array_equal(near_copies(vectors, vectors, 0.9), expected)


@pytest.mark.parametrize("margin", [0.0, 0.1, -0.1])
def test_documents_that_score_like_positives(margin):
    queries, documents = far_apart(3, dimension=5), far_apart(40, dimension=5, seed=1)
    scores = queries @ documents.T
    own = {0: [0], 1: [1], 2: [2, 3]}
    expected = [
        (query, document)
        for query in range(3)
        for document in range(40)
        if document not in own[query] and scores[query, document] > scores[query, own[query]].min() - margin
    ]
    assert found(queries, documents, PAIRS, Guard(near=None, margin=margin)) == expected


def test_what_is_found_is_never_mined():
    rng = np.random.default_rng(2)
    documents = np.repeat(far_apart(20), 2, axis=0)  # every document twice
    queries = normalize(documents[::2] + 0.05 * rng.normal(size=(20, 64)).astype(np.float32))
    pairs = [(at, 2 * at) for at in range(20)]
    config = MiningConfig(num_negatives=1, relative_margin=None)
    naive = mine_hard_negatives(queries, documents, pairs, config)
    assert naive.documents.ravel().tolist() == [2 * at + 1 for at in range(20)]  # nothing but copies of the answer
    ignored = false_negatives(queries, documents, pairs)
    guarded = mine_hard_negatives(queries, documents, pairs, config, ignored=ignored)
    assert (guarded.documents.ravel() // 2 != np.arange(20)).all()
    assert guarded.left_out["ignored"] == 20


def test_chunks_of_a_real_report_overlap_with_their_neighbours():
    folder = SHARED / "finance10k-lyft"
    if not folder.is_dir():
        pytest.skip("../shared/data is not there")
    from embertune.data import load_dataset

    texts = [document.content for document in load_dataset(folder).corpus.values()]
    pairs = overlapping_texts(texts, of=np.arange(len(texts)), words=16)
    # Each pair from both sides; chunks of one report, so some share a border, and most of a report is said once.
    assert {(b, a) for a, b in pairs.tolist()} == set(map(tuple, pairs.tolist()))
    assert 100 < len(np.unique(pairs[:, 0])) <= len(texts)
    assert len(pairs) < 2 * len(texts)


def test_mistakes_are_said():
    rows = far_apart(3)
    message = "Found 2 texts for 3 documents. Expected one for each, in the order of the documents."
    with pytest.raises(DataError, match=re.escape(message)):
        false_negatives(rows, rows, [(0, 0)], texts=["a", "b"])
    message = "Found 1 query text for 3 queries. Expected one for each, in the order of the queries."
    with pytest.raises(DataError, match=re.escape(message)):
        false_negatives(rows, rows, [(0, 0)], query_texts=["a"])
    message = "Pairs point at query 4 and document 0, but there are 3 queries and 3 documents."
    with pytest.raises(DataError, match=re.escape(message)):
        false_negatives(rows, rows, [(4, 0)])
    message = (
        "Invalid configuration:\n- near must be a cosine above 0 and at most 1, got 99\n"
        "- shared_words must be at least 1, got 0"
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        Guard(near=99, shared_words=0)
