"""How many threads numpy's matrix products take, and work that is spread over as many."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from typing import TypeVar

import numpy as np

from embertune.core.vectors import Vectors

__all__ = ["multiply", "spread", "threads_for"]

Part = TypeVar("Part")
Found = TypeVar("Found")

# A product of a thousand queries with a thousand documents in 256 dimensions: 5 ms of one core.
_LARGE = 2**28

_threads: ContextVar[tuple[ThreadPoolExecutor, int] | None] = ContextVar("threads", default=None)


@contextmanager
def threads_for(work: int) -> Iterator[None]:
    """Hold numpy to one thread, and where products are large have threads of our own for `spread`.

    OpenBLAS's threads wait for each other in a loop. Where other work holds a core, every small product then takes as
    long as that work has its turn: tuning on 533 queries with two threads took 58 seconds of CPU time for 5.7 with
    one, on two busy cores. Where nothing else runs a second thread saves little on such products. Of large ones it
    also leaves what is done to each cell, half the time, to one core.

    Args:
        work: Multiplications in a typical product.

    Example:
        >>> with threads_for(1000):
        ...     pass
    """
    from threadpoolctl import threadpool_info, threadpool_limits

    count = max((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=1)
    with threadpool_limits(1, user_api="blas"):
        if work < _LARGE or count == 1:
            yield
            return
        # Libraries built with OpenMP hold the limit of each thread apart.
        each = partial(threadpool_limits, 1, "blas")
        with ThreadPoolExecutor(count, thread_name_prefix="embertune", initializer=each) as executor:
            token = _threads.set((executor, count))
            try:
                yield
            finally:
                _threads.reset(token)


def spread(work: Callable[[Part], Found], parts: Iterable[Part]) -> Iterator[Found]:
    """Do independent work, in the threads of `threads_for` where there are some, and give what comes of it in order.

    At most two parts per thread are under way or waiting to be taken, so that memory does not grow with their number.
    What a part spreads itself is done one after another in its thread.

    Args:
        work: Called with one part; it may only write where no other part does.
        parts: What is to be done.

    Example:
        >>> list(spread(abs, [-1, 2, -3]))
        [1, 2, 3]
    """
    threads = _threads.get()
    if threads is None:
        yield from map(work, parts)
        return
    executor, count = threads
    under_way: deque[Future[Found]] = deque()
    try:
        for part in parts:
            if len(under_way) == 2 * count:
                yield under_way.popleft().result()
            # A context of its own, so that numpy's errstate holds there, too.
            under_way.append(executor.submit(copy_context().run, _alone, work, part))
        while under_way:
            yield under_way.popleft().result()
    finally:
        for each in under_way:
            each.cancel()


def multiply(left: Vectors, right: Vectors) -> Vectors:
    """Give a matrix product, its rows spread over the threads of `threads_for`.

    Args:
        left: (n, d).
        right: (d, m).

    Example:
        >>> multiply(np.ones((2, 3)), np.ones((3, 1))).tolist()
        [[3.0], [3.0]]
    """
    threads = _threads.get()
    if threads is None:
        return left @ right
    product = np.empty((len(left), right.shape[1]), dtype=np.result_type(left, right))
    step = -(-len(left) // threads[1]) or 1
    parts = (slice(start, start + step) for start in range(0, len(left), step))
    for _ in spread(lambda rows: np.matmul(left[rows], right, out=product[rows]), parts):
        pass
    return product


def _alone(work: Callable[[Part], Found], part: Part) -> Found:
    """Do a part: one that waited for parts of its own would wait for the very threads that such parts hold."""
    _threads.set(None)
    return work(part)
