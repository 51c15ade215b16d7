"""Counting documents that stand before the relevant ones gives what sorting all of them gives."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from embertune.adapters.chain import Chain
from embertune.adapters.document import DocumentAdapter
from embertune.adapters.gate import Gate
from embertune.adapters.identity import IdentityAdapter
from embertune.adapters.linear import LinearAdapter
from embertune.core.search import top_k
from embertune.core.threads import threads_for
from embertune.core.vectors import normalize
from embertune.evaluation.evaluate import evaluate_positions
from embertune.evaluation.judgments import Judgments
from embertune.evaluation.metrics import parse_metric
from embertune.training import scoring
from embertune.training.scoring import count_before, score
from embertune.training.views import Moved


def searched(adapter, queries, documents, judgments, metric):
    """Sort everything: exact search, then the metric."""
    depth = parse_metric(metric).k or len(documents)
    mapped = adapter.transform(queries, "query"), adapter.transform(documents, "document")
    return evaluate_positions(judgments, top_k(*mapped, depth)[0], [metric])[metric]


def random_map(random, basis, *, both, strength=0.4):
    rank = basis.shape[1]
    inner = [(strength * random.normal(size=(rank, rank)) / rank**0.5).astype(np.float32) for _ in range(2)]
    tensors = {"query": inner[0], "basis": basis} | ({"document": inner[1]} if both else {})
    return LinearAdapter.from_tensors(tensors, {"rank": rank, "side": "both" if both else "query"})


def adapters(random, queries):
    """Every way to products: frozen, within one basis on one side and on both, behind a gate, and none of these."""
    dimension = queries.shape[1]
    basis = np.linalg.qr(random.normal(size=(dimension, 6)))[0].astype(np.float32)
    alone, both = random_map(random, basis, both=False), random_map(random, basis, both=True)
    gate = Gate.fit(queries)
    full = LinearAdapter.from_tensors({"query": 0.2 * random.normal(size=(dimension,) * 2).astype(np.float32)}, {})
    moved = DocumentAdapter(method="mean").fit(queries[:9], queries[9:18])
    narrow = random_map(random, np.ascontiguousarray(basis[:, :3]), both=True)
    wide = both.gated(gate, documents=Gate.fit(queries[::-1]))
    return [IdentityAdapter(), alone, both, alone.gated(gate), wide, full, alone.scaled(0.5), narrow,
            Chain([both, full]), moved]  # fmt: skip


@pytest.fixture(params=range(3))
def case(request):
    """Random data with equal documents, graded answers, queries without any, and one with more than the depth."""
    random = np.random.default_rng(request.param)
    documents = normalize(random.normal(size=(300, 24)).astype(np.float32))
    documents[200:] = documents[random.integers(100, size=100)]
    queries = normalize(
        documents[random.integers(300, size=40)] + 0.2 * random.normal(size=(40, 24)).astype(np.float32)
    )
    qrels = {
        f"q{row}": {f"d{at}": int(random.integers(1, 4)) for at in random.integers(300, size=random.integers(5))}
        for row in range(39)
    }
    qrels["q39"] = {f"d{at}": 1 for at in range(60)}
    names = [f"d{at}" for at in range(300)]
    return random, queries, documents, Judgments.from_qrels(qrels, [f"q{row}" for row in range(40)], names)


@pytest.mark.parametrize("metric", ["ndcg@10", "mrr@1", "recall@100", "map", "precision@500"])
def test_counting_equals_searching(case, metric):
    random, queries, documents, judgments = case
    tried = adapters(random, queries)
    (found,) = score(tried, queries, documents, [judgments], parse_metric(metric))
    for adapter, scores in zip(tried, found, strict=True):
        np.testing.assert_allclose(
            scores, searched(adapter, queries, documents, judgments, metric), atol=1e-12, err_msg=repr(adapter)
        )


def test_blocks_and_companions_make_no_difference(case, monkeypatch):
    random, queries, documents, judgments = case
    tried, metric = adapters(random, queries), parse_metric("ndcg@10")
    whole = score(tried, queries, documents, [judgments], metric)
    monkeypatch.setattr(scoring, "_FEWEST_DOCUMENTS", 7)
    monkeypatch.setattr(scoring, "_BLOCK_CELLS", 1)
    np.testing.assert_array_equal(score(tried, queries, documents, [judgments], metric), whole)
    for adapter, scores in zip(tried, whole[0], strict=True):
        np.testing.assert_array_equal(score([adapter], queries, documents, [judgments], metric)[0, 0], scores)


def test_threads_make_no_difference(case, monkeypatch):
    random, queries, documents, judgments = case
    tried, metric = adapters(random, queries), parse_metric("ndcg@10")
    monkeypatch.setattr(scoring, "_FEWEST_DOCUMENTS", 7)
    monkeypatch.setattr(scoring, "_BLOCK_CELLS", 1)
    alone = score(tried, queries, documents, [judgments], metric)
    with threadpool_limits(2, user_api="blas"), threads_for(2**40):
        np.testing.assert_array_equal(score(tried, queries, documents, [judgments], metric), alone)


def test_documents_that_moved_are_searched_where_they_are(case, monkeypatch):
    random, queries, documents, judgments = case
    monkeypatch.setattr(scoring, "_BLOCK_CELLS", 1)
    rows = np.sort(random.choice(300, 50, replace=False))
    for before in adapters(random, queries)[:7]:
        vectors = normalize(random.normal(size=(50, 24)).astype(np.float32))
        mapped = np.array(before.transform(documents, "document"))
        mapped[rows] = vectors
        expected = searched(IdentityAdapter(), before.transform(queries, "query"), mapped, judgments, "ndcg@10")
        moved = Moved(before, rows, vectors)
        found = score([moved, before, moved], queries, documents, [judgments], parse_metric("ndcg@10"))[0]
        np.testing.assert_allclose(found[[0, 2]], [expected, expected], atol=1e-12)
        np.testing.assert_allclose(found[1], searched(before, queries, documents, judgments, "ndcg@10"), atol=1e-12)


def test_equal_documents_stand_in_their_order():
    eye = np.eye(4, dtype=np.float32)
    documents = eye[[1, 0, 0, 2, 0]]
    pairs = np.array([[0, 1], [0, 2], [0, 4], [0, 0], [0, 3]])
    assert count_before([IdentityAdapter()], eye[:1], documents, pairs, 5).tolist() == [[0, 1, 2, 3, 4]]


def test_answers_of_others_are_scored_apart(case):
    _, queries, documents, judgments = case
    others = judgments.select(np.roll(np.arange(40), 1))
    own, other = score([IdentityAdapter()], queries, documents, [judgments, others], parse_metric("ndcg@10"))
    np.testing.assert_allclose(own[0], searched(IdentityAdapter(), queries, documents, judgments, "ndcg@10"))
    np.testing.assert_allclose(other[0], searched(IdentityAdapter(), queries, documents, others, "ndcg@10"))


def test_a_map_that_leaves_nothing_of_a_vector():
    basis = np.eye(3, 2, dtype=np.float32)
    gone = LinearAdapter.from_tensors({"query": -np.eye(2, dtype=np.float32), "basis": basis}, {"rank": 2})
    queries, documents = np.eye(3, dtype=np.float32)[:1], np.eye(3, dtype=np.float32)
    judgments = Judgments.from_qrels({"q": {"b": 1}}, ["q"], ["a", "b", "c"])
    found = score([gone], queries, documents, [judgments], parse_metric("mrr@3"))
    assert found.tolist() == [[searched(gone, queries, documents, judgments, "mrr@3").tolist()]] == [[[0.5]]]


def test_memory_maps_are_read_in_blocks(tmp_path, case, monkeypatch):
    random, queries, documents, judgments = case
    np.save(tmp_path / "documents.npy", documents)
    mapped = np.load(tmp_path / "documents.npy", mmap_mode="r")
    monkeypatch.setattr(scoring, "_BLOCK_CELLS", 1)
    tried, metric = adapters(random, queries), parse_metric("ndcg@10")
    np.testing.assert_array_equal(
        score(tried, queries, mapped, [judgments], metric), score(tried, queries, documents, [judgments], metric)
    )
