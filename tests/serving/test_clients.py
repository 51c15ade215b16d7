"""The real clients of others, unchanged but for the address."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

TEXTS = ["how do I reset my password", "東京の天気"]


@pytest.fixture
def expected(adapter, base_of):
    """What the server must answer, by side."""
    return {side: adapter.transform(base_of(TEXTS), side) for side in ("query", "document")}


@pytest.fixture
def known_tokens(monkeypatch):
    """The table of tokens that LiteLLM brings along, so that none is downloaded."""
    litellm = pytest.importorskip("litellm", reason="the extra api is not installed: no table of tokens offline")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(Path(litellm.__file__).parent / "litellm_core_utils" / "tokenizers"))


@pytest.mark.parametrize("side", ["query", "document"])
def test_openai(server, expected, side):
    openai = pytest.importorskip("openai", reason="openai is not installed")
    with openai.OpenAI(base_url=server.base, api_key="none") as client:
        answer = client.embeddings.create(model=f"faq/{side}", input=TEXTS)
        assert np.array([row.embedding for row in answer.data]) == pytest.approx(expected[side], abs=1e-6)
        assert (answer.model, answer.usage.total_tokens) == (f"faq/{side}", 7)
        short = client.embeddings.create(model=f"faq/{side}", input=TEXTS, dimensions=5, encoding_format="float")
        assert len(short.data[1].embedding) == 5
        told = client.embeddings.create(model="faq", input=TEXTS, extra_body={"input_type": f"search_{side}"})
        assert np.array([row.embedding for row in told.data]) == pytest.approx(expected[side], abs=1e-6)
        assert "faq/query" in [model.id for model in client.models.list()]
        assert client.models.retrieve("faq/query").owned_by == "embertune"
        with pytest.raises(openai.NotFoundError, match="There is no model 'nobody'"):
            client.embeddings.create(model="nobody", input="a text")


def test_openai_with_a_wrong_key_and_a_limit(serve, adapter, monkeypatch):
    openai = pytest.importorskip("openai", reason="openai is not installed")
    monkeypatch.setenv("EMBERTUNE_API_KEY", "key-of-the-clients-01")
    server = serve()
    with (
        openai.OpenAI(base_url=server.base, api_key="another", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError, match="The key is not one of this server's"),
    ):
        client.embeddings.create(model="faq/query", input="a text")
    with openai.OpenAI(base_url=server.base, api_key="key-of-the-clients-01", max_retries=0) as client:
        assert client.embeddings.create(model="faq/query", input="a text").data
        with pytest.raises(openai.RateLimitError) as caught:
            client.embeddings.create(model="faq/query", input="fault:429")
        assert caught.value.response.headers["retry-after"] == "7"


@pytest.mark.parametrize("by_tokens", [True, False])
def test_langchain(server, expected, known_tokens, by_tokens, upstream, adapter, base_of):
    module = pytest.importorskip("langchain_openai", reason="langchain-openai is not installed: group integrations")
    common = {"base_url": server.base, "api_key": "none", "check_embedding_ctx_length": by_tokens}
    queries = module.OpenAIEmbeddings(model="faq/query", **common)
    documents = module.OpenAIEmbeddings(model="faq/document", **common)
    upstream.requests.clear()
    query, found = queries.embed_query(TEXTS[0]), documents.embed_documents(TEXTS)
    if by_tokens:  # what it sends by itself: arrays of tokens, which reach the upstream as they are
        sent = [one for request in upstream.requests for one in request["input"]]
        assert all(isinstance(one, list) and all(isinstance(token, int) for token in one) for one in sent)
        base = base_of([" ".join(map(str, one)) for one in sent])
        assert np.array(query) == pytest.approx(adapter.transform(base[:1])[0], abs=1e-6)
        assert np.array(found) == pytest.approx(adapter.transform(base[-2:], "document"), abs=1e-6)
    else:
        assert np.array(query) == pytest.approx(expected["query"][0], abs=1e-6)
        assert np.array(found) == pytest.approx(expected["document"], abs=1e-6)


def test_llama_index(server, expected, known_tokens):
    module = pytest.importorskip(
        "llama_index.embeddings.openai", reason="llama-index-embeddings-openai is not installed: group integrations"
    )
    common = {"api_base": server.base, "api_key": "none"}
    queries = module.OpenAIEmbedding(model_name="faq/query", **common)
    documents = module.OpenAIEmbedding(model_name="faq/document", **common)
    assert np.array(queries.get_query_embedding(TEXTS[0])) == pytest.approx(expected["query"][0], abs=1e-6)
    assert np.array(documents.get_text_embedding_batch(TEXTS)) == pytest.approx(expected["document"], abs=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_litellm(server, expected, monkeypatch):
    litellm = pytest.importorskip("litellm", reason="the extra api is not installed")
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", os.environ.get("LITELLM_LOCAL_MODEL_COST_MAP", "True"))
    answer = litellm.embedding(model="openai/faq/query", input=TEXTS, api_base=server.base, api_key="none")
    assert np.array([row["embedding"] for row in answer.data]) == pytest.approx(expected["query"], abs=1e-6)


def test_our_own_encoder(server, expected):
    """The server is an API of an upstream's form itself."""
    from embertune.encoders.registry import load_encoder

    pytest.importorskip("litellm", reason="the extra api is not installed")
    encoder = load_encoder("openai/faq/query", api_base=server.base, cache=False)
    assert encoder.encode_query(TEXTS) == pytest.approx(expected["query"], abs=1e-6)
