"""Where a query comes from that nobody asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

__all__ = ["Origin", "count_generators"]


class Origin(NamedTuple):
    """Who wrote a synthetic query, and how it is put.

    Example:
        >>> Origin("extractive", "keywords").generator
        'extractive'
    """

    generator: str
    """What wrote it, such as "extractive" or "openai/gpt-4o-mini"."""
    style: str = ""
    """How it is put, such as "question", "keywords" or "crop"; empty where that is not known."""


def count_generators(synthetic: Mapping[str, Origin], queries: Iterable[str]) -> dict[str, int]:
    """Count, of some queries, how many each generator wrote; those that people asked are not in it.

    Example:
        >>> count_generators({"q1": Origin("extractive"), "q2": Origin("extractive")}, ["q1", "q2", "q3"])
        {'extractive': 2}
    """
    return dict(Counter(synthetic[query].generator for query in queries if query in synthetic))
