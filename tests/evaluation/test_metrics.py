"""Metrics equal ranx and ir_measures on random graded judgements and rankings, and the hand-made cases."""

import math
import re

import numpy as np
import pytest

from embertune.errors import ConfigError
from embertune.evaluation.evaluate import evaluate
from embertune.evaluation.metrics import Ranked, parse_metric, parse_metrics
from embertune.evaluation.run import Run

# ours, ir_measures', ranx'
NAMES = [
    ("ndcg", "nDCG", "ndcg"),
    ("ndcg@10", "nDCG@10", "ndcg@10"),
    ("ndcg@3", "nDCG@3", "ndcg@3"),
    ("mrr", "RR", "mrr"),
    ("mrr@10", "RR@10", "mrr@10"),
    ("mrr@2", "RR@2", "mrr@2"),
    ("map", "AP", "map"),
    ("map@100", "AP@100", "map@100"),
    ("map@5", "AP@5", "map@5"),
    ("recall@10", "R@10", "recall@10"),
    ("recall@100", "R@100", "recall@100"),
    ("recall", None, "recall"),
    ("precision@10", "P@10", "precision@10"),
    ("precision@1", "P@1", "precision@1"),
    ("precision", "SetP", "precision"),
    ("hit_rate@10", "Success@10", "hit_rate@10"),
    ("accuracy@1", "Success@1", "hit_rate@1"),
    ("r_precision", "Rprec", "r-precision"),
]


def collection(seed):
    """Graded judgements and scores with many ties, unanswered queries, unjudged queries and unknown documents."""
    random = np.random.default_rng(seed)
    documents = [f"d{number:03}" for number in range(60)]
    qrels, results = {}, {}
    for query in (f"q{number:02}" for number in range(50)):
        judged = random.choice(documents, size=random.integers(1, 25), replace=False)
        grades = random.integers(-1, 4, size=len(judged))
        grades[0] = max(grades[0], 1)
        qrels[query] = {str(document): int(grade) for document, grade in zip(judged, grades, strict=True)}
        if random.random() < 0.2:
            continue
        # Falling ids and a stable sort are trec_eval's tie rule: of equal scores the larger document id goes first.
        found = sorted(
            random.choice([*documents, "x1", "x2"], size=random.integers(1, 40), replace=False), reverse=True
        )
        results[query] = {str(document): float(random.integers(0, 8)) / 4 for document in found}
    assert len(results) < len(qrels)
    return qrels, results


def without_ties(results):
    """The order in which our run broke its ties, as scores that have none."""
    rankings = Run.from_scores(results).to_dict()
    return {query: {document: float(-rank) for rank, document in enumerate(found)} for query, found in rankings.items()}


@pytest.mark.parametrize("seed", range(4))
def test_metrics_equal_ir_measures_with_its_own_ties(seed):
    import ir_measures

    qrels, results = collection(seed)
    ours = evaluate(qrels, Run.from_scores(results), [name for name, theirs, _ in NAMES if theirs])
    for name, theirs, _ in NAMES:
        if theirs:
            # Its RR@k alone is not trec_eval's but MS MARCO's, with a tie rule of its own.
            scores = without_ties(results) if theirs.startswith("RR@") else results
            found = ir_measures.iter_calc([ir_measures.parse_measure(theirs)], qrels, scores)
            expected = {row.query_id: row.value for row in found}
            assert len(expected) == len(ours) == 50
            for query, score in zip(ours.query_ids, ours.scores[name], strict=True):
                assert score == pytest.approx(expected[query], abs=1e-9), (name, query)


@pytest.mark.parametrize("seed", range(2))
def test_metrics_equal_ranx(seed, ranx):
    qrels, results = collection(seed + 10)
    ours = evaluate(qrels, Run.from_scores(results), [name for name, _, _ in NAMES])
    # ranx does not promise an order among equal scores.
    run = ranx.Run(without_ties(results))
    ranx.evaluate(ranx.Qrels(qrels), run, [theirs for _, _, theirs in NAMES], make_comparable=True)
    for name, _, theirs in NAMES:
        assert len(run.scores[theirs]) == len(ours)
        for query, score in zip(ours.query_ids, ours.scores[name], strict=True):
            assert score == pytest.approx(run.scores[theirs][query], abs=1e-9), (name, query)


def ranked(gains, ideal, retrieved=None):
    return Ranked(np.array([gains], float), np.array([ideal], float), np.array([retrieved or len(gains)]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ndcg", (3 / math.log2(3) + 1 / math.log2(5)) / (3 + 2 / math.log2(3) + 1 / 2)),
        ("ndcg@2", (3 / math.log2(3)) / (3 + 2 / math.log2(3))),
        ("ndcg@1", 0),
        ("mrr", 1 / 2),
        ("mrr@1", 0),
        ("map", (1 / 2 + 2 / 4) / 3),
        ("map@3", (1 / 2) / 3),
        ("recall", 2 / 3),
        ("recall@2", 1 / 3),
        ("precision", 2 / 4),
        ("precision@10", 2 / 10),
        ("precision@2", 1 / 2),
        ("hit_rate@1", 0),
        ("hit_rate@2", 1),
        ("accuracy@2", 1),
        ("r_precision", 1 / 3),
    ],
)
def test_exact_case(name, expected):
    assert parse_metric(name).score(ranked([0, 3, 0, 1], [3, 2, 1])) == pytest.approx([expected], abs=1e-15)


@pytest.mark.parametrize("name", [name for name, _, _ in NAMES])
def test_perfect_is_one_nothing_is_zero_and_no_relevant_document_is_zero(name):
    metric = parse_metric(name)
    relevant = [2.0, 1.0, 1.0] if metric.k is None else [1.0] * max(metric.k, 1)
    assert metric.score(ranked(relevant, relevant)) == 1
    assert metric.score(ranked([0.0, 0.0], relevant)) == 0
    assert metric.score(ranked([0.0, 0.0], [0.0])) == 0
    assert metric.score(Ranked(np.zeros((1, 0)), np.ones((1, 1)), np.zeros(1, int))) == 0
    assert metric.score(Ranked(np.zeros((0, 5)), np.zeros((0, 0)), np.zeros(0, int))).shape == (0,)


@pytest.mark.parametrize("name", [name for name, _, _ in NAMES if "precision" not in name])
def test_depth_beyond_the_cutoff_changes_no_bit(name):
    random = np.random.default_rng(0)
    gains = random.integers(0, 3, size=(40, 100)).astype(float)
    gains[:, 7:] = 0
    ideal = -np.sort(-gains[:, :7], axis=1)
    short, long = (Ranked(gains[:, :depth], ideal, np.full(40, depth)) for depth in (7, 100))
    np.testing.assert_array_equal(parse_metric(name).score(short), parse_metric(name).score(long))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ndgc@10", "ndcg@10"),
        ("NDCG@10", "ndcg@10"),
        ("ndcg@", "ndcg@10"),
        ("ndcg@0", "ndcg@10"),
        ("ndcg@-1", "ndcg@10"),
        ("recall@ten", "recall@10"),
        ("hit-rate@5", "hit_rate@5"),
        ("r_precision@10", "r_precision"),
        ("acuracy", "accuracy"),
    ],
)
def test_a_misspelt_metric_is_answered_with_the_one_that_was_meant(name, meant):
    known = "accuracy, hit_rate, map, mrr, ndcg, precision, r_precision, recall"
    message = f"Unknown metric {name!r}. Did you mean {meant!r}? Known: {known}; each but r_precision also as @k"
    with pytest.raises(ConfigError, match="^" + re.escape(message)):
        parse_metric(name)


def test_a_name_like_none_gets_the_list():
    with pytest.raises(ConfigError, match=re.escape("Unknown metric 'zzz'. Known: accuracy, ")):
        parse_metric("zzz")


def test_no_metric_is_refused_and_a_repeated_one_counts_once():
    with pytest.raises(ConfigError, match=re.escape("No metric was named. Expected at least one")):
        parse_metrics([])
    assert [metric.name for metric in parse_metrics(["mrr", "ndcg@3", "mrr"])] == ["mrr", "ndcg@3"]
    assert parse_metrics("mrr@10") == (parse_metric("mrr@10"),)
