"""Word files (.docx): paragraphs, lists, tables and headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from embertune._optional import require
from embertune.data.sources.base import SourceText, joined
from embertune.errors import DataError

__all__ = ["read_docx"]

_LEVEL = re.compile(r"heading (\d)", re.IGNORECASE)


def read_docx(path: Path, source: str) -> list[SourceText]:
    """Read a .docx file, a blank line between paragraphs; headings are those of Word's heading styles.

    Raises:
        DataError: It is no .docx file, is protected by a password, or holds no text.
        MissingExtraError: python-docx is not installed.
    """
    docx = require("docx", extra="documents", purpose="Reading Word files")
    try:
        document = docx.Document(str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    # python-docx names neither all causes nor one class of errors: no zip file, no XML, a part that is not there.
    except Exception as error:
        raise DataError(
            f"{path} is no .docx file that can be read ({type(error).__name__}); one with a password is not, either. "
            "Open it and save it again as .docx, without a password."
        ) from None
    title = str(document.core_properties.title or "").strip()
    return [joined(_blocks(document), title=title, source=source)]


def _blocks(document: Any) -> Iterator[tuple[str, int]]:
    for block in document.iter_inner_content():
        if hasattr(block, "rows"):
            yield "\n".join(_row(row) for row in block.rows), 0
        else:
            yield block.text, _level(block)


def _row(row: Any) -> str:
    # A merged cell comes once for each column that it spans.
    cells = {id(cell._tc): " ".join(cell.text.split()) for cell in row.cells}
    return " | ".join(filter(None, cells.values()))


def _level(paragraph: Any) -> int:
    name = str(paragraph.style.name) if paragraph.style is not None else ""
    if name == "Title":
        return 1
    found = _LEVEL.match(name)
    return int(found.group(1)) if found else 0
