"""Patience with services: exponential backoff with jitter, shared by all threads of an encoder."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
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
    """

    def __init__(self, cause: Exception, after: float | None = None) -> None:
        super().__init__(str(cause))
        self.cause, self.after = cause, after


class Retrier:
    """Calls a function until it succeeds, fails for good, or patience runs out.

    Waits double from `first_wait` up to a minute, each multiplied by a random factor between 0.5 and 1 so
    that threads do not return together (Brooker, Exponential Backoff and Jitter, AWS 2015). A wait that the
    service ordered holds for every thread, because the limit is the account's, not the request's.

    Args:
        max_retries: How often to try again after the first time.
        first_wait: Seconds before the second try.

    Example:
        >>> answers = iter([TryAgainError(RuntimeError("busy")), None])
        >>> def call():
        ...     if (problem := next(answers)) is not None:
        ...         raise problem
        ...     return "done"
        >>> Retrier(max_retries=1, first_wait=0.01).call(call)
        'done'
    """

    def __init__(self, *, max_retries: int, first_wait: float = 1.0) -> None:
        self.max_retries, self.first_wait = max_retries, first_wait
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
        for attempt in range(self.max_retries + 1):
            self._wait_for_all()
            try:
                return function()
            except TryAgainError as problem:
                if attempt == self.max_retries or (problem.after or 0) > _LONGEST_ORDER:
                    raise problem.cause from None
                self._pause(attempt, problem.after)
        raise AssertionError("the loop always returns or raises")

    def _pause(self, attempt: int, after: float | None) -> None:
        if after is not None:
            with self._lock:
                self._not_before = max(self._not_before, time.monotonic() + after)
            return
        wait = min(self.first_wait * 2**attempt, _LONGEST_WAIT)
        time.sleep(wait * self._random.uniform(0.5, 1))

    def _wait_for_all(self) -> None:
        while (left := self._not_before - time.monotonic()) > 0:
            time.sleep(left)
