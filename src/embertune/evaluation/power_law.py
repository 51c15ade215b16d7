"""The learning curve as a power law: what was measured at several sizes, and what more labels would bring.

score(n) = ceiling - drop · (n + offset)^-exponent, which is the frozen encoder's score at n = 0. Errors of learning
machines fall as a power of the number of examples over orders of magnitude (Hestness et al. 2017, "Deep Learning
Scaling is Predictable, Empirically"); the offset is what pretraining is worth, so that the curve starts flat where the
first labels change little (Mikami et al. 2022, "A Scaling Law for Syn2real Transfer"). For a fixed offset and exponent
the rest is linear, so these two are tried on a grid and the rest is solved exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from embertune.core.random import generator
from embertune.errors import DataError

__all__ = ["Forecast", "PowerLaw", "forecast", "power_law"]

Floats = npt.NDArray[np.float64]

# Below .1 a power is a logarithm over any range that matters; above 2 it is flat after the first doubling.
_EXPONENTS = np.geomspace(0.1, 2.0, 10)
# From an offset below the smallest subset to one at which the curve is a straight line.
_OFFSETS = np.geomspace(4.0, 40_000.0, 25)
_LEVEL = 0.95
# So few draws can agree by chance; no point of the curve is taken for more exact than this.
_LEAST_ERROR = 1e-3


@dataclass(frozen=True)
class PowerLaw:
    """score(n) = ceiling - drop · (n + offset)^-exponent.

    Example:
        >>> PowerLaw(ceiling=0.8, drop=0.5, offset=0, exponent=0.5).at(100)
        0.75
    """

    ceiling: float
    drop: float
    offset: float
    exponent: float

    def at(self, size: float) -> float:
        """Give the score at a number of labels."""
        return float(self.ceiling - self.drop * (size + self.offset) ** -self.exponent)


@dataclass(frozen=True)
class Forecast:
    """What a number of labels would give.

    Attributes:
        size: The number of labels.
        score: Forecast there.
        low: Lower end of its 95 % interval.
        high: Upper end.
        gain: More than at the most labels that there are.
        gain_low: Lower end of its 95 % interval.
        gain_high: Upper end.

    Example:
        >>> Forecast(1100, 0.62, 0.60, 0.64, 0.02, 0.00, 0.04).gain
        0.02
    """

    size: int
    score: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float


def power_law(sizes: Sequence[float], scores: Sequence[float], errors: Sequence[float], *, base: float) -> PowerLaw:
    """Fit a power law by weighted least squares; its ceiling is at most 1, and it never falls.

    Args:
        sizes: Numbers of labels, three different ones at least.
        scores: Measured there.
        errors: Their standard errors.
        base: The score without labels, which the law keeps.

    Raises:
        DataError: Fewer than three sizes, or lengths differ.

    Example:
        >>> law = PowerLaw(0.9, 2.0, 40.0, 0.5)
        >>> sizes = [25, 50, 100, 200, 400]
        >>> found = power_law(sizes, [law.at(size) for size in sizes], [0.01] * 5, base=law.at(0))
        >>> round(found.at(800), 2) == round(law.at(800), 2)
        True
    """
    if len(set(sizes)) < 3 or not len(sizes) == len(scores) == len(errors):
        raise DataError(f"A power law needs scores at three sizes at least. Found {len(set(sizes))}.")
    curve = np.array([scores], dtype=np.float64)
    return _fit(np.array(sizes, dtype=np.float64), curve, np.array([base]), _weights(errors)).law(0)


def forecast(
    sizes: Sequence[int],
    scores: Sequence[Floats],
    base: Floats,
    targets: Sequence[int],
    *,
    seed: int,
    resamples: int = 500,
) -> tuple[PowerLaw, list[Forecast]]:
    """Fit a power law to a learning curve, and say what it foretells, with intervals.

    Intervals are of prediction: a bootstrap over test queries, the same at every size, over draws of the training
    labels, and over what the law leaves unexplained, with the whole fit repeated for each, and the luck of the draw
    that is to come. They hold if the curve is a power law; how often they did is measured in the docs.

    Args:
        sizes: s numbers of labels, rising.
        scores: For each, (draws, queries): of every test query under the adapter of every draw.
        base: (queries,) under the frozen encoder.
        targets: Numbers of labels to forecast.
        seed: Of the bootstrap.
        resamples: How many.

    Returns:
        The law, and one forecast for each target.

    Raises:
        DataError: Fewer than three sizes.

    Example:
        >>> law = PowerLaw(0.9, 2.0, 40.0, 0.5)
        >>> curve = [np.full((2, 50), law.at(size)) for size in (25, 50, 100, 200)]
        >>> found, [more] = forecast([25, 50, 100, 200], curve, np.full(50, law.at(0)), [400], seed=0)
        >>> round(more.score, 2), round(law.at(400), 2)
        (0.8, 0.8)
    """
    means, errors = [float(each.mean()) for each in scores], _errors(scores)
    law = power_law(sizes, means, errors, base=float(base.mean()))
    random = generator(seed, "learning curve")
    drawn = np.array([_resampled(scores, base, random) for _ in range(resamples)])
    bases, curves = drawn[:, 0], drawn[:, 1:]
    # What the law leaves over is noise as well: without it a curve that is none would have the narrowest interval.
    misfit = _misfit(law, sizes, means, errors)
    curves = curves + misfit * random.normal(size=curves.shape)
    laws = _fit(np.array(sizes, dtype=np.float64), curves, bases, _weights(errors))
    # The labels that come are one draw, with the luck of one, and they will lie beside the law as others do.
    luck = np.hypot(misfit, errors[-1] * np.sqrt(len(scores[-1]))) * random.normal(size=resamples)
    now, found = laws.at(sizes[-1]), []
    for target in targets:
        low, high = _interval(laws.at(target) + luck)
        gain_low, gain_high = _interval(laws.at(target) - now + luck)
        gain = law.at(target) - law.at(sizes[-1])
        found.append(Forecast(target, law.at(target), low, high, gain, gain_low, gain_high))
    return law, found


@dataclass(frozen=True)
class _Laws:
    """Many laws at once, each array (r,)."""

    bases: Floats
    rises: Floats
    offsets: Floats
    exponents: Floats

    def at(self, size: float) -> Floats:
        return np.asarray(self.bases + self.rises * (1 - (1 + size / self.offsets) ** -self.exponents))

    def law(self, row: int) -> PowerLaw:
        offset, exponent, rise = float(self.offsets[row]), float(self.exponents[row]), float(self.rises[row])
        return PowerLaw(float(self.bases[row]) + rise, rise * offset**exponent, offset, exponent)


def _fit(sizes: Floats, scores: Floats, bases: Floats, weights: Floats) -> _Laws:
    """Fit many curves: scores (r, s) over bases (r,)."""
    over = scores - bases[:, None]
    best, found = np.full(len(scores), np.inf), np.zeros((3, len(scores)))
    for offset, exponent in product(_OFFSETS, _EXPONENTS):
        shape = 1 - (1 + sizes / offset) ** -exponent
        rises = np.clip(over @ (weights * shape) / (weights * shape**2).sum(), 0.0, 1 - bases)
        losses = ((rises[:, None] * shape - over) ** 2) @ weights
        # Of laws that fit equally well the first counts, which is flat the earliest and promises least.
        better = losses < best - 1e-12
        best = np.where(better, losses, best)
        found[:, better] = np.array([rises, np.full(len(scores), offset), np.full(len(scores), exponent)])[:, better]
    return _Laws(bases, *found)


def _weights(errors: Sequence[float]) -> Floats:
    weights = 1 / np.maximum(np.array(errors, dtype=np.float64), _LEAST_ERROR) ** 2
    return np.asarray(weights / weights.sum())


def _errors(scores: Sequence[Floats]) -> list[float]:
    """Standard errors of the means over draws; a single draw has the spread of the size before it."""
    errors, spread = [], _LEAST_ERROR
    for each in scores:
        spread = float(each.mean(axis=1).std(ddof=1)) if len(each) > 1 else spread
        errors.append(spread / np.sqrt(len(each)))
    return errors


def _misfit(law: PowerLaw, sizes: Sequence[float], means: Sequence[float], errors: Sequence[float]) -> float:
    """Give the standard deviation of what is left over, with the three parameters taken off the points."""
    left = np.array([mean - law.at(size) for mean, size in zip(means, sizes, strict=True)])
    return float(np.sqrt((_weights(errors) * left**2).sum() * len(left) / max(len(left) - 3, 1)))


def _resampled(scores: Sequence[Floats], base: Floats, random: np.random.Generator) -> list[float]:
    """Give the mean without labels and at every size, of one resample of queries, the same everywhere, and of draws."""
    chosen = np.bincount(random.integers(len(base), size=len(base)), minlength=len(base)) / len(base)
    curve = [float((each @ chosen)[random.integers(len(each), size=len(each))].mean()) for each in scores]
    return [float(base @ chosen), *curve]


def _interval(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)
