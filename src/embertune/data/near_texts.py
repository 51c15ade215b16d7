"""Finds texts that are nearly the same, exactly and without comparing all pairs."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from embertune.data.texts import normalize_text
from embertune.data.words import word_spans
from embertune.errors import ConfigError

__all__ = ["longest_copy", "near_duplicates"]

_NUMBERS = re.compile(r"\d+(?:[.,]\d+)*")
_TRIGRAM = 3


def near_duplicates(
    texts: Sequence[str], *, threshold: float = 0.9, by: Literal["characters", "words"] = "characters"
) -> dict[int, int]:
    """Find texts that an earlier one nearly repeats.

    Two texts count whose sets of trigrams have a Jaccard index of at least the threshold, and whose numbers are the
    same: "revenue in 2021" and "revenue in 2022" are two questions. Case, punctuation and spaces do not count.

    Sources: Broder, On the resemblance and containment of documents (1997); all pairs are found through prefixes, as in
    Chaudhuri et al., A Primitive Operator for Similarity Joins (2006): of two sets that alike, sorted by how rare their
    members are, the first ``size - ceil(threshold * size) + 1`` share one.

    Args:
        texts: In the order of preference.
        threshold: Jaccard index from which two count, above 0 and at most 1.
        by: Trigrams of characters, for queries, or of words, for passages.

    Returns:
        Position of a repetition -> position of the text that is kept, the most alike of those kept before it.

    Raises:
        ConfigError: The threshold is impossible.

    Example:
        >>> near_duplicates(["How do I reset it?", "how do i  reset it", "revenue in 2021", "revenue in 2022"])
        {1: 0}
    """
    if not 0 < threshold <= 1:
        raise ConfigError(f"threshold must be a Jaccard index above 0 and at most 1, got {threshold}")
    normal = [normalize_text(text) for text in texts]
    numbers = [tuple(sorted(_NUMBERS.findall(text))) for text in normal]
    sets = _ranked([_trigrams(text, by) for text in normal])
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


def longest_copy(query: str, text: str) -> int:
    """Count the words of the longest run that a query has in common with a text.

    Case, punctuation and spaces do not count; where a script writes no spaces each character is a word.

    Example:
        >>> longest_copy("Where is the big red house?", "In the big, red house she sat.")
        4
    """
    words = _words(normalize_text(query))
    inside = f" {' '.join(_words(normalize_text(text)))} "
    best = start = 0
    for end in range(1, len(words) + 1):
        while start < end and f" {' '.join(words[start:end])} " not in inside:
            start += 1
        best = max(best, end - start)
    return best


def _words(text: str) -> list[str]:
    return [text[start:end] for start, end in word_spans(text)]


def _trigrams(text: str, by: str) -> set[str]:
    parts: Sequence[str] = f" {text} " if by == "characters" else _words(text)
    joined = "".join if by == "characters" else " ".join
    return {joined(parts[at : at + _TRIGRAM]) for at in range(max(1, len(parts) - _TRIGRAM + 1))}


def _ranked(sets: Iterable[set[str]]) -> list[npt.NDArray[np.int64]]:
    """Give each set as numbers, the rarest member first."""
    listed = list(sets)
    counts = Counter(member for members in listed for member in members)
    rank = {member: at for at, (member, _) in enumerate(sorted(counts.items(), key=lambda item: (item[1], item[0])))}
    return [np.sort(np.array([rank[member] for member in members], dtype=np.int64)) for members in listed]


def _jaccard(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> float:
    common = len(np.intersect1d(left, right, assume_unique=True))
    return common / (len(left) + len(right) - common)
