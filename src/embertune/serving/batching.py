"""Requests that come at once travel together: one call upstream for many small ones, several for a large one.

Nobody waits for company: whatever has come in by the time a slot is free goes, so an idle server adds nothing, and
a busy one sends larger batches by itself.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from embertune.core.tokens import estimate_tokens
from embertune.core.vectors import Vectors
from embertune.encoders.api_limits import Limits
from embertune.encoders.base import Side
from embertune.serving.problems import ApiError
from embertune.serving.schemas import Input

__all__ = ["Answer", "Batcher", "Lane"]

# What the upstream refuses because of a text in it; everything else is nobody's fault in the batch.
_FAULT_OF_AN_INPUT = frozenset({400, 413, 422})
# A list of more texts is indexing: it leaves one slot to requests of people who wait.
_SMALL = 16


class Answer(NamedTuple):
    """What an upstream gave.

    Attributes:
        vectors: (n, d) float32, one row per input.
        tokens: What it counted.
    """

    vectors: Vectors
    tokens: int


class Lane(NamedTuple):
    """Inputs that may travel together.

    Attributes:
        side: Of all of them.
        tokens: Whether they are arrays of tokens.
        bulk: Whether they are parts of long lists.
    """

    side: Side
    tokens: bool
    bulk: bool = False


@dataclass(eq=False)
class _Job:
    """One request's inputs on their way."""

    future: asyncio.Future[Answer]
    parts: list[Vectors | None]
    tokens: int = 0


@dataclass(eq=False)
class _Piece:
    """A part of a job that one call can hold."""

    job: _Job
    at: int
    inputs: Sequence[Input]
    cost: int


class Batcher:
    """Gathers inputs into calls.

    Args:
        call: Embeds inputs of one lane; raises `ApiError`.
        limits: The most that a call may hold.
        slots: The most calls under way.
        most_waiting: Inputs that may wait; whoever comes then is sent away with status 503.
    """

    def __init__(
        self, call: Callable[[list[Input], Lane], Awaitable[Answer]], limits: Limits, *, slots: int, most_waiting: int
    ) -> None:
        self._call, self._limits, self._free, self._most_waiting = call, limits, slots, most_waiting
        self._bulk_free = max(1, slots - 1)
        self._lanes: OrderedDict[Lane, deque[_Piece]] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = False
        self.waiting = 0

    async def submit(self, inputs: Sequence[Input], side: Side, *, tokens: bool = False) -> Answer:
        """Embed inputs, together with others of the same kind.

        Args:
            inputs: n texts, or n arrays of tokens.
            side: Which they are.
            tokens: Whether they are tokens.

        Returns:
            (n, d) and the tokens that were counted; of a call that several requests shared, a share by length.

        Raises:
            ApiError: The upstream failed, or too many wait already.
        """
        if self.waiting and self.waiting + len(inputs) > self._most_waiting:
            message = f"{self.waiting} texts wait for the upstream already. Try again later."
            raise ApiError(503, message, code="overloaded", headers={"retry-after": "1"})
        cut = list(self._cut(inputs, tokens))
        job = _Job(asyncio.get_running_loop().create_future(), [None] * len(cut))
        pieces = [_Piece(job, at, part, cost) for at, (part, cost) in enumerate(cut)]
        self._lanes.setdefault(Lane(side, tokens, len(inputs) > _SMALL), deque()).extend(pieces)
        self.waiting += len(inputs)
        if not self._woken:
            # At the end of this turn of the loop, so that requests that were read together go together.
            self._woken = True
            asyncio.get_running_loop().call_soon(self._dispatch)
        return await job.future

    async def close(self) -> None:
        """Wait for the calls under way."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _cut(self, inputs: Sequence[Input], tokens: bool) -> Iterator[tuple[Sequence[Input], int]]:
        """Cut inputs into parts that one call can hold, each with its estimated tokens."""
        start = cost = 0
        for at, one in enumerate(inputs):
            weight = len(one) if tokens else estimate_tokens(str(one))
            if at > start and (at - start == self._limits.texts or cost + weight > self._limits.tokens):
                yield inputs[start:at], cost
                start, cost = at, 0
            cost += weight
        yield inputs[start:], cost

    def _dispatch(self) -> None:
        self._woken = False
        while self._free and (found := self._next()) is not None:
            task = asyncio.get_running_loop().create_task(self._run(*found))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _next(self) -> tuple[Lane, list[_Piece]] | None:
        """Take a batch off the lane whose turn it is; None where nothing may go."""
        for lane in list(self._lanes):
            queue = self._lanes[lane]
            if lane.bulk and not self._bulk_free:
                continue
            batch = self._take(queue)
            if queue:
                self._lanes.move_to_end(lane)
            else:
                del self._lanes[lane]
            if batch:
                self._free -= 1
                self._bulk_free -= lane.bulk
                return lane, batch
        return None

    def _take(self, queue: deque[_Piece]) -> list[_Piece]:
        batch: list[_Piece] = []
        count = cost = 0
        while queue:
            piece = queue[0]
            given_up = piece.job.future.done()
            full = count + len(piece.inputs) > self._limits.texts or cost + piece.cost > self._limits.tokens
            if batch and full and not given_up:
                break
            queue.popleft()
            self.waiting -= len(piece.inputs)
            if not given_up:
                batch.append(piece)
                count, cost = count + len(piece.inputs), cost + piece.cost
        return batch

    async def _run(self, lane: Lane, batch: list[_Piece]) -> None:
        try:
            await self._attempt(lane, batch)
        finally:
            self._free += 1
            self._bulk_free += lane.bulk
            self._dispatch()

    async def _attempt(self, lane: Lane, batch: list[_Piece]) -> None:
        distinct = list(dict.fromkeys(one for piece in batch for one in piece.inputs))
        try:
            answer = await self._call(distinct, lane)
        except ApiError as error:
            if error.status in _FAULT_OF_AN_INPUT and len({piece.job for piece in batch}) > 1:
                # One bad text must fail its own request alone; halves find it in few calls.
                half = len(batch) // 2
                await self._attempt(lane, batch[:half])
                await self._attempt(lane, batch[half:])
                return
            _fail(batch, error)
        except Exception as error:  # a request must get an answer whatever a stranger's encoder raises
            _fail(batch, error)
        else:
            _hand_out(batch, distinct, answer)


def _fail(batch: list[_Piece], error: Exception) -> None:
    for piece in batch:
        if not piece.job.future.done():
            piece.job.future.set_exception(error)


def _hand_out(batch: list[_Piece], distinct: list[Input], answer: Answer) -> None:
    place = {one: row for row, one in enumerate(distinct)}
    whole = sum(piece.cost for piece in batch) or 1
    for piece in batch:
        job = piece.job
        job.parts[piece.at] = answer.vectors[[place[one] for one in piece.inputs]]
        job.tokens += round(answer.tokens * piece.cost / whole)
        parts = [part for part in job.parts if part is not None]
        if len(parts) == len(job.parts) and not job.future.done():
            job.future.set_result(Answer(parts[0] if len(parts) == 1 else np.concatenate(parts), job.tokens))
