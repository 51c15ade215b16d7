"""What dev says of every setting, query by query, and how much each is to count."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import Adapter
from embertune.core.random import generator
from embertune.training.pool import Pool, Rows
from embertune.training.settings import Settings

__all__ = ["DevTable", "standard_errors"]

# Dev is noisy: the differences between good settings are as large as its error. Measured on 37 splits of five sets
# (docs/experiments.md, 2026-11-21), the mean of all maps so weighted gains more than the map of any one setting, and
# loses less at worst.
_WIDTH = 2.0
# A setting of less than this share of the best one's weight is neither fitted further nor counted.
_NEGLIGIBLE = 0.01
# What is learned from random labels is no better on dev than random answers are, but for chance: 2.5 errors.
_ABOVE_CHANCE = 2.5


class DevTable:
    """Scores on dev: one row per setting, no adapter first, one column per query; NaN where nothing was judged.

    Args:
        pool: Whose queries are judged.
        settings: The rows.
        metric: What is measured.
        seed: For the draw of random answers.
    """

    def __init__(self, pool: Pool, settings: Settings, metric: str, seed: int) -> None:
        self._pool, self._metric = pool, metric
        shape = (len(settings), len(pool.queries))
        self._scores, self._chance = np.full(shape, np.nan), np.full(shape, np.nan)
        self._random = generator(seed, "answers of other queries")

    def judge(self, adapter: Adapter, row: int, queries: Rows) -> None:
        """Score some queries under an adapter, with their own answers and with those of others."""
        ranked = self._pool.rank(adapter, queries, self._metric)
        self._scores[row, queries] = self._pool.judge(ranked, queries, self._metric)
        self._chance[row, queries] = self._pool.judge(ranked, self._random.permutation(queries), self._metric)

    def weights(self, among: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.float64]:
        """Weigh the settings by how far each trails the best; one that was dropped on the way has none.

        Args:
            among: Marks the settings that may have weight; None: all.
        """
        scores = self._scores[:, ~np.isnan(self._scores[0])]
        whole = ~np.isnan(scores).any(axis=1)
        if among is not None:
            whole &= among
        scores = scores[whole]
        behind = scores[scores.mean(axis=1).argmax()] - scores
        errors = standard_errors(behind)
        trailing = np.where(behind.any(axis=1), np.inf, 0.0)  # all queries trail by the same, or none trails at all
        np.divide(behind.mean(axis=1), errors, out=trailing, where=errors > 0)
        weights = np.zeros(len(whole))
        weights[whole] = np.exp(-0.5 * (trailing / _WIDTH) ** 2)
        weights[weights < _NEGLIGIBLE * weights.max()] = 0
        return np.asarray(weights / weights.sum())

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


def standard_errors(differences: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Give the standard error of the mean of each row; 0 for a single query.

    Example:
        >>> standard_errors(np.array([[1.0, 3.0], [2.0, 2.0]])).tolist()
        [1.0, 0.0]
    """
    count = differences.shape[1]
    return differences.std(axis=1, ddof=1) / np.sqrt(count) if count > 1 else np.zeros(len(differences))
