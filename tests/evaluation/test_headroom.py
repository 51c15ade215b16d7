"""Headroom by hand, and against every order of a small ranking."""

from itertools import permutations

import numpy as np
import pytest

from embertune.evaluation.evaluate import evaluate_positions
from embertune.evaluation.headroom import headroom
from embertune.evaluation.judgments import Judgments


def test_by_hand():
    documents = [f"d{at}" for at in range(200)]
    judgments = Judgments.from_qrels({"p": {"d3": 1}, "q": {"d150": 1, "d0": 1}}, ["p", "q"], documents)
    found = headroom(judgments, np.tile(np.arange(200), (2, 1)), "mrr@10").to_dict()
    assert found == {
        "recall@100": (1 + 0.5) / 2,
        "mrr": (1 / 4 + 1) / 2,
        "score": (1 / 4 + 1) / 2,
        "reordering": 3 / 8,
        "rest": 0,
    }


def test_reordering_is_the_best_of_all_orders():
    documents = [f"d{at}" for at in range(9)]
    qrels = {"q": {"d1": 2, "d3": 1, "d8": 3, "gone": 1}}
    judgments = Judgments.from_qrels(qrels, ["q"], documents)
    positions = np.array([[0, 1, 2, 3, 4]])
    for metric in ("ndcg@3", "ndcg@10", "map", "recall@2", "mrr"):
        found = headroom(judgments, positions, metric)
        orders = [
            evaluate_positions(judgments, np.array([order]), metric)[metric][0] for order in permutations(range(5))
        ]
        assert found.score == orders[0] == evaluate_positions(judgments, positions, metric)[metric][0]
        assert found.score + found.reordering == pytest.approx(max(orders))
        whole = headroom(judgments, np.array([[8, 1, 3, 0, 2]]), metric)
        assert found.reordering + found.rest >= whole.score - found.score - 1e-12


def test_a_perfect_ranking_leaves_nothing():
    judgments = Judgments.from_qrels({"q": {"a": 2, "b": 1}}, ["q"], ["a", "b", "c"])
    found = headroom(judgments, np.array([[0, 1, 2]]))
    assert (found.recall, found.mrr, found.score, found.reordering, found.rest) == (1, 1, 1, 0, 0)


def test_what_was_not_found_is_the_rest():
    judgments = Judgments.from_qrels({"q": {"c": 1}}, ["q"], ["a", "b", "c"])
    found = headroom(judgments, np.array([[0, 1]]))
    assert (found.recall, found.reordering, found.rest) == (0, 0, 1)
