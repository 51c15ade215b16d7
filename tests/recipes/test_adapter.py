"""`embertune.Adapter`: the job as one object, and a weightgain script with its import changed."""

from __future__ import annotations

import logging
import re
from importlib.util import find_spec

import numpy as np
import pytest

import embertune
from embertune.errors import ConfigError, NotFittedError


@pytest.fixture
def twisted():
    """Pairs whose queries speak of the answers in reversed letters: a linear map over trigrams helps."""
    words = [f"{a}{b}" for a in ("kato", "hundo", "birdo", "fisxo", "floro") for b in range(30)]
    return embertune.Dataset.from_pairs([(f"{word[::-1]} gib", f"answer about {word}") for word in words])


def test_one_matrix_for_queries_and_documents(twisted):
    adapter = embertune.Adapter("hashing").fit(twisted)
    vectors = adapter.encoder.encode_query(list(twisted.queries.values()))
    np.testing.assert_array_equal(adapter.transform(vectors), adapter.result.adapter.transform(vectors, "document"))
    mapped = vectors @ adapter.matrix
    mapped /= np.linalg.norm(mapped, axis=1, keepdims=True)
    np.testing.assert_allclose(adapter.transform(vectors), mapped, atol=1e-5)
    np.testing.assert_allclose(adapter.transform(vectors[0]), adapter.transform(vectors)[0], atol=1e-6)
    assert adapter.verdict.code == adapter.result.verdict.code


def test_where_nothing_is_gained_nothing_is_changed():
    data = embertune.Dataset.from_pairs([(f"the home of cat{n}", f"the home of cat{n} is here") for n in range(40)])
    adapter = embertune.Adapter("hashing").fit(data)
    assert adapter.verdict.code != "ship"
    vectors = np.random.default_rng(0).normal(size=(3, 64)).astype(np.float32)
    np.testing.assert_array_equal(adapter.transform(vectors), vectors)
    np.testing.assert_array_equal(adapter.matrix, np.eye(64, dtype=np.float32))


def test_the_settings_of_mini_batches_reach_the_map(twisted):
    adapter = embertune.Adapter("hashing").fit(twisted, batch_size=16, max_epochs=3, learning_rate=0.01, dropout=0.1)
    tried = adapter.result.candidate
    if isinstance(tried, embertune.LinearAdapter):
        assert (tried.batch_size, tried.max_epochs, tried.learning_rate, tried.dropout) == (16, 3, 0.01, 0.1)
        assert (tried.side, tried.maps, tried.negatives) == ("both", "shared", "in-batch")
    family = embertune.Adapter("hashing")._family({"batch_size": 16}, seed=3)
    assert (family.batch_size, family.negatives, family.seed) == (16, "in-batch", 3)


def test_weightgains_learning_rate_is_not_adams(twisted, caplog):
    with caplog.at_level(logging.WARNING):
        adapter = embertune.Adapter("hashing").fit(twisted, batch_size=25, max_epochs=2, learning_rate=100.0)
    assert "learning_rate=100 is for another optimiser than Adam; its default is used." in caplog.text
    assert isinstance(adapter.verdict.code, str)


def test_queries_alone_is_what_tune_does(twisted):
    adapter = embertune.Adapter("hashing", side="query").fit(twisted)
    vectors = adapter.encoder.encode_query(list(twisted.queries.values()))
    wanted = embertune.tune(twisted, "hashing").adapter.transform(vectors)
    np.testing.assert_array_equal(adapter.transform(vectors), wanted)


def test_the_report_is_written_and_shown(twisted, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("webbrowser.open", shown.append)
    adapter = embertune.Adapter("hashing").fit(twisted)
    assert adapter.show_report(tmp_path / "page.html").read_text().startswith("<!")
    assert shown == []
    page = adapter.show_report()
    assert shown == [page.as_uri()]
    page.unlink()
    page.parent.rmdir()
    assert embertune.load_adapter(adapter.save(tmp_path / "saved")).type == adapter.result.adapter.type


def test_before_fit_and_wrong_sides_and_families():
    for use in (lambda a: a.matrix, lambda a: a.transform([[1.0]]), lambda a: a.show_report()):
        with pytest.raises(NotFittedError, match=re.escape("Type: adapter.fit(dataset)")):
            use(embertune.Adapter("hashing"))
    with pytest.raises(ConfigError, match="side must be 'both' or 'query', got 'document'"):
        embertune.Adapter("hashing", side="document")
    with pytest.raises(ConfigError, match=re.escape("class Mine(embertune.BaseAdapter)")):
        type("Mine", (embertune.Adapter,), {})


@pytest.mark.skipif(find_spec("litellm") is None, reason="the api extra is not installed")
def test_a_weightgain_script_runs_with_its_import_changed(chat_server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-proj-this-is-the-secret-key-0123456789")
    monkeypatch.setenv("OPENAI_API_BASE", chat_server.base)
    monkeypatch.setattr("webbrowser.open", lambda url: None)
    from embertune import Adapter, Dataset

    dataset = Dataset.from_synthetic_chunks(
        prompt="Chunks of code from an arbitrary Python codebase.",
        llm="openai/gpt-4o-mini",
        n_chunks=25,
        n_queries_per_chunk=2,
    )
    adapter = Adapter("hashing")
    adapter.fit(dataset, batch_size=25, max_epochs=50, learning_rate=100.0, dropout=0.0)
    new_embeddings = adapter.transform(np.eye(64))
    assert new_embeddings.shape == (64, 64)
    assert adapter.matrix.shape == (64, 64)
    assert adapter.show_report().is_file()
    chunks = [document.text for document in dataset.corpus.values()]
    assert len(Dataset.from_chunks(chunks, llm="openai/gpt-4o-mini", n_queries_per_chunk=1).queries) == 25


def test_new_labels_are_learned_behind_it_and_old_queries_judge(twisted):
    words = [f"{a}{b}" for a in ("lampo", "pordo") for b in range(30)]
    more = embertune.Dataset.from_pairs([(f"{word[::-1]} gib", f"answer about {word}") for word in words])
    adapter = embertune.Adapter("hashing").fit(twisted)
    found = adapter.update(more, old_data=twisted)
    assert found.code in ("update", "no-gain", "loses-old-gains")
    assert found.record["old"]["queries"] == len(adapter.result.record["queries"])
    wanted = embertune.update(adapter.result.adapter, more, "hashing", old_data=twisted)
    vectors = adapter.encoder.encode_query(list(more.queries.values()))
    assert found.adapter.transform(vectors).tobytes() == wanted.adapter.transform(vectors).tobytes()


def test_an_update_needs_something_to_go_on_from(twisted):
    with pytest.raises(NotFittedError, match=re.escape("Type: adapter.fit(dataset)")):
        embertune.Adapter("hashing").update(twisted)
