"""What tuning tries: kinds of linear maps, each along the strengths of its pull."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from embertune.adapters.linear import LinearAdapter
from embertune.training.config import TuneConfig

__all__ = ["Settings", "Span", "settings_of"]


class Span(NamedTuple):
    """Strengths of one kind of map; none where it has no weight."""

    pulls: tuple[float, ...]
    shares: tuple[float, ...]
    """The weight of each."""
    means: tuple[float, ...]
    """The score on dev of each."""


@dataclass(frozen=True)
class Settings:
    """Rows of a table: no adapter, then every pull of the first kind of map, then of the second, and so on.

    Attributes:
        makers: One per kind of map, unfitted.
        pulls: The strengths, strongest first.
    """

    makers: tuple[LinearAdapter, ...]
    pulls: tuple[float, ...]

    def __len__(self) -> int:
        """Count the rows."""
        return 1 + len(self.makers) * len(self.pulls)

    def row(self, kind: int, level: int) -> int:
        """Give the row of a kind of map at a strength."""
        return 1 + kind * len(self.pulls) + level

    def by_kind(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Give values by row as (kinds, pulls), without that of no adapter."""
        return rows[1:].reshape(len(self.makers), len(self.pulls))

    def of_queries(self) -> npt.NDArray[np.bool_]:
        """Mark the rows that leave documents as they are."""
        changes = [maker.changes("document") for maker in self.makers]
        return np.concatenate([[True], ~np.repeat(changes, len(self.pulls))])

    def still(self, weights: npt.NDArray[np.float64]) -> list[tuple[float, ...]]:
        """Give the strengths of each kind down to the last that has weight."""
        return [self.pulls[: int(np.flatnonzero(kind).max(initial=-1)) + 1] for kind in self.by_kind(weights)]

    def spans(
        self, weights: npt.NDArray[np.float64], means: npt.NDArray[np.float64], *, once: bool = False
    ) -> list[Span]:
        """Give the strengths of each kind from the first to the last that has weight.

        Args:
            weights: By row, summing to 1.
            means: Scores by row.
            once: Give one strength in place of several: their mean, of logarithms and as they are weighted.
        """
        found = []
        for shares, scores in zip(self.by_kind(weights), self.by_kind(means), strict=True):
            at = np.flatnonzero(shares)
            if once and len(at):
                pull = np.exp(np.average(np.log(self.pulls), weights=shares))
                scored = np.average(scores[at], weights=shares[at])
                found.append(Span((float(pull),), (float(shares.sum()),), (float(scored),)))
            else:
                span = slice(int(at[0]), int(at[-1]) + 1) if len(at) else slice(0, 0)
                found.append(Span(self.pulls[span], tuple(shares[span].tolist()), tuple(scores[span].tolist())))
        return found

    def params(self) -> list[dict[str, Any]]:
        """Name every row by what tells it from the others."""
        names = [name for name in ("side", "maps", "temperature") if len({getattr(m, name) for m in self.makers}) > 1]
        kinds = [{name: getattr(maker, name) for name in names} for maker in self.makers]
        return [{}, *({**kind, "pull": pull} for kind in kinds for pull in self.pulls)]


def settings_of(config: TuneConfig, *, rank: int | None, steps: int, seed: int) -> Settings:
    """Give what a configuration tries.

    Both sides are also tried as the query side alone, so that documents move no more than dev can justify.

    Args:
        config: Sides, temperatures, strengths.
        rank: Of the maps.
        steps: The most L-BFGS steps per strength.
        seed: For the draw of candidates.

    Example:
        >>> found = settings_of(TuneConfig(side="both", maps=("shared",), pulls=(1.0,)), rank=None, steps=5, seed=0)
        >>> [row.get("side", "no adapter") for row in found.params()]
        ['no adapter', 'query', 'both']
    """
    kinds: Sequence[tuple[Literal["query", "both"], Any]] = [("query", "separate")]
    if config.side != "query":
        kinds = [*kinds, *(("both", maps) for maps in config.maps)]
    makers = (
        LinearAdapter(
            side,
            maps=maps,
            rank=rank,
            temperature=temperature,
            max_steps=steps,
            max_candidates=config.max_candidates,
            seed=seed,
        )
        for side, maps in kinds
        for temperature in config.temperatures
    )
    return Settings(tuple(makers), config.pulls)
