from __future__ import annotations

import numpy as np
import pytest

from embertune.encoders.cache import VectorCache
from embertune.encoders.canaries import check_canaries, embed_canaries
from embertune.encoders.from_spec import source_of
from embertune.encoders.function import FunctionEncoder
from embertune.encoders.hashing import HashingEncoder
from embertune.encoders.precomputed import PrecomputedEncoder
from embertune.encoders.registry import load_encoder
from embertune.encoders.spec import EncoderSpec
from embertune.encoders.static import StaticEncoder
from embertune.errors import EncoderError


@pytest.mark.parametrize("encoder", [HashingEncoder(), StaticEncoder(cache=False), HashingEncoder(normalize=False)])
def test_an_encoder_that_stays_is_the_same(encoder):
    kept = embed_canaries(encoder)
    drift = check_canaries(encoder, kept)
    assert (drift.state, round(drift.cosine, 6), drift.length) == ("same", 1, 1)
    assert np.array_equal(kept.query_vectors, encoder.encode_query(kept.queries))
    assert np.array_equal(kept.document_vectors, encoder.encode_document(kept.documents))


@pytest.mark.parametrize(
    "changed",
    [
        StaticEncoder(cache=False, query_prompt="query: "),
        StaticEncoder(cache=False, document_prompt="passage: "),
        HashingEncoder(dimension=256),
        HashingEncoder(dimension=64),
    ],
)
def test_another_prompt_or_model_is_a_change(changed):
    assert check_canaries(changed, embed_canaries(StaticEncoder(cache=False))).state == "changed"


def test_another_normalisation_is_a_change_where_it_matters():
    kept = embed_canaries(HashingEncoder(normalize=False))
    drift = check_canaries(HashingEncoder(normalize=True), kept)
    assert drift.state == "changed"
    assert drift.reason.endswith("another normalisation")


def test_the_cache_is_not_asked_again(tmp_path):
    """Texts are kept by the model's name, and a provider that changes it keeps the name."""
    table = {"factor": np.array([1.0, 1.0])}

    def embed(texts):
        return np.array([[len(text), text.count("e") + 1] for text in texts]) * table["factor"]

    encoder = FunctionEncoder(embed, name="m", cache=VectorCache(tmp_path))
    kept = embed_canaries(encoder)
    table["factor"] = np.array([1.0, -1.0])
    assert np.array_equal(encoder.encode_query(kept.queries), kept.query_vectors)
    assert check_canaries(encoder, kept).state == "changed"
    assert np.array_equal(encoder.encode_query(kept.queries), kept.query_vectors)  # the fresh ones were not kept


def test_vectors_of_known_ids_have_none(tmp_path):
    np.savez(tmp_path / "v.npz", corpus=np.eye(2), queries=np.eye(2), corpus_ids=["a", "b"], query_ids=["q", "r"])
    assert embed_canaries(PrecomputedEncoder(tmp_path / "v.npz")) is None


def test_an_encoder_of_known_texts_has_none_and_says_so(caplog):
    known = {"a": [1.0, 0.0]}
    encoder = FunctionEncoder(lambda texts: np.array([known[text] for text in texts]), name="table")
    assert embed_canaries(encoder) is None
    assert caplog.messages == ["There will be no canaries: function/table cannot embed them (KeyError)."]


def test_an_encoder_that_fails_now_is_an_error():
    kept = embed_canaries(HashingEncoder())

    class Failing(HashingEncoder):
        def _encode_batch(self, texts, side):
            raise EncoderError("no key")

    with pytest.raises(EncoderError, match=r"^no key$"):
        check_canaries(Failing(), kept)


@pytest.mark.parametrize(
    "encoder",
    [
        HashingEncoder(dimension=32, query_prompt="q: ", normalize=False),
        StaticEncoder(document_prompt="d: "),
    ],
)
def test_a_specification_leads_back_to_its_encoder(encoder):
    source, options = source_of(encoder.spec)
    assert load_encoder(source, **options).spec == encoder.spec


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (EncoderSpec("openai", "text-embedding-3-small", dimension=1536),
         ("openai/text-embedding-3-small", {"dimensions": 1536})),
        (EncoderSpec("openai", "text-embedding-ada-002", dimension=1536), ("openai/text-embedding-ada-002", {})),
        (EncoderSpec("sentence-transformers", "all-MiniLM-L6-v2", revision="abc", dimension=384),
         ("sentence-transformers/all-MiniLM-L6-v2", {"revision": "abc"})),
    ],
)  # fmt: skip
def test_names_and_options(spec, found):
    assert source_of(spec) == found


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        (EncoderSpec("precomputed", "v.npz"), "files of vectors"),
        (EncoderSpec("function", "embed"), "a function"),
        (EncoderSpec("sentence-transformers", "mine", revision="sha256:00"), "a model folder"),
    ],
)
def test_what_has_no_name_is_said(spec, kind):
    with pytest.raises(EncoderError, match=f"{kind}, which cannot be found by its name. Name the encoder:"):
        source_of(spec)
