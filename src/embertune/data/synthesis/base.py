"""What a generator of queries takes and gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

__all__ = ["PATH_SEPARATOR", "Chunk", "QueryGenerator", "SyntheticQuery"]

# Between the headings of a path, where a chunk's title is one.
PATH_SEPARATOR = " › "


class Chunk(NamedTuple):
    """A passage of a source, as a search would return it.

    Example:
        >>> Chunk("Keys keep their order.", title="dict", source="types.md", position=3).title
        'dict'
    """

    text: str
    title: str = ""
    source: str = ""
    """File or document that it was cut from."""
    position: int = 0
    """Which chunk of its source it is, from 0."""
    start: int = 0
    """Character of the source at which it starts; chunks of one source may overlap."""


class SyntheticQuery(NamedTuple):
    """A query that nobody asked, and the chunks that answer it.

    Example:
        >>> SyntheticQuery("do dicts keep order", (0,), "keywords").chunks
        (0,)
    """

    text: str
    chunks: tuple[int, ...]
    """Positions of the chunks that answer it, in the order in which they were given."""
    style: str = "question"
    """How it is put: "question", "keywords", "vague", "typo", "multi-hop", "title", "heading", "cloze", "crop"."""


class QueryGenerator(Protocol):
    """Writes queries for chunks; what it is called goes into the record."""

    name: str
    """What made the queries, such as "extractive" or "openai/gpt-4o-mini"."""

    def generate(self, chunks: Iterable[Chunk], *, per_chunk: int) -> Iterator[SyntheticQuery]:
        """Give up to so many queries for each chunk, in the order of the chunks; memory does not grow with them."""
        ...
