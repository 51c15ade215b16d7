"""How far documents with training queries are to move, so that neither they nor the others lose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import Adapter, TrainingPairs
from embertune.adapters.document import DocumentAdapter
from embertune.adapters.identity import IdentityAdapter
from embertune.adapters.solvers.anchors import Matches
from embertune.training.decisions import Trials
from embertune.training.pool import Fold, Pool, Rows
from embertune.training.table import is_harmless, standard_errors
from embertune.training.views import Moved

__all__ = ["Offsets", "fit_offsets", "weigh_offsets"]

REACHES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8)

# Where queries on other documents lose as much, those on documents that move gain more than with the .3 of
# `DocumentAdapter`: by .197 for .160 on cosqa where the others lose .01 (docs/experiments.md, 2026-11-21).
_OUTSIDE = 0.1
# Reaches are weighed by this many standard errors. The mean of several is one that is shorter than the best: with the
# 2 of maps seen documents of eight sets gained .016 less.
_WIDTH = 0.5
# Moved documents have to be written to the index anew, so they must lead on dev by this many standard errors.
_LEAD = 1.0


@dataclass(frozen=True)
class Offsets:
    """What dev says of moving documents that have training queries.

    Attributes:
        weights: The share of each reach, that of 0 first; all of it at 0 where it does not pay; empty where there was
            nothing to try.
        reason: Why, in a sentence; empty where there was nothing to try.
    """

    weights: tuple[float, ...] = ()
    reason: str = ""

    @property
    def pays(self) -> bool:
        """Whether documents are to be moved."""
        return bool(self.weights) and self.weights[0] < 1


@dataclass(frozen=True)
class _Judged:
    """Scores on dev of the queries that were judged: frozen (n,), under every reach, 0 first (reaches, n)."""

    frozen: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    seen: npt.NDArray[np.bool_]


def weigh_offsets(trials: Trials, maps: Sequence[Adapter], *, seen_share: float | None = None) -> Offsets:
    """Weigh how far documents move, by folds, on top of the map of each fold.

    What counts is the mean score of a mix of queries: a share of them on documents that have training queries, and the
    rest on others, which lose, as documents that move come to stand before theirs. Both are judged in every fold: where
    it holds whole documents out, some queries of those with several are given to the offsets, and the others asked.

    A reach is not counted under which queries on other documents fall below what the frozen encoder gives them, or the
    map if that is less, by more than .005 and more than an error.

    Args:
        trials: The folds.
        maps: What is applied before, one per fold.
        seen_share: Of the queries to come, the share on documents that have training queries; None: as in the folds.

    Returns:
        The weights.
    """
    if seen_share == 0:
        return Offsets()
    judged = _judge(trials, maps)
    if not judged.seen.any():
        return Offsets()  # nothing that dev asks for moves, so dev can tell nothing good of it
    share = float(judged.seen.mean()) if seen_share is None or judged.seen.all() else seen_share
    weights, reason = _decide(judged, share)
    return Offsets(tuple(weights.tolist()), reason)


def _judge(trials: Trials, maps: Sequence[Adapter]) -> _Judged:
    pool, metric = trials.pool, trials.config.metric
    scores = np.full((2 + len(REACHES), len(pool.queries)), np.nan)
    seen = np.zeros(len(pool.queries), dtype=bool)
    for (fit, dev), before in zip(trials.folds, maps, strict=True):
        for rows, asked in _rounds(pool, fit, dev):
            seen[asked] = pool.seen(rows, asked)
            tried: list[Adapter | Moved] = [IdentityAdapter(), before, *_moved(pool, rows, before)]
            scores[:, asked] = pool.score(tried, asked, metric)[0]
    judged = ~np.isnan(scores[0])
    return _Judged(scores[0, judged], scores[1:, judged], seen[judged])


def _rounds(pool: Pool, fit: Rows, dev: Rows) -> list[Fold]:
    """Give the queries by which documents move, and those that are judged then; each of dev is judged once.

    Where no query of dev asks for a document of a query that is fitted on, those on documents with several are cut in
    two, and each half is judged when documents have moved by the other one.
    """
    if pool.seen(fit, dev).any():
        return [(fit, dev)]
    pairs = pool.judgments.pairs
    pairs = pairs[np.isin(pairs[:, 0], dev)]
    pairs = pairs[np.argsort(pairs[:, 1], kind="stable")]
    _, start, count = np.unique(pairs[:, 1], return_index=True, return_counts=True)
    turn = np.arange(len(pairs)) - np.repeat(start, count)
    second = np.unique(pairs[turn % 2 == 1, 0])
    if not len(second):
        return []
    first = np.setdiff1d(pairs[np.repeat(count > 1, count), 0], second)
    return [(np.union1d(fit, second), np.setdiff1d(dev, second)), (np.union1d(fit, first), second)]


def _decide(judged: _Judged, share: float) -> tuple[npt.NDArray[np.float64], str]:
    seen, scores = judged.seen, judged.scores
    stay, no = np.eye(len(scores))[0], "No document moves toward its training queries:"
    least = min(judged.frozen[~seen], scores[0, ~seen], key=np.sum)
    harmless = is_harmless(np.vstack([least, scores[:, ~seen]]))[1:]
    if not harmless[1:].any():
        return stay, f"{no} however far they move, on dev queries on other documents lose."
    # Scaled so that a plain mean over all queries is that of the mix.
    scaled = scores * np.where(seen, share / seen.mean(), (1 - share) / max(1 - seen.mean(), 1e-9))
    best = int(np.where(harmless, scaled.mean(axis=1), -np.inf).argmax())
    if best == 0:
        return stay, f"{no} on dev that scores less than to stay."
    behind = scaled[best] - scaled
    trailing = behind.mean(axis=1) / np.maximum(standard_errors(behind), 1e-9)
    weights = np.where(harmless, np.exp(-0.5 * (trailing / _WIDTH) ** 2), 0)
    weights[0] = 0
    weights /= weights.sum()
    lead = weights @ scaled - scaled[0]
    mean, error = float(lead.mean()), float(standard_errors(lead[None])[0])
    gains = [f"{float((weights @ scores - scores[0])[group].mean()):+.3f}" for group in (seen, ~seen) if group.any()]
    compared = (
        f"on dev that scores {' on seen and '.join(gains)} on {'unseen' if len(gains) > 1 else 'seen'} documents, and "
        f"{mean:+.3f}, with an error of {error:.3f}, where {share:.0%} of the queries ask for seen ones as in the split"
    )
    if mean <= _LEAD * error:
        return stay, f"{no} {compared}."
    return weights, f"Documents that have training queries move toward them: {compared}."


def fit_offsets(pool: Pool, before: Adapter, offsets: Offsets) -> DocumentAdapter:
    """Move the documents of the whole pool by the mean of all reaches, as they are weighted.

    Args:
        pool: Train and dev.
        before: What is applied first.
        offsets: The weights; they pay.
    """
    path = _path(_training(pool, np.arange(len(pool.queries)), before))
    mean = np.sum([np.float32(w) * each.offsets_ for w, each in zip(offsets.weights[1:], path, strict=True)], axis=0)
    heaviest = path[int(np.argmax(offsets.weights[1:]))]
    return DocumentAdapter.from_tensors({"anchors": heaviest.anchors_, "offsets": mean}, heaviest.get_params())


def _training(pool: Pool, rows: Rows, before: Adapter) -> TrainingPairs:
    """Give mapped queries and all of the mapped corpus: documents without queries are competitors."""
    training = pool.training(rows, whole_corpus=True)
    mapped = before.transform(training.queries, "query"), before.transform(training.documents, "document")
    return TrainingPairs(*mapped, training.pairs)


def _path(training: TrainingPairs) -> list[DocumentAdapter]:
    return list(DocumentAdapter(outside=_OUTSIDE).fit_path(training, REACHES))


def _moved(pool: Pool, rows: Rows, before: Adapter) -> list[Moved]:
    training = _training(pool, rows, before)
    path = _path(training)
    found = path[0].match(training.documents)
    stood, all_of_them = training.documents[found.rows], Matches(np.arange(len(found.rows)), found.anchors)
    return [Moved(before, found.rows, each.move(stood, all_of_them)) for each in path]
