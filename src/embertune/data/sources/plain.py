"""Plain text and JSONL."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embertune.data.builder import as_text, examples
from embertune.data.lines import read_json_lines, read_lines
from embertune.data.sources.base import SourceText
from embertune.errors import DataError

__all__ = ["read_jsonl", "read_text"]

_TEXT_KEYS = ("text", "content", "contents", "body", "document", "passage", "chunk")
_TITLE_KEYS = ("title", "name", "heading")


def read_text(path: Path, source: str) -> list[SourceText]:
    r"""Read a UTF-8 text file as one text; its line ends become "\n".

    Raises:
        DataError: It cannot be read, or is not UTF-8.
    """
    return [SourceText("".join(read_lines(path)).replace("\r\n", "\n"), source=source)]


def read_jsonl(path: Path, source: str) -> list[SourceText]:
    """Read each line of a JSONL file as one text: an object with a text, and a title if it has one.

    Raises:
        DataError: A line is no such object.
    """
    return [_row(row, f"{path}:{number}", f"{source}:{number}") for number, row in read_json_lines(path)]


def _row(row: Mapping[str, Any], place: str, source: str) -> SourceText:
    names = {str(name).lower(): name for name in row}
    key = next((names[name] for name in _TEXT_KEYS if name in names), None)
    if key is None:
        raise DataError(f"{place}: found the keys {examples(row, 8)}. Expected 'text' (and 'title' if it has one).")
    title = next((names[name] for name in _TITLE_KEYS if name in names), "title")
    text, name = (as_text(row.get(column), f"{place}: {column!r}") for column in (key, title))
    return SourceText(text, name.strip(), source)
