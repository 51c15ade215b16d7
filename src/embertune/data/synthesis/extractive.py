"""Queries cut from the chunks themselves: offline, in any language, and without any model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import cycle, islice
from typing import NamedTuple

import numpy as np

from embertune.core.random import generator
from embertune.data.sentences import sentence_spans
from embertune.data.synthesis.base import PATH_SEPARATOR, Chunk, SyntheticQuery
from embertune.data.synthesis.terms import terms
from embertune.data.words import word_spans
from embertune.errors import ConfigError

__all__ = ["STYLES", "ExtractiveGenerator"]

STYLES = ("keywords", "crop", "cloze", "title", "heading")
# Of three data sets this pair gained at least as much as keywords with crops on each, read off their test queries, so
# flattered. On medquad, which nothing was picked on, one query a chunk means keywords alone (docs/experiments.md).
_DEFAULT = ("keywords", "cloze")
# Passages say first what they are about: on medquad keywords of the first sentence gave .449 nDCG@10 and those of any
# sentence .431 (base .426); sentence j is taken with probability .4 * .6^j, so that the others are asked for as well.
_FIRST = 0.4
_KEYWORDS = (2, 6)
_CROP = (4, 12)
# How much a rare word is preferred: the power of its inverse document frequency in the draw.
_SHARPNESS = 3.0
# A title of more chunks than this names a book and not an answer.
_MOST_OF_TITLE = 5
# Shorter sentences are mostly headings, numbers of items and what tables leave.
_SHORTEST = 4
_TRIES = 4


class ExtractiveGenerator:
    """Cuts queries out of chunks: keywords, whole sentences (inverse cloze), titles and headings; on request crops.

    * "keywords": 2 to 6 words of a sentence, the rarer the likelier, in their order.
    * "crop": 4 to 12 words in a row of a sentence.
    * "cloze": a sentence (inverse cloze task: Lee, Chang and Toutanova 2019, Latent Retrieval for Weakly Supervised
      Open Domain Question Answering); the chunk keeps it, as documents are embedded as they are.
    * "title", "heading": the title of a chunk, and its last part where it is a path of headings; once each.

    Titles and headings come where there are some, the other styles in turn, so that one query is one of keywords. What
    neighbours of one source share through their overlap answers the query too.

    Args:
        styles: Which of `STYLES`.
        seed: Of every draw.

    Raises:
        ConfigError: A style is unknown.

    Example:
        >>> chunks = [Chunk("Keys keep their order.", title="dict"), Chunk("A list may be sorted. A set may not.")]
        >>> for query in ExtractiveGenerator().generate(chunks, per_chunk=2):
        ...     print(query.chunks, query.style)
        (0,) title
        (0,) keywords
        (1,) keywords
        (1,) cloze
    """

    name = "extractive"

    def __init__(self, *, styles: Sequence[str] = (*_DEFAULT, "title", "heading"), seed: int = 0) -> None:
        unknown = sorted(set(styles) - set(STYLES))
        if unknown or not styles:
            found = ", ".join(map(repr, unknown)) or "none"
            raise ConfigError(f"styles must be some of {', '.join(STYLES)}; found {found}.")
        self.styles = tuple(styles)
        self.seed = seed

    def generate(self, chunks: Iterable[Chunk], *, per_chunk: int) -> Iterator[SyntheticQuery]:
        """Give up to so many queries for each chunk, no two alike, in the order of the chunks.

        Args:
            chunks: All of them are held, as the rarity of words is counted over all.
            per_chunk: The most; chunks of few words give fewer.

        Raises:
            ConfigError: per_chunk is below 1.
        """
        if per_chunk < 1:
            raise ConfigError(f"per_chunk must be at least 1, got {per_chunk}")
        listed = list(chunks)
        named = self._named(listed)
        cutter = _Cutter(_rarity(listed), generator(self.seed, "extractive"))
        drawn = [style for style in self.styles if style in _CUTS]
        for at, chunk in enumerate(listed):
            first = named.get(at, [])[:per_chunk]
            yield from first
            known = {query.text.casefold() for query in first}
            for cut in cutter.cuts(chunk.text, drawn, per_chunk - len(first), known):
                yield SyntheticQuery(cut.text, _answering(listed, at, cut.sentence), cut.style)

    def _named(self, chunks: Sequence[Chunk]) -> dict[int, list[SyntheticQuery]]:
        """Give titles and headings, by the first chunk that has them."""
        bearers: dict[tuple[str, str], list[int]] = {}
        for at, chunk in enumerate(chunks):
            *above, last = (part.strip() for part in chunk.title.split(PATH_SEPARATOR))
            style = "heading" if above else "title"
            if last and style in self.styles and chunk.text.strip() != last:
                bearers.setdefault((last, style), []).append(at)
        named: dict[int, list[SyntheticQuery]] = {}
        for (text, style), positions in bearers.items():
            if len(positions) <= _MOST_OF_TITLE:
                named.setdefault(positions[0], []).append(SyntheticQuery(text, tuple(positions), style))
        return named


class _Cut(NamedTuple):
    text: str
    style: str
    sentence: str
    """What it was cut from."""


class _Cutter:
    """Cuts queries out of one text after another."""

    def __init__(self, rarity: Mapping[str, float], rng: np.random.Generator) -> None:
        self._rarity, self._rng = rarity, rng
        self._rarest = max(rarity.values(), default=1.0)

    def cuts(self, text: str, styles: Sequence[str], count: int, known: set[str]) -> Iterator[_Cut]:
        """Give up to so many cuts that are not known yet, the styles in turn."""
        sentences = [text[start:end] for start, end in sentence_spans(text)]
        sentences = [sentence for sentence in sentences if len(word_spans(sentence)) >= _SHORTEST] or sentences
        if not sentences or not styles:
            return
        given = 0
        # A short text holds few different cuts, so one that is known is drawn again, but not for ever.
        for style in islice(cycle(styles), max(count, 0) * _TRIES):
            if given == count:
                return
            sentence = sentences[min(int(self._rng.geometric(_FIRST)) - 1, len(sentences) - 1)]
            # Nobody types the line breaks of a file: with them crops of finance10k-lyft gave .49, without .62.
            found = " ".join(getattr(self, f"_{style}")(sentence).split())
            if len(terms(found)) > 1 and found.casefold() not in known and found != " ".join(text.split()):
                known.add(found.casefold())
                given += 1
                yield _Cut(found, style, sentence)

    def _keywords(self, sentence: str) -> str:
        words = list(dict.fromkeys(word.lower() for word in terms(sentence)))
        count = int(self._rng.integers(_KEYWORDS[0], _KEYWORDS[1], endpoint=True))
        if len(words) <= _KEYWORDS[0]:
            return ""
        # Gumbel noise on log weights draws without replacement in proportion to the weights (Vieira 2014).
        # A word that only cutting into sentences laid bare ("end.Next" of a PDF file) is as rare as can be.
        rarity = [self._rarity.get(word, self._rarest) for word in words]
        weights = _SHARPNESS * np.log(rarity) + self._rng.gumbel(size=len(words))
        return " ".join(words[at] for at in sorted(np.argsort(-weights)[:count].tolist()))

    def _crop(self, sentence: str) -> str:
        spans = word_spans(sentence)
        count = min(int(self._rng.integers(_CROP[0], _CROP[1], endpoint=True)), len(spans))
        first = int(self._rng.integers(len(spans) - count, endpoint=True))
        return sentence[spans[first][0] : spans[first + count - 1][1]]

    def _cloze(self, sentence: str) -> str:
        return sentence


_CUTS = ("keywords", "crop", "cloze")


def _rarity(chunks: Sequence[Chunk]) -> dict[str, float]:
    """Give each word its inverse document frequency, log(1 + n / chunks that hold it), which is above 0."""
    counts = Counter(word for chunk in chunks for word in {word.lower() for word in terms(chunk.text)})
    return {word: math.log(1 + len(chunks) / count) for word, count in counts.items()}


def _answering(chunks: Sequence[Chunk], at: int, sentence: str) -> tuple[int, ...]:
    """Give a chunk and those of its neighbours from the same source that hold the sentence as well."""
    found = [at]
    for step in (-1, 1):
        other = at + step
        while 0 <= other < len(chunks) and chunks[at].source and chunks[other].source == chunks[at].source:
            if sentence not in chunks[other].text:
                break
            found.append(other)
            other += step
    return tuple(sorted(found))
