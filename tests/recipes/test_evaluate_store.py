"""Judged inside FAISS, whose flat index is exact: every figure equals that of `evaluate` in memory."""

import json
import re

import numpy as np
import pytest

from embertune.adapters.linear import LinearAdapter
from embertune.cli import root
from embertune.data.demo import demo_dataset
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.hashing import HashingEncoder
from embertune.errors import ConfigError, DataError
from embertune.integrations.stores import open_store
from embertune.recipes.apply_adapter import apply_adapter
from embertune.recipes.evaluate_encoders import evaluate
from embertune.recipes.evaluate_store import METRICS, evaluate_store

faiss = pytest.importorskip("faiss")


@pytest.fixture(scope="module")
def data():
    return demo_dataset()


@pytest.fixture(scope="module")
def encoded(data):
    return encode_dataset(HashingEncoder(), data)


@pytest.fixture
def url(encoded, tmp_path):
    index = faiss.IndexFlatIP(encoded.documents.shape[1])
    index.add(encoded.documents)
    faiss.write_index(index, str(tmp_path / "docs.faiss"))
    (tmp_path / "ids.txt").write_text("".join(f"{each}\n" for each in encoded.document_ids))
    return f"faiss:{tmp_path / 'docs.faiss'}?ids={tmp_path / 'ids.txt'}"


@pytest.fixture
def adapter(encoded):
    return LinearAdapter("both", maps="separate").fit(encoded.queries[:40], encoded.documents[:40])


def test_figures_are_those_of_exact_search(data, url, adapter):
    store = open_store(url)
    apply_adapter(adapter, store)
    report = evaluate_store(data, HashingEncoder(), store, [adapter])
    truth = evaluate(data, HashingEncoder(), [adapter]).to_dict()["means"]
    for name, mine in (("base", "base"), ("adapter 1", "tuned")):
        for metric in METRICS:
            assert report.searched[mine].approximate[metric] == pytest.approx(truth[name][metric], abs=1e-3)
            assert report.searched[mine].exact[metric] == pytest.approx(truth[name][metric], abs=1e-3)
        assert report.searched[mine].recall == 1
    assert report.searched["tuned"].space == "tuned"
    assert report.comparison.baseline == "base"
    assert "found of the exact 10" in str(report)


def test_an_adapter_of_queries_needs_nothing_written(data, url, encoded):
    query_only = LinearAdapter("query").fit(encoded.queries[:40], encoded.documents[:40])
    report = evaluate_store(data, HashingEncoder(), open_store(url), [query_only])
    truth = evaluate(data, HashingEncoder(), [query_only]).to_dict()["means"]["adapter 1"]
    assert report.searched["tuned"].space == "base"
    assert report.searched["tuned"].exact["ndcg@10"] == pytest.approx(truth["ndcg@10"], abs=1e-3)


def test_recall_sees_what_a_coarse_index_misses(data, encoded, url, tmp_path):
    index = faiss.index_factory(encoded.documents.shape[1], "IVF16,Flat", faiss.METRIC_INNER_PRODUCT)
    index.train(encoded.documents)
    index.add(encoded.documents)
    faiss.write_index(index, str(tmp_path / "docs.faiss"))
    report = evaluate_store(data, HashingEncoder(), open_store(url), part="all")
    base = report.searched["base"]
    names = np.array(encoded.document_ids)
    found = index.search(encoded.queries, 10)[1]
    exact = np.argsort(-(encoded.queries @ encoded.documents.T), axis=1, kind="stable")[:, :10]
    plain = np.mean([len(set(names[a[a >= 0]]) & set(names[b])) / 10 for a, b in zip(found, exact, strict=True)])
    assert base.recall == pytest.approx(plain, abs=0.02)
    assert 0.05 < base.recall < 0.95
    assert base.approximate["recall@10"] <= base.exact["recall@10"]
    assert report.comparison is None


def test_what_cannot_be_judged_is_said(data, url, adapter, tmp_path):
    store = open_store(url)
    with pytest.raises(DataError, match=re.escape("This adapter maps documents, and")):
        evaluate_store(data, HashingEncoder(), store, [adapter])
    with pytest.raises(ConfigError, match="one adapter at a time, got 2"):
        evaluate_store(data, HashingEncoder(), store, [adapter, adapter])
    with pytest.raises(DataError, match=re.escape("is in " + str(tmp_path / "docs.faiss"))):
        evaluate_store(data, HashingEncoder(), open_store(url.partition("?")[0]))
    with pytest.raises(DataError, match=r"holds vectors of \d+ dimensions, and the queries have 32"):
        evaluate_store(data, HashingEncoder(dimension=32), store)


def test_the_commands(data, url, adapter, tmp_path, capsys):
    adapter.save(tmp_path / "adapter")
    data.save(tmp_path / "data")
    arguments = [str(tmp_path / "data"), "--encoder", "hashing", "--adapter", str(tmp_path / "adapter"), "--store", url]
    assert root(["apply", *arguments[3:], "--json"], standalone_mode=False) is None
    assert json.loads(capsys.readouterr().out)["written"] == len(data.corpus)
    root(["evaluate", *arguments, "--json"], standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert set(told["searched"]) == {"base", "tuned"}
    assert told["searched"]["tuned"]["recall"] == 1
