"""Passages from a description alone: written in batches that know what exists, until enough distinct ones do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Unpack

from embertune.core.hashing import fingerprint_texts
from embertune.core.progress import Progress, silent
from embertune.core.tokens import estimate_tokens
from embertune.data.near_texts import trigrams
from embertune.data.synthesis.base import Chunk
from embertune.data.synthesis.budget import BudgetReachedError, Spent
from embertune.data.synthesis.chat import Chat, ChatConfig, ChatOptions
from embertune.data.synthesis.journal import Journal, answer_key, open_journal
from embertune.data.synthesis.parsing import read_items
from embertune.data.synthesis.prompts import CHUNK_SCHEMA, chunk_messages
from embertune.data.texts import counted, is_broken, normalize_text, shortened
from embertune.errors import ConfigError, LLMError

__all__ = ["LLMChunkWriter", "check_chunks", "write_chunks"]

_CHUNK_TOKENS = 250
_TITLE_WORDS = 12
_PATIENCE = 3  # requests in a row that brought nothing new
# Of the word trigrams of two passages; copies with a few words changed have more, two on one subject under 0.1.
# Other numbers do not make another passage here, as they do of real documents (`near_documents`).
_NEAR = 0.5


def write_chunks(prompt: str, llm: str, n_chunks: int = 100, **options: Unpack[ChatOptions]) -> list[Chunk]:
    """Let a language model write distinct passages of a kind.

    Args:
        prompt: What they are, such as "Chunks of code from an arbitrary Python codebase."
        llm: The model, as LiteLLM names it.
        n_chunks: How many.
        options: See `ChatConfig`.

    Raises:
        LLMError: The provider failed for good, or no more distinct passages came. What was answered is in the journal.
        ConfigError: A setting is impossible.

    Example:
        >>> write_chunks(" ", "openai/gpt-4o-mini")
        Traceback (most recent call last):
            ...
        embertune.errors.ConfigError: The prompt is empty. Expected a description such as "Recipes from a Swiss \
cookbook, 100 words each."
    """
    check_chunks(prompt, n_chunks)
    return LLMChunkWriter(llm, **options).write(prompt, n_chunks)


class LLMChunkWriter:
    """Let a language model write a collection, and keep the bill.

    Args:
        model: As LiteLLM names it.
        chunks_per_request: How many are asked for at once.
        memory_tokens: How much of a prompt may be titles of what is written; the newest are told.
        progress: Told of passages and cost.
        options: See `ChatConfig`.

    Raises:
        MissingExtraError: LiteLLM is not installed.
        LLMError: The provider is unknown, or its key is not in the environment.
        ConfigError: A setting is unknown or impossible.
    """

    def __init__(
        self,
        model: str,
        *,
        chunks_per_request: int = 10,
        memory_tokens: int = 2000,
        progress: Progress = silent,
        **options: Unpack[ChatOptions],
    ) -> None:
        check_chunks("-", chunks_per_request=chunks_per_request)
        self.name, self.chunks_per_request, self.memory_tokens = model, chunks_per_request, memory_tokens
        self.notes: tuple[str, ...] = ()
        self.stopped = False
        """Whether the budget ended before the last passage."""
        self._config = ChatConfig.of(options)
        self._chat = Chat(model, self._config)
        self._progress = progress

    @property
    def spent(self) -> Spent:
        """What the answers of this object took so far."""
        return self._chat.budget.spent

    def write(self, prompt: str, n_chunks: int = 100) -> list[Chunk]:
        """Write so many distinct passages; fewer where the budget ends first, which `notes` says.

        Args:
            prompt: What they are.
            n_chunks: How many.

        Raises:
            LLMError: The provider failed for good, or no more distinct passages came.
            StorageError: The journal cannot be written to.
            ConfigError: A setting is impossible.
        """
        check_chunks(prompt, n_chunks)
        shelf = _Shelf()
        self.notes, self.stopped = (), False
        with open_journal(self._config.journal) as journal:
            try:
                for batch in self._batches(prompt, n_chunks, shelf, journal):
                    shelf.add(batch, n_chunks)
                    price = "price unknown" if self.spent.usd is None else f"${self.spent.usd:,.4f}"
                    self._progress("write chunks", len(shelf.chunks), n_chunks, price)
            except BudgetReachedError:
                self.stopped = True
                self.notes += (
                    f"The budget of {self._chat.budget} was reached: {len(shelf.chunks)} of {n_chunks} chunks are "
                    "written. Run again to go on.",
                )
        self.notes = (
            f"{self.name} wrote {counted(len(shelf.chunks), 'chunk')} from a description ({self.spent}).",
            *((f"{counted(shelf.copies, 'near copy was', 'near copies were')} dropped.",) if shelf.copies else ()),
            *self.notes,
        )
        return shelf.chunks

    def _batches(
        self, prompt: str, n_chunks: int, shelf: _Shelf, journal: Journal
    ) -> Iterator[Sequence[dict[str, Any]]]:
        """Give answers until there are enough, from the journal as far as it has them."""
        number = fruitless = 0
        while len(shelf.chunks) < n_chunks:
            if fruitless == _PATIENCE:
                raise LLMError(
                    f"{self.name} wrote {len(shelf.chunks)} distinct chunks of {n_chunks}, and {_PATIENCE} requests in "
                    f"a row brought nothing but {counted(shelf.copies, 'near copy', 'near copies')} of them. Describe "
                    f"more than {shortened(prompt)!r}, or type: n_chunks={max(1, len(shelf.chunks))}"
                )
            before = len(shelf.chunks)
            yield self._batch(prompt, min(self.chunks_per_request, n_chunks - before), number, shelf, journal)
            fruitless = 0 if len(shelf.chunks) > before else fruitless + 1
            number += 1

    def _batch(self, prompt: str, count: int, number: int, shelf: _Shelf, journal: Journal) -> Sequence[dict[str, Any]]:
        told = shelf.titles(self.memory_tokens)
        messages = chunk_messages(prompt, count, told, len(shelf.chunks) - len(told))
        key = answer_key(
            {
                "model": self.name,
                "server": self._chat.api_base,
                "temperature": self._config.temperature,
                "messages": fingerprint_texts(message["content"] for message in messages),
                # Where nothing new came the next request says the same.
                "number": number,
            }
        )
        found: dict[bytes, Sequence[dict[str, Any]]] = journal.get([key])
        if key not in found:
            found[key] = self._chat.ask(messages, CHUNK_SCHEMA, _read, answer_tokens=_CHUNK_TOKENS * count)
            journal.put([(key, found[key])])
        return found[key]


class _Shelf:
    """What is written so far, and what is nearly the same."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.copies = 0
        self._titles: set[str] = set()
        self._sizes: list[int] = []
        self._holders: dict[str, list[int]] = {}

    def add(self, items: Sequence[dict[str, Any]], most: int) -> None:
        for item in items:
            if len(self.chunks) == most:
                return
            text, title = item["text"].strip(), " ".join(item["title"].split())
            runs = trigrams(text)
            if not text or is_broken(text + title) or self._has(title, runs):
                self.copies += 1
                continue
            at = len(self.chunks)
            # Each is a document of its own: two that stand side by side have nothing to do with each other.
            self.chunks.append(Chunk(text, title=title, source=f"passage {at + 1}"))
            self._titles.add(normalize_text(title))
            self._sizes.append(len(runs))
            for run in runs:
                self._holders.setdefault(run, []).append(at)

    def titles(self, most_tokens: int) -> list[str]:
        """Give the titles of the newest chunks, oldest first, as far as the tokens go."""
        told: list[str] = []
        for chunk in reversed(self.chunks):
            title = chunk.title or " ".join(chunk.text.split()[:_TITLE_WORDS])
            most_tokens -= estimate_tokens(title)
            if most_tokens < 0:
                break
            told.append(title)
        return told[::-1]

    def _has(self, title: str, runs: set[str]) -> bool:
        common = Counter(at for run in runs for at in self._holders.get(run, ()))
        near = any(count >= _NEAR * (len(runs) + self._sizes[at] - count) for at, count in common.items())
        return near or (bool(title) and normalize_text(title) in self._titles)


def _read(answer: str) -> list[dict[str, Any]]:
    items = [
        {"title": item["title"] if isinstance(item.get("title"), str) else "", "text": item["text"]}
        for item in read_items(answer, "chunks")
        if isinstance(item.get("text"), str)
    ]
    if not items:
        raise ValueError("it has no chunk")
    return items


def check_chunks(prompt: str, n_chunks: int = 1, chunks_per_request: int = 1) -> None:
    """Refuse what cannot be written.

    Raises:
        ConfigError: The prompt is empty, or a number impossible.
    """
    if not prompt.strip():
        raise ConfigError(
            'The prompt is empty. Expected a description such as "Recipes from a Swiss cookbook, 100 words each."'
        )
    problems = [
        f"{name} must be at least 1, got {value}"
        for name, value in (("n_chunks", n_chunks), ("chunks_per_request", chunks_per_request))
        if value < 1
    ]
    if problems:
        raise ConfigError(problems)
