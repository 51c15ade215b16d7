from collections import Counter
from pathlib import Path

import pytest

from embertune.data.inspect import inspect_dataset
from embertune.data.io import load_dataset
from embertune.data.splits import split_dataset

ROOT = Path(__file__).parents[2].parent / "shared" / "data"

# corpus, queries, train, dev, test: the README of the sets, less what has no text
COUNTS = {
    "finance10k-lyft": (334, 668, 400, 133, 135),
    "xquad-en": (240, 1190, 714, 238, 238),
    "cosqa": (6267, 1000, 500, 0, 500),
    "cranfield": (1398, 225, 112, 22, 91),
    "scifact": (5183, 1109, 809, 0, 300),
    "cmrc2018-zh": (1104, 4219, 1933, 1000, 1286),
    "medquad": (15799, 16405, 13124, 1640, 1641),
}


def load(name):
    if not (ROOT / name).is_dir():
        pytest.skip(f"the folder ../shared/data/{name} is absent")
    return load_dataset(ROOT / name)


@pytest.mark.parametrize("name", COUNTS)
def test_counts_and_round_trip(name, tmp_path):
    data = load(name)
    parts = Counter(data.parts.values())
    assert (len(data.corpus), len(data.queries), *(parts[part] for part in ("train", "dev", "test"))) == COUNTS[name]
    data.save(tmp_path)
    again = load_dataset(tmp_path)
    assert again == data
    assert again.fingerprint == data.fingerprint


def test_empty_queries_are_counted():
    assert load("cmrc2018-zh").notes == (
        "2 queries have no text and were left out (such as 'TRIAL_776_QUERY_4', 'TRIAL_20_QUERY_0').",
        "2 judgements name a query or a document without text and were left out.",
    )


@pytest.mark.parametrize("name", ["finance10k-lyft", "scifact", "cranfield"])
def test_documents_do_not_cross_the_split(name):
    data = load(name)
    for seed in range(3):
        split = split_dataset(data, "by-document", seed=seed)
        documents = [
            {d for q in part.queries for d in part.positives(q)} for part in (split.train, split.dev, split.test)
        ]
        assert documents[0].isdisjoint(documents[1])
        assert documents[0].isdisjoint(documents[2])
        assert documents[1].isdisjoint(documents[2])
        assert not split.seen


def test_inspection_names_the_leak_of_finance():
    facts = inspect_dataset(load("finance10k-lyft"))
    assert [(outlook.method, outlook.copies) for outlook in facts.splits] == [
        ("given", 3),
        ("by-query", 0),
        ("by-document", 0),
    ]
