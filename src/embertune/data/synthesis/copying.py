"""How much of a query is copied: the longest run of words that also stands in the passage."""

from __future__ import annotations

from embertune.data.texts import normalize_text
from embertune.data.words import word_spans

__all__ = ["CopyMeter"]

_FIRST_DENSE = "\u0e00"  # from Thai on, `word_spans` takes single characters of some scripts for words


class CopyMeter:
    """Measures what queries copy from one passage. Case and punctuation do not count.

    Args:
        passage: Its text.

    Example:
        >>> CopyMeter("Since 3.7 keys keep their order.").longest_run("is it true that keys keep their order?")
        4
    """

    def __init__(self, passage: str) -> None:
        self._told = f" {' '.join(_words(passage))} "

    def longest_run(self, query: str) -> int:
        """Count the words of the longest run that stands in query and passage, in order and without a gap.

        In scripts that write no spaces each character counts as a word, and the count is halved, because most of
        their words have two.
        """
        asked = _words(query)
        longest = 0
        for start in range(len(asked)):
            # Only a run longer than the longest so far is of interest.
            while start + longest < len(asked) and self._holds(asked[start : start + longest + 1]):
                longest += 1
        dense = sum(len(word) == 1 and word >= _FIRST_DENSE for word in asked)
        return (longest + 1) // 2 if 2 * dense > len(asked) else longest

    def _holds(self, run: list[str]) -> bool:
        return f" {' '.join(run)} " in self._told


def _words(text: str) -> list[str]:
    normal = normalize_text(text)
    return [normal[start:end] for start, end in word_spans(normal)]
