"""What embedding costs, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

__all__ = ["Cost", "Priced"]


@dataclass(frozen=True)
class Cost:
    """An amount of embedding work and its price.

    Attributes:
        texts: Distinct texts sent.
        tokens: Tokens in them.
        usd: Dollars; None where the price is unknown, which is not the same as free.

    Example:
        >>> print(Cost(1200, 48_000, 0.00096) + Cost(1, 50, 0.00001))
        1,201 texts, 48,050 tokens, $0.0010
        >>> print(Cost(1200, 48_000, None))
        1,200 texts, 48,000 tokens, price unknown
        >>> print(Cost(1200, 48_000, 0.00096) - Cost(1000, 40_000, 0.0008))
        200 texts, 8,000 tokens, $0.0002
    """

    texts: int = 0
    tokens: int = 0
    usd: float | None = 0.0

    def __add__(self, other: Cost) -> Cost:
        """Give the sum; a part of unknown price makes its price unknown."""
        usd = None if self.usd is None or other.usd is None else self.usd + other.usd
        return Cost(self.texts + other.texts, self.tokens + other.tokens, usd)

    def __sub__(self, earlier: Cost) -> Cost:
        """Give what came on top of an earlier state."""
        usd = None if self.usd is None or earlier.usd is None else self.usd - earlier.usd
        return Cost(self.texts - earlier.texts, self.tokens - earlier.tokens, usd)

    def __str__(self) -> str:
        """Give one line, to four decimals of a dollar."""
        price = "price unknown" if self.usd is None else f"${self.usd:,.4f}"
        return f"{self.texts:,} texts, {self.tokens:,} tokens, {price}"


@runtime_checkable
class Priced(Protocol):
    """An encoder that costs money."""

    @property
    def cost(self) -> Cost:
        """What was paid so far."""

    def estimate(self, texts: Sequence[str], side: Literal["query", "document"]) -> Cost:
        """Say what embedding these texts would cost now."""
