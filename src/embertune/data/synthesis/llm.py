"""Queries that a language model writes for chunks: cheaply, resumably, and counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Lock
from typing import Any, Unpack

from embertune.core.hashing import fingerprint_texts
from embertune.core.progress import Progress, silent
from embertune.core.tokens import estimate_tokens
from embertune.data.synthesis.base import Chunk, SyntheticQuery
from embertune.data.synthesis.budget import BudgetReachedError, Spent
from embertune.data.synthesis.chat import Chat, ChatConfig, ChatOptions, UnusableAnswerError
from embertune.data.synthesis.estimate import QUERY_TOKENS, Estimate, estimate
from embertune.data.synthesis.journal import Journal, open_journal
from embertune.data.synthesis.parsing import read_items
from embertune.data.synthesis.prompts import QUERY_SCHEMA, STYLES, query_messages
from embertune.data.synthesis.report import Report
from embertune.data.synthesis.tasks import MOST_ROUNDS, MULTI_HOP, Job, Task
from embertune.data.synthesis.window import Window
from embertune.errors import ConfigError, LLMError

__all__ = ["LLMQueryGenerator"]

_EVERY_STYLE = tuple(STYLES)
_QUERIES_IN_A_REQUEST = 40
_MOST_CHUNKS = 8
_PROMPT_TOKENS = 8000
"""A group is complete when its chunks have so many; far below what models take, and where they still read all of it."""
_UNUSABLE_IN_A_ROW = 5


class LLMQueryGenerator:
    """Let a language model write the queries that users would type.

    Keys are read from the environment only (``OPENAI_API_KEY`` …). Every answer is journaled when it arrives, so the
    same call goes on where an earlier one was interrupted, and asks for nothing twice.

    Args:
        model: As LiteLLM names it: "openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "ollama/llama3.1" …
        styles: Of "question", "keywords", "vague", "typo" and "multi-hop" (over two neighbouring chunks of a source).
        language: Of the queries; None is that of each chunk.
        chunks_per_request: None takes as many as ask for 40 queries, and 8 at most.
        max_copied: The most words in a row that a query may share with its chunk; one that shares more is dropped.
        progress: Told of chunks, rate, cost and time left.
        options: See `ChatConfig`: concurrency, limits, budget, journal …

    Raises:
        MissingExtraError: LiteLLM is not installed.
        LLMError: The provider is unknown, or its key is not in the environment.
        ConfigError: A setting is unknown or impossible.

    Example:
        >>> try:
        ...     LLMQueryGenerator("openai/gpt-4o-mini", styles=["poem"])
        ... except ConfigError as error:
        ...     print(error)
        There is no style 'poem'. Expected some of: question, keywords, vague, typo, multi-hop.
    """

    def __init__(
        self,
        model: str,
        *,
        styles: Sequence[str] = _EVERY_STYLE,
        language: str | None = None,
        chunks_per_request: int | None = None,
        max_copied: int = 4,
        progress: Progress = silent,
        **options: Unpack[ChatOptions],
    ) -> None:
        _check(styles, chunks_per_request, max_copied)
        self.name = model
        self.styles, self.language, self.max_copied = tuple(dict.fromkeys(styles)), language, max_copied
        self.chunks_per_request = chunks_per_request
        self._config = ChatConfig.of(options)
        self._chat = Chat(model, self._config)
        self._progress = progress
        self._report = Report(model)
        self._lock = Lock()
        self._unusable = 0

    @property
    def spent(self) -> Spent:
        """What the answers of this object took so far."""
        return self._chat.budget.spent

    @property
    def notes(self) -> tuple[str, ...]:
        """What the last `generate` did, in sentences: for the notes of a data set."""
        return self._report.sentences(self.spent, self._chat.budget)

    def estimate(self, chunks: Iterable[Chunk], *, per_chunk: int) -> Estimate:
        """Say what `generate` would cost now, without asking; what is in the journal costs nothing.

        Args:
            chunks: The chunks.
            per_chunk: How many queries for each.
        """
        job = self._job(per_chunk)
        with open_journal(self._config.journal) as journal:
            return estimate(self._tasks(chunks, job), self._chat, self._messages, self._full, self._replay(journal))

    def generate(self, chunks: Iterable[Chunk], *, per_chunk: int) -> Iterator[SyntheticQuery]:
        """Give up to so many queries for each chunk, in the order of the chunks.

        Memory does not grow with the chunks. Where the budget ends first, the chunks that were paid for have their
        queries, and `notes` says so.

        Args:
            chunks: The chunks, which may be a generator.
            per_chunk: How many queries for each.

        Raises:
            LLMError: The provider failed for good, or its answers cannot be used. What was answered is in the journal.
            StorageError: The journal cannot be written to.
            ConfigError: `per_chunk` is impossible.
        """
        return self._generate(chunks, self._job(per_chunk))

    def _generate(self, chunks: Iterable[Chunk], job: Job) -> Iterator[SyntheticQuery]:
        total = len(chunks) if isinstance(chunks, Sequence) else None
        report = self._report = Report(self.name)
        self._chat.stop.clear()
        with open_journal(self._config.journal) as journal:
            width = (self.chunks_per_request or _MOST_CHUNKS) * self._config.concurrency
            window = Window[Task](
                lambda group: self._work(group, journal),
                concurrency=self._config.concurrency,
                ahead=4 * width,
                failed=self._chat.stop.set,
            )
            ready = self._replay(journal)
            told = 0.0
            try:
                for task in window.in_order(
                    self._tasks(chunks, job), ready=lambda task: ready(task) or report.stopped, full=self._full
                ):
                    report.count(task)
                    if time.monotonic() - told > 0.1:
                        told = time.monotonic()
                        self._progress("write queries", report.chunks, total, report.pace(self.spent, total))
                    yield from task.taken
                self._progress("write queries", report.chunks, total, report.pace(self.spent, total))
            finally:
                self._chat.stop.set()
                window.close()

    def _job(self, per_chunk: int) -> Job:
        if per_chunk < 1:
            raise ConfigError(f"The number of queries for each chunk must be at least 1, got {per_chunk}")
        template = query_messages([""], [""], styles=self.styles, language=self.language, copied=self.max_copied)
        settings = {
            "model": self.name,
            "server": self._chat.api_base,
            "temperature": self._config.temperature,
            "prompt": fingerprint_texts(message["content"] for message in template),
        }
        return Job(self.styles, per_chunk, self.max_copied, self.language is None, settings)

    @staticmethod
    def _tasks(chunks: Iterable[Chunk], job: Job) -> Iterator[Task]:
        before: Chunk | None = None
        for position, chunk in enumerate(chunks):
            neighbour = before if before is not None and before.source == chunk.source else None
            yield Task(job, position, chunk, neighbour)
            before = chunk

    @staticmethod
    def _replay(journal: Journal) -> Callable[[Task], bool]:
        """Give a function that takes what the journal has for a task and says whether that is all."""

        def ready(task: Task) -> bool:
            while not task.done:
                key = task.key()
                found = journal.get([key])
                if key not in found:
                    break
                task.take(found[key])
            task.replayed = task.done
            return task.done

        return ready

    def _full(self, group: Sequence[Task]) -> bool:
        most = self.chunks_per_request or min(_MOST_CHUNKS, max(1, _QUERIES_IN_A_REQUEST // group[0].job.per_chunk))
        return len(group) >= most or sum(estimate_tokens(task.text) for task in group) >= _PROMPT_TOKENS

    def _work(self, group: list[Task], journal: Journal) -> None:
        """Ask for the queries of some chunks until they are there or no more are to be had."""
        try:
            for _ in range(MOST_ROUNDS):
                if wanted := [task for task in group if not task.done]:
                    self._ask(wanted, journal)
        except BudgetReachedError:
            self._report.stopped = True
            return
        for task in group:
            task.refused = task.refused or not task.done  # else it was left out of every answer

    def _ask(self, group: Sequence[Task], journal: Journal) -> None:
        messages = self._messages(group)
        may_decline = {number for number, task in enumerate(group, start=1) if set(task.missing) == {MULTI_HOP}}
        expected = QUERY_TOKENS * sum(len(task.missing) for task in group)
        try:
            answers = self._chat.ask(
                messages,
                QUERY_SCHEMA,
                lambda answer: _by_passage(answer, len(group), may_decline),
                answer_tokens=expected,
            )
        except UnusableAnswerError as error:
            self._alone(group, journal, error)
            return
        found = [(task, answers[number]) for number, task in enumerate(group, start=1) if number in answers]
        journal.put([(task.key(), items) for task, items in found])
        for task, items in found:
            task.take(items)
        self._unusable = 0

    def _alone(self, group: Sequence[Task], journal: Journal, error: UnusableAnswerError) -> None:
        """Find out which chunk of a request it was that spoilt the answer."""
        if len(group) > 1:
            for task in group:
                self._ask([task], journal)
            return
        with self._lock:
            self._unusable += 1
            if self._unusable >= _UNUSABLE_IN_A_ROW:
                raise LLMError(
                    f"{error} That was so for {self._unusable} chunks in a row. Try one chunk with another model, or "
                    "without its schema: structured=False"
                ) from None
        group[0].refused = True

    def _messages(self, group: Sequence[Task]) -> list[dict[str, str]]:
        passages = [task.text for task in group]
        numbers = {task.position: number for number, task in enumerate(group, start=1)}
        wanted = []
        for number, task in enumerate(group, start=1):
            before = numbers.get(task.position - 1)
            if task.needed is not None and before is None:
                passages.append(task.shown(task.needed))
                before = len(passages)
            wanted.append(task.wanted(number, before))
        return query_messages(passages, wanted, styles=self.styles, language=self.language, copied=self.max_copied)


def _by_passage(answer: str, count: int, may_decline: set[int]) -> dict[int, list[dict[str, Any]]]:
    """Give the queries of an answer by the number of their passage, of so many, some of which need none.

    Raises:
        ValueError: There is none.
    """
    found: dict[int, list[dict[str, Any]]] = {number: [] for number in may_decline}
    for item in read_items(answer, "queries"):
        number = 1 if count == 1 else _number(item.get("passage"))
        if 1 <= number <= count and isinstance(item.get("text"), str):
            found.setdefault(number, []).append({"text": item["text"], "style": item.get("style")})
    if not found:
        raise ValueError(f"it has no query for any of {count} passages")
    return found


def _number(value: Any) -> int:
    digits = "".join(character for character in str(value) if character.isdecimal())
    return int(digits) if 0 < len(digits) < 5 else 0


def _check(styles: Sequence[str], chunks_per_request: int | None, max_copied: int) -> None:
    names = [styles] if isinstance(styles, str) else list(styles)
    if unknown := [style for style in names if style not in STYLES] or ([""] if not names else []):
        raise ConfigError(f"There is no style {unknown[0]!r}. Expected some of: {', '.join(STYLES)}.")
    if names == [MULTI_HOP]:
        raise ConfigError("The first chunk of a source has no neighbour. Expected another style beside 'multi-hop'.")
    problems = []
    if chunks_per_request is not None and chunks_per_request < 1:
        problems.append(f"chunks_per_request must be at least 1, got {chunks_per_request}")
    if max_copied < 1:
        problems.append(f"max_copied must be at least 1, got {max_copied}")
    if problems:
        raise ConfigError(problems)
