"""Retrieval is exact search under the names of documents and queries."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from embertune.core.vectors import normalize
from embertune.data.io import load_dataset
from embertune.errors import ConfigError
from embertune.evaluation.evaluate import evaluate
from embertune.evaluation.retrieve import retrieve, retrieve_positions

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def encoded():
    random = np.random.default_rng(0)
    documents = random.integers(-1, 2, size=(30, 3)).astype(np.float32)
    queries = random.integers(-1, 2, size=(7, 3)).astype(np.float32)
    return SimpleNamespace(
        query_ids=[f"q{at}" for at in range(7)],
        queries=queries,
        document_ids=[f"d{at}" for at in range(30)],
        documents=documents,
    )


def test_rankings_equal_a_stable_sort_so_ties_go_by_corpus_position(encoded):
    run = retrieve(encoded, top_k=12, name="base")
    assert (run.name, run.query_ids, run.document_ids) == (
        "base",
        tuple(encoded.query_ids),
        tuple(encoded.document_ids),
    )
    scores = encoded.queries @ encoded.documents.T
    for row, query in enumerate(run.query_ids):
        expected = sorted(range(30), key=lambda at, row=row: (-scores[row, at], at))[:12]
        assert run.ranking(query) == [(f"d{at}", float(scores[row, at])) for at in expected]


def test_positions_alone_are_those_of_the_run(encoded):
    np.testing.assert_array_equal(retrieve_positions(encoded, 5), retrieve(encoded, 5).positions)


def test_more_than_the_corpus_gives_all_of_it(encoded):
    assert retrieve(encoded, top_k=100).positions.shape == (7, 30)


@pytest.mark.parametrize("function", [retrieve, retrieve_positions])
def test_an_impossible_depth_is_told(encoded, function):
    with pytest.raises(ConfigError, match=re.escape("top_k must be at least 1, got 0.")):
        function(encoded, 0)


@pytest.mark.parametrize(
    ("name", "expected"),
    # scifact: what MTEB publishes for all-MiniLM-L6-v2; the others were measured before this code was written.
    [("scifact", 0.645), ("finance10k-lyft", 0.656), ("xquad-en", 0.957), ("cosqa", 0.593), ("cranfield", 0.420)],
)
def test_ndcg_of_minilm_is_the_published_one(name, expected):
    if not (SHARED / name / "all-MiniLM-L6-v2.npz").is_file():
        pytest.skip(f"{SHARED / name} is not here")
    data = load_dataset(SHARED / name)
    test = [query for query, part in data.parts.items() if part == "test"]
    with np.load(SHARED / name / "all-MiniLM-L6-v2.npz") as arrays:
        row = {query: at for at, query in enumerate(arrays["query_ids"].tolist())}
        encoded = SimpleNamespace(
            query_ids=test,
            queries=normalize(arrays["queries"][[row[query] for query in test]].astype(np.float32)),
            document_ids=arrays["corpus_ids"].tolist(),
            documents=normalize(arrays["corpus"].astype(np.float32)),
        )
    found = evaluate({query: data.qrels[query] for query in test}, retrieve(encoded), "ndcg@10")
    assert found.means["ndcg@10"] == pytest.approx(expected, abs=0.0006)
