"""Passages cut from any text file, a public-domain book say: negatives that are surely no answers."""

from __future__ import annotations

import re
from pathlib import Path

from embertune.core.random import generator
from embertune.data.lines import read_lines
from embertune.data.texts import counted
from embertune.data.words import word_spans
from embertune.errors import ConfigError, DataError

__all__ = ["passages_from_text"]

# Around a book of Project Gutenberg stand its title page and its licence.
_START = re.compile(r"^\*\*\* ?START OF TH[EI]S? PROJECT GUTENBERG.*$", re.MULTILINE)
_END = re.compile(r"^\*\*\* ?END OF TH[EI]S? PROJECT GUTENBERG.*$", re.MULTILINE)


def passages_from_text(path: str | Path, *, words: int = 100, count: int | None = None, seed: int = 0) -> list[str]:
    """Cut a text file into passages of equal length and draw some of them.

    Passages do not overlap; white space in them becomes single spaces. What Project Gutenberg adds before and after a
    book is left out. Passages from another domain are easy negatives: they keep an adapter from pulling everything
    together, but teach less than documents of one's own corpus.

    Args:
        path: UTF-8 text of any kind.
        words: Words in a passage; where a script writes no spaces, each character is a word.
        count: How many to draw; None takes all.
        seed: Decides which.

    Returns:
        The passages, in the order of the text.

    Raises:
        ConfigError: A number is below 1.
        DataError: The file cannot be read, or is too short.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "book.txt")
        ...     _ = path.write_text("Call me Ishmael. Some years ago - never mind how long")
        ...     passages_from_text(path, words=3)
        ['Call me Ishmael.', 'Some years ago', '- never mind']
    """
    problems = [
        f"{name} must be at least 1, got {value}"
        for name, value in (("words", words), ("count", count))
        if value is not None and value < 1
    ]
    if problems:
        raise ConfigError(problems)
    text = _body("".join(read_lines(Path(path))))
    spans = word_spans(text)
    cuts = range(0, len(spans) - words + 1, words)
    if len(cuts) < (count or 1):
        found = f"{path} has {counted(len(spans), 'word')}, which is {counted(len(cuts), 'passage')} of {words}"
        raise DataError(
            f"{found}. Expected at least {count or 1}: give a longer text, a lower count, or a lower number of words."
        )
    if count is not None:
        drawn = generator(seed, "passages").choice(len(cuts), count, replace=False)
        cuts_drawn = [cuts[at] for at in sorted(drawn.tolist())]
    else:
        cuts_drawn = list(cuts)
    return [" ".join(text[spans[cut][0] : spans[cut + words - 1][1]].split()) for cut in cuts_drawn]


def _body(text: str) -> str:
    start, end = _START.search(text), _END.search(text)
    return text[start.end() if start else 0 : end.start() if end else len(text)]
