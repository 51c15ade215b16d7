"""What asking would cost, before it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from embertune.data.synthesis.budget import Spent
from embertune.data.synthesis.chat import Chat
from embertune.data.synthesis.tasks import Task

__all__ = ["QUERY_TOKENS", "Estimate", "estimate"]

QUERY_TOKENS = 32
"""What a query takes in an answer, its JSON included: 30 for one of 12 words (gpt-4o's tokenizer)."""
_SAMPLE = 64


@dataclass(frozen=True)
class Estimate:
    """What a run would cost.

    Example:
        >>> print(Estimate(1000, 200, Spent(160, 300_000, 64_000, 0.0834)))
        1,000 chunks, 200 of them in the journal: about 160 requests, 300,000 + 64,000 tokens, $0.0834
    """

    chunks: int
    journaled: int
    """Chunks whose answers are paid for already."""
    spent: Spent
    """Requests, tokens and dollars for the others; None dollars where LiteLLM does not know the price."""

    def __str__(self) -> str:
        """Give one line."""
        known = f"{self.journaled:,} of them in the journal" if self.journaled else "none of them in the journal"
        return f"{self.chunks:,} chunks, {known}: about {self.spent}"


def estimate(
    tasks: Iterable[Task],
    chat: Chat,
    messages: Callable[[Sequence[Task]], Sequence[Mapping[str, str]]],
    full: Callable[[Sequence[Task]], bool],
    ready: Callable[[Task], bool],
) -> Estimate:
    """Count what is not in the journal: every character of the prompts, and the tokens of the first 64 of them.

    Args:
        tasks: What is wanted.
        chat: Knows prices and counts tokens.
        messages: Gives the prompt for a group.
        full: Whether a group is complete.
        ready: Whether the journal has all of a task.
    """
    chunks = journaled = requests = characters = queries = sampled = tokens = 0
    group: list[Task] = []

    def send() -> None:
        nonlocal requests, characters, queries, sampled, tokens
        text = "\n".join(message["content"] for message in messages(group))
        requests, characters = requests + 1, characters + len(text)
        queries += sum(len(task.missing) for task in group)
        if requests <= _SAMPLE:
            sampled, tokens = sampled + len(text), tokens + chat.count_tokens(text)
        group.clear()

    for task in tasks:
        chunks += 1
        if ready(task):
            journaled += 1
            continue
        group.append(task)
        if full(group):
            send()
    if group:
        send()
    prompt = round(tokens * characters / max(1, sampled))
    return Estimate(chunks, journaled, chat.cost(prompt, QUERY_TOKENS * queries, requests))
