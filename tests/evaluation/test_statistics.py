"""Intervals and tests against scipy, exact cases, and simulated truth."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from embertune.errors import ConfigError, DataError
from embertune.evaluation import statistics
from embertune.evaluation.statistics import bootstrap_interval, holm, queries_to_settle, randomization_test


def reranked(seed, n, changed=0.4, better=0.6):
    """Differences as re-ranking gives them: mostly 0, some large and skewed."""
    random = np.random.default_rng(seed)
    sizes = random.exponential(0.2, n).clip(max=1) * np.where(random.random(n) < better, 1, -1)
    return np.where(random.random(n) < changed, sizes, 0.0)


# --- interval


def test_nothing_changed_gives_a_point():
    assert bootstrap_interval(np.zeros(50), seed=0) == (0, 0)
    low, high = bootstrap_interval(np.full(30, 0.1), seed=0)
    assert low == high == pytest.approx(0.1)


def test_a_single_difference_cannot_exclude_zero():
    assert bootstrap_interval([0.3], seed=0) == (0, 0.3)
    assert bootstrap_interval([-0.3], seed=0) == (-0.3, 0)
    assert bootstrap_interval([0.0], seed=0) == (0, 0)


@pytest.mark.parametrize("changed", [1, 2, 3])
def test_a_few_changed_queries_give_a_finite_interval_around_zero(changed):
    differences = np.zeros(120)
    differences[:changed] = 0.5
    low, high = bootstrap_interval(differences, seed=0)
    assert -0.1 < low < 0 < high < 0.2


@pytest.mark.parametrize("seed", range(3))
def test_interval_equals_scipys_on_plenty_of_data(seed):
    # With 2 000 values all bootstrap intervals agree up to the noise of the resamples.
    differences = reranked(seed, 2000)
    low, high = bootstrap_interval(differences, seed=seed)
    theirs = stats.bootstrap((differences,), np.mean, n_resamples=2000, rng=seed).confidence_interval
    width = theirs.high - theirs.low
    assert low == pytest.approx(theirs.low, abs=0.06 * width)
    assert high == pytest.approx(theirs.high, abs=0.06 * width)


def test_interval_equals_a_plain_studentised_bootstrap():
    differences = reranked(1, 60)
    random, mean = np.random.default_rng(0), differences.mean()
    ratios = []
    for _ in range(4000):
        drawn = random.choice(differences, 60)
        ratios.append(abs(drawn.mean() - mean) / (drawn.std(ddof=1) / np.sqrt(60)))
    margin = np.quantile(ratios, 0.95) * differences.std(ddof=1) / np.sqrt(60)
    low, high = bootstrap_interval(differences, seed=0, resamples=4000)
    assert (low, high) == pytest.approx((mean - margin, mean + margin), abs=0.08 * margin)


@pytest.mark.parametrize(("n", "changed"), [(40, 0.4), (130, 0.2)])
def test_intervals_cover_the_truth(n, changed):
    truth = 0.2 * changed * (0.6 - 0.4) * (1 - np.exp(-5))  # mean of the clipped exponential, signed and diluted
    covered = 0
    for seed in range(400):
        low, high = bootstrap_interval(reranked(seed, n, changed), seed=seed, resamples=300)
        covered += low <= truth <= high
    # 95 % of 400 is 380 with a standard deviation of 4.4; a percentile interval covers 92 % of the first case.
    assert 370 <= covered <= 398


def test_level_and_sign_behave():
    differences = reranked(3, 100)
    wide, narrow = (bootstrap_interval(differences, seed=0, level=level) for level in (0.99, 0.8))
    assert wide[0] < narrow[0] < differences.mean() < narrow[1] < wide[1]
    low, high = bootstrap_interval(differences, seed=0)
    assert bootstrap_interval(-differences, seed=0) == pytest.approx((-high, -low), abs=1e-15)
    assert bootstrap_interval(differences * 4, seed=0) == pytest.approx((4 * low, 4 * high), abs=1e-15)


def test_one_seed_one_result_and_blocks_do_not_matter(monkeypatch):
    differences = reranked(4, 300)
    first = bootstrap_interval(differences, seed=5), randomization_test(differences, seed=5)
    assert (bootstrap_interval(differences, seed=5), randomization_test(differences, seed=5)) == first
    assert bootstrap_interval(differences, seed=6) != first[0]
    assert randomization_test(differences, seed=6) != first[1]
    monkeypatch.setattr(statistics, "_BLOCK", 2000)
    assert bootstrap_interval(differences, seed=5) == pytest.approx(first[0], abs=0.002)
    assert randomization_test(differences, seed=5) == pytest.approx(first[1], abs=0.02)


def test_memory_stays_bounded_for_many_queries(monkeypatch):
    largest = []

    def watched(rows, columns, blocks=statistics._blocks):
        for size in blocks(rows, columns):
            largest.append(size * columns)
            yield size

    monkeypatch.setattr(statistics, "_blocks", watched)
    differences = reranked(0, 20_000)
    bootstrap_interval(differences, seed=0)
    randomization_test(differences, seed=0)
    assert len(largest) > 20
    assert max(largest) <= statistics._BLOCK


# --- test


@pytest.mark.parametrize("seed", range(5))
def test_few_differences_are_enumerated_as_scipy_does(seed):
    differences = np.concatenate([reranked(seed, 11, changed=1), np.zeros(20)])
    expected = stats.permutation_test(
        (differences[:11],), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    ).pvalue
    assert randomization_test(differences, seed=0) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_many_differences_agree_with_scipy(seed):
    differences = reranked(seed, 80, changed=0.5, better=0.62)
    expected = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=20_000, rng=seed
    ).pvalue
    found = randomization_test(differences, seed=seed)
    assert found == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 10_000) + 2e-4)


def test_exact_cases():
    assert randomization_test([0.0, 0.0], seed=0) == 1
    assert randomization_test([0.5], seed=0) == 1
    assert randomization_test([0.1] * 6, seed=0) == 2 / 64
    assert randomization_test([0.1] * 6 + [0.0] * 500, seed=0) == 2 / 64
    assert randomization_test([1.0, -1.0], seed=0) == 1
    # Sums that are equal on paper and differ in the last bit: all eight patterns of ±.1 ±.2 ±.3 by hand.
    sums = [abs(a * 0.1 + b * 0.2 + c * 0.3) for a, b, c in itertools.product((1, -1), repeat=3)]
    assert randomization_test([0.1, 0.2, -0.3], seed=0) == sum(value >= -1e-9 for value in sums) / 8 == 1


def test_p_is_never_zero():
    assert randomization_test(np.full(200, 0.1), seed=0, resamples=999) == 1 / 1000


def test_p_values_are_uniform_where_nothing_differs():
    p = [randomization_test(reranked(seed, 60, better=0.5), seed=seed, resamples=400) for seed in range(300)]
    assert stats.kstest(p, "uniform").pvalue > 0.001
    assert 3 <= sum(value < 0.05 for value in p) <= 30


def test_the_sign_does_not_matter():
    differences = reranked(9, 100)
    assert randomization_test(differences, seed=0) == pytest.approx(randomization_test(-differences, seed=0), abs=0.02)


# --- several contestants


def test_holm_equals_scipys_bound_and_the_textbook():
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.2]).tolist() == [0.2]
    assert holm([]).tolist() == []
    assert holm([0.9, 0.8, 0.5]).tolist() == [1, 1, 1]
    values = np.random.default_rng(0).random(20) ** 3
    adjusted = holm(values)
    for level in (0.01, 0.05, 0.2):
        # Holm's step-down, as he wrote it: go up from the smallest until one fails.
        rejected = set()
        for step, at in enumerate(np.argsort(values)):
            if values[at] > level / (20 - step):
                break
            rejected.add(at)
        assert rejected == set(np.flatnonzero(adjusted <= level))


def test_holm_refuses_what_is_no_p_value():
    for values in ([1.2], [-0.1, 0.5], [np.nan]):
        with pytest.raises(DataError, match=re.escape("Expected 0 to 1.")):
            holm(values)


# --- how many


def test_queries_to_settle_gives_the_power_it_promises():
    differences = reranked(11, 20_000, better=0.56)
    needed = queries_to_settle(differences)
    assert 500 < needed < 20_000
    random = np.random.default_rng(0)
    settled = 0
    for _ in range(300):
        drawn = random.choice(differences, needed)
        settled += stats.ttest_1samp(drawn, 0).pvalue < 0.05
    assert settled / 300 == pytest.approx(0.8, abs=0.08)


def test_queries_to_settle_by_hand():
    differences = np.tile([0.5, -0.3], 50)
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    assert queries_to_settle(differences) == int(np.ceil((z * differences.std(ddof=1) / 0.1) ** 2))
    assert queries_to_settle(-differences) == queries_to_settle(differences)
    assert queries_to_settle(np.full(9, 0.2)) == 20
    assert queries_to_settle(np.full(9, 0.2), minimum=50) == 50
    assert queries_to_settle(differences, power=0.95) > queries_to_settle(differences)


@pytest.mark.parametrize("differences", [[0.0] * 5, [0.1, -0.1], [0.1, 0.2, -0.3], [0.4]])
def test_without_a_mean_no_number_can_be_told(differences):
    assert queries_to_settle(differences) is None


# --- wrong input


def interval(values):
    return bootstrap_interval(values, seed=0)


def p_value(values):
    return randomization_test(values, seed=0)


@pytest.mark.parametrize("function", [interval, p_value, queries_to_settle])
@pytest.mark.parametrize(
    ("values", "found"), [([], "shape (0,), 0"), ([[0.1]], "shape (1, 1), 0"), ([0.1, np.nan], "shape (2,), 1")]
)
def test_what_are_no_differences_is_told(function, values, found):
    message = f"Found differences of {found} of them not finite. Expected at least one finite number, one per query."
    with pytest.raises(DataError, match=re.escape(message)):
        function(values)


def test_impossible_settings_are_told():
    for settings in ({"level": 1}, {"level": 0}, {"resamples": 10}):
        with pytest.raises(ConfigError, match=re.escape("Expected a level between 0 and 1")):
            bootstrap_interval([0.1, 0.2], seed=0, **settings)
    with pytest.raises(ConfigError, match=re.escape("resamples must be at least 1, got 0.")):
        randomization_test([0.1], seed=0, resamples=0)
    with pytest.raises(ConfigError, match=re.escape("Found level=0.95, power=1.")):
        queries_to_settle([0.1], power=1)


def test_inputs_are_not_modified():
    differences = reranked(0, 50)
    copy = differences.copy()
    differences.flags.writeable = False
    bootstrap_interval(differences, seed=0)
    randomization_test(differences, seed=0)
    queries_to_settle(differences)
    np.testing.assert_array_equal(differences, copy)


# --- the table of the docstring


def test_the_table_in_the_docstring_is_the_measured_one():
    path = Path(__file__).parents[2] / "benchmarks" / "results" / "interval_coverage.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    for method in ("percentile", "BCa", "studentised", "symmetric studentised"):
        cells = []
        for n in (30, 60, 130, 500):
            covered = [row["covered"] for row in rows if row["method"] == method and row["queries"] == n]
            assert len(covered) == 7
            cells.append(f"{min(covered):.1f} · {np.mean(covered):.1f}")
        assert f"    {method:<21}  {'   '.join(cells)}\n" in bootstrap_interval.__doc__
