"""How many texts travel together, and how many groups travel at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

from embertune.core.tokens import estimate_tokens

__all__ = ["pack", "run_batches"]

Result = TypeVar("Result")


def pack(texts: Sequence[str], *, size: int, tokens: int | None = None) -> list[list[str]]:
    """Cut texts into batches under two limits, in order.

    Args:
        texts: What is to be embedded.
        size: The most texts of a batch.
        tokens: The most estimated tokens of a batch; a single text above it travels alone.

    Example:
        >>> pack(["a", "b", "c"], size=2)
        [['a', 'b'], ['c']]
    """
    if tokens is None:
        return [list(texts[start : start + size]) for start in range(0, len(texts), size)]
    batches: list[list[str]] = []
    filled = 0
    for text in texts:
        count = estimate_tokens(text)
        if not batches or len(batches[-1]) == size or filled + count > tokens:
            batches.append([])
            filled = 0
        batches[-1].append(text)
        filled += count
    return batches


def run_batches(
    function: Callable[[list[str]], Result], batches: Sequence[list[str]], *, concurrency: int
) -> Iterator[tuple[list[str], Result]]:
    """Call the function on every batch, at most `concurrency` at a time, and give results as they come.

    When one call fails no further batch is started, what is under way is still given, and only then
    the first error is raised: an answer that was paid for is not lost.

    Args:
        function: Called in another thread when `concurrency` is above 1.
        batches: The arguments.
        concurrency: The most calls at once.

    Example:
        >>> [result for _, result in run_batches(len, [["a", "b"], ["c"]], concurrency=1)]
        [2, 1]
    """
    if concurrency == 1 or len(batches) < 2:
        for batch in batches:
            yield batch, function(batch)
        return
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="embertune-embed")
    try:
        queue = iter(batches)
        running: dict[Future[Result], list[str]] = {pool.submit(function, b): b for b in islice(queue, concurrency)}
        failure: BaseException | None = None
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                batch = running.pop(future)
                failure = failure or future.exception()
                if future.exception() is None:
                    yield batch, future.result()
                if failure is None:
                    running.update({pool.submit(function, b): b for b in islice(queue, 1)})
        if failure is not None:
            raise failure
    finally:
        # After Ctrl-C nobody waits for answers that are under way; else none is.
        pool.shutdown(wait=False, cancel_futures=True)
