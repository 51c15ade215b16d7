from __future__ import annotations

import asyncio

import numpy as np
import pytest

from embertune.encoders.api_limits import Limits
from embertune.serving.batching import Answer, Batcher, Lane
from embertune.serving.problems import ApiError


class Calls:
    """An upstream of numbers: the text "7" has the vector [7]; a call waits until it is let go."""

    def __init__(self, bad=(), status=400):
        self.seen, self.lanes, self.bad, self.status = [], [], set(bad), status
        self.gate = asyncio.Event()
        self.under_way = self.most = 0

    async def __call__(self, inputs, lane):
        self.seen.append(list(inputs))
        self.lanes.append(lane)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.gate.wait()
        self.under_way -= 1
        if self.bad & set(inputs):
            raise ApiError(self.status, "no")
        values = [[float(one if isinstance(one, str) else sum(one))] for one in inputs]
        return Answer(np.array(values, dtype=np.float32), 10 * len(inputs))


def run(work):
    return asyncio.run(work())


def make(calls, *, texts=100, tokens=10_000, slots=1, most_waiting=10_000):
    return Batcher(calls, Limits(texts, tokens), slots=slots, most_waiting=most_waiting)


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def test_requests_of_one_moment_go_together():
    async def work():
        calls = Calls()
        calls.gate.set()
        batcher = make(calls)
        answers = await asyncio.gather(*(batcher.submit([str(n)], "query") for n in range(20)))
        assert calls.seen == [[str(n) for n in range(20)]]
        assert [answer.vectors.tolist() for answer in answers] == [[[float(n)]] for n in range(20)]
        assert [answer.tokens for answer in answers] == [10] * 20

    run(work)


def test_what_comes_while_all_slots_are_taken_goes_as_one():
    async def work():
        calls = Calls()
        batcher = make(calls, slots=2)
        tasks = []
        for number in range(10):
            tasks.append(asyncio.create_task(batcher.submit([str(number)], "query")))
            await settle()
        assert calls.seen == [["0"], ["1"]]
        assert batcher.waiting == 8
        calls.gate.set()
        await asyncio.gather(*tasks)
        assert calls.seen[2:] == [[str(n) for n in range(2, 10)]]
        assert (batcher.waiting, calls.most) == (0, 2)

    run(work)


def test_a_long_list_is_cut_to_the_limits_and_put_together_in_order():
    async def work():
        calls = Calls()
        calls.gate.set()
        texts = [str(n) for n in range(250)]
        answer = await make(calls, texts=100, slots=4).submit(texts, "document")
        assert [len(seen) for seen in calls.seen] == [100, 100, 50]
        assert answer.vectors[:, 0].tolist() == list(range(250))
        assert answer.tokens == 2500
        calls.seen.clear()
        # Each of these counts two tokens.
        await make(calls, tokens=20).submit([str(n) for n in range(100, 130)], "query")
        assert [len(seen) for seen in calls.seen] == [10, 10, 10]

    run(work)


def test_an_input_above_the_limit_travels_alone():
    async def work():
        calls = Calls()
        calls.gate.set()
        await make(calls, tokens=5).submit(["0" * 40 + "1", "2", "3"], "query")
        assert calls.seen == [["0" * 40 + "1"], ["2", "3"]]

    run(work)


def test_sides_and_tokens_do_not_mix_and_take_turns():
    async def work():
        calls = Calls()
        calls.gate.set()
        batcher = make(calls)
        answers = await asyncio.gather(
            batcher.submit(["1"], "query"), batcher.submit(["2"], "document"),
            batcher.submit([(3, 4)], "query", tokens=True), batcher.submit(["5"], "query"),
        )  # fmt: skip
        assert calls.lanes == [Lane("query", False), Lane("document", False), Lane("query", True)]
        assert calls.seen == [["1", "5"], ["2"], [(3, 4)]]
        assert [answer.vectors[0, 0] for answer in answers] == [1, 2, 7, 5]

    run(work)


def test_equal_texts_are_asked_for_once():
    async def work():
        calls = Calls()
        calls.gate.set()
        batcher = make(calls)
        answers = await asyncio.gather(batcher.submit(["1", "2", "1"], "query"), batcher.submit(["2"], "query"))
        assert calls.seen == [["1", "2"]]
        assert [answer.vectors[:, 0].tolist() for answer in answers] == [[1, 2, 1], [2]]

    run(work)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_text_that_is_refused_fails_its_own_request_alone(status):
    async def work():
        calls = Calls(bad=["13", "40"], status=status)
        calls.gate.set()
        batcher = make(calls)
        found = await asyncio.gather(
            *(batcher.submit([str(n)], "query") for n in range(64)), return_exceptions=True
        )  # fmt: skip
        failed = [n for n, one in enumerate(found) if isinstance(one, ApiError)]
        assert failed == [13, 40]
        assert [one.vectors[0, 0] for n, one in enumerate(found) if n not in failed] == [
            n for n in range(64) if n not in failed
        ]
        # Halving 64 down to one takes six levels, of two calls each, for each of the two.
        assert len(calls.seen) <= 1 + 2 * 2 * 6

    run(work)


@pytest.mark.parametrize("status", [429, 500, 502, 504])
def test_a_failure_that_is_no_text_s_fault_is_not_repeated(status):
    async def work():
        calls = Calls(bad=["3"], status=status)
        calls.gate.set()
        batcher = make(calls)
        found = await asyncio.gather(*(batcher.submit([str(n)], "query") for n in range(8)), return_exceptions=True)
        assert [one.status for one in found] == [status] * 8
        assert len(calls.seen) == 1

    run(work)


def test_an_error_nobody_foresaw_reaches_whoever_waits_and_the_next_is_answered():
    async def work():
        async def broken(inputs, lane):
            if inputs == ["1"]:
                raise RuntimeError("odd")
            return Answer(np.ones((len(inputs), 1), dtype=np.float32), 1)

        batcher = make(broken)
        with pytest.raises(RuntimeError, match="odd"):
            await batcher.submit(["1"], "query")
        assert (await batcher.submit(["2"], "query")).vectors.tolist() == [[1]]

    run(work)


def test_who_comes_when_too_many_wait_is_sent_away():
    async def work():
        calls = Calls()
        batcher = make(calls, most_waiting=10)
        first = asyncio.create_task(batcher.submit(["1"], "query"))
        await settle()
        second = asyncio.create_task(batcher.submit([str(n) for n in range(9)], "query"))
        await settle()
        with pytest.raises(ApiError, match=r"^9 texts wait for the upstream already. Try again later.$") as caught:
            await batcher.submit(["8", "9"], "query")
        assert (caught.value.status, caught.value.headers) == (503, {"retry-after": "1"})
        calls.gate.set()
        await asyncio.gather(first, second)
        assert (await batcher.submit(["3"], "query")).vectors[0, 0] == 3

    run(work)


def test_a_request_that_was_given_up_is_not_sent():
    async def work():
        calls = Calls()
        batcher = make(calls)
        first = asyncio.create_task(batcher.submit(["1"], "query"))
        await settle()
        given_up = asyncio.create_task(batcher.submit(["2"], "query"))
        last = asyncio.create_task(batcher.submit(["3"], "query"))
        await settle()
        given_up.cancel()
        await settle()
        calls.gate.set()
        await asyncio.gather(first, last)
        assert calls.seen == [["1"], ["3"]]
        assert batcher.waiting == 0

    run(work)


def test_indexing_leaves_a_slot_to_people_who_wait():
    async def work():
        calls = Calls()
        batcher = make(calls, texts=20, slots=3)
        bulk = asyncio.create_task(batcher.submit([str(n) for n in range(200)], "document"))
        await settle()
        assert len(calls.seen) == 2
        one = asyncio.create_task(batcher.submit(["7"], "document"))
        await settle()
        assert calls.seen[2] == ["7"]
        calls.gate.set()
        await asyncio.gather(bulk, one)
        assert calls.most == 3

    run(work)


def test_a_batcher_of_one_slot_still_takes_long_lists():
    async def work():
        calls = Calls()
        calls.gate.set()
        answer = await make(calls, texts=20, slots=1).submit([str(n) for n in range(50)], "query")
        assert answer.vectors[:, 0].tolist() == list(range(50))

    run(work)
