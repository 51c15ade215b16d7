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


# From the providers' API references as of 2025; where a model takes more, the smallest of its family.
_LIMITS = {
    "openai": Limits(2048, 300_000),
    "azure": Limits(2048, 300_000),
    "cohere": Limits(96, 100_000),
    "azure_ai": Limits(96, 100_000),
    "bedrock": Limits(96, 100_000),
    "voyage": Limits(1000, 120_000),
    "gemini": Limits(100, 20_000),
    "vertex_ai": Limits(250, 20_000),
    "mistral": Limits(128, 16_000),
    "jina_ai": Limits(512, 100_000),
    "nvidia_nim": Limits(50, 100_000),
}
# Self-hosted servers start at 32 (text-embeddings-inference).
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
    # Vertex takes one text a request for gemini-embedding-001, and gemini-embedding-2 joins all texts into one vector.
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
