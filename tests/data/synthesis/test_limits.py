from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from embertune.data.synthesis.budget import Budget, BudgetReachedError, Price, Spent
from embertune.data.synthesis.limits import Pace


def test_tokens_per_minute_are_spread():
    now = [0.0]
    pace = Pace(tokens_per_minute=600, clock=lambda: now[0])
    assert [pace.delay(10), pace.delay(20), pace.delay(10)] == [0, 1, 3]
    now[0] = 100.0
    assert pace.delay(10) == 0
    pace.correct(40)
    assert pace.delay(10) == 5


def test_the_stricter_of_two_limits_holds():
    pace = Pace(60, 60, clock=lambda: 0.0)
    assert [pace.delay(1), pace.delay(5), pace.delay(1)] == [0, 1, 6]
    assert Pace().delay(10**9) == 0


def test_requests_under_way_count_and_what_they_leave_is_used():
    budget = Budget(tokens=1000)
    first = budget.reserve(Spent(1, 600, 200))
    settled = threading.Timer(0.05, lambda: budget.settle(first, Spent(1, 300, 100)))
    settled.start()
    second = budget.reserve(Spent(1, 400, 100))
    assert budget.spent.tokens == 400
    budget.settle(second, Spent())
    with pytest.raises(BudgetReachedError):
        budget.reserve(Spent(1, 500, 101))
    assert budget.spent == Spent(1, 300, 100, 0.0)


def test_a_price_is_that_of_the_provider_asked():
    listed = {
        "m": {"litellm_provider": "openai", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6},
        "free": {"litellm_provider": "openai", "input_cost_per_token": 0, "output_cost_per_token": 0},
    }
    litellm = SimpleNamespace(model_cost=listed)
    assert Price.find(litellm, "openai", "m") == Price(1e-6, 2e-6)
    assert Price.find(litellm, "groq", "m") is None
    assert Price.find(litellm, "openai", "free") is None
    assert Price.find(litellm, "openai", "other") is None
