"""Synthetic queries help to learn; where people asked some, those alone are judged on."""

import re
from dataclasses import replace

import pytest

from embertune.data.companions import asked_by_people, companions
from embertune.data.dataset import Dataset
from embertune.data.origin import Origin
from embertune.data.splits import folds, split_dataset
from embertune.errors import SplitError

MADE = Origin("extractive", "crop")


def mixed(people=20, synthetic=200):
    """Each document has ten synthetic queries and one of a person."""
    rows = [(f"person asks {n}", f"document {n}") for n in range(people)]
    rows += [(f"made {n}", f"document {n % people}") for n in range(synthetic)]
    data = Dataset.from_pairs(rows)
    made = {query: MADE for query, text in data.queries.items() if text.startswith("made")}
    return replace(data, synthetic=made)


@pytest.mark.parametrize("method", ["by-query", "by-document"])
def test_dev_and_test_hold_queries_of_people_alone(method):
    split = split_dataset(mixed(), method)
    assert (len(split.dev.queries), len(split.test.queries)) == (4, 4)
    assert not split.dev.synthetic
    assert not split.test.synthetic
    assert split.train.synthetic


def test_by_query_every_synthetic_query_is_trained_on():
    split = split_dataset(mixed())
    assert split.sizes == {"train": 212, "dev": 4, "test": 4}
    expected = "200 synthetic queries are trained on and none is judged on, as there are queries of people."
    assert split.notes == (expected,)


def test_by_document_no_synthetic_query_tells_of_a_document_that_is_held_out():
    split = split_dataset(mixed(), "by-document")
    assert split.sizes == {"train": 12 + 120, "dev": 4, "test": 4}
    assert not split.seen
    assert split.notes[-1].endswith("; 80 more say what is held out and are left out.")


def test_a_synthetic_query_of_a_held_out_text_is_not_trained_on():
    data = mixed()
    held = data.select(["q1", "q2"])
    copied = replace(data, queries={**data.queries, "q21": "Person asks 0?"})
    assert set(companions(data, [held], by_document=False)) - set(companions(copied, [held], by_document=False)) == {
        "q21"
    }


@pytest.mark.parametrize("method", ["by-query", "by-document"])
def test_folds_judge_every_query_of_a_person_once_and_no_other(method):
    data = mixed()
    cut = folds(data, 5, method)
    judged = [query for _, test in cut for query in test.queries]
    assert sorted(judged) == sorted(asked_by_people(data).queries)
    for train, test in cut:
        assert train.synthetic
        assert not train.queries.keys() & test.queries.keys()
        if method == "by-document":
            assert not {d for q in train.queries for d in train.positives(q)} & {
                d for q in test.queries for d in test.positives(q)
            }


def test_where_all_are_synthetic_they_are_split_as_others():
    data = mixed()
    alone = data.select(data.synthetic)
    assert split_dataset(alone).sizes == {"train": 120, "dev": 40, "test": 40}
    plain = replace(alone, synthetic={})
    assert list(split_dataset(alone).test.queries) == list(split_dataset(plain).test.queries)


def test_too_few_queries_of_people_are_counted_without_the_synthetic_ones():
    with pytest.raises(SplitError, match=re.escape("2 of 2 queries have a relevant document")):
        split_dataset(mixed(people=2))


def test_synthetic_queries_are_left_out_of_a_given_test_and_those_without_a_part_are_trained_on():
    data = mixed()
    people = list(asked_by_people(data).queries)
    parts = {query: "test" for query in [*people, "q21", "q22"]}
    split = split_dataset(replace(data, parts=parts), "given")
    assert list(split.test.queries) == people
    assert len(split.train.queries) + len(split.dev.queries) == 198
    assert split.notes[0] == "2 synthetic queries are left out of the given test."


def test_a_given_test_of_synthetic_queries_alone_is_kept():
    data = mixed()
    made = list(data.synthetic)
    parts = {query: "test" if query in made[:50] else "train" for query in data.queries}
    assert len(split_dataset(replace(data, parts=parts), "given").test.queries) == 50
