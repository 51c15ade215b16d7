"""One document of a corpus."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Document"]


class Document(NamedTuple):
    """A text, and its title where it has one.

    Example:
        >>> Document("keeps the order of keys.", title="dict").content
        'dict keeps the order of keys.'
    """

    text: str
    title: str = ""

    @property
    def content(self) -> str:
        """What an encoder embeds: title, space, text (as BEIR and MTEB join them), stripped."""
        return f"{self.title} {self.text}".strip()
