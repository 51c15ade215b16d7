"""What is asked of texts everywhere: are two the same question, is one broken, how is it quoted, how counted."""

from __future__ import annotations

import unicodedata

__all__ = ["counted", "is_broken", "normalize_text", "shortened"]

_APOSTROPHES = frozenset("'’‘ʼ`´")
# In the questions of programmers these tell one thing from another: C# and C, a/b and ab, 5% and 5.
_MEANINGFUL = frozenset("#%&*/@\\")


class _Punctuation(dict[int, str]):
    """A translation table that is filled as characters are met: Unicode has 800 punctuation marks."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if character in _APOSTROPHES:
            replacement = ""
        elif unicodedata.category(character).startswith("P") and character not in _MEANINGFUL:
            replacement = " "
        else:
            replacement = character
        self[code] = replacement
        return replacement


_PUNCTUATION = _Punctuation()


def normalize_text(text: str) -> str:
    r"""Reduce a text to what makes it a question: NFKC, case folded, without punctuation, single spaces.

    Symbols (+, =, <) and the marks ``# % & * / @ \`` stay, so "C++", "C#" and "C" are three things. A text of
    nothing but punctuation stays as it is.

    Example:
        >>> normalize_text("  What's   a “Café”? ") == normalize_text("whats a café")
        True
        >>> normalize_text("sort in C++") == normalize_text("sort in C#")
        False
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.translate(_PUNCTUATION).split()) or folded.strip()


def is_broken(text: str) -> bool:
    r"""Tell whether a text holds half a surrogate pair, which no UTF-8 file takes: an emoji cut in two.

    Example:
        >>> is_broken("\ud83d"), is_broken("\U0001f600")
        (True, False)
    """
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def shortened(text: str, limit: int = 60) -> str:
    r"""Quote the beginning of a text in an error: on one line, with an ellipsis where something is left out.

    Example:
        >>> shortened("how old\n is the bridge", limit=10)
        'how old is…'
    """
    text = " ".join(text.split())
    return text if len(text) <= limit else text[:limit] + "…"


def counted(count: int, one: str, many: str = "") -> str:
    """Give a number of things in words that agree with it; `many` may be left out where it is `one` and an "s".

    Example:
        >>> counted(1, "query has", "queries have"), counted(2, "query has", "queries have"), counted(0, "row")
        ('1 query has', '2 queries have', '0 rows')
    """
    return f"{count} {one if count == 1 else many or one + 's'}"
