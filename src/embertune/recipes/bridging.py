"""Choosing a bridge between two encoders by texts that it was not fitted on, and judging it by others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from embertune.adapters.bridge import BridgeAdapter
from embertune.core.progress import Progress, silent
from embertune.core.random import generator
from embertune.core.search import Positions, top_k
from embertune.core.vectors import Vectors
from embertune.errors import ConfigError, DataError
from embertune.evaluation.metrics import Scores
from embertune.evaluation.statistics import bootstrap_interval

__all__ = [
    "EFFORTS", "FEWEST", "Chosen", "Direction", "Kept", "Parts", "choose_bridge", "nearest_texts", "share_found",
    "share_kept", "split_texts",
]  # fmt: skip

Direction = Literal["queries", "index"]
EFFORTS: tuple[str, ...] = ("fast", "normal", "thorough")

FEWEST = 100
"""The fewest sample texts: a tenth of them chooses, and a tenth may have to judge."""

_Trial = tuple[dict[str, Any], Scores]

_K = 10
_PULLS = (0.1, 0.3, 1.0, 3.0, 10.0)
# Held-out texts beyond this settle nothing more; each is compared with all others.
_MOST_HELD, _MOST_SEARCHED = 1000, 8000


class Parts(NamedTuple):
    """Rows of the sample: fitted on, chosen by, judged by; the last is empty where there are labelled queries."""

    fit: Positions
    choose: Positions
    judge: Positions


class Kept(NamedTuple):
    """How much of one mean is left in another, with its 95 % interval."""

    share: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Chosen:
    """What was chosen.

    Attributes:
        bridge: Fitted on all texts but those that judge.
        tried: Per candidate its parameters and "recall": the share of neighbours found for the texts that chose.
    """

    bridge: BridgeAdapter
    tried: tuple[dict[str, Any], ...]


def split_texts(count: int, *, judge: bool, seed: int) -> Parts:
    """Cut a sample into texts to fit on, to choose by and, where nothing else judges, to judge by.

    Args:
        count: Of texts.
        judge: Whether some are kept for judging.
        seed: For the draw.

    Raises:
        DataError: There are too few.

    Example:
        >>> [len(part) for part in split_texts(1000, judge=True, seed=0)]
        [800, 100, 100]
    """
    if count < FEWEST:
        raise DataError(
            f"The sample holds {count} different texts. Expected {FEWEST} or more, a thousand better still: texts like "
            "those in the index, without labels."
        )
    order = generator(seed, "bridge", "split").permutation(count)
    held = min(count // 10, _MOST_HELD)
    judged = order[:held] if judge else order[:0]
    return Parts(
        np.sort(order[len(judged) + held :]), np.sort(order[len(judged) : len(judged) + held]), np.sort(judged)
    )


def nearest_texts(queries: Vectors, documents: Vectors, *, itself: Sequence[int] | None = None) -> Positions:
    """Give the 10 nearest documents of each query, or all where there are fewer.

    Args:
        queries: (n, d).
        documents: (m, d).
        itself: The row among the documents that is the query's own text, which is passed over; None: there is none.

    Returns:
        (n, 10) rows of documents, best first.

    Example:
        >>> nearest_texts(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), itself=[0, 1]).tolist()
        [[1], [0]]
    """
    if itself is None:
        return top_k(queries, documents, min(_K, len(documents)))[0]
    wanted = min(_K, len(documents) - 1)
    found, _ = top_k(queries, documents, wanted + 1)
    keep = found != np.asarray(itself)[:, None]
    # Where the own text is not among them, the last one goes.
    keep[keep.all(axis=1), wanted:] = False
    return np.asarray(found[keep].reshape(len(queries), wanted))


def share_found(found: Positions, right: Positions) -> Scores:
    """Give the share of the right documents (n, k) that are among those found (n, k), of each query.

    Example:
        >>> share_found(np.array([[3, 1]]), np.array([[1, 2]])).tolist()
        [0.5]
    """
    return np.asarray((right[:, :, None] == found[:, None, :]).any(axis=2).mean(axis=1))


def choose_bridge(
    source: Vectors,
    goal: Vectors,
    parts: Parts,
    *,
    direction: Direction,
    target: Mapping[str, Any] | None = None,
    effort: str = "normal",
    seed: int = 0,
    progress: Progress = silent,
) -> Chosen:
    """Fit candidates, take the one that finds most neighbours of held-out texts, and fit it once more with these.

    Of rotation, affine map and network a simpler one is left only for one that leads by a standard error.

    Args:
        source: (n, d) of the encoder that is mapped.
        goal: (n, k) of the encoder whose space is the goal, the same texts.
        parts: Which rows are fitted on, chosen by, and not to be touched.
        direction: "queries": source is the new encoder, and mapped texts search among others of the old one; "index":
            source is the old one, and texts of the new one search among mapped ones.
        target: Specification of the encoder whose space is the goal.
        effort: "fast" tries rotations and affine maps, "normal" a network too, "thorough" several.
        seed: For draws and networks.
        progress: Told of every candidate.

    Raises:
        ConfigError: There is no such effort or direction.
        DataError: The arrays do not fit together.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
        >>> rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        >>> parts = split_texts(200, judge=False, seed=0)
        >>> chosen = choose_bridge(rows, rows[:, ::-1].copy(), parts, direction="queries", effort="fast")
        >>> chosen.bridge.kind, chosen.tried[0]["recall"]
        ('procrustes', 1.0)
    """
    if effort not in EFFORTS or direction not in ("queries", "index"):
        raise ConfigError(
            f"effort must be one of {', '.join(EFFORTS)} and direction 'queries' or 'index', "
            f"got {effort!r} and {direction!r}"
        )
    trials: list[_Trial] = []

    score = _Choosing(source, goal, parts, direction, seed)

    def best_of(candidates: Sequence[dict[str, Any]]) -> _Trial:
        for params in candidates:
            progress("bridge", len(trials), None, params["kind"])
            bridge = BridgeAdapter(**params, seed=seed, target=target).fit(source[parts.fit], goal[parts.fit])
            trials.append((params, score(bridge)))
        return max(trials[-len(candidates) :], key=lambda trial: float(trial[1].mean()))

    rotation = best_of([{"kind": "procrustes"}])
    ranks = (None, 64) if effort != "fast" and min(source.shape[1], goal.shape[1]) > 64 else (None,)
    straight = best_of([{"kind": "affine", "pull": pull, "rank": rank} for rank in ranks for pull in _PULLS])
    chosen = _ahead(straight, rotation)
    if effort != "fast":
        widths = (512,) if effort == "normal" else (256, 512, 1024)
        chosen = _ahead(best_of([{**straight[0], "kind": "mlp", "hidden": hidden} for hidden in widths]), chosen)
    rows = np.sort(np.concatenate([parts.fit, parts.choose]))
    bridge = BridgeAdapter(**chosen[0], seed=seed, target=target).fit(source[rows], goal[rows])
    return Chosen(bridge, tuple({**params, "recall": float(scores.mean())} for params, scores in trials))


def _ahead(other: _Trial, simple: _Trial) -> _Trial:
    """Give the simpler of two candidates unless the other one leads by a standard error."""
    lead = other[1] - simple[1]
    return other if lead.mean() > lead.std(ddof=1) / np.sqrt(len(lead)) else simple


class _Choosing:
    """Scores bridges on the texts that choose; stored vectors that are mapped are never those that it was fitted on."""

    def __init__(self, source: Vectors, goal: Vectors, parts: Parts, direction: Direction, seed: int) -> None:
        self.source, self.goal, self.rows, self.direction = source, goal, parts.choose, direction
        self.among = parts.fit
        if len(self.among) > _MOST_SEARCHED:
            self.among = np.sort(
                generator(seed, "bridge", "searched").choice(self.among, _MOST_SEARCHED, replace=False)
            )
        self.right = (
            nearest_texts(source[self.rows], source[self.among])
            if direction == "queries"
            else nearest_texts(goal[self.rows], goal[self.rows], itself=range(len(self.rows)))
        )

    def __call__(self, bridge: BridgeAdapter) -> Scores:
        mapped = bridge.transform(self.source[self.rows])
        if self.direction == "queries":
            return share_found(nearest_texts(mapped, self.goal[self.among]), self.right)
        return share_found(nearest_texts(self.goal[self.rows], mapped, itself=range(len(self.rows))), self.right)


def share_kept(bridged: Scores, full: Scores, *, seed: int) -> Kept:
    """Give the mean of one score over that of another, both of the same queries, with its interval.

    The interval is that of the mean of ``bridged - share · full`` over queries (Fieller's numerator), by
    `bootstrap_interval`, over the mean of `full`.

    Args:
        bridged: (n,) scores of the bridge.
        full: (n,) scores of the full re-embedding.
        seed: Of the bootstrap.

    Raises:
        DataError: The full re-embedding finds nothing, so there is nothing to keep.

    Example:
        >>> share_kept(np.array([0.5, 1.0, 0.0]), np.array([0.5, 1.0, 0.0]), seed=0)
        Kept(share=1.0, low=1.0, high=1.0)
    """
    mean = float(np.mean(full))
    if mean <= 0:
        raise DataError(
            f"The new encoder finds no relevant document in its first 10 for any of {len(full)} queries, so there is "
            "nothing that could be kept. Check that the labels and the documents belong together."
        )
    share = float(np.mean(bridged)) / mean
    low, high = bootstrap_interval(np.asarray(bridged) - share * np.asarray(full), seed=seed)
    return Kept(share, share + low / mean, share + high / mean)
