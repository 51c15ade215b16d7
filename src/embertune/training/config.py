"""How hard tuning tries: one dial, and the fields that it sets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from embertune.adapters.base import Adapter
from embertune.adapters.device import is_device
from embertune.errors import ConfigError
from embertune.evaluation.metrics import parse_metric

__all__ = ["EFFORTS", "Effort", "TuneConfig"]

Effort = Literal["fast", "normal", "thorough"]

# A full map of 1536 dimensions takes 6 times as long to fit, and 9 MiB, which is more than a query has time to read.
_WIDE, _WIDE_RANK = 512, 256

_WORDS = {
    "side": ("query", "both", "auto"),
    "offsets": ("auto", "no"),
    "average": ("maps", "strengths"),
    "gate": ("auto", "yes", "no"),
}


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """Every setting of `embertune.tune` that is neither the data nor the encoder.

    Example:
        >>> TuneConfig.of_effort("fast").folds
        3
    """

    side: Literal["query", "both", "auto"] = "auto"
    """Which embeddings are adapted: the queries alone, or the stored documents too; "auto": these if dev says so."""

    adapter: Adapter | None = None
    """An adapter of another family, or of your own, to be fitted instead of the linear maps; `side` and what follows
    down to `search_steps` are then its own affair."""

    maps: tuple[Literal["separate", "shared", "shared-then-query"], ...] = ("shared", "separate")
    """With side="both" or "auto": which maps of both sides are tried, beside those of the query side alone."""

    offsets: Literal["auto", "no"] = "auto"
    """With side="both" or "auto": whether documents that have training queries also move toward them, if that pays."""

    gate: Literal["auto", "yes", "no"] = "auto"
    """Whether queries unlike the training queries get the frozen encoder's behaviour back, and documents unlike the
    corpus, where these are mapped; "auto": if own queries keep what they gain, or if foreign queries that are named
    lose."""

    pulls: tuple[float, ...] = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
    """Strengths of the pull to the identity that are tried, strongest first."""

    temperatures: tuple[float, ...] = (0.05,)
    """Temperatures of the softmax over cosines that are tried (scale = 1 / temperature)."""

    rank: int | None = None
    """The adapter that is saved is fitted within this many principal directions; None: all of space, or of more than
    512 dimensions 256 directions."""

    search_rank: int | None = 64
    """The adapters that are compared on dev are fitted within this many, which is several times quicker."""

    average: Literal["maps", "strengths"] = "maps"
    """What the weights of dev are applied to: "maps": the final map is the mean of one per strength; "strengths": it is
    fitted once, at their mean, which is quicker and gains a little less."""

    max_steps: int = 10
    """The most L-BFGS steps per strength, each started from the strength before."""

    search_steps: int = 8
    """The most steps of the adapters that are compared on dev."""

    max_candidates: int = 4096
    """Each training query is compared with at most this many documents."""

    device: str = "cpu"
    """Where linear maps, reductions and networks are fitted: "cpu", with numpy; "cuda", "cuda:1" or "mps", with torch;
    "auto": "cuda" where there is one. What is saved and served is numpy's."""

    folds: int = 4
    """Dev is read off this many folds of the training queries, unless a dev split is large enough alone."""

    seeds: int = 3
    """How many seeds are run in all; the others draw split and folds anew, in half
    as many steps, and only tell how far results differ."""

    large_dev: int = 1000
    """A dev split of this many queries is used as it is, without folds; of larger pools this many are judged."""

    metric: str = "ndcg@10"
    """The metric that decides; the others are reported."""

    def __post_init__(self) -> None:
        """Gather every problem, then raise once."""
        problems = [
            f"{name} must be at least {least}, got {getattr(self, name)}"
            for name, least in (
                ("max_steps", 1),
                ("search_steps", 1),
                ("max_candidates", 1),
                ("folds", 2),
                ("large_dev", 1),
                ("seeds", 1),
            )
            if getattr(self, name) < least
        ]
        problems += [
            f"{name} must be at least 1 or None, got {value}"
            for name, value in (("rank", self.rank), ("search_rank", self.search_rank))
            if value is not None and value < 1
        ]
        problems += [
            f"{name} must be {', '.join(map(repr, words[:-1]))} or {words[-1]!r}, got {getattr(self, name)!r}"
            for name, words in _WORDS.items()
            if getattr(self, name) not in words
        ]
        if not is_device(self.device):
            problems.append(f"device must be 'cpu', 'cuda', 'cuda:1', 'mps' or 'auto', got {self.device!r}")
        problems += [
            f"maps must be separate, shared or shared-then-query, got {maps!r}"
            for maps in self.maps or ("none",)
            if maps not in ("separate", "shared", "shared-then-query")
        ]
        if not self.temperatures or any(not each > 0 for each in self.temperatures):
            problems.append(f"temperatures must be positive, got {self.temperatures}")
        if not self.pulls or any(not pull > 0 for pull in self.pulls) or list(self.pulls) != sorted(self.pulls)[::-1]:
            problems.append(f"pulls must be positive and falling, got {self.pulls}")
        try:
            parse_metric(self.metric)
        except ConfigError as error:
            problems += error.problems
        if problems:
            raise ConfigError(problems)

    def rank_of(self, dimension: int) -> int | None:
        """Give the rank of the adapter that is saved, for embeddings of a dimension; None is all of space.

        Example:
            >>> [TuneConfig().rank_of(384), TuneConfig().rank_of(1536), TuneConfig(rank=1536).rank_of(1536)]
            [None, 256, 1536]
        """
        return _WIDE_RANK if self.rank is None and dimension > _WIDE else self.rank

    @classmethod
    def of_effort(cls, effort: str, **changes: Any) -> TuneConfig:
        """Give the settings of an effort, some of them changed.

        Raises:
            ConfigError: The effort or a value is unknown or impossible.
        """
        if effort not in EFFORTS:
            raise ConfigError(f"effort must be one of {', '.join(EFFORTS)}, got {effort!r}")
        unknown = sorted(set(changes) - set(cls.__dataclass_fields__))
        if unknown:
            raise ConfigError(
                f"There is no setting {', '.join(unknown)}. The settings are: {', '.join(cls.__dataclass_fields__)}."
            )
        return replace(EFFORTS[effort], **changes)


EFFORTS: dict[str, TuneConfig] = {
    "fast": TuneConfig(side="query", folds=3, search_steps=6, average="strengths", max_steps=12, seeds=1),
    "normal": TuneConfig(),
    "thorough": TuneConfig(
        folds=10,
        search_rank=256,
        search_steps=40,
        max_steps=60,
        temperatures=(0.05, 0.03),
        maps=("shared", "separate", "shared-then-query"),
        pulls=(3.0, 1.0, 0.55, 0.3, 0.17, 0.1, 0.055, 0.03, 0.017, 0.01, 0.0055, 0.003),
    ),
}
