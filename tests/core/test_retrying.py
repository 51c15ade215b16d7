from __future__ import annotations

import pytest

from embertune.core import retrying
from embertune.core.retrying import Retrier, TryAgainError


class Clock:
    """Stands for the time module, so that waits are seen instead of waited for."""

    def __init__(self):
        self.now, self.waits = 100.0, []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(retrying, "time", clock)
    return clock


def failing(times, after=None, retries=None):
    left = iter(range(times))

    def call():
        if next(left, None) is not None:
            raise TryAgainError(RuntimeError("busy"), after, retries=retries)
        return "done"

    return call


def test_waits_double_with_jitter_up_to_a_minute(clock):
    assert Retrier(max_retries=8).call(failing(8)) == "done"
    for wait, longest in zip(clock.waits, [1, 2, 4, 8, 16, 32, 60, 60], strict=True):
        assert longest / 2 <= wait <= longest


def test_an_ordered_wait_replaces_the_backoff(clock):
    assert Retrier(max_retries=1).call(failing(1, after=7.0)) == "done"
    assert clock.waits == [7.0]


def test_an_ordered_wait_holds_for_the_next_call_too(clock):
    retrier = Retrier(max_retries=0)
    with pytest.raises(RuntimeError, match="busy"):
        retrier.call(failing(1, after=7.0))
    assert retrier.call(failing(0)) == "done"
    assert clock.waits == []
    patient = Retrier(max_retries=1)
    patient._pause(0, 7.0)
    assert patient.call(failing(0)) == "done"
    assert clock.waits == [7.0]


def test_patience_ends_with_the_cause(clock):
    with pytest.raises(RuntimeError, match="busy"):
        Retrier(max_retries=2).call(failing(9))
    assert len(clock.waits) == 2


@pytest.mark.parametrize(("own", "waits"), [(None, 4), (9, 4), (2, 2), (0, 0)])
def test_a_cause_may_be_worth_fewer_retries(clock, own, waits):
    retrier = Retrier(max_retries=4)
    with pytest.raises(RuntimeError, match="busy"):
        retrier.call(failing(9, retries=own))
    assert len(clock.waits) == retrier.patience(own) == waits
    assert sum(clock.waits) <= retrier.longest_wait(waits) <= 2 * sum(clock.waits)


def test_other_errors_pass_through(clock):
    def call():
        raise KeyError("bug")

    with pytest.raises(KeyError):
        Retrier(max_retries=5).call(call)
    assert clock.waits == []
