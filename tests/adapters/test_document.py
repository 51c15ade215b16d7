import re
from pathlib import Path

import numpy as np
import pytest

from embertune.adapters import Chain, OrthogonalAdapter, load_adapter
from embertune.adapters.base import check_pairs
from embertune.adapters.document import DocumentAdapter
from embertune.core.vectors import normalize
from embertune.errors import ArtifactError, ConfigError, DataError, NotFittedError
from embertune.testing import check_adapter

METHODS = ["contrast", "mean", "nudge"]
DATA = Path(__file__).parents[2] / ".." / "shared" / "data"


def space(seed=0, n=80, d=16):
    """Documents, and queries that stand beside their documents in a common direction; half the documents have one."""
    rng = np.random.default_rng(seed)
    documents = normalize(rng.normal(size=(n, d)).astype(np.float32))
    steps = 0.15 * rng.normal(size=(1, d)) + 0.1 * rng.normal(size=(n // 2, d))
    queries = normalize((documents[::2] + steps).astype(np.float32))
    return queries, documents, np.column_stack([np.arange(n // 2), np.arange(0, n, 2)])


def fitted(method="contrast", **params):
    queries, documents, pairs = space()
    return DocumentAdapter(method, **params).fit(queries, documents, pairs=pairs), queries, documents


@pytest.mark.parametrize("method", METHODS)
def test_documents_move_towards_their_queries_and_all_others_stay_bit_by_bit(method):
    adapter, queries, documents = fitted(method, reach=0.5)
    moved = adapter.transform(documents, "document")
    before, after = ((queries * rows[::2]).sum(axis=1) for rows in (documents, moved))
    # "contrast" lets go of a document that wins its queries, so of it only the whole is sure to come nearer.
    assert after.mean() > before.mean() if method == "contrast" else (after > before).all()
    np.testing.assert_array_equal(adapter.changed(documents), np.arange(0, 80, 2))
    assert moved[1::2].tobytes() == normalize(documents)[1::2].tobytes()
    strangers = normalize(np.random.default_rng(9).normal(size=(50, 16)).astype(np.float32))
    for dialled in (adapter, adapter.scaled(0.3), adapter.scaled(0)):
        assert dialled.transform(3 * strangers, "document").tobytes() == normalize(3 * strangers).tobytes()
    assert adapter.transform(queries).tobytes() == queries.tobytes()


@pytest.mark.parametrize(
    "params", [{"outside": 0.0}, {"shrinkage": 2.0, "max_others": 3}, {"reach": 3.0, "outside": 1}]
)
@pytest.mark.parametrize("method", METHODS)
def test_every_variant_keeps_the_contract(method, params):
    check_adapter(DocumentAdapter(method, **params))


def test_mean_offset_is_its_formula_with_shrinkage():
    queries, documents = np.eye(4, dtype=np.float32)[:3], np.eye(4, dtype=np.float32)[[3, 0]]
    pairs = [(0, 0), (1, 0), (2, 1)]
    moved = DocumentAdapter("mean", reach=2.0, shrinkage=1.0).fit(queries, documents, pairs=pairs)
    weights = [2 * 2 / 3, 2 * 1 / 2]
    expected = normalize(np.array([[weights[0] / 2, weights[0] / 2, 0, 1], [1, 0, weights[1], 0]], dtype=np.float32))
    np.testing.assert_allclose(moved.transform(documents, "document"), expected, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("storage", ["float16", "bfloat16", "int8"])
def test_vectors_are_recognised_however_they_were_stored(method, storage):
    adapter, _, documents = fitted(method, reach=0.5)
    scale = np.abs(documents).max() / 127
    stored = {
        "float16": documents.astype(np.float16),
        "bfloat16": ((documents.view(np.uint32) + 0x8000) & 0xFFFF0000).view(np.float32),
        "int8": (documents / scale).round() * scale,
    }[storage]
    assert not np.array_equal(stored, documents)
    np.testing.assert_array_equal(adapter.changed(stored), np.arange(0, 80, 2))
    np.testing.assert_allclose(
        adapter.transform(stored, "document"), adapter.transform(documents, "document"), atol=0.01
    )


def test_a_near_copy_is_another_document():
    adapter, _, documents = fitted()
    rng = np.random.default_rng(3)
    near = normalize((documents + 0.02 * rng.normal(size=documents.shape)).astype(np.float32))
    assert (documents * near).sum(axis=1).min() > 0.99
    assert adapter.changed(near).tolist() == []


@pytest.mark.parametrize("method", METHODS)
def test_a_path_equals_single_fits_and_shares_its_matches(method):
    queries, documents, pairs = space()
    reaches = [0.1, 0.4, 1.0]
    path = list(DocumentAdapter(method).fit_path(check_pairs(queries, documents, pairs), reaches))
    matches = path[0].match(documents)
    for reach, adapter in zip(reaches, path, strict=True):
        assert adapter.reach == reach
        alone = DocumentAdapter(method, reach=reach).fit(queries, documents, pairs=pairs)
        expected = alone.transform(documents, "document")
        assert adapter.transform(documents, "document").tobytes() == expected.tobytes()
        assert adapter.move(documents, matches).tobytes() == expected.tobytes()
        half = adapter.scaled(0.5)
        assert half.move(documents, matches).tobytes() == half.transform(documents, "document").tobytes()


def test_equal_documents_are_one_and_an_empty_one_is_none():
    queries, documents, pairs = space()
    more = np.concatenate([documents, documents[::2], np.zeros((2, 16), dtype=np.float32)])
    spread = pairs.copy()
    spread[1::2, 1] = 80 + spread[1::2, 1] // 2  # every second query names the copy of its document
    spread = np.concatenate([spread, [(0, 120)]])
    for method in METHODS:
        plain = DocumentAdapter(method).fit(queries, documents, pairs=pairs).transform(more, "document")
        merged = DocumentAdapter(method).fit(queries, more, pairs=spread).transform(more, "document")
        np.testing.assert_allclose(merged, plain, atol=1e-6)
        assert not merged[120:].any()
    with pytest.raises(DataError, match="The embeddings of all documents that have queries are zeros"):
        DocumentAdapter().fit(queries, more, pairs=[(0, 120)])


def test_a_sample_of_documents_without_queries_weighs_as_much_as_all():
    queries, documents, pairs = space()
    corpus = np.concatenate([documents[::2], np.repeat(documents[1:2], 30, axis=0)])
    pairs = np.column_stack([pairs[:, 0], pairs[:, 0]])
    whole = DocumentAdapter(temperature=0.5).fit(queries, corpus, pairs=pairs)
    drawn = DocumentAdapter(temperature=0.5, max_others=7).fit(queries, corpus, pairs=pairs)
    np.testing.assert_allclose(drawn.offsets_, whole.offsets_, atol=1e-6)
    fewer = DocumentAdapter(temperature=0.5).fit(queries, corpus[:47], pairs=pairs)
    assert np.abs(fewer.offsets_ - whole.offsets_).max() > 1e-4


def test_in_a_chain_it_moves_documents_towards_adapted_queries():
    queries, documents, pairs = space()
    turn = OrthogonalAdapter(0.01).fit(queries, documents, pairs=pairs)
    chain = Chain([OrthogonalAdapter(0.01), DocumentAdapter("mean")]).fit(queries, documents, pairs=pairs)
    alone = DocumentAdapter("mean").fit(turn.transform(queries), documents, pairs=pairs)
    np.testing.assert_allclose(chain.transform(queries), turn.transform(queries), atol=1e-5)
    np.testing.assert_allclose(
        chain.transform(documents, "document"), alone.transform(documents, "document"), atol=1e-6
    )


def test_contrast_does_not_crowd_out_documents_without_queries():
    """The trap: queries share a direction, and documents that follow it come before all others for every query."""
    rng = np.random.default_rng(0)
    documents = normalize((rng.normal(size=(200, 32)) + 1).astype(np.float32))
    away = 0.6 * rng.normal(size=(1, 32)) / np.sqrt(32)
    taught, asked = (
        normalize((documents + away + 0.1 * rng.normal(size=(200, 32))).astype(np.float32)) for _ in range(2)
    )
    training = check_pairs(taught[:100], documents, np.column_stack([np.arange(100)] * 2))

    def right(rows):
        hits = (asked @ rows.T).argmax(axis=1) == np.arange(200)
        return hits[:100].mean(), hits[100:].mean()

    seen, unseen = right(documents)
    for adapter in DocumentAdapter("contrast").fit_path(training, [0.1, 0.4, 1.5, 4]):
        found = right(adapter.transform(documents, "document"))
        assert found[0] >= seen
        assert found[1] >= unseen
    assert found[0] > seen + 0.03
    for method in ("mean", "nudge"):
        *_, adapter = DocumentAdapter(method).fit_path(training, [0.1, 0.4, 1.5, 4])
        assert right(adapter.transform(documents, "document"))[1] < unseen - 0.2


def test_scifact_seen_and_unseen_documents_both_keep_or_gain():
    """The trap of offsets on real vectors, in its smallest form: half of the documents lose all their queries."""
    folder = DATA / "scifact"
    if not folder.is_dir():
        pytest.skip("../shared/data/scifact is absent")
    stored = np.load(folder / "all-MiniLM-L6-v2.npz")
    documents = normalize(stored["corpus"].astype(np.float32))
    queries = normalize(stored["queries"].astype(np.float32))
    at = {
        name: {key: place for place, key in enumerate(stored[f"{name}_ids"].tolist())} for name in ("query", "corpus")
    }
    rows = [line.split("\t") for split in ("train", "test")
            for line in (folder / "qrels" / f"{split}.tsv").read_text().splitlines()[1:]]  # fmt: skip
    pairs = np.array([(at["query"][query], at["corpus"][document]) for query, document, _ in rows])
    rng = np.random.default_rng(0)
    held = rng.random(len(documents)) < 0.5
    unseen = pairs[held[pairs[:, 1]]]
    known = pairs[~held[pairs[:, 1]] & ~np.isin(pairs[:, 0], unseen[:, 0])]
    asked = rng.random(len(queries)) < 0.3
    seen, training = known[asked[known[:, 0]]], known[~asked[known[:, 0]]]
    seen = seen[np.isin(seen[:, 1], training[:, 1])]
    adapter = DocumentAdapter(reach=0.6).fit(queries, documents, pairs=training)
    moved = adapter.transform(documents, "document")

    def mrr(found, judged):
        scores = queries[judged[:, 0]] @ found.T
        own = scores[np.arange(len(judged)), judged[:, 1]]
        return (1 / (scores > own[:, None] - 1e-6).sum(axis=1)).mean()

    assert mrr(moved, seen) > mrr(documents, seen) + 0.15
    assert mrr(moved, unseen) > mrr(documents, unseen) - 0.005


def test_saved_bits_are_equal_and_damage_is_found(tmp_path):
    adapter, _, documents = fitted(reach=0.7, shrinkage=0.5)
    loaded = load_adapter(adapter.scaled(0.5).save(tmp_path / "a"))
    expected = adapter.scaled(0.5).transform(documents, "document")
    assert loaded.transform(documents, "document").tobytes() == expected.tobytes()
    assert loaded.get_params() == adapter.get_params()
    adapter.offsets_ = adapter.offsets_[:3]
    says = "the anchors have shape (40, 16) and the offsets (3, 16), expected (k, d)"
    with pytest.raises(ArtifactError, match=re.escape(says)):
        load_adapter(adapter.save(tmp_path / "b"))


def test_errors():
    adapter, queries, documents = fitted()
    with pytest.raises(NotFittedError, match=re.escape("This DocumentAdapter is not fitted yet. Call fit(")):
        DocumentAdapter().changed(documents)
    with pytest.raises(DataError, match=re.escape("The documents have 4 dimensions; this adapter was fitted on 16.")):
        adapter.changed(np.eye(4))
    bad = DocumentAdapter("median", reach=0, shrinkage=-1, outside=-0.5, temperature=0, max_others=0)
    says = (
        "Invalid configuration:\n- method must be 'contrast' or 'mean' or 'nudge', got 'median'\n"
        "- max_others must be at least 1, got 0\n- temperature must be positive, got 0\n"
        "- shrinkage must be 0 or more, got -1\n- outside must be 0 or more, got -0.5\n"
        "- reach must be positive, got 0"
    )
    with pytest.raises(ConfigError, match=re.escape(says)):
        bad.fit(queries[:40], documents[:40])
    with pytest.raises(ConfigError, match=re.escape("reach must be at most 4 with method='nudge', got 5")):
        DocumentAdapter("nudge", reach=5).fit(queries[:40], documents[:40])
    for method in METHODS:
        with pytest.raises(ConfigError, match=re.escape("reach must be finite, got inf")):
            DocumentAdapter(method, reach=np.inf).fit(queries[:40], documents[:40])


@pytest.mark.parametrize(
    ("reaches", "says"),
    [
        ([1.0, 0.4], "- reaches must rise, got 0.4 after 1.0"),
        ([0.1, 0.1], "- reaches must rise, got 0.1 after 0.1"),
        ([0.3, 0.2, 0.1], "- reaches must rise, got 0.2 after 0.3\n- reaches must rise, got 0.1 after 0.2"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_a_path_that_does_not_rise_is_refused(method, reaches, says):
    with pytest.raises(ConfigError, match=f"^Invalid configuration:\n{re.escape(says)}$"):
        list(DocumentAdapter(method).fit_path(check_pairs(*space()), reaches))
