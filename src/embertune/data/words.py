"""Where the words of a text are, also in scripts that write no spaces."""

from __future__ import annotations

import re

__all__ = ["NO_SPACES", "word_spans"]

# Kana, Chinese, Thai, Lao, Burmese and Khmer: each character counts as a word.
NO_SPACES = (
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
)
_WORD = re.compile(rf"[{NO_SPACES}]|[^\s{NO_SPACES}]+")


def word_spans(text: str) -> list[tuple[int, int]]:
    """Give where each word begins and ends; punctuation belongs to the word that it touches.

    Example:
        >>> word_spans("Ay, ay."), len(word_spans("我爱你"))
        ([(0, 3), (4, 7)], 3)
    """
    return [match.span() for match in _WORD.finditer(text)]
