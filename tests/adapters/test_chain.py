import json
import re

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from embertune.adapters import (
    DocumentAdapter,
    IdentityAdapter,
    LinearAdapter,
    OrthogonalAdapter,
    TruncationAdapter,
    check_pairs,
    load_adapter,
)
from embertune.adapters.chain import Chain
from embertune.adapters.gate import Gate
from embertune.adapters.pairs import TrainingPairs
from embertune.core.vectors import normalize
from embertune.errors import ArtifactError, ConfigError, DataError, NotFittedError


def pairs(n=50, d=8, seed=0):
    rng = np.random.default_rng(seed)
    documents = normalize(rng.normal(size=(n, d)).astype(np.float32))
    return normalize(documents[:, ::-1] + 0.1 * rng.normal(size=(n, d)).astype(np.float32)), documents


def links():
    return [TruncationAdapter(5, pull=0.03), LinearAdapter(pull=0.03)]


def by_hand(vectors, adapters, side="query"):
    for adapter in adapters:
        vectors = adapter.transform(vectors, side)
    return vectors


def test_each_link_is_fitted_on_what_those_before_it_give():
    queries, documents = pairs()
    given = check_pairs(queries, documents)
    first = TruncationAdapter(5, pull=0.03).fit_training(given)
    mapped = first.transform(given.queries), first.transform(given.documents, "document")
    second = LinearAdapter(pull=0.03).fit_training(TrainingPairs(*mapped, given.pairs))
    chain = Chain(links()).fit(queries, documents)
    np.testing.assert_array_equal(chain.links_[1].coef_, second.coef_)
    for side, vectors in (("query", queries), ("document", documents)):
        np.testing.assert_array_equal(chain.transform(vectors, side), by_hand(vectors, [first, second], side))


def test_pairs_mean_the_same_to_every_link():
    queries, documents = pairs()
    twice = np.concatenate([documents, documents])
    aligned = Chain(links()).fit(np.concatenate([queries, queries]), twice)
    explicit = Chain(links()).fit(
        np.concatenate([queries, queries]), np.unique(documents, axis=0),
        pairs=[(i, j) for i, j in enumerate(np.unique(twice, axis=0, return_inverse=True)[1].ravel())],
    )  # fmt: skip
    np.testing.assert_array_equal(aligned.transform(queries), explicit.transform(queries))


def test_fit_leaves_the_adapters_that_were_passed_in_alone():
    queries, documents = pairs()
    given = links()
    chain = Chain(given)
    assert chain.fit(queries, documents) is chain
    assert chain.adapters is given
    with pytest.raises(NotFittedError):
        given[0].transform(queries)
    with pytest.raises(NotFittedError):
        Chain(given).transform(queries)


def test_adapters_that_are_fitted_already_are_chained_without_fit():
    queries, documents = pairs()
    first = OrthogonalAdapter(1e-4).fit(queries, documents)
    second = LinearAdapter(pull=0.03).fit(first.transform(queries), documents)
    chain = Chain([first, second])
    np.testing.assert_array_equal(chain.transform(queries), by_hand(queries, [first, second]))
    assert (chain.side, chain.dimension, chain.output_dimension) == ("query", 8, 8)
    assert chain.transform(documents, "document").tobytes() == documents.tobytes()


def test_strength_blends_the_chain_as_a_whole_with_its_strength_0():
    queries, documents = pairs()
    chain = Chain([TruncationAdapter(5, pull=0.03), LinearAdapter(pull=0.03).scaled(0.5)]).fit(queries, documents)
    first, second = chain.links_
    assert second.strength == 0.5
    half = chain.scaled(0.5)
    assert half.strength == 0.5
    plain = normalize(queries @ first.start_)
    np.testing.assert_allclose(chain.scaled(0).transform(queries), plain, atol=1e-6)
    full = by_hand(queries, [first, second])
    np.testing.assert_allclose(half.transform(queries), normalize(plain + full), atol=1e-6)
    np.testing.assert_array_equal(half.scaled(1).transform(queries), chain.transform(queries))


def test_offsets_behind_a_map_of_documents_hold_at_every_strength():
    """They are found by where documents stand at full strength."""
    queries, documents = pairs()
    chain = Chain([LinearAdapter("both", pull=0.03), DocumentAdapter("mean", reach=1.0)]).fit(queries, documents)
    mapped, moved = chain.links_[0].transform(documents, "document"), chain.transform(documents, "document")
    assert np.abs(moved - mapped).max() > 0.01
    for strength in (0.25, 0.75, 0.95):
        expected = normalize(documents + strength * (moved - documents))
        np.testing.assert_allclose(chain.scaled(strength).transform(documents, "document"), expected, atol=1e-6)


def test_a_gate_leads_back_to_the_chain_at_strength_0():
    queries, documents = pairs()
    chain = Chain(links()).fit(queries, documents)
    gate = Gate(queries, 2.0, 3.0)
    shut = chain.gated(gate, documents=gate)
    np.testing.assert_allclose(shut.transform(queries), chain.scaled(0).transform(queries), atol=1e-6)
    half = chain.gated(Gate(queries, -3.0, 5.0, neighbours=1), documents=Gate(documents, -3.0, 4.0, neighbours=1))
    for side, vectors, each in (("query", queries, half.gate), ("document", documents, half.document_gate)):
        plain = chain.scaled(0).transform(vectors, side)
        expected = normalize(plain + each.weights(vectors)[:, None] * (chain.transform(vectors, side) - plain))
        np.testing.assert_allclose(half.transform(vectors, side), expected, atol=1e-6)


def saved(folder):
    """A chain of a chain, with strengths and gates at every depth, in a folder."""
    queries, documents = pairs()
    inner = Chain([OrthogonalAdapter(0.01), IdentityAdapter()])
    chain = Chain([inner, *links()]).fit(queries, documents)
    links_ = [chain.links_[0].scaled(0.75), chain.links_[1], chain.links_[2].gated(Gate(np.eye(5, dtype="f"), 0.1, 1))]
    chain.links_ = links_
    chain = chain.scaled(0.5).gated(Gate.fit(queries), documents=Gate.fit(documents))
    chain.encoder = {"provider": "openai", "model": "m", "dimension": 8}
    return chain, chain.save(folder)


def test_a_nested_chain_is_saved_with_every_strength_and_gate(tmp_path):
    chain, folder = saved(tmp_path / "a")
    loaded = load_adapter(folder)
    vectors = np.random.default_rng(3).normal(size=(9, 8))
    for side in ("query", "document"):
        assert loaded.transform(vectors, side).tobytes() == chain.transform(vectors, side).tobytes()
    assert loaded.to_config() == chain.to_config()
    assert (loaded.strength, loaded.encoder) == (0.5, chain.encoder)
    config = json.loads((folder / "config.json").read_text())
    assert [link["type"] for link in config["adapters"]] == ["chain", "truncation", "linear"]
    assert set(load_file(folder / "adapter.safetensors")) == {
        "gate.queries", "gate.documents", "0.0.rotation", "1.matrix", "1.start", "2.query", "2.gate.queries",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c, t: c["adapters"][1].update(type="quantum"), "of type 'quantum'; known are bridge, chain, "),
        (lambda c, t: c.update(adapters=[]), "is damaged: A chain is made of one adapter or more, and there is none."),
        (lambda c, t: c.update(adapters=["linear"]), "is damaged: "),
        (lambda c, t: c["adapters"].pop(1), "is damaged: 'query' is missing"),
        (lambda c, t: c["adapters"][2].pop("pull"), "is damaged: 'pull' is missing"),
        (lambda c, t: t.pop("2.gate.queries"), "is damaged: of the gate there are thresholds without embeddings"),
        (lambda c, t: t.update({"gate.queries": np.eye(3, dtype="f")}), "the gate weighs embeddings of 3 dimensions"),
        (lambda c, t: c.update(document_gate=None), "of the document_gate there are thresholds without embeddings, or"),
        (lambda c, t: t.update({"gate.queries": np.full((2, 8), np.nan, dtype="f")}), "2 of 2 rows of the gate's"),
        (lambda c, t: t.pop("0.0.rotation"), "is damaged: 'rotation' is missing"),
    ],
)
def test_damage_anywhere_is_explained(tmp_path, spoil, message):
    _, folder = saved(tmp_path / "a")
    config = json.loads((folder / "config.json").read_text())
    tensors = load_file(folder / "adapter.safetensors")
    spoil(config, tensors)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "adapter.safetensors")
    with pytest.raises(ArtifactError, match=re.escape(message)) as caught:
        load_adapter(folder)
    assert str(folder) in str(caught.value)


def test_links_that_do_not_fit_are_refused():
    queries, documents = pairs()
    narrow, wide = TruncationAdapter(5).fit(queries, documents), LinearAdapter().fit(queries, documents)
    with pytest.raises(
        DataError,
        match=re.escape(
            "Adapter 2 of the chain, LinearAdapter, takes 8 dimensions, and what comes before it gives 5. "
            "Fit them together: Chain([...]).fit(queries, documents)"
        ),
    ):
        Chain([narrow, IdentityAdapter(), wide]).transform(queries)
    with pytest.raises(DataError, match=re.escape("These embeddings have 3 dimensions; this adapter was fitted on 8.")):
        Chain([narrow]).transform(np.eye(3))


@pytest.mark.parametrize(
    ("adapters", "message"),
    [
        ([], "A chain is made of one adapter or more, and there is none. Type: Chain([LinearAdapter()])"),
        ([LinearAdapter(), "linear"], "A chain is made of one adapter or more, and found 'linear'."),
    ],
)
def test_what_is_no_adapter_is_refused(adapters, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        Chain(adapters).fit(*pairs())


def test_a_chain_of_identities_takes_anything_as_it_is():
    chain = Chain([IdentityAdapter(), IdentityAdapter()]).fit(*pairs())
    vectors = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    assert chain.transform(vectors).tobytes() == vectors.tobytes()
    assert (chain.side, chain.dimension, chain.output_dimension) == ("none", None, None)
