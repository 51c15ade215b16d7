from __future__ import annotations

import json
from importlib.metadata import version

import numpy as np
import pytest

from embertune.adapters.artifact import load_adapter
from embertune.adapters.identity import IdentityAdapter
from embertune.core.vectors import normalize
from embertune.encoders.hashing import HashingEncoder
from embertune.errors import ArtifactError, ConfigError, EncoderError

TEXTS = ["how do I reset my password", "cheap flights", "東京の天気", "how do I reset my password"]

DIMENSION = 48


@pytest.mark.parametrize("side", ["query", "document"])
@pytest.mark.parametrize("encoding", ["float", "base64", None])
def test_answers_are_what_transform_gives(server, tmp_path, side, encoding, base_of):
    fields = {} if encoding is None else {"encoding_format": encoding}
    reply = server.embed(TEXTS, f"faq/{side}", **fields)
    assert reply.status == 200
    expected = load_adapter(tmp_path / "faq").transform(base_of(TEXTS), side)
    assert reply.vectors == pytest.approx(expected, abs=1e-6)
    body = reply.json
    assert isinstance(body["data"][0]["embedding"], str if encoding == "base64" else list)
    assert (body["object"], body["model"]) == ("list", f"faq/{side}")
    assert [(row["object"], row["index"]) for row in body["data"]] == [("embedding", row) for row in range(4)]
    # The upstream counts words, and is asked for each distinct text once.
    assert body["usage"] == {"prompt_tokens": 9, "total_tokens": 9}


def test_one_text_is_a_list_of_one(server):
    assert np.array_equal(server.embed("cheap flights").vectors, server.embed(["cheap flights"]).vectors)


@pytest.mark.parametrize("word", ["search_query", "query"])
def test_the_side_may_be_told_by_input_type(server, word):
    told = server.embed(TEXTS, "faq", input_type=word).vectors
    assert np.array_equal(told, server.embed(TEXTS, "faq/query").vectors)
    assert np.array_equal(told, server.embed(TEXTS, "faq/query", input_type=word).vectors)
    assert not np.allclose(told, server.embed(TEXTS, "faq", input_type="search_document").vectors)


def test_the_upstream_itself_gives_base_vectors(server, base_of):
    for model in ("fake", "openai/fake", "fake/query", "fake/document"):
        assert server.embed(TEXTS, model).vectors == pytest.approx(base_of(TEXTS), abs=1e-6)


def test_the_upstream_s_name_may_stand_for_an_adapter(serve, adapter, base_of):
    server = serve(default="faq/query")
    adapted = server.embed(TEXTS, "faq/query").vectors
    assert np.array_equal(server.embed(TEXTS, "fake").vectors, adapted)
    assert np.array_equal(server.embed(TEXTS, "openai/fake", input_type="search_query").vectors, adapted)
    assert server.embed(TEXTS, "fake", input_type="search_document").status == 400
    assert server.embed(TEXTS, "fake/document").vectors == pytest.approx(base_of(TEXTS), abs=1e-6)


def test_fewer_dimensions_are_the_first_ones_at_length_1(server, adapter, base_of):
    reply = server.embed(TEXTS, dimensions=7)
    expected = normalize(adapter.transform(base_of(TEXTS))[:, :7].copy())
    assert reply.vectors == pytest.approx(expected, abs=1e-6)
    assert server.embed(TEXTS, dimensions=DIMENSION).vectors.shape == (4, DIMENSION)
    refused = server.embed(TEXTS, dimensions=DIMENSION + 1)
    assert (refused.status, refused.error["param"]) == (400, "dimensions")
    assert refused.error["message"] == "dimensions is 49, and this model gives 48."


def test_arrays_of_tokens_reach_the_upstream_as_they_are(server, upstream, adapter, base_of):
    upstream.requests.clear()
    reply = server.embed([[11, 12], [13]])
    assert upstream.requests[0]["input"] == [[11, 12], [13]]
    assert reply.vectors == pytest.approx(adapter.transform(base_of(["11 12", "13"])), abs=1e-6)
    assert server.embed([11, 12]).vectors == pytest.approx(reply.vectors[:1], abs=1e-6)


def test_several_adapters_share_one_upstream(serve, adapter, tmp_path, upstream, base_of, make_adapter):
    other = make_adapter(seed=1)
    other.save(tmp_path / "law")
    server = serve({"faq": tmp_path / "faq", "law": tmp_path / "law"})
    upstream.requests.clear()
    assert server.embed("a text", "law/query").vectors == pytest.approx(other.transform(base_of(["a text"])), abs=1e-6)
    assert server.embed("a text", "faq/query").vectors == pytest.approx(
        adapter.transform(base_of(["a text"])), abs=1e-6
    )
    assert upstream.texts == ["a text"]


def test_an_adapter_that_was_not_to_ship_gives_the_frozen_encoder(serve, adapter, tmp_path, base_of):
    identity = IdentityAdapter()
    identity.encoder = adapter.encoder
    identity.save(tmp_path / "faq")
    assert serve().embed(TEXTS).vectors == pytest.approx(base_of(TEXTS), abs=1e-6)


def test_a_text_is_paid_for_once(server, upstream):
    upstream.requests.clear()
    first = server.embed(["one text", "two texts"])
    again = server.embed(["two texts", "three texts"])
    assert upstream.texts == ["one text", "two texts", "three texts"]
    assert np.array_equal(again.vectors[0], first.vectors[1])
    assert again.json["usage"]["total_tokens"] == 2
    assert np.array_equal(server.embed("three texts", "faq/document").vectors.shape, (1, DIMENSION))
    assert len(upstream.texts) == 3  # the upstream embeds both sides alike


def test_without_a_cache_every_text_is_asked_for_again(serve, adapter, upstream):
    server = serve(cache_mib=0)
    upstream.requests.clear()
    server.embed("one text")
    server.embed("one text")
    assert upstream.texts == ["one text", "one text"]


def test_a_long_list_is_answered_in_order(server, adapter, base_of):
    texts = [f"text number {number}" for number in range(2048)]
    reply = server.embed(texts, encoding_format="base64")
    assert reply.vectors == pytest.approx(adapter.transform(base_of(texts)), abs=1e-6)
    refused = server.embed([*texts, "one more"])
    assert refused.status == 400
    assert refused.error["message"] == "input has 2049 entries; at most 2048 are taken at once."


def test_prompts_of_the_adapter_s_encoder_go_before_texts(serve, upstream, tmp_path, make_adapter):
    encoder = HashingEncoder(dimension=DIMENSION, query_prompt="q: ")
    adapter = make_adapter(encoder=encoder)
    adapter.encoder = {**encoder.spec.to_dict(), "provider": "openai", "model": "fake"}
    adapter.save(tmp_path / "faq")
    server = serve()
    upstream.requests.clear()
    expected = adapter.transform(encoder.encode_query(["a text"]))
    assert server.embed("a text").vectors == pytest.approx(expected, abs=1e-6)
    server.embed("a text", "faq/document")
    assert upstream.texts == ["q: a text", "a text"]
    refused = server.embed([1, 2])
    assert refused.status == 400
    assert refused.error["message"].endswith(
        "has a prompt before every query, which cannot stand before tokens. Send texts."
    )


class TestLocalUpstream:
    def test_an_adapter_names_its_own_encoder(self, serve, tmp_path, make_adapter):
        encoder = HashingEncoder()
        adapter = make_adapter(encoder=encoder)
        adapter.save(tmp_path / "faq")
        server = serve(upstream=None)
        assert server.embed(TEXTS).vectors == pytest.approx(adapter.transform(encoder.encode_query(TEXTS)), abs=1e-6)
        assert server.ask("GET", "/health").json["upstream"] == "hashing/trigrams-64"

    def test_tokens_are_refused(self, serve, tmp_path, make_adapter):
        make_adapter(encoder=HashingEncoder()).save(tmp_path / "faq")
        refused = serve(upstream="hashing").embed([[1, 2]])
        assert refused.status == 400
        assert refused.error["message"].startswith("hashing/trigrams-64 takes texts alone, no arrays of tokens.")

    def test_an_encoder_that_raises_is_an_answer(self, serve, tmp_path, make_adapter):
        class Failing(HashingEncoder):
            def _encode_batch(self, texts, side):
                if "odd" in texts:
                    raise EncoderError("no vector for you")
                if "broken" in texts:
                    raise RuntimeError("a text of the user")
                return super()._encode_batch(texts, side)

        make_adapter(encoder=HashingEncoder()).save(tmp_path / "faq")
        server = serve(upstream=Failing())
        refused = server.embed("odd")
        assert (refused.status, refused.error["message"]) == (502, "hashing/trigrams-64: no vector for you")
        assert refused.error["type"] == "server_error"
        failed = server.embed("broken", model="faq/query")
        assert failed.status == 500
        assert (
            failed.error["message"]
            == f"Something went wrong here. The log names it by {failed.headers['x-request-id']}."
        )
        assert server.embed("fine").status == 200


class TestRefusals:
    @pytest.mark.parametrize(
        ("fields", "status", "said"),
        [
            ({"model": "nobody"}, 404, "There is no model 'nobody'. There are: faq/query, faq/document, faq, "
             "fake/query, fake/document, fake, openai/fake/query, openai/fake/document, openai/fake."),
            ({"model": "faq"}, 400, "The model 'faq' embeds queries and documents differently. Ask for faq/query or "
             "faq/document, or add input_type: search_query or search_document."),
            ({"model": "faq/query", "input_type": "search_document"}, 400,
             "input_type asks for the document side, and the model 'faq/query' is the query side's. Leave one of them "
             "out."),
            ({"input": "  "}, 400, "input[0] is empty; an empty text has no embedding. Leave it out."),
        ],
    )  # fmt: skip
    def test_what_cannot_be_answered_is_said(self, server, fields, status, said):
        reply = server.ask("POST", "/v1/embeddings", {"model": "faq/query", "input": "a text", **fields})
        assert (reply.status, reply.error["message"]) == (status, said)
        assert set(reply.error) == {"message", "type", "param", "code"}

    def test_what_is_no_json(self, server):
        reply = server.ask("POST", "/v1/embeddings", b"{")
        assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")
        assert server.ask("POST", "/v1/embeddings", b"").error["message"].startswith("The body is empty")

    def test_other_addresses_and_methods(self, server):
        missing = server.ask("GET", "/v1/chat")
        assert missing.status == 404
        assert missing.error["message"] == "GET /v1/chat: this address is not there. See /openapi.json."
        wrong = server.ask("DELETE", "/v1/embeddings")
        assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
        assert wrong.error["message"] == "DELETE /v1/embeddings: this address takes another method. See /openapi.json."

    def test_an_adapter_of_another_encoder(self, serve, tmp_path, make_adapter):
        make_adapter(encoder=HashingEncoder(dimension=DIMENSION)).save(tmp_path / "faq")
        with pytest.raises(ArtifactError, match=r"The adapter faq in .* was trained on hashing/trigrams-48"):
            serve()

    def test_an_upstream_of_other_dimensions(self, serve, tmp_path, make_adapter):
        adapter = make_adapter(encoder=HashingEncoder())
        adapter.encoder, adapter.canaries = None, None
        adapter.save(tmp_path / "faq")
        with pytest.raises(
            ArtifactError, match=r"The adapter faq in .* takes 64 dimensions; this encoder, openai/fake"
        ):
            serve()

    def test_an_upstream_that_cannot_embed(self, serve, adapter, tmp_path):
        np.savez(tmp_path / "v.npz", corpus=np.eye(2), queries=np.eye(2), corpus_ids=["a", "b"], query_ids=["q", "r"])
        with pytest.raises(EncoderError, match="cannot embed what a server is asked"):
            serve(upstream=f"precomputed:{tmp_path / 'v.npz'}")

    def test_a_default_that_is_no_model(self, serve, adapter):
        with pytest.raises(
            ConfigError, match=r"There is no model 'law' to answer with. Known: faq/query, faq/document\."
        ):
            serve(default="law")


def test_models_are_listed_and_found(server, tmp_path):
    listed = server.ask("GET", "/v1/models").json
    assert [model["id"] for model in listed["data"]] == [
        *("faq/query", "faq/document", "faq"),
        *("fake/query", "fake/document", "fake"),
        *("openai/fake/query", "openai/fake/document", "openai/fake"),
    ]
    first = listed["data"][0]
    assert first == server.ask("GET", "/v1/models/faq/query").json == server.ask("GET", "/v1/models/faq%2Fquery").json
    assert first["created"] == int((tmp_path / "faq" / "config.json").stat().st_mtime)
    assert server.ask("GET", "/v1/models/faq/other").status == 404


def test_health_says_what_is_served(server):
    assert server.ask("GET", "/health").json == {
        "status": "ok",
        "upstream": "openai/fake",
        "shadow": False,
        "adapters": {"faq": {"type": "linear", "canaries": "same", "answers": True}},
    }


def test_metrics_count_requests_texts_and_the_cache(server, upstream):
    before = server.ask("GET", "/metrics").content.decode()
    server.embed(["a", "b"])
    server.embed(["a", "c"])
    server.embed("a", "a secret text as a model")
    text = server.ask("GET", "/metrics").content.decode()
    for line in (
        'embertune_requests_total{model="faq/query",status="200"} 2',
        'embertune_requests_total{model="",status="404"} 1',
        'embertune_inputs_total{model="faq/query"} 4',
        "embertune_cache_hits_total 1",
        "embertune_cache_misses_total 3",
        'embertune_request_seconds_count{model="faq/query"} 2',
        'embertune_canary_cosine{adapter="faq"} 1',
        "embertune_waiting_inputs 0",
    ):
        assert line in text.splitlines(), line
    assert "secret" not in text
    sent = [float(page.partition("\nembertune_upstream_inputs_total ")[2].splitlines()[0]) for page in (before, text)]
    assert sent[1] - sent[0] == 3


def test_a_request_keeps_its_id(server):
    reply = server.ask("POST", "/v1/embeddings", {"model": "faq/query", "input": "a"}, x_request_id="trace-17")
    assert reply.headers["x-request-id"] == "trace-17"
    other = server.ask("POST", "/v1/embeddings", {"model": "faq/query", "input": "a"}, x_request_id="not {an} id")
    assert len(other.headers["x-request-id"]) == 32


def test_the_description_is_of_this_server(server):
    described = server.ask("GET", "/openapi.json").json
    assert described["info"]["version"] == version("embertune")
    variants = described["paths"]["/v1/embeddings"]["post"]["requestBody"]["content"]["application/json"]["schema"][
        "anyOf"
    ]
    assert {variant["properties"]["model"]["const"]: variant["required"] for variant in variants}["faq"] == [
        "model", "input", "input_type",
    ]  # fmt: skip
    assert json.loads(json.dumps(described)) == described
