import json
import re

import numpy as np
import pytest

from embertune.data.dataset import Dataset
from embertune.data.document import Document
from embertune.data.io import load_dataset
from embertune.data.margins import Margins
from embertune.encoders.scorers import PairScorer
from embertune.errors import DataError, EncoderError
from embertune.evaluation.run import Run
from embertune.recipes.pseudo_label import pseudo_label

CORPUS = {f"d{at}": Document(f"text {at}") for at in range(6)}
RUN = Run.from_scores({
    "a": {"d1": 0.9, "d0": 0.8, "d2": 0.7, "d3": 0.1},
    "b": {"d4": 0.9, "d5": 0.5},
    "u": {"d2": 0.9, "d3": 0.5},
})  # fmt: skip


def data(**fields):
    return Dataset(
        corpus=CORPUS,
        queries={"a": "one", "b": "two", "u": "three"},
        qrels={"a": {"d0": 1.0, "d5": 1.0}, "b": {"d4": 2.0, "d1": 0.0}},
        **fields,
    )


def teacher(pairs):
    """The number of the document."""
    return [float(text[-1]) for _, text in pairs]


def triplets(labels):
    return [(each.query, each.positive[-1], each.negative[-1], each.margin) for each in labels.labels]


def test_positives_lead_over_what_was_pulled_by_the_teachers_margin():
    found = pseudo_label(data(), teacher, RUN, top_k=3)
    assert triplets(found) == [
        ("one", "0", "1", -1.0), ("one", "0", "2", -2.0), ("one", "5", "1", 4.0), ("one", "5", "2", 3.0),
        ("two", "4", "5", -1.0),
    ]  # fmt: skip
    assert (found.queries, found.unlabelled, found.empty, found.scored) == (2, 0, 0, 6)
    assert found.scores == {"a": {"d0": 0.0, "d5": 5.0, "d1": 1.0, "d2": 2.0}, "b": {"d4": 4.0, "d5": 5.0}}


def test_of_a_query_without_labels_the_highest_score_is_the_positive():
    found = pseudo_label(data(), teacher, RUN, top_k=3, unlabelled=True)
    assert triplets(found)[-1] == ("three", "3", "2", 1.0)
    assert (found.queries, found.unlabelled) == (3, 1)
    assert "1 query had no relevant document: the highest score was taken for one." in str(found)


def test_documents_of_equal_text_are_no_negatives_of_an_answer():
    dataset = Dataset(
        corpus={"x": Document("text 1"), "y": Document("text 1"), "z": Document("text 2")},
        queries={"a": "one"},
        qrels={"a": {"x": 1.0}},
    )
    found = pseudo_label(dataset, teacher, Run.from_scores({"a": {"y": 0.9, "z": 0.8, "x": 0.7}}))
    assert triplets(found) == [("one", "1", "2", -1.0)]


def test_rows_are_read_as_margins_and_as_a_data_set(tmp_path):
    found = pseudo_label(data(), teacher, RUN, top_k=3)
    path = found.save(tmp_path / "taught.jsonl")
    taught, own = Margins.read(path), found.margins()
    np.testing.assert_array_equal(taught.triplets, own.triplets)
    np.testing.assert_array_equal(taught.margins, own.margins)
    assert taught.dataset == own.dataset == load_dataset(path)
    first = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    assert first == {"query": "one", "positive": "text 0", "negative": "text 1", "scores": [0.0, 1.0], "margin": -1.0}
    sure = found.save(tmp_path / "sure.jsonl", min_margin=3)
    assert Margins.read(sure).margins.tolist() == [4.0, 3.0]


@pytest.mark.parametrize("blocks", [1, 2, 16])
def test_an_interruption_costs_nothing_twice(blocks, monkeypatch):
    monkeypatch.setattr("embertune.recipes.pseudo_label._BLOCK", blocks)
    asked = []

    def stopping(pairs, at=None):
        if at is not None and len(asked) + len(pairs) > at:
            raise EncoderError("stopped")
        asked.extend(pairs)
        return teacher(pairs)

    with pytest.raises(EncoderError, match=r"^stopped$"):
        pseudo_label(data(), PairScorer(lambda pairs: stopping(pairs, at=4), "t", batch_size=2), RUN, top_k=3)
    before = len(asked)
    found = pseudo_label(data(), PairScorer(stopping, "t", batch_size=2), RUN, top_k=3)
    assert len(asked) == len(set(asked)) == 6
    assert found.scored == 6 - before
    assert triplets(found) == triplets(pseudo_label(data(), teacher, RUN, top_k=3))


def test_only_training_queries_are_labelled():
    found = pseudo_label(data(parts={"a": "train", "b": "test"}), teacher, RUN, unlabelled=True)
    assert {each.query for each in found.labels} == {"one", "three"}
    with pytest.raises(DataError, match=r"has no query with a relevant document in the part 'dev'"):
        pseudo_label(data(parts={"a": "train", "b": "test"}), teacher, RUN, part="dev")


def test_a_retriever_by_name_and_a_query_that_finds_nothing():
    found = pseudo_label(data(), teacher, "bm25", top_k=2)
    assert (found.queries, found.empty, found.labels) == (0, 2, ())
    assert str(found) == (
        "0 triplets of 0 queries; bm25 found the negatives, the given function scored (3 pairs now, the rest from the "
        "cache).\n2 queries gave no triplet."
    )
    dense = pseudo_label(data(), teacher, "hashing", top_k=2)
    assert dense.retriever == "hashing/trigrams-64 (64 dimensions)"
    assert dense.queries == 2


def test_what_is_said():
    found = pseudo_label(data(), teacher, RUN, top_k=3)
    assert str(found) == (
        "5 triplets of 2 queries; run found the negatives, the given function scored (6 pairs now, the rest from the "
        "cache).\nMargins: median -1, 5 % below -1.8, 5 % above 3.8. 3 (60.0%) are below 0: the scorer prefers the "
        "unlabelled document."
    )
    assert json.loads(json.dumps(found.to_dict()))["margin"] == {"5%": -1.8, "median": -1.0, "95%": 3.8}
    assert re.match("5 triplets", str(found))
