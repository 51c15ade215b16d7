"""The law is recovered from curves that are one and keeps its bounds; its intervals hold."""

import re

import numpy as np
import pytest

from embertune.core.random import generator
from embertune.errors import DataError
from embertune.evaluation.power_law import PowerLaw, forecast, power_law

SIZES = [25, 50, 100, 200, 400, 800]


@pytest.mark.parametrize(
    "law", [PowerLaw(0.9, 0.9, 20, 0.3), PowerLaw(0.8, 30.0, 2000, 0.6), PowerLaw(0.7, 1.0, 60, 1)]
)
def test_a_curve_that_is_a_power_law_is_extended_rightly(law):
    found = power_law(SIZES, [law.at(size) for size in SIZES], [0.01] * len(SIZES), base=law.at(0))
    for size in (0, 100, 1600):
        assert found.at(size) == pytest.approx(law.at(size), abs=0.012)


def test_equals_the_best_of_scipy_where_both_are_free():
    optimize = pytest.importorskip("scipy.optimize")
    random = generator(3, "curve")
    scores = [PowerLaw(0.85, 1.1, 50, 0.4).at(size) + 0.004 * random.normal() for size in SIZES]
    base = PowerLaw(0.85, 1.1, 50, 0.4).at(0)

    def shape(size, rise, offset, exponent):
        return base + rise * (1 - (1 + size / offset) ** -exponent)

    bounds = ([0, 4, 0.1], [1 - base, 40_000, 2])
    best, _ = optimize.curve_fit(shape, np.array(SIZES), scores, p0=[0.3, 50, 0.4], bounds=bounds)
    ours = power_law(SIZES, scores, [0.01] * len(SIZES), base=base)

    def loss(values):
        return sum((one - score) ** 2 for one, score in zip(values, scores, strict=True))

    # A grid comes close to the optimum of a free search, on the curve and beyond it.
    assert loss([ours.at(size) for size in SIZES]) <= loss(shape(np.array(SIZES), *best)) + 2e-5
    assert ours.at(1600) == pytest.approx(shape(1600, *best), abs=0.01)


def test_nothing_is_foretold_above_1_or_below_what_is():
    steep = power_law(SIZES, [0.5, 0.6, 0.7, 0.8, 0.9, 1.0], [0.01] * 6, base=0.4)
    assert steep.ceiling <= 1
    falling = power_law(SIZES, [0.6, 0.59, 0.58, 0.57, 0.56, 0.55], [0.01] * 6, base=0.6)
    assert falling.at(10**6) == pytest.approx(0.6)
    assert falling.drop == 0


def test_a_point_that_is_uncertain_pulls_less():
    scores = [0.6, 0.62, 0.64, 0.66, 0.68, 0.9]
    errors = [0.01] * 5
    trusting = power_law(SIZES, scores, [*errors, 0.01], base=0.58).at(1600)
    assert power_law(SIZES, scores, [*errors, 1.0], base=0.58).at(1600) < trusting - 0.05


def simulated(seed, queries=150, draws=3):
    """A curve with queries of different difficulty and draws of different luck."""
    law, random = PowerLaw(0.85, 1.1, 50, 0.4), generator(seed, "simulated")
    hard = 0.25 * random.normal(size=queries)
    curve = [
        law.at(size)
        + hard
        + random.normal(size=(draws, 1)) * 0.1 / np.sqrt(size)
        + 0.1 * random.normal(size=(draws, queries))
        for size in SIZES
    ]
    return law, hard, curve, law.at(0) + hard


def test_the_interval_of_a_gain_holds_the_true_gain():
    held = 0
    for seed in range(20):
        law, _, curve, base = simulated(seed)
        _, [one] = forecast(SIZES, curve, base, [1600], seed=seed, resamples=200)
        held += one.gain_low <= law.at(1600) - law.at(800) <= one.gain_high
        assert one.low <= one.score <= one.high
    assert held >= 17


def test_one_seed_gives_one_forecast():
    _, _, curve, base = simulated(1)
    first, again, other = (forecast(SIZES, curve, base, [1600], seed=seed, resamples=50)[1] for seed in (0, 0, 1))
    assert first == again != other


def test_two_sizes_are_no_curve():
    with pytest.raises(DataError, match=re.escape("needs scores at three sizes at least. Found 2.")):
        power_law([10, 20], [0.1, 0.2], [0.01, 0.01], base=0.0)
