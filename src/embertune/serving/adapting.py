"""Adapters applied to the requests of a moment at once: a map is read from memory once for all of them."""

from __future__ import annotations

import asyncio

import numpy as np

from embertune.adapters.base import Adapter, Side
from embertune.core.vectors import Vectors

__all__ = ["Adapting"]

# 64 rows through a full map of 1536 dimensions take 5 ms on one core; more would keep others waiting.
_INLINE_ROWS = 64

_Waiting = list[tuple[Vectors, asyncio.Future[Vectors]]]


class Adapting:
    """Transforms together what comes in one turn of the event loop."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[Adapter, Side], _Waiting] = {}

    async def transform(self, adapter: Adapter, base: Vectors, side: Side) -> Vectors:
        """Give `adapter.transform(base, side)`, up to rounding: the rows of others may go through beside these.

        Args:
            adapter: A fitted adapter.
            base: (n, d), of its encoder.
            side: Which side they are.
        """
        if len(base) > _INLINE_ROWS:
            return await asyncio.to_thread(adapter.transform, base, side)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Vectors] = loop.create_future()
        waiting = self._waiting.setdefault((adapter, side), [])
        waiting.append((base, future))
        if len(waiting) == 1:
            loop.call_soon(self._flush, adapter, side)
        return await future

    def _flush(self, adapter: Adapter, side: Side) -> None:
        waiting = self._waiting.pop((adapter, side))
        try:
            mapped = adapter.transform(np.concatenate([base for base, _ in waiting]), side)
        except Exception as error:  # nobody else would tell those who wait
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
            return
        start = 0
        for base, future in waiting:
            if not future.done():
                future.set_result(mapped[start : start + len(base)])
            start += len(base)
