"""Fitting epoch after epoch: what families that train by mini-batches have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from embertune.adapters.base import Adapter, Extra, TrainingPairs
from embertune.adapters.device import get, put
from embertune.adapters.params import impossible
from embertune.adapters.solvers.descent import Descent, Parameters, Residual, train
from embertune.adapters.solvers.sampling import GRADED, LOSSES, NEGATIVES, TAUGHT, Sampler
from embertune.errors import ConfigError

__all__ = ["Epochs", "descend", "impossible_steps", "wanted"]

_OF_SAMPLER = (
    "loss", "negatives", "num_negatives", "margin", "batch_size", "max_candidates", "temperature", "seed",
)  # fmt: skip


class Epochs(NamedTuple):
    """What training gave."""

    parameters: Parameters
    """Those of the epoch that was kept; of no other's arrays."""
    losses: tuple[float, ...]
    """The mean objective of every epoch."""
    scores: tuple[float, ...]
    """What `validate` gave, first before training and then after every epoch."""
    best: int
    """The epoch that was kept; 0 is the identity."""


def descend(
    adapter: Adapter,
    residual: Residual,
    origin: Parameters,
    training: TrainingPairs,
    *,
    fitted: Callable[[Parameters], Adapter],
    validate: Callable[[Any], float] | None,
) -> Epochs:
    """Train a map as the parameters of its adapter say.

    With `validate` training ends when its score has not risen for `patience` epochs, and the best one is kept, the
    start among them; without it, all epochs are run and the last one is.

    Args:
        adapter: Has the parameters.
        residual: The map.
        origin: What training begins from.
        training: What is learned from.
        fitted: Gives the adapter with some parameters of the map, for `validate`, which may keep it.
        validate: Scores an adapter, higher is better.

    Raises:
        ConfigError: `validate` gives no number.
        DataError: The loss or the negatives need more than there is.
    """
    params = adapter.get_params()
    sampler = Sampler(
        training=training, by_documents="document" in residual.sides, **{name: params[name] for name in _OF_SAMPLER}
    )
    start = {name: put(array) for name, array in origin.items()}
    epochs = train(
        Descent(residual=residual, origin=start, pull=params["pull"]),
        put(training.queries),
        put(sampler.documents),
        sampler.epoch,
        learning_rate=params["learning_rate"],
        dropout=params["dropout"],
        seed=params["seed"],
    )
    score = None if validate is None else lambda parameters: _scored(validate, fitted(parameters))
    return _run(islice(epochs, params["max_epochs"]), origin, params["patience"], score)


def _run(
    epochs: Iterator[tuple[Parameters, float]],
    origin: Parameters,
    patience: int,
    score: Callable[[Parameters], float] | None,
) -> Epochs:
    """Run epochs, whose arrays the next one changes in place; what is scored or kept is a copy."""
    losses: list[float] = []
    best, at = _copied(origin), 0
    scores = [] if score is None else [score(best)]
    for parameters, loss in epochs:
        losses.append(loss)
        if score is None:
            best, at = parameters, len(losses)
            continue
        copy = _copied(parameters)
        scores.append(score(copy))
        if scores[-1] > scores[at]:
            best, at = copy, len(losses)
        elif len(losses) - at >= patience:
            break
    return Epochs(_copied(best), tuple(losses), tuple(scores), at)


def _copied(parameters: Mapping[str, Any]) -> Parameters:
    return {name: get(array).copy() for name, array in parameters.items()}


def _scored(validate: Callable[[Any], float], adapter: Adapter) -> float:
    """Give the score of an adapter, or say that it is none."""
    score: Any = validate(adapter)
    if not isinstance(score, int | float | np.number) or not np.isfinite(score):
        raise ConfigError(
            f"validate must give a number, higher for a better adapter, and gave {score!r}. "
            "Type: fit(queries, documents, validate=lambda adapter: score)"
        )
    return float(score)


def wanted(loss: str, negatives: str) -> frozenset[Extra]:
    """Say what a loss and its negatives learn from beyond pairs.

    Example:
        >>> sorted(wanted("triplet", "hard")), sorted(wanted("margin_mse", "all"))
        (['hard negatives', 'validation'], ['labels', 'validation'])
    """
    found: set[Extra] = {"validation"}
    if loss in (*GRADED, *TAUGHT) or negatives == "judged":
        found.add("labels")
    if negatives == "hard":
        found.add("hard negatives")
    if negatives == "passages":
        found.add("passages")
    return frozenset(found)


def impossible_steps(params: Mapping[str, Any]) -> list[str]:
    """Say what is wrong with the parameters that all families of mini-batches have.

    Example:
        >>> impossible_steps({"loss": "hinge", "negatives": "all", "num_negatives": 1, "batch_size": 1, "max_epochs": 1,
        ...                   "patience": 1, "learning_rate": 0.1, "dropout": 0, "margin": 0.1})[0][:42]
        "loss must be 'info_nce' or 'triplet' or 't"
    """
    problems = impossible(
        params,
        choices={"loss": LOSSES, "negatives": NEGATIVES},
        at_least=dict.fromkeys(("batch_size", "max_epochs", "num_negatives", "patience"), 1),
        positive=("learning_rate",),
        not_negative=("margin",),
    )
    if not 0 <= params["dropout"] < 1:
        problems.append(f"dropout must be from 0 to below 1, got {params['dropout']}")
    if params["loss"] in TAUGHT and params["negatives"] not in ("all", "judged"):
        problems.append(
            f"negatives must be 'all' or 'judged' with loss={params['loss']!r}, which needs a score for each, "
            f"got {params['negatives']!r}"
        )
    return problems
