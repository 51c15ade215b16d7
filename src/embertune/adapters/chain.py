"""One adapter after another, fitted, saved and served as one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Self

import numpy.typing as npt

from embertune.adapters.base import Adapter, Extra, Side, TrainingPairs, check_pairs
from embertune.adapters.state import from_state, to_state
from embertune.core.vectors import Vectors
from embertune.errors import ConfigError, DataError

__all__ = ["Chain"]


class Chain(Adapter):
    """Apply adapters one after another; each is fitted on what those before it give.

    The adapters that are passed in are not changed: `fit` fits copies, `links_`. Adapters that are fitted already
    can be chained without `fit`. Each link keeps its own strength and gate; the chain's strength
    blends what all links give together with what they give at strength 0, and its gate leads back to that.

    Args:
        adapters: In the order in which they are applied.

    Attributes:
        links_: The fitted adapters.

    Example:
        >>> import numpy as np
        >>> from embertune.adapters.linear import LinearAdapter
        >>> from embertune.adapters.truncation import TruncationAdapter
        >>> rng = np.random.default_rng(0)
        >>> documents = rng.normal(size=(40, 8)).astype(np.float32)
        >>> queries = documents + 0.1 * rng.normal(size=(40, 8))
        >>> chain = Chain([TruncationAdapter(4), LinearAdapter()]).fit(queries, documents)
        >>> chain.dimension, chain.output_dimension, sorted(chain.tensors())
        (8, 4, ['0.matrix', '0.start', '1.query'])
    """

    type: ClassVar[str] = "chain"

    def __init__(self, adapters: Sequence[Adapter]) -> None:
        self.adapters = adapters

    links_: Sequence[Adapter]

    @property
    def wants_corpus(self) -> bool:
        """Whether any link does."""
        return any(link.wants_corpus for link in self.adapters)

    @property
    def side(self) -> str:
        """Which sides change: "query", "document", "both" or "none"."""
        sides = [side for side in ("query", "document") if self.changes(side)]
        return "both" if len(sides) == 2 else sides[0] if sides else "none"

    @property
    def dimension(self) -> int | None:
        """Dimension of the embeddings that the first link takes."""
        for link in self._links():
            if link.dimension is not None or link.output_dimension is not None:
                return link.dimension
        return None

    @property
    def output_dimension(self) -> int | None:
        """Dimension of the embeddings that the last link gives."""
        return _given(self._links())

    def fit(self, queries: Any, documents: Any, *, pairs: Any = None) -> Self:
        """Fit a copy of each adapter on what the copies before it give.

        Args:
            queries: (n, d).
            documents: (m, d); without `pairs`, row i answers query i.
            pairs: (p, 2) positions of a query and of one of its positives.

        Raises:
            ConfigError: There is no adapter to chain, or a parameter of one is impossible.
            DataError: The arrays do not fit together.
        """
        return self.fit_training(check_pairs(queries, documents, pairs))

    @property
    def wants(self) -> frozenset[Extra]:
        """What any link does."""
        return frozenset().union(*(link.wants for link in self.adapters))

    def fit_training(self, training: TrainingPairs, *, validate: Callable[[Self], float] | None = None) -> Self:
        """Fit a copy of each adapter on what the copies before it give, with whatever else is known; see `fit`."""
        self._check()
        self._forget()
        links: list[Adapter] = []
        for adapter in self.adapters:
            score = None if validate is None else partial(self._score, validate, tuple(links))
            # The gate of an earlier fit is forgotten; how much of a link is applied is a setting of the chain.
            links.append(copy.deepcopy(adapter).fit_training(training, validate=score).scaled(adapter.strength))
            training = _behind(links[-1], training)
        self.links_ = links
        return self

    def _score(self, validate: Callable[[Self], float], before: Sequence[Adapter], link: Adapter) -> float:
        """Score the chain as far as this link."""
        return validate(self._with(adapters=[*before, link], links_=[*before, link]))

    def changes(self, side: Side) -> bool:
        """Tell whether any link maps this side."""
        return any(link.changes(side) for link in getattr(self, "links_", self.adapters))

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Give the arrays of the links, each under its place, such as "0.query" and "1.matrix"."""
        return {
            f"{place}.{name}": array
            for place, link in enumerate(self._links())
            for name, array in to_state(link)[1].items()
        }

    def to_config(self) -> dict[str, Any]:
        """Give the configuration of every link, with its type, strength and gate."""
        return {"adapters": [to_state(link)[0] for link in self._links()]}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[Any]], params: Mapping[str, Any]) -> Self:
        """Build a fitted chain from what `tensors` and `to_config` gave.

        Raises:
            ArtifactError: The type of a link is not known.
            ConfigError: A parameter is impossible.
            DataError: The arrays of a link, or two links, do not fit together.
        """
        links = []
        for place, config in enumerate(params["adapters"]):
            start = f"{place}."
            own = {name.removeprefix(start): array for name, array in tensors.items() if name.startswith(start)}
            links.append(from_state(config, own))
        chain = cls(links)
        chain._links()
        return chain

    def _map(self, vectors: Vectors, side: Side) -> Vectors:
        for link in self._links():
            vectors = link.transform(vectors, side)
        return vectors

    def _frozen(self, unit: Vectors, side: Side) -> Vectors:
        for link in self._links():
            if link.changes(side):
                unit = link._frozen(unit, side)
        return unit

    def _links(self) -> Sequence[Adapter]:
        """Give the fitted links, or the adapters if they were fitted before they were chained."""
        self._check()
        links: Sequence[Adapter] = getattr(self, "links_", self.adapters)
        for place, link in enumerate(links):
            before = _given(links[:place])
            if None not in (before, link.dimension) and before != link.dimension:
                raise DataError(
                    f"Adapter {place} of the chain, {type(link).__name__}, takes {link.dimension} dimensions, and what "
                    f"comes before it gives {before}. Fit them together: Chain([...]).fit(queries, documents)"
                )
        return links

    def _check(self) -> None:
        strangers = [repr(adapter) for adapter in self.adapters if not isinstance(adapter, Adapter)]
        if strangers or not self.adapters:
            found = f"found {', '.join(strangers[:3])}" if strangers else "there is none"
            raise ConfigError(f"A chain is made of one adapter or more, and {found}. Type: Chain([LinearAdapter()])")


def _behind(adapter: Adapter, training: TrainingPairs) -> TrainingPairs:
    """Give training pairs as they are behind an adapter."""
    passages = training.passages
    return replace(
        training,
        queries=adapter.transform(training.queries),
        documents=adapter.transform(training.documents, "document"),
        passages=None if passages is None else adapter.transform(passages, "document"),
    )


def _given(links: Sequence[Adapter]) -> int | None:
    """Dimension of what these links give; None is whatever came in."""
    return next((link.output_dimension for link in reversed(links) if link.output_dimension is not None), None)
