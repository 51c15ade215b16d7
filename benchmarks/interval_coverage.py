"""Measure how often 95 % intervals of a mean difference hold the truth, on differences as re-ranking gives them.

Writes results/interval_coverage.json; the table in embertune.evaluation.statistics.bootstrap_interval is taken from it.
Run: .venv/bin/python benchmarks/interval_coverage.py   (about five minutes)
"""

import json
from pathlib import Path
from statistics import NormalDist

import numpy as np

from embertune.core.random import generator
from embertune.evaluation.statistics import bootstrap_interval

RESAMPLES = 999
SAMPLES = {30: 1500, 60: 1500, 130: 1200, 500: 600}
NORMAL = NormalDist()


def changed(share, better):
    """A share of the queries moves by an exponential amount, cut at 1, mostly upwards."""

    def draw(random, size):
        amount = random.exponential(0.2, size).clip(max=1) * np.where(random.random(size) < better, 1, -1)
        return np.where(random.random(size) < share, amount, 0.0)

    return draw


def moved(rank, shift, spread, score):
    """The rank of the one answer is geometric, and is multiplied by a log-normal factor."""

    def draw(random, size):
        before = random.geometric(1 / rank, size)
        after = np.maximum(1, np.round(before * np.exp(random.normal(-shift, spread, size))))
        return score(after) - score(before)

    return draw


def ndcg_at_10(rank):
    return np.where(rank <= 10, 1 / np.log2(rank + 1), 0.0)


def accuracy_at_1(rank):
    return np.where(rank <= 1, 1.0, 0.0)


POPULATIONS = {
    "30 % change, 65 % of them up": changed(0.3, 0.65),
    "10 % change, 90 % of them up": changed(0.1, 0.9),
    "60 % change, 60 % of them up": changed(0.6, 0.6),
    "5 % change, all up": changed(0.05, 1.0),
    "nDCG@10, mean rank 3": moved(3, 0.2, 0.4, ndcg_at_10),
    "nDCG@10, mean rank 15": moved(15, 0.4, 0.8, ndcg_at_10),
    "accuracy@1, mean rank 3": moved(3, 0.2, 0.4, accuracy_at_1),
}


def intervals(values, seed):
    """The four candidates; the last is what the library gives."""
    n, mean, error = len(values), values.mean(), values.std(ddof=1) / np.sqrt(len(values))
    drawn = values[generator(seed, "draws").integers(n, size=(RESAMPLES, n))]
    means, errors = drawn.mean(axis=1), drawn.std(axis=1, ddof=1) / np.sqrt(n)
    found = {"percentile": tuple(np.quantile(means, [0.025, 0.975])), "BCa": bca(values, means)}
    spread = errors > 1e-12
    off = means - mean
    ratios = np.sort(np.where(spread, off / np.where(spread, errors, 1), np.copysign(np.inf, off)))
    with np.errstate(invalid="ignore"):
        ends = mean - ratios[[int(0.975 * (RESAMPLES + 1)) - 1, int(0.025 * (RESAMPLES + 1)) - 1]] * error
    found["studentised"] = tuple(ends) if error > 0 else (mean, mean)
    found["symmetric studentised"] = bootstrap_interval(values, seed=seed, resamples=RESAMPLES)
    return found


def bca(values, means):
    centred = values - values.mean()
    squares = (centred**2).sum()
    skew = (centred**3).sum() / (6 * squares**1.5) if squares > 0 else 0.0
    below = ((means < values.mean()).mean() + (means <= values.mean()).mean()) / 2
    bias = NORMAL.inv_cdf(min(max(below, 1 / (RESAMPLES + 1)), RESAMPLES / (RESAMPLES + 1)))
    places = [bias + NORMAL.inv_cdf(level) for level in (0.025, 0.975)]
    return tuple(np.quantile(means, [NORMAL.cdf(bias + place / (1 - skew * place)) for place in places]))


def main():
    rows = []
    for name, draw in POPULATIONS.items():
        truth = draw(generator(0, "truth", name), 4_000_000).mean()
        for n, samples in SAMPLES.items():
            above, below = {}, {}
            for at in range(samples):
                values = draw(generator(at, "sample", name, n), n)
                for method, (low, high) in intervals(values, at).items():
                    above[method] = above.get(method, 0) + int(low > truth + 1e-12)
                    below[method] = below.get(method, 0) + int(high < truth - 1e-12)
            for method in above:
                low, high = 100 * above[method] / samples, 100 * below[method] / samples
                row = {"population": name, "queries": n, "method": method, "covered": round(100 - low - high, 1)}
                rows.append(row | {"too high": round(low, 1), "too low": round(high, 1)})
    path = Path(__file__).parent / "results" / "interval_coverage.json"
    path.write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n", encoding="utf-8")
    for method in ("percentile", "BCa", "studentised", "symmetric studentised"):
        cells = []
        for n in SAMPLES:
            covered = [row["covered"] for row in rows if row["method"] == method and row["queries"] == n]
            cells.append(f"{min(covered):.1f} · {np.mean(covered):.1f}")
        highest = max(row["too high"] for row in rows if row["method"] == method)
        print(f"{method:<23}", "   ".join(cells), f"  lower end too high: at most {highest:.1f}")


if __name__ == "__main__":
    main()
