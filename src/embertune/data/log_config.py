"""How clicks become grades: every threshold, with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from embertune.errors import ConfigError

__all__ = ["LogConfig"]

_METHODS = ("auto", "ratio", "em", "reciprocal")


@dataclass(frozen=True, kw_only=True)
class LogConfig:
    """How clicks become grades.

    Raises:
        ConfigError: With every problem at once.

    Example:
        >>> LogConfig(min_clicks=1).session_gap
        1800.0
    """

    propensities: str | Sequence[float] | Mapping[int, float] = "auto"
    """How likely each rank is looked at: numbers that you know; "ratio" or "em" to estimate them from documents that
    were shown at several ranks for one query; "reciprocal" for 1/rank; "auto": "ratio", where the log allows it."""

    clip: float = 0.05
    """Propensities below this count as this: no click counts more than 20 at the first rank."""

    min_clicks: int = 2
    """Clicks that a pair must have to be relevant; pairs with fewer are dropped, and counted."""

    min_looks: float = 5.0
    """How often a document must have been looked at, as expected from its ranks, to count as not relevant if it was
    not clicked."""

    min_grade: float = 0.05
    """Pairs that are clicked less than this, once looked at, are judged not relevant: chance clicks."""

    reformulation_credit: float = 0.5
    """What a click counts for an earlier search of the session that found nothing and was asked again in other words;
    0 for nothing."""

    reformulation_seconds: float = 300.0
    """The most between those two searches."""

    session_gap: float = 1800.0
    """Seconds without a search after which a user's session ends, where the log names users and no sessions."""

    min_dwell: float = 0.0
    """Clicks that were left sooner, in seconds, do not count, where the log has dwell times; 30 is usual."""

    last_click_only: bool = False
    """Count only the last click of a search."""

    most_searches: int = 100
    """Sessions with more searches are taken for robots and dropped."""

    def __post_init__(self) -> None:
        """Gather every problem, then raise once."""
        problems = [
            f"{name} must be at least {least}, got {getattr(self, name)}"
            for name, least in (("min_clicks", 1), ("min_looks", 0), ("reformulation_seconds", 0), ("session_gap", 0),
                                ("min_dwell", 0), ("most_searches", 1))
            if not getattr(self, name) >= least
        ]  # fmt: skip
        problems += [
            f"{name} must be {allowed}, got {getattr(self, name)}"
            for name, is_right, allowed in (
                ("clip", 0 < self.clip <= 1, "above 0 and at most 1"),
                ("min_grade", 0 <= self.min_grade < 1, "at least 0 and below 1"),
                ("reformulation_credit", 0 <= self.reformulation_credit <= 1, "between 0 and 1"),
            )
            if not is_right
        ]
        if isinstance(self.propensities, str) and self.propensities not in _METHODS:
            problems.append(f"propensities must be numbers or one of {', '.join(_METHODS)}, got {self.propensities!r}")
        if problems:
            raise ConfigError(problems)
