import re

import numpy as np
import pytest

from embertune.data.dataset import Dataset
from embertune.data.document import Document
from embertune.data.guard import false_negatives
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.hashing import HashingEncoder
from embertune.errors import DataError
from embertune.evaluation.judgments import Judgments
from embertune.training.lessons import Lessons, check_scores
from embertune.training.pool import Pool


def dataset():
    """Twelve facts; each third one is told twice, and each fourth question is asked twice."""
    corpus, queries, qrels = {}, {}, {}
    for n in range(12):
        corpus[f"d{n}"] = Document(f"the {n}th fact is told here in words of number{n}")
        if n % 3 == 0:
            corpus[f"e{n}"] = Document(f"The {n}th fact is told here, in words of number{n}!")
            qrels[f"p{n}"] = {f"e{n}": 1.0}
            queries[f"p{n}"] = f"where is e number{n} told"
        queries[f"q{n}"] = f"what is number{n}"
        qrels[f"q{n}"] = {f"d{n}": 2.0, f"d{(n + 5) % 12}": 0.0}
        if n % 4 == 0:
            queries[f"r{n}"] = f"What is number{n}?"
            qrels[f"r{n}"] = {f"d{(n + 1) % 12}": 1.0}
    return Dataset(corpus=corpus, queries=queries, qrels=qrels, name="facts")


def pool_of(data, ids, lessons, encoded):
    rows = np.array([encoded.query_ids.index(query) for query in ids])
    judgments = Judgments.from_qrels({query: data.qrels[query] for query in ids}, ids, encoded.document_ids)
    return Pool(encoded.queries[rows], encoded.documents, judgments, lessons.select(rows))


def named(pool, training, ids, encoded, rows):
    """The ignored pairs of a fold, by their ids."""
    documents = pool.answers(rows)
    return {(ids[rows[q]], encoded.document_ids[documents[d]]) for q, d in training.ignored.tolist()}


def test_a_fold_ignores_what_its_own_labels_tell_and_nothing_that_those_of_others_would():
    data = dataset()
    encoded = encode_dataset(HashingEncoder(), data)
    lessons = Lessons.of(data, encoded)
    ids = sorted(data.queries, reverse=True)
    pool = pool_of(data, ids, lessons, encoded)
    everything = np.arange(len(ids))
    found = named(pool, pool.training(everything), ids, encoded, everything)
    # the same fact told twice, both ways, and the answer to the same question asked twice, both ways
    assert {("q0", "e0"), ("p0", "d0"), ("q0", "d1"), ("r0", "d0"), ("r0", "e0")} <= found
    assert ("q1", "d0") not in found
    without_r = np.array([row for row, query in enumerate(ids) if not query.startswith("r")])
    fewer = named(pool, pool.training(without_r), ids, encoded, without_r)
    assert ("q0", "e0") in fewer
    assert ("q0", "d1") not in fewer


def test_lessons_agree_with_false_negatives_of_the_arrays():
    data = dataset()
    encoded = encode_dataset(HashingEncoder(), data)
    ids = list(encoded.query_ids)
    pool = pool_of(data, ids, Lessons.of(data, encoded), encoded)
    rows = np.arange(0, len(ids), 2)
    training = pool.training(rows)
    answers = pool.answers(rows)
    expected = false_negatives(
        encoded.queries[rows],
        encoded.documents[answers],
        training.pairs,
        query_texts=[data.queries[ids[row]] for row in rows],
        texts=[data.corpus[encoded.document_ids[at]].content for at in answers],
    )
    np.testing.assert_array_equal(training.ignored, expected)


def test_labels_are_the_grades_or_the_scores_in_their_place():
    data = dataset()
    encoded = encode_dataset(HashingEncoder(), data)

    def told(lessons):
        pairs, values = lessons.labels
        return {
            (encoded.query_ids[q], encoded.document_ids[d]): v
            for (q, d), v in zip(pairs.tolist(), values.tolist(), strict=True)
        }

    grades = {(query, document): grade for query, judged in data.qrels.items() for document, grade in judged.items()}
    assert told(Lessons.of(data, encoded)) == grades
    scores = {"q3": {"d3": 7.5, "d9": -2}}
    assert told(Lessons.of(data, encoded, scores=scores)) == {("q3", "d3"): 7.5, ("q3", "d9"): -2.0}


def test_of_very_many_rows_only_texts_are_compared(monkeypatch):
    data = dataset()
    encoded = encode_dataset(HashingEncoder(), data)
    twins = np.tile(encoded.documents[:1], (len(encoded.documents), 1))
    encoded = type(encoded)(encoded.query_ids, encoded.queries, encoded.document_ids, twins, 0.0)
    near = Lessons.of(data, encoded).copies.documents
    monkeypatch.setattr("embertune.training.lessons._MOST_COMPARED", 3)
    texts = Lessons.of(data, encoded).copies.documents
    assert len(near) == len(twins) ** 2
    assert len(texts) == len(twins) + 2 * 4


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        (
            {"q99": {"d1": 1.0}},
            "The scores name 1 query that facts does not have (such as 'q99'). Expected {query_id",
        ),
        ({"q1": {"x": 1.0, "y": 2.0}}, "The scores name 2 documents that facts does not have (such as 'x', 'y')."),
        ({"q1": {"d1": "high"}}, "1 score of 1 are no finite numbers (first: 'high' of query 'q1' and document 'd1')."),
        ({"q1": {"d1": float("inf")}}, "1 score of 1 are no finite numbers (first: inf of query 'q1'"),
    ],
)
def test_scores_that_do_not_belong_are_explained(scores, says):
    with pytest.raises(DataError, match=re.escape(says)):
        check_scores(scores, dataset())
