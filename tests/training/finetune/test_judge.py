import numpy as np
import pytest

from embertune.data.dataset import Dataset
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.hashing import HashingEncoder
from embertune.evaluation import evaluate
from embertune.evaluation.retrieve import retrieve
from embertune.training.finetune.judge import DevJudge

DATA = Dataset.from_pairs([(f"what is number {n}?", f"the number {n} is {n * n}") for n in range(40)])
METRICS = ("ndcg@10", "mrr@10", "map@100", "accuracy")


@pytest.fixture(scope="module")
def encoded():
    return encode_dataset(HashingEncoder(), DATA)


def test_dev_is_judged_as_test_is(encoded):
    judge = DevJudge.of(DATA, (encoded.queries, encoded.documents), {}, METRICS[:3], max_documents=100)
    expected = evaluate(DATA.qrels, retrieve(encoded), METRICS[:3]).means
    assert judge.score(encoded.queries, encoded.documents) == pytest.approx(expected, abs=1e-12)


def test_accuracy_is_the_share_of_negatives_behind_their_positive():
    judge = DevJudge.of(
        Dataset.from_pairs([("a", "x"), ("b", "y")]), (np.eye(2), np.eye(2)), {"a": ["y"], "b": ["x"]}, METRICS,
        max_documents=9,
    )  # fmt: skip
    assert judge.triplets == ((0, 0, 1), (1, 1, 0))
    assert judge.score(np.eye(2), np.eye(2))["accuracy"] == 1
    assert judge.score(np.array([[1.0, 0], [1, 0]]), np.eye(2))["accuracy"] == 0.5


def test_without_negatives_there_is_no_accuracy(encoded):
    judge = DevJudge.of(DATA, (encoded.queries, encoded.documents), {}, METRICS, max_documents=100)
    assert judge.metrics == METRICS[:3]


def test_of_a_large_corpus_answers_stay_and_what_ranks_high(encoded):
    dev = DATA.select(["q1", "q2"])
    rows = [list(DATA.queries).index(query) for query in dev.queries]
    judge = DevJudge.of(dev, (encoded.queries[rows], encoded.documents), {}, METRICS, max_documents=6)
    assert len(judge.documents) == 6
    assert {"d1", "d2"} <= set(judge.document_ids)
    first = {query: [document for document, _ in retrieve(encoded, 6).ranking(query)] for query in dev.queries}
    assert {ranking[0] for ranking in first.values()} <= set(judge.document_ids)
    assert set(judge.document_ids) - {"d1", "d2"} <= {document for ranking in first.values() for document in ranking}
    at = [list(DATA.corpus).index(document) for document in judge.document_ids]
    assert judge.score(encoded.queries[rows], encoded.documents[at])["mrr@10"] > 0


def test_what_is_judged_has_a_fingerprint(encoded):
    vectors = (encoded.queries, encoded.documents)
    one, other = (DevJudge.of(DATA, vectors, {}, (metric,), max_documents=100) for metric in ("mrr@10", "ndcg@10"))
    assert one.fingerprint != other.fingerprint
