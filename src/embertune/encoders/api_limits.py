"""What each embedding API accepts: texts and tokens in one request, and how it is told the side."""

from __future__ import annotations

from typing import NamedTuple

from embertune.encoders.base import Side

__all__ = ["Limits", "limits_of", "side_parameters"]


class Limits(NamedTuple):
    """The most that one request may hold.

    Attributes:
        texts: How many texts.
        tokens: How many tokens in all of them.
    """

    texts: int
    tokens: int


# Where a model takes more, the smallest of its family. "Not documented" is a guess on the safe side.
_LIMITS = {
    # https://platform.openai.com/docs/api-reference/embeddings/create: 2048 inputs, 300,000 tokens
    "openai": Limits(2048, 300_000),
    # The same text is in Azure's reference of v1; an older page of Azure's says 8,192 tokens for all inputs together.
    "azure": Limits(2048, 300_000),
    # https://docs.cohere.com/reference/embed: 96 texts; tokens not documented
    "cohere": Limits(96, 100_000),
    # not documented; Cohere's, whose models are offered there
    "azure_ai": Limits(96, 100_000),
    # https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html: 96 texts; tokens not documented
    "bedrock": Limits(96, 100_000),
    # https://docs.voyageai.com/reference/embeddings-api: 1,000 texts; 120K tokens for voyage-4-large, -3-large and
    # -code-3, 320K to 1M for others
    "voyage": Limits(1000, 120_000),
    # "at most 100 requests can be in one batch", says the server; tokens not documented, so Vertex's
    "gemini": Limits(100, 20_000),
    # https://cloud.google.com/vertex-ai/generative-ai/docs/embeddings/get-text-embeddings: 250 texts, 20,000 tokens
    "vertex_ai": Limits(250, 20_000),
    # "Too many tokens in batch. Max is 16384", says the server; texts not documented, rig-core measured 256
    "mistral": Limits(128, 16_000),
    # not documented
    "jina_ai": Limits(512, 100_000),
    "nvidia_nim": Limits(50, 100_000),
}
# 32 texts is what text-embeddings-inference allows by itself (--max-client-batch-size).
_OTHERS = Limits(32, 100_000)

_COHERE = ("input_type", "search_query", "search_document")
_SIDES = {
    "cohere": _COHERE,
    "bedrock": _COHERE,
    "azure_ai": _COHERE,
    "voyage": ("input_type", "query", "document"),
    "nvidia_nim": ("input_type", "query", "passage"),
    "jina_ai": ("task", "retrieval.query", "retrieval.passage"),
    "gemini": ("task_type", "RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT"),
    "vertex_ai": ("task_type", "RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT"),
}


def limits_of(provider: str, model: str) -> Limits:
    """Give what one request to a model may hold.

    Args:
        provider: As LiteLLM names it.
        model: Without the provider.

    Example:
        >>> limits_of("openai", "text-embedding-3-small")
        Limits(texts=2048, tokens=300000)
    """
    limits = _LIMITS.get(provider, _OTHERS)
    # Vertex takes one text a request for gemini-embedding-001 (the page above), and gemini-embedding-2 joins all texts
    # into one vector.
    alone = "gemini-embedding" in model and (provider == "vertex_ai" or "embedding-2" in model)
    return limits._replace(texts=1) if alone else limits


def side_parameters(provider: str, model: str, side: Side) -> dict[str, str]:
    """Give the parameter that tells an API whether it reads queries or documents, where it has one.

    Args:
        provider: As LiteLLM names it.
        model: Without the provider.
        side: "query" or "document".

    Example:
        >>> side_parameters("cohere", "embed-v4.0", "query")
        {'input_type': 'search_query'}
        >>> side_parameters("openai", "text-embedding-3-small", "query")
        {}
    """
    # Bedrock and Azure host many makers' models, and only Cohere's take it; Jina's models take it from version 3 on.
    if provider in ("bedrock", "azure_ai") and not any(name in model.lower() for name in ("cohere", "embed-v-4")):
        return {}
    if provider not in _SIDES or "embeddings-v2" in model or "gemini-embedding-2" in model:
        return {}
    name, query, document = _SIDES[provider]
    return {name: query if side == "query" else document}
