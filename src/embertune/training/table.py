"""What dev says of every setting, query by query, and how much each is to count."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import Adapter
from embertune.adapters.identity import IdentityAdapter
from embertune.core.progress import Note
from embertune.core.random import generator
from embertune.training.pool import Pool, Rows

__all__ = ["TOLERATED_LOSS", "DevTable", "is_harmless", "standard_errors", "weigh_scores"]

# Dev is noisy: the differences between good settings are as large as its error. Measured on 37 splits of five sets
# (docs/experiments.md, 2026-11-21), the mean of all maps so weighted gains more than the map of any one setting, and
# loses less at worst.
_WIDTH = 2.0
# A setting of less than this share of the best one's weight is neither fitted further nor counted.
_NEGLIGIBLE = 0.1
# What is learned from random labels is no better on dev than random answers are, but for chance: 2.5 errors.
_ABOVE_CHANCE = 2.5

TOLERATED_LOSS = 0.005
"""What queries on documents without training queries may lose on dev, where documents may be moved: more than this, and
more than an error, is harm."""
# Fewer such queries tell nothing: their error is larger than what is tolerated.
_FEWEST_UNSEEN = 30


class DevTable:
    """Scores on dev: one row per setting, no adapter first, one column per query; NaN where nothing was judged.

    Args:
        pool: Whose queries are judged.
        settings: How many rows there are, no adapter among them.
        metric: What is measured.
        seed: For the draw of random answers.
    """

    def __init__(self, pool: Pool, settings: int, metric: str, seed: int) -> None:
        self._pool, self._metric = pool, metric
        shape = (settings, len(pool.queries))
        self._scores, self._chance = np.full(shape, np.nan), np.full(shape, np.nan)
        self._random = generator(seed, "answers of other queries")
        self._unseen = np.zeros(len(pool.queries), dtype=bool)

    def judge(self, adapters: Mapping[int, Adapter], fit: Rows, queries: Rows) -> None:
        """Score the queries of a fold, with their own answers and with those of others, first of all without adapter.

        Args:
            adapters: Fitted on the other folds, by row of the table.
            fit: The queries that they were fitted on.
            queries: Those that are judged.
        """
        self._unseen[queries] = ~self._pool.seen(fit, queries)
        count = len(self._pool.queries)
        others = (queries + self._random.integers(1, max(count, 2), len(queries))) % count
        found = self._pool.score([IdentityAdapter(), *adapters.values()], queries, self._metric, answers=others)
        cells = np.ix_(np.array([0, *adapters]), queries)
        self._scores[cells], self._chance[cells] = found

    def weights(self, among: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.float64]:
        """Weigh the settings by how far each trails the best; one that was dropped on the way has none.

        Args:
            among: Marks the settings that may have weight; None: all.
        """
        scores = self._scores[:, ~np.isnan(self._scores[0])]
        whole = ~np.isnan(scores).any(axis=1)
        return weigh_scores(scores, whole if among is None else whole & among)

    def harmless(self) -> npt.NDArray[np.bool_]:
        """Mark the settings under which queries on documents without training queries keep what they have."""
        return is_harmless(self._scores[:, self._unseen & ~np.isnan(self._scores[0])])

    def choice(self, among: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """Weigh the settings, and take no adapter alone if it outweighs all others, or if nothing is to be gained."""
        weights = self.weights(among)
        gains = (self._scores[1:] > self._scores[0]).any()
        return np.eye(len(weights))[0] if weights[0] > 0.5 or not gains or self.noise() else weights

    def means(self) -> npt.NDArray[np.float64]:
        """Give the mean score of every setting; of one dropped on the way, by its difference from no adapter."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a setting that was never fitted stays NaN
            return np.asarray(np.nanmean(self._scores - self._scores[0], axis=1) + np.nanmean(self._scores[0]))

    def told(self) -> Note:
        """Say what dev says by now: the metric without adapter, and with the setting that is best so far."""
        means = self.means()
        numbers = {"frozen": float(means[0]), "best": float(np.nanmax(means))}
        return Note(f"{self._metric} {numbers['frozen']:.3f} → {numbers['best']:.3f}", numbers)

    def noise(self) -> str:
        """Say so if the answers of other queries do as well as the right ones under every setting."""
        judged = ~np.isnan(self._scores[0])
        above = (self._scores - self._chance)[:, judged]
        above = above[~np.isnan(above).any(axis=1)]
        if (above.mean(axis=1) > _ABOVE_CHANCE * standard_errors(above)).any():
            return ""
        own, other = self._scores[0, judged].mean(), self._chance[0, judged].mean()
        return (
            f"The labels look random: on dev the answers of other queries score {other:.3f} where each query's own "
            f"score {own:.3f} ({self._metric}, frozen encoder), and no adapter changes that. Check that queries "
            "and documents were paired by the right ids."
        )


def is_harmless(unseen: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Mark the settings under which queries on documents without training queries keep what the first one gives them.

    Args:
        unseen: (settings, queries) scores of such queries; fewer than 30 tell nothing.

    Example:
        >>> scores = np.array([[0.5] * 40, [0.51] * 40, [0.4] * 40])
        >>> is_harmless(scores).tolist()
        [True, True, False]
    """
    if unseen.shape[1] < _FEWEST_UNSEEN:
        return np.ones(len(unseen), dtype=bool)
    loss = unseen[0] - unseen
    # A setting that was dropped on the way is NaN: it has no weight, harmful or not.
    return np.asarray(~(loss.mean(axis=1) > np.maximum(TOLERATED_LOSS, standard_errors(loss))))


def weigh_scores(scores: npt.NDArray[np.float64], among: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Weigh settings by how many standard errors each trails the best.

    Args:
        scores: (settings, queries).
        among: Marks the settings that may have weight, at least one.

    Returns:
        (settings,) weights that sum to 1.

    Example:
        >>> scores = np.array([[1.0, 0.0, 1.0, 0.0], [1.0, 1.0, 0.0, 1.0]])
        >>> weigh_scores(scores, np.array([True, True])).round(2).tolist()
        [0.49, 0.51]
    """
    counted = scores[among]
    behind = counted[counted.mean(axis=1).argmax()] - counted
    errors = standard_errors(behind)
    trailing = np.where(behind.any(axis=1), np.inf, 0.0)  # all queries trail by the same, or none trails at all
    np.divide(behind.mean(axis=1), errors, out=trailing, where=errors > 0)
    weights = np.zeros(len(scores))
    weights[among] = np.exp(-0.5 * (trailing / _WIDTH) ** 2)
    weights[weights < _NEGLIGIBLE * weights.max()] = 0
    return np.asarray(weights / weights.sum())


def standard_errors(differences: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Give the standard error of the mean of each row; 0 for a single query.

    Example:
        >>> standard_errors(np.array([[1.0, 3.0], [2.0, 2.0]])).tolist()
        [1.0, 0.0]
    """
    count = differences.shape[1]
    return differences.std(axis=1, ddof=1) / np.sqrt(count) if count > 1 else np.zeros(len(differences))
