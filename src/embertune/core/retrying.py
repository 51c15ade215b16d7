"""Patience with services: exponential backoff with jitter, shared by all threads of an encoder."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import TypeVar

__all__ = ["Retrier", "TryAgainError"]

Result = TypeVar("Result")

_LONGEST_WAIT = 60.0
_LONGEST_ORDER = 300.0  # a service that asks for more, such as "tomorrow", is out of quota, not busy


class TryAgainError(Exception):
    """Raised by a call that may succeed later.

    Args:
        cause: What to raise once patience has run out.
        after: Seconds that the service asked to wait, if it said so.
        retries: The most retries that make sense for this cause, where that is fewer than the retrier's.
    """

    def __init__(self, cause: Exception, after: float | None = None, *, retries: int | None = None) -> None:
        super().__init__(str(cause))
        self.cause, self.after, self.retries = cause, after, retries


class Retrier:
    """Calls a function until it succeeds, fails for good, or patience runs out.

    Waits double from `first_wait` up to a minute, each multiplied by a random factor between 0.5 and 1 so
    that threads do not return together (Brooker, Exponential Backoff and Jitter, AWS 2015). A wait that the
    service ordered holds for every thread, because the limit is the account's, not the request's.

    Args:
        max_retries: How often to try again after the first time.
        first_wait: Seconds before the second try.
        sleep: How to wait; one that raises ends the patience.

    Example:
        >>> answers = iter([TryAgainError(RuntimeError("busy")), None])
        >>> def call():
        ...     if (problem := next(answers)) is not None:
        ...         raise problem
        ...     return "done"
        >>> Retrier(max_retries=1, first_wait=0.01).call(call)
        'done'
    """

    def __init__(
        self, *, max_retries: int, first_wait: float = 1.0, sleep: Callable[[float], None] | None = None
    ) -> None:
        self.max_retries, self.first_wait = max_retries, first_wait
        self._sleep = sleep or (lambda seconds: time.sleep(seconds))
        self._not_before = 0.0
        self._lock = threading.Lock()
        self._random = random.SystemRandom()  # takes and gives nothing to the seed of the experiment

    def call(self, function: Callable[[], Result]) -> Result:
        """Call the function with patience.

        Args:
            function: Raises `TryAgainError` where a later call may succeed; any other error passes through.

        Raises:
            Exception: The cause of the last `TryAgainError`.
        """
        for attempt in count():
            self._wait_for_all()
            try:
                return function()
            except TryAgainError as problem:
                if attempt >= self.patience(problem.retries) or (problem.after or 0) > _LONGEST_ORDER:
                    raise problem.cause from None
                self._pause(attempt, problem.after)
        raise AssertionError("the loop always returns or raises")

    def patience(self, retries: int | None) -> int:
        """Give how often a call is repeated whose cause is worth so many retries; None is no limit of its own."""
        return self.max_retries if retries is None else min(retries, self.max_retries)

    def longest_wait(self, retries: int) -> float:
        """Give the most seconds that so many retries wait in all, where the service orders nothing."""
        return sum(min(self.first_wait * 2.0**attempt, _LONGEST_WAIT) for attempt in range(retries))

    def _pause(self, attempt: int, after: float | None) -> None:
        if after is not None:
            with self._lock:
                self._not_before = max(self._not_before, time.monotonic() + after)
            return
        wait = min(self.first_wait * 2**attempt, _LONGEST_WAIT)
        self._sleep(wait * self._random.uniform(0.5, 1))

    def _wait_for_all(self) -> None:
        while (left := self._not_before - time.monotonic()) > 0:
            self._sleep(left)
