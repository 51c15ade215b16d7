"""Edits by hand make a new data set of what is left."""

from __future__ import annotations

import re

import pytest

from embertune.data.dataset import Dataset
from embertune.data.edits import Edits, apply_edits
from embertune.data.origin import Origin
from embertune.errors import DataError


@pytest.fixture
def data():
    made = Dataset.from_pairs([("a", "x"), ("a", "y"), ("b", "x"), ("c", "z")])
    return Dataset(
        made.corpus, made.queries, made.qrels, "set", {"q1": "train", "q2": "dev", "q3": "test"},
        synthetic={"q2": Origin("extractive", "crop"), "q3": Origin("extractive", "crop")},
    )  # fmt: skip


def test_texts_and_grades_change_and_all_else_stays(data):
    edits = Edits().with_query("q1", "A?").with_document("d2", "Y!").with_grade("q1", "d1", 0.5)
    left = apply_edits(data, edits)
    assert left.queries == {**data.queries, "q1": "A?"}
    assert left.corpus["d2"].text == "Y!"
    assert left.qrels == {**data.qrels, "q1": {"d1": 0.5, "d2": 1.0}}
    assert (left.parts, left.synthetic) == (data.parts, data.synthetic)
    assert left.notes[-1] == "Edited by hand: 1 query rewritten, 1 document rewritten, 1 grade changed."
    assert data.queries["q1"] == "a"
    assert data.qrels["q1"]["d1"] == 1.0


def test_a_query_goes_with_its_last_pair(data):
    left = apply_edits(data, Edits().with_grade("q1", "d1", None).with_grade("q3", "d3", None))
    assert left.qrels == {"q1": {"d2": 1.0}, "q2": {"d1": 1.0}}
    assert list(left.queries) == ["q1", "q2"]
    assert left.parts == {"q1": "train", "q2": "dev"}
    assert list(left.synthetic) == ["q2"]
    assert left.corpus == data.corpus


def test_undoing_one_pair_leaves_the_others():
    edits = Edits().with_grade("q1", "d1", None).with_grade("q2", "d1", None).with_query("q1", "A")
    assert edits.without("q1", "d1") == Edits(grades={("q2", "d1"): None})
    assert not edits.without("q1", "d1").without("q2", "d1")


def test_edits_that_differ_have_other_hashes():
    assert hash(Edits().with_query("q1", "a")) != hash(Edits().with_query("q1", "b"))
    assert hash(Edits().with_query("q1", "a")) == hash(Edits().with_query("q1", "a"))


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        (Edits().with_query("q9", "x"), "1 queries to be edited are not in set ('q9')."),
        (Edits().with_grade("q1", "d3", None), "1 pairs to be edited are not in set (('q1', 'd3'))."),
        (Edits().with_query("q1", " "), "The new text of 'q1' is empty. Write one, or strike the pair out."),
        (Edits(grades=dict.fromkeys([("q1", "d1"), ("q1", "d2"), ("q2", "d1"), ("q3", "d3")])),
         "No pair with a grade above 0 would be left."),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(data, edits, said):
    with pytest.raises(DataError, match=re.escape(said)):
        apply_edits(data, edits)
