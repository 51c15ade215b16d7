"""Judgements as arrays equal a look-up in the qrels, query by query."""

import re

import numpy as np
import pytest

from embertune.errors import DataError
from embertune.evaluation.judgments import Judgments


def random_qrels(seed, queries=30, documents=40):
    random = np.random.default_rng(seed)
    names = [f"d{number}" for number in random.permutation(documents)]
    qrels = {
        f"q{number}": {
            str(document): float(random.integers(-1, 4)) / 2
            for document in random.choice([*names, "gone1", "gone2"], size=random.integers(0, 15), replace=False)
        }
        for number in range(queries)
    }
    return qrels, names


@pytest.mark.parametrize("seed", range(3))
def test_grades_and_ideal_equal_a_look_up(seed):
    qrels, documents = random_qrels(seed)
    queries = [*reversed(qrels), "never judged"]
    judgments = Judgments.from_qrels(qrels, queries, documents)
    positions = np.random.default_rng(seed).integers(-1, len(documents), size=(len(queries), 50))
    grades = judgments.grades(positions)
    assert grades.dtype == np.float64
    for row, query in enumerate(queries):
        known = qrels.get(query, {})
        expected = [max(known.get(documents[at], 0), 0) if at >= 0 else 0 for at in positions[row]]
        assert grades[row].tolist() == expected
        relevant = sorted((grade for grade in known.values() if grade > 0), reverse=True)
        assert judgments.ideal[row].tolist() == relevant + [0] * (judgments.ideal.shape[1] - len(relevant))
        assert judgments.n_relevant[row] == len(relevant)
    pairs = {(queries[row], documents[at]) for row, at in judgments.pairs}
    assert pairs == {(q, d) for q, known in qrels.items() for d, grade in known.items() if grade > 0 and d in documents}


def test_relevant_documents_outside_the_corpus_cannot_be_found_but_count():
    judgments = Judgments.from_qrels({"q": {"gone": 3, "a": 1}}, ["q"], ["a"])
    assert judgments.ideal.tolist() == [[3, 1]]
    assert judgments.n_relevant.tolist() == [2]
    assert judgments.grades(np.array([[0, -1]])).tolist() == [[1, 0]]
    assert judgments.pairs.tolist() == [[0, 0]]


def test_a_selection_equals_judgements_made_of_it():
    qrels, documents = random_qrels(7)
    queries = list(qrels)
    rows = [5, 2, 29, 0, 2]
    chosen = Judgments.from_qrels(qrels, queries, documents).select(rows)
    positions = np.tile(np.arange(len(documents)), (len(rows), 1))
    for at, row in enumerate(rows):
        alone = Judgments.from_qrels(qrels, [queries[row]], documents)
        np.testing.assert_array_equal(chosen.grades(positions)[at], alone.grades(positions[:1])[0])
        assert chosen.n_relevant[at] == alone.n_relevant[0]
    assert len(chosen.select([])) == 0
    assert chosen.select([]).grades(np.empty((0, 3), int)).shape == (0, 3)


def test_ranking_counts_what_was_retrieved():
    judgments = Judgments.from_qrels({"q": {"b": 1}}, ["q", "p"], ["a", "b"])
    ranked = judgments.rank(np.array([[1, -1], [-1, -1]]))
    assert ranked.retrieved.tolist() == [1, 0]
    assert ranked.gains.tolist() == [[1, 0], [0, 0]]


def test_the_last_documents_of_one_query_are_not_the_first_of_the_next():
    judgments = Judgments.from_qrels({"p": {"c": 1}, "q": {"a": 2}}, ["p", "q"], ["a", "b", "c"])
    assert judgments.grades(np.array([[0, 1, 2, -1], [-1, 2, 1, 0]])).tolist() == [[0, 0, 1, 0], [0, 0, 0, 2]]


def test_inputs_are_not_modified():
    qrels, documents = random_qrels(1)
    copy = {query: dict(known) for query, known in qrels.items()}
    positions = np.full((30, 2), 3)
    positions.flags.writeable = False
    Judgments.from_qrels(qrels, list(qrels), documents).grades(positions)
    assert qrels == copy


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([[0]], "Found rankings of shape (1, 1) for 2 queries. Expected (2, k): one row per query."),
        ([0, 1], "Found rankings of shape (2,) for 2 queries."),
        ([[0], [2]], "The rankings name positions from 0 to 2, the corpus has 2 documents. Expected 0 to 1, or -1"),
        ([[0], [-2]], "The rankings name positions from -2 to 0, the corpus has 2 documents."),
    ],
)
def test_rankings_that_do_not_fit_are_told(positions, message):
    judgments = Judgments.from_qrels({"q": {"a": 1}}, ["q", "p"], ["a", "b"])
    with pytest.raises(DataError, match=re.escape(message)):
        judgments.grades(np.array(positions))


def test_broken_judgements_are_told():
    with pytest.raises(DataError, match=re.escape("1 of 2 query ids occur twice. Expected each id once.")):
        Judgments.from_qrels({}, ["q", "q"], ["a"])
    with pytest.raises(DataError, match=re.escape("2 of 3 document ids occur twice.")):
        Judgments.from_qrels({}, ["q"], ["a", "a", "a"])
    with pytest.raises(DataError, match=re.escape("The grade of document 'a' for query 'q' is nan, not a number.")):
        Judgments.from_qrels({"q": {"a": float("nan")}}, ["q"], ["a"])
