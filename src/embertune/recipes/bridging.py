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
    "EFFORTS", "FEWEST", "Chosen", "Direction", "Kept", "Parts", "choose_bridge", "found_neighbours", "share_kept",
    "split_texts",
]  # fmt: skip

Direction = Literal["queries", "index"]
EFFORTS: tuple[str, ...] = ("fast", "normal", "thorough")

FEWEST = 100
"""The fewest sample texts: a tenth of them chooses, and a tenth may have to judge."""

_Trial = tuple[dict[str, Any], Scores]

_K = 10
_PULLS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
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


def found_neighbours(
    mapped: tuple[Vectors, Vectors], own: tuple[Vectors, Vectors], *, itself: Sequence[int] | None = None
) -> Scores:
    """Give the share of each query's nearest documents, among exact ones, that a search by mapped vectors finds too.

    Args:
        mapped: Queries (n, k) and documents (m, k) of the search that is judged.
        own: The same queries (n, d) and documents (m, d) in the space that says what is right.
        itself: The row among the documents that is the query's own text, -1 where there is none: it is not counted.

    Returns:
        (n,) of 10 neighbours, or of all where there are fewer.

    Example:
        >>> points = np.eye(3, dtype=np.float32)
        >>> found_neighbours((points, points), (points, points)).tolist()
        [1.0, 1.0, 1.0]
    """
    most = len(own[1])
    wanted = min(_K, most if itself is None else most - 1)
    rows = np.full(len(own[0]), -1) if itself is None else np.asarray(itself)
    right, found = (_others(*pair, rows, wanted) for pair in (own, mapped))
    return np.asarray((right[:, :, None] == found[:, None, :]).any(axis=2).mean(axis=1))


def _others(queries: Vectors, documents: Vectors, itself: Positions, wanted: int) -> Positions:
    """Give the nearest documents (n, wanted) that are not the query's own text."""
    found, _ = top_k(queries, documents, min(wanted + 1, len(documents)))
    keep = found != itself[:, None]
    # Where the own text is not among them, the last one goes.
    keep[keep.all(axis=1), wanted:] = False
    return np.asarray(found[keep].reshape(len(queries), wanted))


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

    def best_of(candidates: Sequence[dict[str, Any]]) -> _Trial:
        for params in candidates:
            progress("bridge", len(trials), None, params["kind"])
            bridge = BridgeAdapter(**params, seed=seed, target=target).fit(source[parts.fit], goal[parts.fit])
            trials.append((params, _choosing(bridge, source, goal, parts, direction, seed)))
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


def _choosing(
    bridge: BridgeAdapter, source: Vectors, goal: Vectors, parts: Parts, direction: Direction, seed: int
) -> Scores:
    """Score the texts that choose; stored vectors that are mapped are never those that the bridge was fitted on."""
    rows = parts.choose
    if direction == "index":
        mapped = bridge.transform(source[rows], "document")
        return found_neighbours((goal[rows], mapped), (goal[rows], goal[rows]), itself=range(len(rows)))
    fitted = parts.fit
    if len(fitted) > _MOST_SEARCHED:
        fitted = np.sort(generator(seed, "bridge", "searched").choice(fitted, _MOST_SEARCHED, replace=False))
    mapped = bridge.transform(source[rows], "query")
    return found_neighbours((mapped, goal[fitted]), (source[rows], source[fitted]))


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
