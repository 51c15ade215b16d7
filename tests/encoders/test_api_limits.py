from __future__ import annotations

from importlib.util import find_spec

import pytest

from embertune.core.tokens import estimate_tokens
from embertune.encoders import api_limits
from embertune.encoders.api_limits import Limits, limits_of, side_parameters
from embertune.encoders.batching import pack


@pytest.mark.skipif(find_spec("litellm") is None, reason="the api extra is not installed")
def test_every_name_is_a_provider_of_litellm():
    from embertune._optional import import_litellm

    known = {str(name.value) for name in import_litellm("A test").provider_list}
    assert set(api_limits._LIMITS) | set(api_limits._SIDES) <= known


@pytest.mark.parametrize(
    ("provider", "model", "limits"),
    [
        # what the providers' pages say, as cited in the module
        ("openai", "text-embedding-3-small", Limits(2048, 300_000)),
        ("azure", "my-deployment", Limits(2048, 300_000)),
        ("voyage", "voyage-3-large", Limits(1000, 120_000)),
        ("vertex_ai", "text-embedding-005", Limits(250, 20_000)),
        ("vertex_ai", "gemini-embedding-001", Limits(1, 20_000)),
        ("gemini", "gemini-embedding-001", Limits(100, 20_000)),
        ("gemini", "gemini-embedding-2-preview", Limits(1, 20_000)),
        ("a-server-of-ones-own", "m", Limits(32, 100_000)),
    ],
)
def test_limits(provider, model, limits):
    assert limits_of(provider, model) == limits


@pytest.mark.parametrize(("provider", "texts"), [("cohere", 96), ("bedrock", 96), ("mistral", 256)])
def test_no_more_texts_than_documented(provider, texts):
    assert limits_of(provider, "m").texts <= texts


@pytest.mark.parametrize(("provider", "tokens"), [("openai", 300_000), ("voyage", 120_000), ("mistral", 16_384)])
def test_no_request_is_estimated_above_the_documented_tokens(provider, tokens):
    limits = limits_of(provider, "m")
    batches = pack(["word " * 200] * 3000, size=limits.texts, tokens=limits.tokens)
    assert max(sum(map(estimate_tokens, batch)) for batch in batches) <= tokens
    assert max(map(len, batches)) <= limits.texts


@pytest.mark.parametrize(
    ("provider", "model", "side"),
    [
        ("bedrock", "amazon.titan-embed-text-v2:0", {}),
        ("bedrock", "cohere.embed-multilingual-v3", {"input_type": "search_query"}),
        ("jina_ai", "jina-embeddings-v2-base-en", {}),
        ("gemini", "gemini-embedding-2-preview", {}),
    ],
)
def test_only_models_that_know_sides_are_told(provider, model, side):
    assert side_parameters(provider, model, "query") == side
