"""Cuts documents into chunks, by tokens, sentences or headings, and keeps where each comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Literal, NamedTuple, get_args

from embertune.data.builder import as_text
from embertune.data.document import Document
from embertune.data.sentences import sentence_spans
from embertune.data.sources.base import SourceText
from embertune.data.synthesis.base import PATH_SEPARATOR, Chunk
from embertune.data.words import word_spans
from embertune.errors import ConfigError, DataError

__all__ = ["ChunkBy", "check_chunking", "chunk_documents", "token_spans"]

ChunkBy = Literal["tokens", "sentences", "headings"]

# Tokenizers of embedding models cut long words; a hash or an address is no single token.
_LONGEST_TOKEN = 16

Span = tuple[int, int]


class _Section(NamedTuple):
    start: int
    end: int
    title: str


def chunk_documents(
    documents: Iterable[str | Document | SourceText | Sequence[str]],
    *,
    by: ChunkBy = "sentences",
    size: int = 200,
    overlap: int = 0,
) -> list[Chunk]:
    """Cut documents into chunks; nothing but white space, and the headings that become titles, is left out.

    * "tokens": windows of `size` tokens, each `overlap` of which it shares with the one before.
    * "sentences": as many whole sentences as fit; a longer one is cut by tokens. The last sentences of a chunk are the
      first of the next one, as many as fit into `overlap` tokens.
    * "headings": the sections between headings, each cut by sentences where it is longer; the path of headings is the
      title. What has no headings is cut by sentences.

    A token is a word with the punctuation at it, 16 characters of a longer one, or one character of a script without
    spaces: about three quarters of a word piece of English, and one of Chinese.

    Args:
        documents: Texts, documents, (title, text) pairs, or what `read_documents` gave.
        by: Where to cut.
        size: The most tokens in a chunk.
        overlap: The most tokens that a chunk shares with the one before, below `size`.

    Returns:
        The chunks, in order. `Chunk.start` is where it stands in the text of its document.

    Raises:
        ConfigError: A setting is impossible.
        DataError: Something is no document.

    Example:
        >>> [chunk.text for chunk in chunk_documents(["It is old. Anna built it. Who paid?"], size=6)]
        ['It is old. Anna built it.', 'Who paid?']
    """
    check_chunking(by, size, overlap)
    sources = (_source(document, number) for number, document in enumerate(documents, 1))
    return list(chain.from_iterable(_chunks(source, by, size, overlap) for source in sources))


def check_chunking(by: str, size: int, overlap: int) -> None:
    """Refuse impossible settings, before any document is read.

    Raises:
        ConfigError: With every problem.
    """
    problems = []
    if by not in get_args(ChunkBy):
        problems.append(f"by must be {', '.join(get_args(ChunkBy))}, got {by!r}")
    if size < 1:
        problems.append(f"size must be at least 1, got {size}")
    if not 0 <= overlap < max(size, 1):
        problems.append(f"overlap must be at least 0 and below size ({size}), got {overlap}")
    if problems:
        raise ConfigError(problems)


def token_spans(text: str) -> list[Span]:
    """Give where the tokens of a text are, as `chunk_documents` counts them.

    Example:
        >>> token_spans("a 0123456789abcdef01"), len(token_spans("我爱你"))
        ([(0, 1), (2, 18), (18, 20)], 3)
    """
    return [
        (at, min(at + _LONGEST_TOKEN, end))
        for start, end in word_spans(text)
        for at in range(start, end, _LONGEST_TOKEN)
    ]


def _source(document: Any, number: int) -> SourceText:
    place = f"Document {number}"
    if isinstance(document, SourceText):
        return document
    if isinstance(document, str):
        return SourceText(as_text(document, place))
    if isinstance(document, Document):
        return SourceText(as_text(document.text, place), document.title)
    if isinstance(document, Sequence) and len(document) == 2 and all(isinstance(part, str) for part in document):
        title, text = document
        return SourceText(as_text(text, place), as_text(title, place))
    raise DataError(
        f"{place} is a {type(document).__name__}. Expected a text, a Document, or a pair (title, text). For files "
        "type: read_documents(path).texts"
    )


def _chunks(source: SourceText, by: ChunkBy, size: int, overlap: int) -> Iterator[Chunk]:
    whole = _Section(0, len(source.text), source.title)
    sections = _sections(source) if by == "headings" and source.headings else [whole]
    position = 0
    for section in sections:
        inside = source.text[section.start : section.end]
        spans = _windows(token_spans(inside), size, overlap) if by == "tokens" else _packed(inside, size, overlap)
        for start, end in spans:
            yield Chunk(inside[start:end], section.title, source.source, position, section.start + start)
            position += 1


def _sections(source: SourceText) -> Iterator[_Section]:
    """Give what stands between headings; a heading with nothing below it is a section of its own words."""
    first = source.headings[0]
    yield _Section(0, first.start, source.title)
    path: list[tuple[int, str]] = [(0, source.title)] if source.title else []
    ends = [*(heading.start for heading in source.headings[1:]), len(source.text)]
    levels = [*(heading.level for heading in source.headings[1:]), 0]
    for heading, end, following in zip(source.headings, ends, levels, strict=True):
        path = [step for step in path if step[0] < heading.level]
        if (0, heading.title) not in path:  # the title of the document is mostly its first heading
            path.append((heading.level, heading.title))
        is_empty = not source.text[heading.end : end].strip()
        if not (is_empty and following > heading.level):
            start = heading.start if is_empty else heading.end
            yield _Section(start, end, PATH_SEPARATOR.join(title for _, title in path))


def _windows(tokens: Sequence[Span], size: int, overlap: int) -> Iterator[Span]:
    for first in range(0, max(len(tokens) - overlap, 1), size - overlap):
        window = tokens[first : first + size]
        if window:
            yield window[0][0], window[-1][1]


def _packed(text: str, size: int, overlap: int) -> Iterator[Span]:
    """Fill chunks with whole sentences."""
    held: list[tuple[Span, int]] = []
    for span in sentence_spans(text):
        for piece, count in _pieces(text, span, size):
            if held and sum(one for _, one in held) + count > size:
                yield held[0][0][0], held[-1][0][1]
                held = _last(held, min(overlap, size - count))
            held.append((piece, count))
    if held:
        yield held[0][0][0], held[-1][0][1]


def _pieces(text: str, span: Span, size: int) -> Iterator[tuple[Span, int]]:
    start, end = span
    tokens = token_spans(text[start:end])
    for first in range(0, len(tokens), size):
        cut = tokens[first : first + size]
        yield (start + cut[0][0], start + cut[-1][1]), len(cut)


def _last(held: list[tuple[Span, int]], most: int) -> list[tuple[Span, int]]:
    """Keep the last sentences that together have no more tokens than this."""
    kept = 0
    for at in range(len(held) - 1, -1, -1):
        kept += held[at][1]
        if kept > most:
            return held[at + 1 :]
    return list(held)
