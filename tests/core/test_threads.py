import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from embertune.core.threads import multiply, spread, threads_for

LARGE = 3000 * 3000 * 384


def threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.mark.parametrize("work", [100 * 100 * 384, LARGE])
def test_products_have_one_thread_and_afterwards_what_there_was(work):
    assert np.ones((2, 2)).sum() == 4  # numpy's BLAS is loaded
    with threadpool_limits(2, user_api="blas"):
        before = threads()
        with threads_for(work):
            assert threads() == {1}
        assert threads() == before


def names_of(work, parts):
    with threadpool_limits(2, user_api="blas"), threads_for(work):
        both = threading.Barrier(2)  # broken, and an error, if nobody else comes

        def call(part):
            if work == LARGE:
                both.wait(30)
            return part, threading.current_thread().name

        return list(spread(call, parts))


def test_large_work_is_spread_over_as_many_threads_and_given_in_order():
    found = names_of(LARGE, range(40))
    assert [part for part, _ in found] == list(range(40))
    assert len({name for _, name in found}) == 2


def test_small_work_stays_in_the_thread_that_asks():
    assert {name for _, name in names_of(1, range(4))} == {threading.current_thread().name}


def test_no_more_parts_are_under_way_than_twice_the_threads():
    taken, given = [], 0
    with threadpool_limits(2, user_api="blas"), threads_for(LARGE):
        for _ in spread(abs, (taken.append(each) or each for each in range(30))):
            given += 1
            assert len(taken) - given <= 4


def test_an_error_of_a_part_is_raised_and_numpys_settings_hold_there():
    with (
        threadpool_limits(2, user_api="blas"),
        threads_for(LARGE),
        np.errstate(divide="raise"),
        pytest.raises(FloatingPointError),
    ):
        list(spread(lambda part: 1 / np.float32(part), [1, 2, 0, 3]))


def test_parts_may_spread_work_of_their_own():
    with threadpool_limits(2, user_api="blas"), threads_for(LARGE):
        found = list(spread(lambda part: list(spread(abs, [-part, part])), range(8)))
    assert found == [[part, part] for part in range(8)]


def test_threads_come_back_after_an_error():
    with threadpool_limits(2, user_api="blas"):
        with pytest.raises(ValueError, match="lost"), threads_for(1):
            raise ValueError("lost")
        assert threads() == {2}


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 64])
def test_a_product_in_threads_is_that_of_numpy(rows):
    random = np.random.default_rng(0)
    left, right = random.normal(size=(rows, 30)), random.normal(size=(30, 11))
    with threadpool_limits(2, user_api="blas"), threads_for(LARGE):
        found = multiply(left, right)
    assert found.dtype == left.dtype
    np.testing.assert_allclose(found, left @ right, rtol=1e-12)
