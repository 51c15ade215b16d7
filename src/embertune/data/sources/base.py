"""A text as it was read, where its headings are, and what blocks of text make one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Heading", "SourceText", "joined"]


class Heading(NamedTuple):
    """A heading within a text.

    Example:
        >>> Heading(0, 9, 1, "Install").title
        'Install'
    """

    start: int
    """Character at which it starts, with whatever marks it."""
    end: int
    """Character after its line."""
    level: int
    """1 for the highest."""
    title: str


class SourceText(NamedTuple):
    """The text of one document.

    Example:
        >>> SourceText("Keys keep their order.", title="dict").source
        ''
    """

    text: str
    title: str = ""
    source: str = ""
    """What it was read from: the path of the file, and of a line of a JSONL file also its number."""
    headings: tuple[Heading, ...] = ()
    """In their order."""


def joined(blocks: Iterable[tuple[str, int]], *, title: str, source: str) -> SourceText:
    r"""Make one text of blocks, with a blank line between them.

    Args:
        blocks: Text and level: 0 for what is no heading. Blocks without text are passed over.
        title: Of the document; where there is none its first heading of level 1 is.
        source: What it was read from.

    Example:
        >>> joined([("Install", 1), ("Type pip.", 0)], title="", source="a.html").text
        'Install\n\nType pip.'
    """
    pieces: list[str] = []
    headings: list[Heading] = []
    at = 0
    for block, level in blocks:
        text = block.strip()
        if not text:
            continue
        if level:
            headings.append(Heading(at, at + len(text), level, " ".join(text.split())))
        pieces.append(text)
        at += len(text) + 2
    first = next((heading.title for heading in headings if heading.level == 1), "")
    return SourceText("\n\n".join(pieces), title or first, source, tuple(headings))
