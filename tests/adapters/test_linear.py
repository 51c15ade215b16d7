import re

import numpy as np
import pytest

from embertune.adapters import LinearAdapter, linear
from embertune.adapters.base import check_pairs
from embertune.core.vectors import normalize
from embertune.errors import ConfigError, DataError, NotFittedError


def rotated(seed=0, n=60, d=8):
    """Documents, and queries that are the documents seen through a fixed rotation."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(d, d)))
    documents = normalize(rng.normal(size=(n, d)).astype(np.float32))
    return (documents @ rotation).astype(np.float32), documents


def hits(adapter, queries, documents):
    mapped = adapter.transform(queries) @ adapter.transform(documents, "document").T
    return float((mapped.argmax(axis=1) == np.arange(len(queries))).mean())


@pytest.mark.parametrize("side", ["query", "both"])
def test_learns_a_rotation_that_holds_for_new_pairs(side):
    queries, documents = rotated(n=90)
    adapter = LinearAdapter(side, pull=0.003).fit(queries[:60], documents[:60])
    new = queries[60:], documents[60:]
    untouched = float(((new[0] @ new[1].T).argmax(axis=1) == np.arange(30)).mean())
    assert hits(adapter, *new) >= 0.9
    assert untouched <= 0.3


def test_start_is_the_identity():
    queries, documents = rotated()
    adapter = LinearAdapter(pull=1e6).fit(queries, documents)
    np.testing.assert_allclose(adapter.matrix, np.eye(8), atol=1e-3)
    np.testing.assert_allclose(adapter.transform(queries), queries, atol=1e-3)


def test_query_side_leaves_documents_bit_for_bit_alone():
    queries, documents = rotated()
    adapter = LinearAdapter(pull=0.01).fit(queries, documents)
    assert adapter.transform(documents, "document").tobytes() == documents.tobytes()
    assert not adapter.changes("document")


def test_rows_come_out_at_length_one_and_do_not_depend_on_the_length_they_had():
    queries, documents = rotated()
    adapter = LinearAdapter(pull=0.01).fit(queries, documents)
    mapped = adapter.transform(queries)
    np.testing.assert_allclose(np.linalg.norm(mapped, axis=1), 1, atol=1e-6)
    assert adapter.transform(8 * queries).tobytes() == mapped.tobytes()


def test_one_seed_one_result_and_inputs_untouched():
    queries, documents = rotated()
    before = queries.tobytes(), documents.tobytes()
    first, second = (LinearAdapter(max_candidates=20, seed=5).fit(queries, documents) for _ in range(2))
    other = LinearAdapter(max_candidates=20, seed=6).fit(queries, documents)
    assert first.coef_.tobytes() == second.coef_.tobytes()
    assert first.coef_.tobytes() != other.coef_.tobytes()
    assert (queries.tobytes(), documents.tobytes()) == before


def test_a_second_fit_forgets_the_first():
    queries, documents = rotated()
    adapter = LinearAdapter(pull=0.01)
    alone = LinearAdapter(pull=0.01).fit(queries[:20], documents[:20]).coef_
    assert adapter.fit(queries, documents).fit(queries[:20], documents[:20]).coef_.tobytes() == alone.tobytes()


def test_aligned_rows_equal_explicit_pairs():
    queries, documents = rotated(n=30)
    twice = np.concatenate([documents, documents])
    both = np.concatenate([queries, queries + 0.01])
    pairs = [(i, i % 30) for i in range(60)]
    aligned = LinearAdapter(pull=0.03).fit(both, twice)
    explicit = LinearAdapter(pull=0.03).fit(both, documents, pairs=pairs)
    np.testing.assert_allclose(aligned.coef_, explicit.coef_, atol=2e-3)


def test_a_path_warm_starts_and_ends_near_a_cold_start():
    queries, documents = rotated()
    training = check_pairs(queries, documents)
    last = list(LinearAdapter(max_steps=100).fit_path(training, [1.0, 0.3, 0.1]))[-1]
    cold = LinearAdapter(pull=0.1, max_steps=100).fit(queries, documents)
    assert last.pull == 0.1
    assert np.linalg.norm(last.coef_ - cold.coef_) < 0.1 * np.linalg.norm(cold.coef_)


def test_a_path_of_numpys_numbers_stays_in_float32():
    queries, documents = rotated()
    training = check_pairs(queries, documents, None)
    fitted = list(LinearAdapter().fit_path(training, np.geomspace(1, 0.01, 3)))
    assert {adapter.coef_.dtype for adapter in fitted} == {np.dtype(np.float32)}


def test_scikit_learn_contract():
    adapter = LinearAdapter("both", pull=0.3)
    assert adapter.get_params() == {
        "side": "both", "maps": "separate", "form": "full", "rank": None, "pull": 0.3, "temperature": 0.05,
        "max_steps": 40, "max_candidates": 4096, "loss": "info_nce", "negatives": "all", "num_negatives": 5,
        "margin": 0.2, "batch_size": 256, "max_epochs": 20, "learning_rate": 1e-3, "dropout": 0.0, "patience": 5,
        "seed": 0,
    }  # fmt: skip
    assert adapter.set_params(pull=0.5).pull == 0.5
    queries, documents = rotated()
    assert adapter.fit(queries, documents) is adapter
    with pytest.raises(
        ConfigError, match=re.escape("LinearAdapter has no parameter alpha. It has: side, maps, form, rank, pull,")
    ):
        adapter.set_params(alpha=1)


def test_not_fitted():
    for use in (lambda a: a.transform(np.eye(2)), lambda a: a.matrix, lambda a: a.tensors()):
        with pytest.raises(NotFittedError, match=re.escape("This LinearAdapter is not fitted yet. Call fit(")):
            use(LinearAdapter())


def test_impossible_parameters_are_named_all_at_once():
    with pytest.raises(ConfigError) as caught:
        LinearAdapter("documents", pull=0, temperature=-1, max_steps=0).fit(np.eye(2), np.eye(2))
    assert str(caught.value) == (
        "Invalid configuration:\n- side must be 'query' or 'both', got 'documents'\n"
        "- max_steps must be at least 1, got 0\n- temperature must be positive, got -1\n- pull must be positive, got 0"
    )


@pytest.mark.parametrize(
    ("queries", "documents", "pairs", "message"),
    [
        (np.eye(3), np.eye(2, 3), None, "3 queries and 2 documents were given without `pairs`"),
        (np.eye(3), np.eye(2), None, "The queries have 3 dimensions and the documents 2."),
        (np.eye(2), np.eye(2), [(0, 5)], "Pairs point at query 0 and document 5, but there are 2 queries and 2"),
        (np.eye(2), np.eye(2), [], "There is no pair to learn from."),
        (np.eye(2), np.eye(2), [("q1", "d1")], "The pairs are not positions (first: ('q1', 'd1')). Expected whole"),
        (np.eye(2), np.eye(2), [(0, 0, 1)], "The pairs are not positions (first: (0, 0, 1))."),
        (np.eye(2), np.eye(2), [(0, 0.5)], "The pairs are not positions (first: (0, 0.5))."),
        (np.full((1, 2), np.nan), np.eye(1, 2), None, "1 of 1 rows of the queries hold NaN"),
    ],
)
def test_wrong_input_is_explained(queries, documents, pairs, message):
    with pytest.raises(DataError, match=re.escape(message)):
        LinearAdapter().fit(queries, documents, pairs=pairs)


def test_another_dimension_is_refused():
    adapter = LinearAdapter().fit(*rotated())
    with pytest.raises(DataError, match=re.escape("These embeddings have 3 dimensions; this adapter was fitted on 8.")):
        adapter.transform(np.eye(3))


def test_one_shared_map_is_applied_to_both_sides():
    queries, documents = rotated()
    adapter = LinearAdapter("both", maps="shared", pull=0.03).fit(queries, documents)
    np.testing.assert_array_equal(adapter.coef_, adapter.document_coef_)
    np.testing.assert_array_equal(adapter.transform(queries), adapter.transform(queries, "document"))


def test_a_query_map_after_the_shared_one_starts_from_it_and_fits_better():
    queries, documents = rotated()
    training = check_pairs(queries, documents)
    shared = next(LinearAdapter("both", maps="shared").fit_path(training, [0.1]))
    after = next(LinearAdapter("both", maps="shared-then-query").fit_path(training, [0.1]))
    np.testing.assert_array_equal(after.document_coef_, shared.document_coef_)
    assert np.abs(after.coef_ - shared.coef_).max() > 1e-3
    stayed = LinearAdapter("both", maps="shared-then-query", max_steps=1)
    assert hits(after, queries, documents) >= hits(shared, queries, documents)
    # A strong pull leaves the second map where it started.
    strong = next(stayed.fit_path(training, [1e7]))
    np.testing.assert_allclose(strong.coef_, strong.document_coef_, atol=1e-4)


def test_a_diagonal_map_finds_the_dimensions_that_count():
    rng = np.random.default_rng(0)
    documents = normalize(rng.normal(size=(80, 8)).astype(np.float32))
    queries = documents.copy()
    queries[:, 4:] = rng.normal(size=(80, 4))  # says nothing of the answer
    adapter = LinearAdapter(form="diagonal", pull=0.001).fit(queries, documents)
    weights = np.diag(adapter.matrix)
    assert weights[:4].min() > 3 * np.abs(weights[4:]).max()
    assert np.count_nonzero(adapter.coef_ - np.diag(np.diag(adapter.coef_))) == 0
    assert adapter.tensors()["query"].shape == (8,)


@pytest.mark.parametrize("maps", ["separate", "shared", "shared-then-query"])
@pytest.mark.parametrize("rank", [3, 5])  # served by its parts, and, being over .41 of 8, as one matrix
def test_a_low_rank_map_equals_the_matrix_that_it_stands_for(maps, rank):
    queries, documents = rotated()
    adapter = LinearAdapter("both", maps=maps, rank=rank, pull=0.03).fit(queries, documents)
    tensors = adapter.tensors()
    assert {name: array.shape for name, array in tensors.items()} == {
        "query": (rank, rank), "document": (rank, rank), "basis": (8, rank),
    }  # fmt: skip
    for side, coef in (("query", adapter.coef_), ("document", adapter.document_coef_)):
        assert np.linalg.matrix_rank(coef, tol=1e-4) == rank
        np.testing.assert_allclose(coef, tensors["basis"] @ tensors[side] @ tensors["basis"].T, atol=1e-6)
        np.testing.assert_allclose(adapter.transform(queries, side), normalize(queries + queries @ coef), atol=1e-5)


def test_diagonal_and_rank_exclude_each_other():
    with pytest.raises(ConfigError, match=re.escape("rank must be None with form='diagonal', got 3")):
        LinearAdapter(form="diagonal", rank=3).fit(np.eye(4), np.eye(4))


def test_the_mean_of_maps_of_one_side_and_of_both():
    queries, documents = rotated()
    training = check_pairs(queries, documents)
    alone = list(LinearAdapter().fit_path(training, [1.0, 0.1]))
    shared = next(LinearAdapter("both", maps="shared").fit_path(training, [0.1]))
    mean = LinearAdapter.mean_of(alone, [0.25, 0.25])
    np.testing.assert_allclose(mean.coef_, (alone[0].coef_ + alone[1].coef_) / 4, atol=1e-7)
    assert not mean.changes("document")
    mixed = LinearAdapter.mean_of([alone[0], shared], [0.25, 0.75])
    np.testing.assert_allclose(mixed.coef_, 0.25 * alone[0].coef_ + 0.75 * shared.coef_, atol=1e-6)
    np.testing.assert_allclose(mixed.document_coef_, 0.75 * shared.document_coef_, atol=1e-6)
    assert (mixed.side, mixed.maps) == ("both", "separate")


def test_the_mean_of_low_rank_maps_keeps_their_basis():
    queries, documents = rotated()
    path = list(LinearAdapter(rank=3).fit_path(check_pairs(queries, documents), [1.0, 0.1]))
    mean = LinearAdapter.mean_of(path, [0.5, 0.5])
    assert mean.tensors()["query"].shape == (3, 3)
    np.testing.assert_allclose(mean.coef_, (path[0].coef_ + path[1].coef_) / 2, atol=1e-6)


def test_very_many_queries_are_compared_with_fewer_documents(monkeypatch):
    queries, documents = rotated(n=1200)
    training = check_pairs(queries, documents)
    assert len(LinearAdapter()._objective(training, None).candidates) == 1200
    monkeypatch.setattr(linear, "_MOST_CELLS", 1200 * 1100)
    assert len(LinearAdapter()._objective(training, None).candidates) == 1100
    assert len(LinearAdapter(max_candidates=40)._objective(training, None).candidates) == 40
    monkeypatch.setattr(linear, "_MOST_CELLS", 1)
    assert len(LinearAdapter()._objective(training, None).candidates) == 1024
