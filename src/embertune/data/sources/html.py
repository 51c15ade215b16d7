"""HTML: the text that is read, without menus and scripts, and its headings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from embertune._optional import require
from embertune.data.sources.base import SourceText, joined
from embertune.errors import DataError

__all__ = ["read_html"]

# fmt: off
_UNREAD = (
    "script", "style", "noscript", "template", "nav", "footer", "aside", "form", "button", "svg", "iframe", "head",
)
_BLOCKS = (
    "address", "article", "blockquote", "body", "caption", "dd", "details", "div", "dl", "dt", "figcaption", "figure",
    "fieldset", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "legend", "li", "main", "ol", "p", "pre", "section",
    "summary", "table", "tr", "ul",
)
# fmt: on
# Stands where a block begins or ends, before the level of its heading; of the private use area, so in no text.
_BORDER = "\ue000"
_AS_WRITTEN = "p"
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")


def read_html(path: Path, source: str) -> list[SourceText]:
    """Read an HTML page: paragraphs, lists, tables and headings, a blank line between blocks.

    What is no text of the page is left out (scripts, navigation, asides, forms, footers); where it has one <main> or
    <article>, that alone is read. The title is that of the page. The encoding is told by the page.

    Raises:
        DataError: It cannot be read.
        MissingExtraError: beautifulsoup4 is not installed.
    """
    bs4 = require("bs4", extra="documents", purpose="Reading HTML")
    try:
        page = bs4.BeautifulSoup(path.read_bytes(), "html.parser")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    except bs4.exceptions.ParserRejectedMarkup:
        raise DataError(f"{path} is no HTML that can be read. Save the page again, or save it as text.") from None
    title = " ".join(page.title.get_text().split()) if page.title else ""
    for element in page(_UNREAD):
        element.decompose()
    bodies = page("main") or page("article")
    root = bodies[0] if len(bodies) == 1 else page
    root.insert(0, f"{_BORDER}0")
    return [joined(_blocks(root), title=title, source=source)]


def _blocks(root: Any) -> Iterator[tuple[str, int]]:
    """Give what stands between the borders of blocks, and the level of the heading that it is."""
    for tag in root(_BLOCKS):
        kind = tag.name[1] if tag.name in _HEADINGS else _AS_WRITTEN if tag.name == "pre" else "0"
        tag.insert_before(f"{_BORDER}{kind}")
        tag.insert_after(f"{_BORDER}0")
    for cell in root(("td", "th", "br")):
        cell.insert_after(" ")
    for block in root.get_text().split(_BORDER):
        kind, text = block[:1], block[1:]
        yield (text, 0) if kind == _AS_WRITTEN else (" ".join(text.split()), int(kind or 0))
