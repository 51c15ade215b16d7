import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from embertune.core.threads import threads_for


def threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_small_products_have_one_thread_and_large_ones_what_there_was():
    assert np.ones((2, 2)).sum() == 4  # numpy's BLAS is loaded
    with threadpool_limits(2, user_api="blas"):
        before = threads()
        with threads_for(100 * 100 * 384):
            assert threads() == {1}
        assert threads() == before
        with threads_for(3000 * 3000 * 384):
            assert threads() == before


def test_threads_come_back_after_an_error():
    before = threads()
    try:
        with threads_for(1):
            raise ValueError
    except ValueError:
        assert threads() == before
