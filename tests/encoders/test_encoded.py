from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from embertune.adapters.identity import IdentityAdapter
from embertune.data.dataset import Dataset, Document
from embertune.encoders import load_encoder
from embertune.encoders.cost import Cost
from embertune.encoders.encoded import encode_dataset, estimate_dataset
from embertune.encoders.hashing import HashingEncoder
from embertune.encoders.spec import EncoderSpec
from embertune.errors import EncoderError


@pytest.fixture
def data():
    return Dataset(
        corpus={"d2": Document("text two", "Title"), "d1": Document("text one"), "d3": Document("text one")},
        queries={"q2": "second", "q1": "first", "q3": "second"},
        qrels={"q1": {"d1": 1.0}},
    )


class Plain:
    """An encoder of a stranger: no base class."""

    spec = EncoderSpec("plain", "v1", dimension=2)

    def __init__(self):
        self.calls = []

    def encode_query(self, texts):
        self.calls.append(list(texts))
        return np.array([[len(text), 3.0] for text in texts])

    def encode_document(self, texts):
        return self.encode_query(texts)


def test_ids_and_rows_follow_the_data_set(data):
    encoder = load_encoder("hashing")
    encoded = encode_dataset(encoder, data)
    assert encoded.query_ids == ("q2", "q1", "q3")
    assert encoded.document_ids == ("d2", "d1", "d3")
    np.testing.assert_array_equal(
        encoded.documents, encoder.encode_document(["Title text two", "text one", "text one"])
    )
    np.testing.assert_array_equal(encoded.queries, encoder.encode_query(["second", "first", "second"]))
    assert encoded.seconds >= 0


def test_a_strangers_encoder_gets_each_text_once_and_its_rows_are_scaled(data):
    encoder = Plain()
    encoded = encode_dataset(encoder, data)
    assert encoder.calls == [["second", "first"], ["Title text two", "text one"]]
    np.testing.assert_allclose(np.linalg.norm(encoded.queries, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(encoded.queries[0] / encoded.queries[0, 1], [2, 1])
    assert encoded.queries.dtype == encoded.documents.dtype == np.float32


def test_a_strangers_mistakes_are_encoder_errors(data):
    class Short(Plain):
        def encode_query(self, texts):
            return np.ones((1, 2))

    class Bad(Plain):
        def encode_document(self, texts):
            return np.full((len(texts), 2), np.nan)

    class Narrow(Plain):
        def encode_document(self, texts):
            return np.ones((len(texts), 3))

    with pytest.raises(EncoderError, match=re.escape("plain/v1 (2 dimensions) gave 1 vectors for 2 query texts.")):
        encode_dataset(Short(), data)
    with pytest.raises(EncoderError, match="2 of 2 rows of the document vectors of plain/v1"):
        encode_dataset(Bad(), data)
    with pytest.raises(EncoderError, match=r"gave queries of 2 dimensions and documents of 3."):
        encode_dataset(Narrow(), data)


def test_progress_is_passed_on(data):
    stages = []
    encode_dataset(load_encoder("hashing"), data, progress=lambda stage, *rest: stages.append((stage, *rest[:2])))
    assert ("embed queries", 2, 2) in stages
    assert ("embed documents", 2, 2) in stages


def test_precomputed_vectors_are_found_by_id(data, tmp_path):
    np.savez(
        tmp_path / "v.npz",
        corpus=np.array([[1, 0], [0, 2], [3, 3], [9, 9]]),
        queries=np.array([[1.0, 0], [0, 1], [-1, 0]]),
        corpus_ids=["d1", "d2", "d3", "unused"],
        query_ids=["q1", "q2", "q3"],
    )
    encoded = encode_dataset(load_encoder(f"precomputed:{tmp_path / 'v.npz'}"), data)
    np.testing.assert_allclose(encoded.documents, [[0, 1], [1, 0], [0.5**0.5, 0.5**0.5]], rtol=1e-6)
    np.testing.assert_allclose(encoded.queries, [[0, 1], [1, 0], [-1, 0]])


def test_real_vectors_rank_as_published():
    """FINDINGS: MiniLM's nDCG@10 on scifact's test split is .645, the figure of MTEB."""
    from embertune.core.search import top_k

    folder = Path(__file__).parents[2].parent / "shared" / "data" / "scifact"
    if not folder.is_dir():
        pytest.skip("the scifact set is not in ../shared/data")
    io = pytest.importorskip("embertune.data.io", reason="the data layer is not there")
    data = io.load_dataset(folder)
    data = data.select([query for query, part in data.parts.items() if part == "test"])
    encoded = encode_dataset(load_encoder(f"precomputed:{folder / 'all-MiniLM-L6-v2.npz'}"), data)
    positions, _ = top_k(encoded.queries, encoded.documents, 10)
    discounts = 1 / np.log2(np.arange(2, 12))
    scores = []
    for query, row in zip(encoded.query_ids, positions, strict=True):
        gains = np.array([float(encoded.document_ids[at] in data.positives(query)) for at in row])
        scores.append((gains * discounts).sum() / discounts[: len(data.positives(query))].sum())
    assert np.mean(scores) == pytest.approx(0.645, abs=0.001)


def test_a_priced_encoder_says_what_a_data_set_will_cost_and_what_it_cost(priced):
    data = Dataset.from_pairs([("a", "x"), ("b", "x"), ("c", "y")])
    encoder = priced()
    assert estimate_dataset(encoder, data) == Cost(5, 50, 5.0)
    assert encode_dataset(encoder, data).cost == Cost(5, 50, 5.0)
    assert estimate_dataset(encoder, data) == Cost(0, 0, 0.0)
    more = Dataset.from_pairs([("a", "x"), ("d", "z")])
    # What the encoder was paid for before is not part of it.
    assert encode_dataset(encoder, more).cost == Cost(2, 20, 2.0)
    assert encoder.cost == Cost(7, 70, 7.0)


def test_an_encoder_that_costs_nothing_has_no_cost():
    data = Dataset.from_pairs([("a", "x"), ("b", "x"), ("c", "y")])
    assert estimate_dataset(HashingEncoder(), data) is None
    assert encode_dataset(HashingEncoder(), data).cost is None


def test_an_adapter_behind_a_priced_encoder_makes_it_no_cheaper(priced):
    data = Dataset.from_pairs([("a", "x"), ("b", "x"), ("c", "y")])
    adapted = priced() | IdentityAdapter()
    assert estimate_dataset(adapted, data) == encode_dataset(adapted, data).cost == Cost(5, 50, 5.0)
