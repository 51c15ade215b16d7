"""What language models answer, read tolerantly: JSON alone, in prose, in fences, cut off, or not quite JSON."""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["read_items"]

_THOUGHTS = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)
_TRAILING_COMMA = re.compile(r",(?=\s*[}\]])")
_OPENING = re.compile(r"[{\[]")
_MOST_MISSES = 200  # each costs a pass over the rest: this bounds what a hostile answer of brackets can take
_DECODER = json.JSONDecoder()


def read_items(answer: str, key: str) -> list[dict[str, Any]]:
    r"""Give the objects of a list that was asked for as ``{key: [{...}, ...]}``.

    Of an answer that was cut off the complete objects are kept. A list under another name, a bare list and a list
    of plain texts are taken, too; a plain text becomes ``{"text": ...}``.

    Args:
        answer: What the model wrote.
        key: The name of the list.

    Raises:
        ValueError: There is no such list in it.

    Example:
        >>> read_items('Sure! ```json\n{"queries": [{"text": "a"}, {"text": "b"}, {"te', "queries")
        [{'text': 'a'}, {'text': 'b'}]
    """
    text = _THOUGHTS.sub("", answer)
    values = _values(text) or _values(_TRAILING_COMMA.sub("", text))
    if len(values) > 1:  # pieces of one list that was cut off, or a list after an example of one
        whole = [value for value in values if isinstance(value, dict) and isinstance(value.get(key), list)]
        values = whole[-1:] or values
    items = [item for value in values for item in _items(value, key)]
    if not items and not any(isinstance(value, dict) and key in value for value in values):
        raise ValueError(f"no list {key!r} in an answer of {len(answer)} characters")
    return items


def _values(text: str) -> list[Any]:
    """Every JSON object and list that stands in a text, outermost first."""
    found, at, misses = [], 0, 0
    while (match := _OPENING.search(text, at)) is not None and misses < _MOST_MISSES:
        try:
            value, at = _DECODER.raw_decode(text, match.start())
            found.append(value)
        except (ValueError, RecursionError):
            at, misses = match.start() + 1, misses + 1
    return [value for value in found if value]


def _items(value: Any, key: str) -> list[dict[str, Any]]:
    if isinstance(value, str):
        return [{"text": value}]
    if isinstance(value, list):
        return [item for entry in value for item in _items(entry, key)]
    if not isinstance(value, dict):
        return []
    lists = [value[key]] if key in value else [entry for entry in value.values() if isinstance(entry, list)]
    if "text" in value or not lists:
        return [value]
    return _items(lists[0], key)
