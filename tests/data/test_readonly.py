import copy
import json
import multiprocessing
import pickle
import re

import pytest

from embertune.data.dataset import Dataset
from embertune.data.readonly import ReadOnlyDict

CHANGES = {
    "set": lambda mapping: mapping.__setitem__("new", 1),
    "delete": lambda mapping: mapping.__delitem__(next(iter(mapping))),
    "clear": lambda mapping: mapping.clear(),
    "pop": lambda mapping: mapping.pop(next(iter(mapping))),
    "popitem": lambda mapping: mapping.popitem(),
    "setdefault": lambda mapping: mapping.setdefault("new", 1),
    "update": lambda mapping: mapping.update(new=1),
    "merge": lambda mapping: mapping.__ior__({"new": 1}),
}


@pytest.fixture
def data():
    return Dataset.from_triplets([("a", "x", "z"), ("b", "y", "z")], name="toy")


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("field", ["corpus", "queries", "qrels", "inner", "parts"])
def test_nothing_in_a_data_set_can_be_changed(change, field):
    base = Dataset.from_pairs([("a", "x"), ("b", "y")])
    data = Dataset(base.corpus, base.queries, base.qrels, parts={"q1": "train", "q2": "test"})
    mapping = data.qrels["q1"] if field == "inner" else getattr(data, field)
    before = dict(mapping)
    with pytest.raises(TypeError, match=re.escape("A data set is not changed once it is made. Make another: ")):
        change(mapping)
    assert mapping == before


def test_what_it_was_made_from_may_change_afterwards(data):
    queries, grades = dict(data.queries), dict(data.qrels["q1"])
    made = Dataset(dict(data.corpus), queries, {"q1": grades})
    before = made.fingerprint
    queries["q1"] = "another"
    grades["d1"] = 0.0
    assert (made.queries["q1"], made.positives("q1")) == ("a", ["d1"])
    assert Dataset(made.corpus, made.queries, made.qrels).fingerprint == before


def test_parts_share_one_corpus_and_its_grades(data):
    part = data.select(["q2"])
    assert part.corpus is data.corpus
    assert part.qrels["q2"] is data.qrels["q2"]


@pytest.mark.parametrize("remake", [copy.copy, copy.deepcopy, lambda data: pickle.loads(pickle.dumps(data))])
def test_a_copy_is_equal_and_locked_too(data, remake):
    again = remake(data)
    assert again == data
    assert again.fingerprint == data.fingerprint
    assert list(again.corpus) == list(data.corpus)
    with pytest.raises(TypeError):
        again.qrels["q1"]["d1"] = 0.0


def test_it_reaches_another_process(data):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.starmap(Dataset.positives, [(data, "q1")]) == [["d1"]]


def test_it_reads_like_a_dictionary(data):
    assert repr(data.qrels) == "{'q1': {'d1': 1.0, 'd2': 0.0}, 'q2': {'d3': 1.0, 'd2': 0.0}}"
    assert json.loads(json.dumps(data.qrels)) == data.qrels
    assert type(data.queries | {"q3": "c"}) is dict
    assert ReadOnlyDict.of(data.queries) is data.queries
