"""What was spent on a language model, and how far it may go."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

__all__ = ["Budget", "BudgetReachedError", "Price", "Spent"]


@dataclass(frozen=True)
class Price:
    """Dollars per token.

    Example:
        >>> Price(1.5e-7, 6e-7).of(1_000_000, 100_000)
        0.21
    """

    prompt: float
    answer: float

    def of(self, prompt_tokens: int, answer_tokens: int) -> float:
        """Give the price of a request."""
        return prompt_tokens * self.prompt + answer_tokens * self.answer

    @classmethod
    def find(cls, litellm: Any, provider: str, model: str) -> Price | None:
        """Look a model up in LiteLLM's price list; None where it is not there, which is not the same as free."""
        for name in (f"{provider}/{model}", model):
            entry = litellm.model_cost.get(name, {})
            if str(entry.get("litellm_provider", "")).startswith(provider):
                # 0 stands in LiteLLM's list for "not known" as often as for "free".
                prompt, answer = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
                return cls(prompt, answer) if prompt and answer else None
        return None


@dataclass(frozen=True)
class Spent:
    """Requests that were answered, and what they took.

    Example:
        >>> print(Spent(2, 1200, 300, 0.00036) + Spent(1, 600, 100, 0.00015))
        3 requests, 1,800 + 400 tokens, $0.0005
        >>> print(Spent(1, 600, 100, None))
        1 request, 600 + 100 tokens, price unknown
    """

    requests: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    usd: float | None = 0.0
    """None where the price is unknown, which is not the same as free."""

    @property
    def tokens(self) -> int:
        """Of prompts and answers together."""
        return self.prompt_tokens + self.answer_tokens

    def __add__(self, other: Spent) -> Spent:
        """Give the sum; a part of unknown price makes its price unknown."""
        return Spent(
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.answer_tokens + other.answer_tokens,
            None if self.usd is None or other.usd is None else self.usd + other.usd,
        )

    def __str__(self) -> str:
        """Give one line, to four decimals of a dollar."""
        price = "price unknown" if self.usd is None else f"${self.usd:,.4f}"
        requests = f"{self.requests:,} request" + ("" if self.requests == 1 else "s")
        return f"{requests}, {self.prompt_tokens:,} + {self.answer_tokens:,} tokens, {price}"


class BudgetReachedError(Exception):
    """The next request would go over the budget; caught where the work is cut into requests."""


class Budget:
    """Counts what is spent and refuses the request that would go over the limit.

    A request is counted as expected before it is sent and as billed afterwards, so requests under way at once cannot
    go over the limit together; only an answer longer than expected can, by its own length.

    Args:
        usd: The most dollars; None for no limit.
        tokens: The most tokens, of prompts and answers; None for no limit.

    Example:
        >>> budget = Budget(tokens=1000)
        >>> budget.settle(budget.reserve(Spent(1, 500, 100)), Spent(1, 500, 80))
        >>> budget.reserve(Spent(1, 500, 100))
        Traceback (most recent call last):
            ...
        embertune.data.synthesis.budget.BudgetReachedError
    """

    def __init__(self, usd: float | None = None, tokens: int | None = None) -> None:
        self.usd, self.tokens = usd, tokens
        self.spent = Spent()
        self._under_way: list[Spent] = []
        self._changed = threading.Condition()

    def __str__(self) -> str:
        """Give the limits."""
        limits = [f"${self.usd:g}"] if self.usd is not None else []
        return " and ".join([*limits, f"{self.tokens:,} tokens"] if self.tokens is not None else limits)

    def reserve(self, expected: Spent) -> Spent:
        """Set aside what a request will probably take; wait where one under way may leave enough.

        Raises:
            BudgetReachedError: The rest is not enough.
        """
        with self._changed:
            while self._over(sum([*self._under_way, expected], self.spent)):
                if not self._under_way:
                    raise BudgetReachedError
                self._changed.wait()
            self._under_way.append(expected)
        return expected

    def settle(self, reserved: Spent, actual: Spent) -> None:
        """Count what a request took in place of what was set aside; nothing, where no answer came."""
        with self._changed:
            self._under_way.remove(reserved)
            self.spent += actual
            self._changed.notify_all()

    def _over(self, spent: Spent) -> bool:
        return (self.usd is not None and (spent.usd or 0) > self.usd) or (
            self.tokens is not None and spent.tokens > self.tokens
        )
