"""How fast an account may ask: requests and tokens per minute, spread evenly."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["Pace"]


class Pace:
    """Tells callers how long to wait; shared by all threads.

    Requests are spread evenly and never come in bursts, because providers count in windows of seconds, too.

    Args:
        requests_per_minute: None for no limit.
        tokens_per_minute: Of prompts and answers together; None for no limit.
        clock: Gives seconds.

    Example:
        >>> pace = Pace(requests_per_minute=60, clock=lambda: 0.0)
        >>> pace.delay(100), pace.delay(100), pace.delay(100)
        (0.0, 1.0, 2.0)
    """

    def __init__(
        self,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._request = 60 / requests_per_minute if requests_per_minute else 0.0
        self._token = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._clock = clock
        self._request_at = self._token_at = 0.0
        self._lock = threading.Lock()

    def delay(self, tokens: int) -> float:
        """Give the seconds to wait before a request of so many tokens, and count it."""
        with self._lock:
            now = self._clock()
            start = max(now, self._request_at, self._token_at)
            self._request_at = start + self._request
            self._token_at = start + tokens * self._token
            return start - now

    def correct(self, tokens: int) -> None:
        """Count so many tokens more (or fewer) than were expected of a request."""
        with self._lock:
            self._token_at += tokens * self._token
