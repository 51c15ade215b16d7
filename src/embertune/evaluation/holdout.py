"""The test split: every opening is counted and written down."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from embertune.data.texts import counted
from embertune.errors import ConfigError

__all__ = ["Holdout", "Opening"]

T = TypeVar("T")


@dataclass(frozen=True)
class Opening:
    """One look at the test split.

    Attributes:
        reason: Who looked, and why.
        when: ISO 8601, UTC.

    Example:
        >>> Opening("final comparison", "2026-01-31T12:00:00+00:00").reason
        'final comparison'
    """

    reason: str
    when: str


class Holdout(Generic[T]):
    """A test split that can only be reached by leaving a note.

    A score that was looked at while choosing is no longer a test score. The count goes into the record
    (``test_opened``), so that a reader can see whether the split was opened once.

    Args:
        test: What is held out: a data set, arrays, anything.

    Example:
        >>> holdout = Holdout(["q1", "q2"])
        >>> holdout.opened, holdout.open("final comparison"), holdout.opened
        (0, ['q1', 'q2'], 1)
        >>> holdout.openings[0].reason
        'final comparison'
    """

    def __init__(self, test: T) -> None:
        self.__test = test
        self.__openings: list[Opening] = []

    def open(self, reason: str) -> T:
        """Give the test split, and write down that it was given.

        Args:
            reason: Who looks, and why.

        Raises:
            ConfigError: No reason was given.
        """
        if not reason.strip():
            raise ConfigError(
                'The test split opens only with a reason. Type for example: holdout.open("final comparison")'
            )
        self.__openings.append(Opening(reason, datetime.now(UTC).isoformat(timespec="seconds")))
        return self.__test

    @property
    def opened(self) -> int:
        """How often it was opened."""
        return len(self.__openings)

    @property
    def openings(self) -> tuple[Opening, ...]:
        """Every opening so far, in order."""
        return tuple(self.__openings)

    def __repr__(self) -> str:
        """Tell the count; the content stays closed."""
        return f"Holdout(opened {counted(self.opened, 'time')})"
