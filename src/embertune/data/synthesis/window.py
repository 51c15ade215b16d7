"""Many requests at once, results in order, and no more held than a window of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Window"]

Item = TypeVar("Item")


@dataclass
class _Group(Generic[Item]):
    """Items that are worked on together, and the promise that they will be."""

    items: list[Item] = field(default_factory=list)
    future: Future[None] | None = None


class Window(Generic[Item]):
    """Works on groups of items in threads, and gives the items in their order.

    Args:
        work: Called with a group of items, in another thread.
        concurrency: The most groups at once.
        ahead: The most items that are held.
        failed: Called once work has failed, so that other threads may give up.

    Example:
        >>> window = Window(lambda group: group.sort(), concurrency=2, ahead=4)
        >>> list(window.in_order(range(5), ready=lambda n: n == 3, full=lambda group: len(group) == 2))
        [0, 1, 2, 3, 4]
    """

    def __init__(
        self,
        work: Callable[[list[Item]], None],
        *,
        concurrency: int,
        ahead: int,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._work, self._ahead, self._failed = work, ahead, failed
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="embertune-ask")
        self._queue: deque[tuple[Item, _Group[Item] | None]] = deque()
        self._open: _Group[Item] = _Group()
        self._failure: BaseException | None = None
        self._lock = threading.Lock()

    def in_order(
        self, items: Iterable[Item], *, ready: Callable[[Item], bool], full: Callable[[list[Item]], bool]
    ) -> Iterator[Item]:
        """Give every item, once it is ready or worked on; once only.

        When work fails no further group is begun; what was done before it, in order, is still given.

        Args:
            items: Taken as far ahead as the window goes.
            ready: Whether an item needs no work; asked in the caller's thread.
            full: Whether a group is complete.

        Raises:
            Exception: What `work` raised first.
        """
        for item in items:
            if ready(item):
                self._queue.append((item, None))
            else:
                self._queue.append((item, self._open))
                self._open.items.append(item)
                if full(self._open.items):
                    self._send()
            while self._queue and (len(self._queue) >= self._ahead or self._head_is_done()):
                yield self._next()
        while self._queue:
            yield self._next()

    def close(self) -> None:
        """Wait for what is under way, and begin nothing more: an answer that was paid for is not lost."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _head_is_done(self) -> bool:
        group = self._queue[0][1]
        return group is None or (group.future is not None and group.future.done())

    def _next(self) -> Item:
        item, group = self._queue.popleft()
        if group is not None:
            if group.future is None:
                self._send()
            self._wait_for(group)
        return item

    def _send(self) -> None:
        group, self._open = self._open, _Group()
        group.future = self._pool.submit(self._do, group.items)

    def _do(self, items: list[Item]) -> None:
        if self._failure is not None:
            raise CancelledError
        try:
            self._work(items)
        except BaseException as error:
            with self._lock:
                self._failure = self._failure or error
            self._failed()
            raise

    def _wait_for(self, group: _Group[Item]) -> None:
        assert group.future is not None
        error = group.future.exception()
        if error is not None:
            raise self._failure or error
