"""Losses against a teacher's scores: how far a positive should lead over negatives. Contract: that of `losses`."""

from __future__ import annotations

from typing import Any

import numpy as np

from embertune.adapters.solvers.rows import Loss, Positions, Rows, by_scores, dots, labelled, mean

__all__ = ["margin_mse", "mean_margin"]


def margin_mse(queries: Rows, documents: Rows, triplets: Any, margins: Any, *, temperature: float = 1.0) -> Loss:
    """Ask that a positive's lead over a negative equal the lead that a teacher gives it, in the mean of squares.

    Source: Hofstätter et al., Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge Distillation
    (2020); sentence-transformers' MarginMSELoss, whose columns of several negatives are several triplets here.

    Args:
        queries: (n, d).
        documents: (m, d).
        triplets: (t, 3) positions of a query, of a positive, and of a negative.
        margins: (t,) the teacher's score of the positive minus that of the negative.
        temperature: A lead is a difference of cosines over this; 1 is for teachers whose scores are cosines, and a
            cross-encoder's logits, which differ by ten and more, want 0.1 or less.

    Raises:
        DataError: There is no triplet, or not one margin for each.

    Example:
        >>> rows = np.eye(2)
        >>> margin_mse(rows, rows, [(0, 0, 1)], [0.5])[0]
        0.25
    """
    rows, margins = labelled(triplets, margins, "triplet", "margin")
    leads, heat = _leads(queries, documents, rows, temperature)
    errors = leads - margins.astype(leads.dtype)
    return mean(errors**2), *_by_leads(queries, documents, rows, 2 * heat * errors / len(rows))


def mean_margin(queries: Rows, documents: Rows, triplets: Any, margins: Any, *, temperature: float = 1.0) -> Loss:
    """Ask that a positive's lead over the mean of its negatives equal the teacher's, in the mean of squares.

    As `margin_mse`, but the triplets of one query and positive are one example: leads and margins are averaged over its
    negatives before they are compared, so a teacher's noise on single negatives cancels, and so does what it says about
    their order. That is margin MSE with the mean of the negatives' vectors as the one negative.

    Source: none that writes it down; the name is what users call this variant of Hofstätter et al. (2020).

    Args:
        queries: (n, d).
        documents: (m, d).
        triplets: (t, 3) positions of a query, of a positive, and of a negative; any number for each positive.
        margins: (t,) the teacher's score of the positive minus that of the negative.
        temperature: As in `margin_mse`.

    Raises:
        DataError: There is no triplet, or not one margin for each.

    Example:
        >>> rows = np.eye(3)
        >>> mean_margin(rows, rows, [(0, 0, 1), (0, 0, 2)], [0.5, 1.5])[0]
        0.0
    """
    rows, margins = labelled(triplets, margins, "triplet", "margin")
    leads, heat = _leads(queries, documents, rows, temperature)
    # One number per (query, positive): np.unique on rows takes seven times as long.
    _, example, counts = np.unique(rows[:, 0] * len(documents) + rows[:, 1], return_inverse=True, return_counts=True)
    errors = np.bincount(example, weights=leads - margins) / counts
    slopes = (2 * heat * errors / counts)[example] / len(counts)
    return mean(errors**2), *_by_leads(queries, documents, rows, slopes.astype(leads.dtype))


def _leads(queries: Rows, documents: Rows, triplets: Positions, temperature: float) -> tuple[Rows, float]:
    """How far each positive's score is above its negative's (t,), and 1 / temperature."""
    heat = float(1 / temperature)
    return heat * (dots(queries, documents, triplets[:, :2]) - dots(queries, documents, triplets[:, ::2])), heat


def _by_leads(queries: Rows, documents: Rows, triplets: Positions, slopes: Rows) -> tuple[Rows, Rows]:
    pairs = np.concatenate([triplets[:, :2], triplets[:, ::2]])
    return by_scores(queries, documents, pairs, np.concatenate([slopes, -slopes]))
