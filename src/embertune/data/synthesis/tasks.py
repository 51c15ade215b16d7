"""What is to be written for one chunk, what has been answered, and which of it is taken."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from embertune.data.language import detect_language
from embertune.data.near_texts import CopyMeter
from embertune.data.synthesis.base import Chunk, SyntheticQuery
from embertune.data.synthesis.journal import answer_key
from embertune.data.texts import is_broken, normalize_text

__all__ = ["MOST_ROUNDS", "MULTI_HOP", "Job", "Task"]

MULTI_HOP = "multi-hop"
MOST_ROUNDS = 3
"""How often a chunk is asked about, where queries were copied, too few or the same again."""

_LONGEST_QUERY = 400  # characters; what is longer is no query but an essay
_NUMBERING = re.compile(r"^\s*(?:\d{1,3}[.)]|[-*•])\s+")


@dataclass(frozen=True)
class Job:
    """What is equal for all chunks of a run."""

    styles: tuple[str, ...]
    per_chunk: int
    max_copied: int
    """The most words in a row that a query may share with its chunk."""
    in_its_language: bool
    """Whether queries must be in the language of their chunk."""
    settings: Mapping[str, Any]
    """Everything else that an answer depends on: model, server, prompt, language, temperature."""


@dataclass
class Task:
    """One chunk's queries: those that are wanted, and those that are there."""

    job: Job
    position: int
    chunk: Chunk
    before: Chunk | None
    """The chunk before it in its source, for queries that need both."""
    missing: list[str] = field(default_factory=list)
    """Styles of the queries that are still wanted."""
    taken: list[SyntheticQuery] = field(default_factory=list)
    round: int = 0
    """How often it was answered."""
    replayed: bool = False
    """Whether all of it came from the journal."""
    refused: bool = False
    """Whether no answer about it could be used."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Why queries were not taken, and how many."""

    def __post_init__(self) -> None:
        """Deal the styles out: each chunk begins with another one, always the same for the same text."""
        styles = [style for style in self.job.styles if style != MULTI_HOP or self.before is not None]
        first = int.from_bytes(hashlib.blake2b(self.text.encode("utf-8", "replace"), digest_size=4).digest(), "big")
        self.missing = [styles[(first + at) % len(styles)] for at in range(self.job.per_chunk)] if styles else []

    @cached_property
    def text(self) -> str:
        """What the model is shown."""
        return self.shown(self.chunk)

    @property
    def done(self) -> bool:
        """Whether nothing is to be asked any more."""
        return self.refused or not self.missing or self.round >= MOST_ROUNDS

    @property
    def needed(self) -> Chunk | None:
        """The other chunk that must be shown, too."""
        return self.before if MULTI_HOP in self.missing else None

    def key(self) -> bytes:
        """Hash what is asked now: the same key, the same answer."""
        needed = self.needed
        return answer_key(
            {
                **self.job.settings,
                "text": self.text,
                "before": None if needed is None else self.shown(needed),
                "styles": sorted(self.missing),
                "round": self.round,
                "taken": [query.text for query in self.taken],
            }
        )

    def wanted(self, number: int, before: int | None) -> str:
        """Say what is to be written, as a line of the prompt.

        Args:
            number: Of its passage in the prompt.
            before: Number of the passage before it.
        """
        counts = Counter(self.missing)
        parts = [
            f"{count} {style}" + (f" (with passage {before})" if style == MULTI_HOP else "")
            for style, count in counts.items()
        ]
        line = f"passage {number}: " + ", ".join(parts)
        if self.taken:
            line += "; other than " + "; ".join(repr(query.text) for query in self.taken)
        return line

    def take(self, items: Sequence[Any]) -> None:
        """Take what an answer brought for this chunk, once."""
        self.round += 1
        seen = {normalize_text(query.text) for query in self.taken}
        for text, style in _queries(items):
            problem = self._problem(text, seen)
            if problem:
                self.dropped[problem] += 1
                continue
            if style not in self.missing:
                style = self.missing[0]
            seen.add(normalize_text(text))
            self.missing.remove(style)
            both = style == MULTI_HOP and self.before is not None
            chunks = (self.position - 1, self.position) if both else (self.position,)
            self.taken.append(SyntheticQuery(text, chunks, style))
        self._accept_declined()

    def _accept_declined(self) -> None:
        """Let a model find that two chunks have nothing in common; a chunk left without any query gets another."""
        declined = self.missing.count(MULTI_HOP)
        if 0 < declined == len(self.missing):
            self.dropped["two chunks with nothing in common"] += declined
            others = [style for style in self.job.styles if style != MULTI_HOP]
            self.missing = [] if self.taken else others[:1]

    def _problem(self, text: str, seen: Iterable[str]) -> str:
        if not text or len(text) > _LONGEST_QUERY or is_broken(text):
            return "no query"
        if normalize_text(text) in seen:
            return "the same query twice"
        if not self.missing:
            return "more than asked"
        if self.job.in_its_language and self._speaks_otherwise(text):
            return "in another language than the chunk"
        if self._copies.longest_run(text) > self.job.max_copied:
            return "copied from the chunk"
        return ""

    def _speaks_otherwise(self, text: str) -> bool:
        """Tell whether a query is surely of another language than the chunk surely is."""
        return self._language != "" and detect_language(text) not in ("", self._language)

    @cached_property
    def _language(self) -> str:
        return detect_language(self.text)

    @cached_property
    def _copies(self) -> CopyMeter:
        return CopyMeter(self.text)

    @staticmethod
    def shown(chunk: Chunk) -> str:
        """Give a chunk as the model is shown it."""
        return f"{chunk.title}\n{chunk.text}" if chunk.title else chunk.text


def _queries(items: Sequence[Any]) -> Iterable[tuple[str, str]]:
    for item in items:
        text, style = item.get("text"), item.get("style")
        if isinstance(text, str):
            yield _NUMBERING.sub("", " ".join(text.split())), style if isinstance(style, str) else ""
