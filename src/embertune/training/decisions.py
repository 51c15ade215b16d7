"""What is decided on the maps of the folds: whether documents move, and whether there are gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import Adapter
from embertune.adapters.gate import Gate
from embertune.adapters.identity import IdentityAdapter
from embertune.adapters.linear import LinearAdapter
from embertune.core.vectors import Vectors
from embertune.training.config import TuneConfig
from embertune.training.pool import Fold, Pool
from embertune.training.settings import Settings
from embertune.training.sparing import Others
from embertune.training.table import DevTable, standard_errors

__all__ = ["WIDE_OPEN", "Shares", "Trials", "behind_gates", "told_gates", "weigh", "weigh_gate"]

# To move documents the index has to be written anew, so it must be worth it: by this many standard errors on dev.
_DOCUMENTS_LEAD = 1.5
# What of their gain the own queries may give for the sake of others.
_GATE_COST = 0.02
# Of the training queries, and of the documents of the corpus, the share that their gate closes on and that it does not
# open wide for. The first that is free on dev is taken. The second leaves almost all of them alone, the third all: most
# foreign ones are further away still (docs/experiments.md, 2026-11-21).
_WIDTHS = ((0.01, 0.1), (0.001, 0.01), (0.0, 0.0))

Shares = tuple[float, float]

WIDE_OPEN: Shares = _WIDTHS[-1]
"""Of gates that are to close for others alone: no query and document of the own is met by a ramp."""


def told_gates(adapter: Adapter) -> str:
    """Say what `behind_gates` with others puts an adapter behind, after "there"."""
    if adapter.changes("document"):
        return "are gates that close for queries and documents more like theirs than like the own"
    return "is a gate that closes for queries more like theirs than like the own"


@dataclass(frozen=True)
class Trials:
    """What was fitted on the folds: what is decided after the weights is judged on these maps."""

    pool: Pool
    folds: Sequence[Fold]
    fits: Sequence[Mapping[int, LinearAdapter]]
    config: TuneConfig

    def mean(self, at: int, weights: npt.NDArray[np.float64]) -> Adapter:
        """Give the mean map of a fold."""
        counted = [row for row in self.fits[at] if weights[row]]
        if not counted:
            return IdentityAdapter()
        maps = [self.fits[at][row] for row in counted]
        return LinearAdapter.mean_of(maps, [float(weights[row]) for row in counted])

    def judge(self, *choices: Sequence[Adapter]) -> npt.NDArray[np.float64]:
        """Score every query of dev under the adapters of its fold.

        Args:
            choices: One adapter per fold, each.

        Returns:
            (choices, queries of dev).
        """
        scores = np.full((len(choices), len(self.pool.queries)), np.nan)
        for (_, dev), *adapters in zip(self.folds, *choices, strict=True):
            scores[:, dev] = self.pool.score(adapters, dev, self.config.metric)[0]
        return scores[:, ~np.isnan(scores[0])]

    def gated(self, maps: Sequence[Adapter], shares: Shares) -> list[Adapter]:
        """Give the map of every fold behind gates: for queries like those of the fold, and documents of the corpus."""
        documents = self.pool.documents
        return [
            behind_gates(each, self.pool.queries[fit], documents, shares)
            for each, (fit, _) in zip(maps, self.folds, strict=True)
        ]

    def means(self, weights: npt.NDArray[np.float64]) -> list[Adapter]:
        """Give the mean map of every fold."""
        return [self.mean(at, weights) for at in range(len(self.folds))]


def weigh(trials: Trials, table: DevTable, settings: Settings) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """Weigh the settings; documents are moved where that was asked for, or where dev shows that it pays.

    Where documents may be moved, what is gained for those that have training queries is left to offsets (see
    `weigh_offsets`), and settings by which the others lose are not counted.

    Moved documents have to be written to the index anew, so with side="auto" the mean map of both sides has to lead
    that of queries alone by more than an error.
    """
    if trials.config.side == "query":
        return table.choice(settings.of_queries()), ()
    harmless = table.harmless()
    alone, both = table.choice(settings.of_queries() & harmless), table.choice(harmless)
    if trials.config.side == "both":
        return both, ()
    scores = trials.judge(trials.means(both), trials.means(alone))
    lead = scores[0] - scores[1]
    mean, error = float(lead.mean()), float(standard_errors(lead[None])[0])
    compared = f"on dev, maps of both sides score {mean:+.3f} over a map of queries alone, with an error of {error:.3f}"
    if mean > _DOCUMENTS_LEAD * error:
        return both, (f"Documents are mapped, too: {compared}.",)
    return alone, (f"There is no map of documents: {compared}.",)


def behind_gates(
    adapter: Adapter,
    queries: Vectors,
    documents: Vectors,
    shares: Shares,
    *,
    others: Others | None = None,
    seed: int = 0,
) -> Adapter:
    """Give an adapter behind a gate for queries, and one for documents if it maps these.

    Args:
        adapter: Fitted.
        queries: (n, d) that it was fitted on.
        documents: (m, d), the whole corpus.
        shares: Of either, those that their gate closes on, and does not open wide for.
        others: Queries and documents that the gates are to close for, too.
        seed: For draws.
    """
    sides = [(queries, None if others is None else others.queries)]
    if adapter.changes("document"):
        sides.append((documents, others.documents if others is not None and len(others.documents) else None))
    closed, opened = shares
    gate, *other = (Gate.fit(rows, unlike=away, closed=closed, opened=opened, seed=seed) for rows, away in sides)
    return adapter.gated(gate, documents=other[0] if other else None)


def weigh_gate(trials: Trials, weights: npt.NDArray[np.float64]) -> tuple[Shares | None, tuple[str, ...]]:
    """Decide on gates by what the own queries lose by them: they are there for others, which dev knows nothing of.

    Returns:
        How wide the gates are, None where there are none; and why.
    """
    maps, wanted = trials.means(weights), trials.config.gate
    if wanted == "no" or not all(each.changes("query") for each in maps):
        return None, ()
    if wanted == "yes":
        return _WIDTHS[0], ()
    is_two_sided = any(each.changes("document") for each in maps)
    what = "queries unlike the training queries" + (" and documents unlike the corpus" if is_two_sided else "")
    frozen = [IdentityAdapter()] * len(maps)
    base, free, *gated = trials.judge(frozen, maps, trials.gated(maps, _WIDTHS[0])).mean(axis=1)
    for shares in _WIDTHS:
        if not gated:
            gated = [trials.judge(trials.gated(maps, shares)).mean()]
        gain = gated.pop() - base
        compared = f"on dev, own queries gain {gain:+.3f} with a gate and {free - base:+.3f} without"
        if gain >= free - base - _GATE_COST * abs(free - base):
            return shares, (f"{what[0].upper()}{what[1:]} get the frozen encoder back: {compared}.",)
    return None, (f"There is no gate for {what}: {compared}.",)
