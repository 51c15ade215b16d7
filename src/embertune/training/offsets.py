"""How far documents with training queries are to move, so that neither they nor the others lose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import Adapter, TrainingPairs
from embertune.adapters.document import DocumentAdapter
from embertune.core.search import top_k
from embertune.evaluation.evaluate import evaluate_positions
from embertune.evaluation.metrics import parse_metric
from embertune.training.decisions import Trials
from embertune.training.pool import Pool, Rows
from embertune.training.table import is_harmless, standard_errors, weigh_scores

__all__ = ["Offsets", "fit_offsets", "weigh_offsets"]

REACHES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)

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


def weigh_offsets(trials: Trials, maps: Sequence[Adapter]) -> Offsets:
    """Weigh how far documents move, by folds, on top of the map of each fold.

    A reach under which queries on documents that do not move lose on dev is not counted (see `is_harmless`): documents
    that move come to stand before those that do not. The rest is weighed as maps are.

    Args:
        trials: The folds.
        maps: What is applied before, one per fold.

    Returns:
        The weights.
    """
    pool, metric = trials.pool, trials.config.metric
    scores = np.full((1 + len(REACHES), len(pool.queries)), np.nan)
    seen = np.zeros(len(pool.queries), dtype=bool)
    for (fit, dev), before in zip(trials.folds, maps, strict=True):
        seen[dev] = pool.seen(fit, dev)
        if not seen[dev].any():
            continue  # nothing that dev asks for moves, so dev can tell nothing good of it
        queries = before.transform(pool.queries[dev], "query")
        for row, documents in enumerate(_moved(pool, fit, before)):
            ranked = top_k(queries, documents, parse_metric(metric).k or len(documents))[0]
            scores[row, dev] = evaluate_positions(pool.judgments.select(dev), ranked, [metric])[metric]
    judged = ~np.isnan(scores[0])
    if not judged.any():
        return Offsets()
    weights, reason = _decide(scores[:, judged], is_harmless(scores[:, judged & ~seen]))
    return Offsets(tuple(weights.tolist()), reason)


def _decide(scores: npt.NDArray[np.float64], harmless: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.float64], str]:
    stay, no = np.eye(len(scores))[0], "No document moves toward its training queries:"
    if not harmless[1:].any():
        return stay, f"{no} however far they move, on dev queries on other documents lose."
    weights = weigh_scores(scores, harmless)
    moving = np.where(np.arange(len(weights)) > 0, weights, 0)
    if not moving.any():
        return stay, f"{no} on dev that scores less than to stay."
    lead = (moving / moving.sum() @ scores - scores[0])[None]
    mean, error = float(lead.mean()), float(standard_errors(lead)[0])
    compared = f"on dev that scores {mean:+.3f}, with an error of {error:.3f}"
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
    path = list(DocumentAdapter().fit_path(_training(pool, np.arange(len(pool.queries)), before), REACHES))
    mean = np.sum([np.float32(w) * each.offsets_ for w, each in zip(offsets.weights[1:], path, strict=True)], axis=0)
    heaviest = path[int(np.argmax(offsets.weights[1:]))]
    return DocumentAdapter.from_tensors({"anchors": heaviest.anchors_, "offsets": mean}, heaviest.get_params())


def _training(pool: Pool, rows: Rows, before: Adapter) -> TrainingPairs:
    """Give mapped queries and all of the mapped corpus: documents without queries are competitors."""
    training = pool.training(rows, whole_corpus=True)
    mapped = before.transform(training.queries, "query"), before.transform(training.documents, "document")
    return TrainingPairs(*mapped, training.pairs)


def _moved(pool: Pool, rows: Rows, before: Adapter) -> list[npt.NDArray[np.float32]]:
    training = _training(pool, rows, before)
    path = list(DocumentAdapter().fit_path(training, REACHES))
    matches = path[0].match(training.documents)
    return [training.documents, *(each.move(training.documents, matches) for each in path)]
