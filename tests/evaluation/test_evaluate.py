"""Who counts in an evaluation, and that nothing is lost in silence."""

import re
from types import MappingProxyType

import numpy as np
import pytest

from embertune.errors import ConfigError, DataError
from embertune.evaluation.evaluate import Evaluation, evaluate, evaluate_positions
from embertune.evaluation.judgments import Judgments
from embertune.evaluation.run import Run

QRELS = {"q1": {"a": 1, "b": 0}, "q2": {"b": 2, "a": 1}, "none": {"a": 0, "b": -1}, "empty": {}}


def test_return_type_is_constant():
    run = Run.from_scores({"q1": {"a": 1}})
    found = [evaluate(QRELS, run, metrics) for metrics in ("mrr", ["mrr"], ["mrr", "ndcg@10"], ("mrr",), iter(["mrr"]))]
    assert {type(one) for one in found} == {Evaluation}
    assert {one.means["mrr"] for one in found} == {0.5}
    assert {type(one.scores["mrr"]) for one in found} == {np.ndarray}
    judgments = Judgments.from_qrels(QRELS, ["q1"], ["a"])
    assert isinstance(evaluate_positions(judgments, np.array([[0]]), "mrr"), dict)
    assert isinstance(evaluate_positions(judgments, np.array([[0]]), ["mrr", "map"]), dict)


def test_an_unanswered_query_scores_zero():
    run = Run.from_scores({"q1": {"a": 1}})
    found = evaluate({"q1": {"a": 1}, "q2": {"b": 1}}, run, ["ndcg@10", "mrr@10", "precision"])
    assert found.means == {"ndcg@10": 0.5, "mrr@10": 0.5, "precision": 0.5}
    assert found.scores["ndcg@10"].tolist() == [1, 0]
    assert found.n_unanswered == 1


def test_a_query_answered_with_nothing_is_unanswered():
    run = Run("r", ("q1", "q2"), ("a",), np.array([[0], [-1]]), np.array([[1.0], [0.0]]))
    found = evaluate({"q1": {"a": 1}, "q2": {"a": 1}}, run, "mrr")
    assert (found.n_unanswered, found.means["mrr"]) == (1, 0.5)


def test_inputs_are_not_modified():
    qrels = MappingProxyType({query: MappingProxyType(dict(known)) for query, known in QRELS.items()})
    scores = {"q2": {"a": 2.0, "b": 1.0}, "other": {"a": 1.0}}
    copy = {query: dict(known) for query, known in scores.items()}
    run = Run.from_scores(MappingProxyType(scores))
    before = run.positions.copy(), run.scores.copy(), run.query_ids, run.document_ids
    metrics = ["mrr", "ndcg@1"]
    evaluate(qrels, run, metrics)
    assert scores == copy
    assert metrics == ["mrr", "ndcg@1"]
    np.testing.assert_array_equal(run.positions, before[0])
    np.testing.assert_array_equal(run.scores, before[1])
    assert (run.query_ids, run.document_ids) == before[2:]


def test_dropped_queries_are_counted():
    run = Run.from_scores({"q1": {"a": 1}, "none": {"a": 1}, "stranger": {"a": 1}})
    found = evaluate(QRELS, run, "recall@1")
    assert found.query_ids == ("q1", "q2")
    assert (found.n_without_relevant, found.n_unjudged, found.n_unanswered) == (2, 1, 1)
    assert str(found) == (
        "run, 2 queries\n"
        "  recall@1  0.5000\n"
        "  1 query unanswered, counted as 0\n"
        "  2 queries without a relevant document, left out\n"
        "  1 query without judgements, left out"
    )


def test_the_order_of_the_run_is_the_ranking_whatever_the_scores():
    run = Run("r", ("q",), ("a", "b"), np.array([[1, 0]]), np.array([[0.5, 0.5]]))
    assert evaluate({"q": {"b": 1}}, run, "mrr").means == {"mrr": 1}


def test_shuffled_input_gives_the_same_scores():
    random = np.random.default_rng(0)
    documents = [f"d{at}" for at in range(30)]
    qrels = {
        f"q{at}": {d: int(random.integers(0, 3)) for d in random.choice(documents, 6)} | {"d0": 1} for at in range(20)
    }
    scores = {query: dict(zip(documents, random.permutation(30).tolist(), strict=True)) for query in qrels}
    first = evaluate(qrels, Run.from_scores(scores), ["ndcg@10", "map"])
    mixed = {
        query: {d: scores[query][d] for d in random.permutation(documents).tolist()}
        for query in random.permutation(list(scores)).tolist()
    }
    second = evaluate(dict(reversed(qrels.items())), Run.from_scores(mixed), ["ndcg@10", "map"])
    assert second.query_ids == first.query_ids[::-1]
    for metric in first.metrics:
        np.testing.assert_array_equal(second.scores[metric], first.scores[metric][::-1])


def test_the_quick_path_gives_the_same_scores():
    run = Run.from_scores({"q1": {"b": 2, "a": 1}, "q2": {"a": 2, "b": 1}})
    judgments = Judgments.from_qrels(QRELS, run.query_ids, run.document_ids)
    metrics = ["ndcg@10", "mrr@1", "map", "recall@1", "precision@1"]
    quick, slow = evaluate_positions(judgments, run.positions, metrics), evaluate(QRELS, run, metrics)
    assert list(quick) == metrics
    for metric in metrics:
        np.testing.assert_array_equal(quick[metric], slow.scores[metric])


def test_scores_cannot_be_changed():
    found = evaluate(QRELS, Run.from_scores({"q1": {"a": 1}}), "mrr")
    with pytest.raises(ValueError, match="read-only"):
        found.scores["mrr"][0] = 1
    with pytest.raises(TypeError):
        found.scores["mrr"] = np.ones(2)


def test_ids_that_match_nothing_are_told():
    message = (
        "None of the 2 queries of the run 'mine' (such as '1') is among the 4 queries of the qrels (such as 'q1'). "
        "Check that both come from the same data set."
    )
    with pytest.raises(DataError, match=re.escape(message)):
        evaluate(QRELS, Run.from_scores({"1": {"a": 1}, "2": {"a": 1}}, name="mine"), "mrr")


def test_a_run_that_answers_nothing_is_worth_nothing():
    found = evaluate(QRELS, Run.from_scores({}), ["mrr", "ndcg@10"])
    assert found.means == {"mrr": 0, "ndcg@10": 0}
    assert found.n_unanswered == 2


@pytest.mark.parametrize("qrels", [{}, {"q": {}}, {"q": {"a": 0}}])
def test_judgements_without_a_relevant_document_are_told(qrels):
    message = f"None of the {len(qrels)} queries in the qrels has a relevant document (a grade above 0)."
    with pytest.raises(DataError, match=re.escape(message)):
        evaluate(qrels, Run.from_scores({"q": {"a": 1}}), "mrr")


def test_unknown_metrics_are_told_before_any_work():
    with pytest.raises(ConfigError, match=re.escape("Unknown metric 'nope'")):
        evaluate(QRELS, Run.from_scores({"q1": {"a": 1}}), ["mrr", "nope"])
