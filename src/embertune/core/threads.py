"""How many threads numpy's matrix products take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["threads_for"]

# A product of a thousand queries with a thousand documents in 256 dimensions: 5 ms of one core.
_LARGE = 2**28


@contextmanager
def threads_for(work: int) -> Iterator[None]:
    """Hold numpy to one thread while products are small.

    OpenBLAS's threads wait for each other in a loop. Where other work holds a core, every small product then takes as
    long as that work has its turn: tuning on 533 queries with two threads took 58 seconds of CPU time for 5.7 with
    one, on two busy cores. Where nothing else runs a second thread saves little on such products.

    Args:
        work: Multiplications in a typical product.

    Example:
        >>> with threads_for(1000):
        ...     pass
    """
    if work >= _LARGE:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield
