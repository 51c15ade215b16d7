"""Finds texts that are nearly the same, without comparing all pairs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from embertune.data.texts import normalize_text
from embertune.data.words import words_of
from embertune.errors import ConfigError

__all__ = ["CopyMeter", "near_documents", "near_queries", "trigrams"]

_TRIGRAM = 3
_FIRST_DENSE = "\u0e00"  # from Thai on, `word_spans` takes single characters of some scripts for words
# Words that change nothing in a question. "a" is not among them: hepatitis A is not hepatitis.
_FILLERS = frozenset(
    {
        "the",
        "an",
        "some",
        "any",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "do",
        "does",
        "did",
        "can",
        "could",
        "please",
    }
)
# "resets" is "reset"; shorter words, such as "char" and "charge" or "II" and "IIB", tell things apart.
_STEM, _ENDING = 5, 2


def near_queries(texts: Sequence[str]) -> dict[int, int]:
    """Find queries that an earlier one repeats but for wording that says nothing.

    Two count that have the same words in the same order, but for case, punctuation, English articles and auxiliaries,
    and endings of up to two letters. How much of their letters two have in common does not tell: of 289 pairs of
    questions on medquad whose trigrams overlap by .9 (Jaccard) nearly all were on two diseases, such as types IA and IB
    of one.

    Args:
        texts: In the order of preference.

    Returns:
        Position of a repetition -> position of the query that is kept.

    Example:
        >>> near_queries(["How do I reset phones?", "how I reset the phone", "revenue in 2021", "revenue in 2022"])
        {1: 0}
    """
    found: dict[int, int] = {}
    kept: dict[tuple[str, ...], list[tuple[int, list[str]]]] = {}
    for at, text in enumerate(texts):
        every = words_of(normalize_text(text))
        words = [word for word in every if word not in _FILLERS] or every
        others = kept.setdefault(tuple(word[:_STEM] for word in words), [])
        near = next((other for other, theirs in others if all(map(_inflected, words, theirs))), None)
        if near is None:
            others.append((at, words))
        else:
            found[at] = near
    return found


def near_documents(texts: Sequence[str], *, threshold: float = 0.9) -> dict[int, int]:
    """Find passages that an earlier one nearly repeats.

    Two count whose sets of word trigrams have a Jaccard index of at least the threshold, and that hold the same
    numbers: the reports of two years are two documents.

    Sources: Broder, On the resemblance and containment of documents (1997); pairs are found exactly through prefixes,
    as in Chaudhuri et al., A Primitive Operator for Similarity Joins (2006): of two sets so alike, sorted by how rare
    their members are, the first ``size - ceil(threshold * size) + 1`` share one.

    Args:
        texts: In the order of preference.
        threshold: Above 0 and at most 1.

    Returns:
        Position of a repetition -> position of the text that is kept, the most alike of those kept before it.

    Raises:
        ConfigError: The threshold is impossible.

    Example:
        >>> near_documents(["Call me Ishmael, he said.", "call me Ishmael he said", "Call me in 2 days", "me 3 days"])
        {1: 0}
    """
    if not 0 < threshold <= 1:
        raise ConfigError(f"threshold must be a Jaccard index above 0 and at most 1, got {threshold}")
    listed = [words_of(normalize_text(text)) for text in texts]
    numbers = [sorted(word for word in words if any(map(str.isdigit, word))) for words in listed]
    sets = _ranked([_runs(words) for words in listed])
    holders: dict[int, list[int]] = {}
    found: dict[int, int] = {}
    for at, members in enumerate(sets):
        prefix = members[: len(members) - math.ceil(threshold * len(members) - 1e-9) + 1].tolist()
        near = {other for member in prefix for other in holders.get(member, ()) if numbers[other] == numbers[at]}
        alike = {other: _jaccard(members, sets[other]) for other in sorted(near)}
        best = max(alike, key=lambda other: alike[other], default=None)
        if best is not None and alike[best] >= threshold - 1e-9:
            found[at] = best
            continue
        for member in prefix:
            holders.setdefault(member, []).append(at)
    return found


class CopyMeter:
    """Measures what queries copy from one passage. Case and punctuation do not count.

    Args:
        passage: Its text.

    Example:
        >>> CopyMeter("Since 3.7 keys keep their order.").longest_run("is it true that keys keep their order?")
        4
    """

    def __init__(self, passage: str) -> None:
        self._told = f" {' '.join(words_of(normalize_text(passage)))} "

    def longest_run(self, query: str) -> int:
        """Count the words of the longest run that stands in query and passage, in order and without a gap.

        In scripts that write no spaces each character counts as a word, and the count is halved, because most of
        their words have two.
        """
        asked = words_of(normalize_text(query))
        longest = 0
        for start in range(len(asked)):
            # Only a run longer than the longest so far is of interest.
            while start + longest < len(asked) and self._holds(asked[start : start + longest + 1]):
                longest += 1
        dense = sum(len(word) == 1 and word >= _FIRST_DENSE for word in asked)
        return (longest + 1) // 2 if 2 * dense > len(asked) else longest

    def _holds(self, run: list[str]) -> bool:
        return f" {' '.join(run)} " in self._told


def trigrams(text: str) -> set[str]:
    """Give the word trigrams of a text, by which passages are compared; case and punctuation do not count.

    Example:
        >>> sorted(trigrams("Call me Ishmael, he said."))
        ['call me ishmael', 'ishmael he said', 'me ishmael he']
    """
    return _runs(words_of(normalize_text(text)))


def _inflected(word: str, other: str) -> bool:
    """Tell whether two words are one but for an ending."""
    short, long = sorted((word, other), key=len)
    ending = long[len(short) :]
    return word == other or (
        len(short) >= _STEM and long.startswith(short) and len(ending) <= _ENDING and ending.isalpha()
    )


def _runs(words: Sequence[str]) -> set[str]:
    return {" ".join(words[at : at + _TRIGRAM]) for at in range(max(1, len(words) - _TRIGRAM + 1))}


def _ranked(sets: Iterable[set[str]]) -> list[npt.NDArray[np.int64]]:
    """Give each set as numbers, the rarest member first."""
    listed = list(sets)
    counts = Counter(member for members in listed for member in members)
    rank = {member: at for at, (member, _) in enumerate(sorted(counts.items(), key=lambda item: (item[1], item[0])))}
    return [np.sort(np.array([rank[member] for member in members], dtype=np.int64)) for members in listed]


def _jaccard(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> float:
    common = len(np.intersect1d(left, right, assume_unique=True))
    return common / (len(left) + len(right) - common)
