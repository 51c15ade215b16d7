"""Markdown: the text as it is written, and where its headings are."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

from embertune._optional import require
from embertune.data.sources.base import Heading, SourceText
from embertune.data.sources.plain import read_text

__all__ = ["read_markdown"]

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n.*?\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)


def read_markdown(path: Path, source: str) -> list[SourceText]:
    """Read a Markdown file; headings are those of CommonMark, so a # in a block of code is none.

    Front matter between two lines of --- is not read. The first heading of level 1 is the title.

    Raises:
        DataError: It cannot be read, or is not UTF-8.
        MissingExtraError: markdown-it-py is not installed.
    """
    parser = require("markdown_it", extra="documents", purpose="Reading Markdown").MarkdownIt("commonmark")
    text = read_text(path, source)[0].text
    if matter := _FRONT_MATTER.match(text):
        text = text[matter.end() :]
    # CommonMark also ends a line at a lone carriage return; as long as the line feed, so that places stay.
    text = text.replace("\r", "\n")
    headings = _headings(parser.parse(text), text)
    title = next((heading.title for heading in headings if heading.level == 1), "")
    return [SourceText(text, title, source, headings)]


def _headings(tokens: list[Any], text: str) -> tuple[Heading, ...]:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    found = []
    for token, inside in pairwise(tokens):
        if token.type == "heading_open" and token.level == 0:
            first, after = token.map
            found.append(Heading(starts[first], min(starts[after], len(text)), int(token.tag[1:]), _plain(inside)))
    return tuple(heading for heading in found if heading.title)


def _plain(inline: Any) -> str:
    """The words of a heading, without what marks links, code and emphasis."""
    # Marks of emphasis and links have no content; a break within a heading is one as well, and parts words.
    words = [" " if child.type.endswith("break") else child.content for child in inline.children or ()]
    return " ".join("".join(words).split())
