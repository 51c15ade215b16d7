import re
from pathlib import Path

import numpy as np
import pytest

from embertune.adapters import load_adapter
from embertune.adapters.gate import Gate
from embertune.adapters.truncation import TruncationAdapter
from embertune.core.vectors import normalize
from embertune.errors import ArtifactError, ConfigError, DataError, NotFittedError

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"


def noisy(n=120, d=12, seed=0):
    """Documents whose loudest half is noise: only the last six dimensions tell which query each answers."""
    rng = np.random.default_rng(seed)
    documents = rng.normal(size=(n, d))
    queries = documents + 0.1 * rng.normal(size=(n, d))
    queries[:, :6] = rng.normal(size=(n, 6))
    documents[:, :6] *= 1.5
    return normalize(queries.astype(np.float32)), normalize(documents.astype(np.float32))


def hits(adapter, queries, documents):
    mapped = adapter.transform(queries) @ adapter.transform(documents, "document").T
    return float((mapped.argmax(axis=1) == np.arange(len(queries))).mean())


@pytest.mark.parametrize("start", ["principal", "first"])
def test_training_finds_the_dimensions_that_count_for_new_pairs(start):
    queries, documents = noisy()
    adapter = TruncationAdapter(6, start=start, pull=0.003).fit(queries[:80], documents[:80])
    plain = adapter.scaled(0)
    assert hits(adapter, queries[80:], documents[80:]) >= 0.75
    assert hits(plain, queries[80:], documents[80:]) <= 0.35


def test_plain_principal_directions_are_those_of_the_documents():
    queries, documents = noisy()
    adapter = TruncationAdapter(4, max_steps=0).fit(queries, documents)
    _, _, rows = np.linalg.svd(documents, full_matrices=False)
    # Equal up to the sign of each direction.
    np.testing.assert_allclose(np.abs(adapter.matrix.T @ rows[:4].T), np.eye(4), atol=1e-3)
    np.testing.assert_array_equal(adapter.matrix, adapter.start_)
    new = documents[:9]
    kept = normalize((new @ rows[:4].T).astype(np.float32))
    np.testing.assert_allclose(adapter.transform(new) @ adapter.transform(new, "document").T, kept @ kept.T, atol=1e-4)


def test_the_first_coordinates_are_the_start_of_matryoshka_models():
    queries, documents = noisy()
    adapter = TruncationAdapter(5, start="first").fit(queries, documents)
    np.testing.assert_allclose(adapter.scaled(0).transform(queries), normalize(queries[:, :5]), atol=1e-6)
    strong = TruncationAdapter(5, start="first", pull=1e6).fit(queries, documents)
    np.testing.assert_allclose(strong.transform(queries), normalize(queries[:, :5]), atol=1e-4)


def test_a_gate_gives_the_plain_reduction_back():
    queries, documents = noisy()
    adapter = TruncationAdapter(5, pull=0.01).fit(queries, documents)
    gate = Gate(queries, 2.0, 3.0)
    shut, plain = adapter.gated(gate, documents=gate), adapter.scaled(0)
    np.testing.assert_allclose(shut.transform(queries), plain.transform(queries), atol=1e-6)
    shut, plain = (one.transform(documents, "document") for one in (shut, plain))
    np.testing.assert_allclose(shut, plain, atol=1e-6)


def test_documents_without_queries_shape_the_start_and_are_no_negatives():
    queries, documents = noisy()
    more = np.concatenate([documents, noisy(seed=5)[1]])
    pairs = np.column_stack([np.arange(120)] * 2)
    alone, corpus = (TruncationAdapter(5).fit(queries, rows, pairs=pairs) for rows in (documents, more))
    assert np.abs(alone.start_ @ alone.start_.T - corpus.start_ @ corpus.start_.T).max() > 0.01
    first, other = (TruncationAdapter(5, start="first").fit(queries, rows, pairs=pairs) for rows in (documents, more))
    assert first.matrix.tobytes() == other.matrix.tobytes()


def test_one_seed_one_result_and_the_seed_draws_candidates():
    queries, documents = noisy()
    first, second, other = (
        TruncationAdapter(5, max_candidates=20, seed=seed).fit(queries, documents) for seed in (1, 1, 2)
    )
    assert first.matrix.tobytes() == second.matrix.tobytes()
    assert first.matrix.tobytes() != other.matrix.tobytes()


def test_saved_bits_are_equal_and_damage_is_found(tmp_path):
    queries, documents = noisy()
    adapter = TruncationAdapter(5).fit(queries, documents).scaled(0.5)
    loaded = load_adapter(adapter.save(tmp_path / "a"))
    assert loaded.transform(queries).tobytes() == adapter.transform(queries).tobytes()
    assert (loaded.dimension, loaded.output_dimension) == (12, 5)
    adapter.start_ = adapter.start_[:3]
    with pytest.raises(ArtifactError, match=re.escape("shape (12, 5) and the start (3, 5), expected (d, 5)")):
        load_adapter(adapter.save(tmp_path / "a"))


def test_errors():
    with pytest.raises(NotFittedError, match=re.escape("This TruncationAdapter is not fitted yet.")):
        TruncationAdapter().transform(np.eye(2))
    with pytest.raises(ConfigError) as caught:
        TruncationAdapter(0, start="last", pull=0, max_steps=-1).fit(np.eye(2), np.eye(2))
    assert str(caught.value) == (
        "Invalid configuration:\n- start must be 'principal' or 'first', got 'last'\n"
        "- truncate_dim must be at least 1, got 0\n- max_steps must be at least 0, got -1\n"
        "- pull must be positive, got 0"
    )
    with pytest.raises(
        DataError,
        match=re.escape(
            "These embeddings have 8 dimensions, and 256 were to be left. Ask for fewer, such as TruncationAdapter(4)."
        ),
    ):
        TruncationAdapter().fit(np.eye(8), np.eye(8))


@pytest.mark.parametrize(("start", "least"), [("first", 0.08), ("principal", 0.04)])
def test_training_makes_a_sixth_of_the_dimensions_better_on_real_claims(start, least):
    """scifact, MiniLM 384 -> 64, given split: nDCG@10 .484 -> .651 from the first, .571 -> .674 from principal."""
    if not DATA.is_dir():
        pytest.skip("../shared/data is not there")
    stored = np.load(DATA / "scifact" / "all-MiniLM-L6-v2.npz")
    at = {name: {str(id_): row for row, id_ in enumerate(stored[f"{name}_ids"])} for name in ("corpus", "query")}
    queries, corpus = (normalize(stored[name].astype(np.float32)) for name in ("queries", "corpus"))

    def pairs(part):
        lines = (DATA / "scifact" / "qrels" / f"{part}.tsv").read_text().splitlines()[1:]
        return np.array([(at["query"][q], at["corpus"][d]) for q, d, _ in (line.split("\t") for line in lines)])

    train, test = pairs("train"), pairs("test")
    answers, column = np.unique(train[:, 1], return_inverse=True)
    asked, row = np.unique(train[:, 0], return_inverse=True)
    adapter = TruncationAdapter(64, start=start).fit(
        queries[asked], corpus[answers], pairs=np.column_stack([row, column])
    )

    def first(adapter):
        best = (adapter.transform(queries) @ adapter.transform(corpus, "document").T).argmax(axis=1)
        right = {q for q, d in test if best[q] == d}
        return len(right) / len(set(test[:, 0]))

    assert first(adapter) >= first(adapter.scaled(0)) + least
