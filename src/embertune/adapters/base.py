"""What every embedding adapter is: a map after the encoder, fitted on pairs, served with numpy."""

from __future__ import annotations

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from embertune.adapters.gate import Gate
from embertune.adapters.pairs import TrainingPairs, check_pairs
from embertune.core.vectors import Vectors, as_vectors, normalize
from embertune.errors import ConfigError, DataError, NotFittedError

if TYPE_CHECKING:
    from embertune.adapters.canaries import Canaries

__all__ = ["ADAPTER_TYPES", "Adapter", "Extra", "Side", "TrainingPairs", "check_pairs"]

Side = Literal["query", "document"]
Extra = Literal["labels", "hard negatives", "passages", "validation"]


class Adapter(ABC):
    """A map applied to frozen embeddings, with scikit-learn's contract.

    The constructor stores, `fit` checks and learns, learned attributes end in ``_``. What `fit`
    learned is `tensors`: named arrays that numpy alone can apply. An embedding x comes out as
    ``normalize(x + w (f(x) - x))``: f is what was learned, w is `strength`, times the weight that the
    `gate` gives to a query, or the `document_gate` to a document.

    A class of your own is saved and loaded like ours once its module is imported: its `type` is its name.

    Attributes:
        type: The name of the class in config.json.
        strength: How much of what was learned is applied: 0 is none of it, 1 is as trained.
        gate: Gives queries unlike the training queries the frozen encoder's behaviour back.
        document_gate: Gives it back to documents unlike the corpus, of an adapter that maps both sides.
        encoder: The specification of the encoder whose embeddings it was fitted on, if known.
        attachments: Text files that belong to it and are saved beside it, by name.
        canaries: Texts and the vectors that the encoder gave for them, to notice when it has changed.

    Example:
        >>> from embertune.adapters.linear import LinearAdapter
        >>> adapter = LinearAdapter(rank=1).fit(np.eye(2), np.eye(2)[::-1])
        >>> isinstance(adapter, Adapter), adapter.changes("query"), adapter.changes("document")
        (True, True, False)
    """

    type: ClassVar[str]
    strength: float = 1.0
    gate: Gate | None = None
    document_gate: Gate | None = None
    encoder: Mapping[str, Any] | None = None
    attachments: Mapping[str, str] = {}
    canaries: Canaries | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Make the class known by its `type`, so that its artefacts can be loaded."""
        super().__init_subclass__(**kwargs)
        if "type" in cls.__dict__:
            known = ADAPTER_TYPES.setdefault(cls.type, cls)
            # A module that is loaded anew defines its classes anew.
            if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
                mine, other = (f"{each.__module__}.{each.__qualname__}" for each in (cls, known))
                raise ConfigError(
                    f"{mine} and {other} both have the type {cls.type!r}, which is what saved adapters are found by. "
                    f"Give yours another, such as {cls.__module__.rpartition('.')[2] + '-' + cls.type!r}."
                )
            ADAPTER_TYPES[cls.type] = cls

    @property
    @abstractmethod
    def dimension(self) -> int | None:
        """Dimension of the embeddings it takes; None takes any."""

    @property
    def wants_corpus(self) -> bool:
        """Whether `fit` learns from documents that no query asks for: `tune` then gives it the whole corpus.

        Where it does not, such documents had better be left out: as negatives they are only ever pushed away.
        """
        return False

    @property
    def wants(self) -> frozenset[Extra]:
        """What `fit_training` learns from beyond pairs: `tune` then brings it along."""
        return frozenset()

    @property
    def output_dimension(self) -> int | None:
        """Dimension of the embeddings it gives; None gives what it takes."""
        return self.dimension

    @abstractmethod
    def fit(self, queries: Any, documents: Any, *, pairs: Any = None) -> Self:
        """Learn from queries and the documents that answer them; see `check_pairs` for the arguments."""

    def fit_training(self, training: TrainingPairs, *, validate: Callable[[Self], float] | None = None) -> Self:
        """Learn from pairs and what else is known of them; this is what `tune` calls.

        A class that makes no use of it inherits this one, which calls `fit` with the pairs alone.

        Args:
            training: What `check_pairs` gave.
            validate: Scores a fitted copy on queries that it is not fitted on, for those that stop early.
        """
        self._forget()
        return self.fit(training.queries, training.documents, pairs=training.pairs)

    @abstractmethod
    def changes(self, side: Side) -> bool:
        """Whether embeddings of this side come out different from how they went in."""

    @abstractmethod
    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Give what was learned, by name: arrays that safetensors can hold.

        Raises:
            NotFittedError: `fit` was not called.
        """

    @classmethod
    @abstractmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[Any]], params: Mapping[str, Any]) -> Self:
        """Build a fitted adapter from what `tensors` and `to_config` gave.

        Raises:
            ConfigError: A parameter is impossible.
            DataError: The arrays do not fit together, or hold values that are not finite.
        """

    @abstractmethod
    def _map(self, vectors: Vectors, side: Side) -> Vectors:
        """Map embeddings (n, d), of any length, of a side that `changes`, at full strength, to rows of length 1."""

    def _frozen(self, unit: Vectors, side: Side) -> Vectors:
        """Give embeddings (n, d), rows of length 1, as they are at strength 0, rows of length 1."""
        return unit

    def transform(self, vectors: Any, side: Side = "query") -> Vectors:
        """Map embeddings.

        Args:
            vectors: (n, d), of the encoder that the adapter was fitted on.
            side: Whether they embed queries or documents.

        Returns:
            (n, d) with rows of length 1; on a side that the adapter leaves alone, the input as it is.

        Raises:
            NotFittedError: `fit` was not called.
            DataError: The dimension is another one, or some values are not finite.
        """
        if side not in ("query", "document"):
            raise ConfigError(f"side must be 'query' or 'document', got {side!r}")
        dimension = self.dimension
        array = as_vectors(vectors)
        if dimension is not None and array.shape[1] != dimension:
            raise DataError(
                f"These embeddings have {array.shape[1]} dimensions; this adapter was fitted on {dimension}. "
                "Use the encoder that it was fitted on."
            )
        if not self.changes(side):
            return array
        mapped = self._map(array, side)
        gate = self.gate if side == "query" else self.document_gate
        if gate is None and self.strength == 1:
            return mapped
        unit = normalize(array)
        weights = np.ones(len(unit), np.float32) if gate is None else gate.weights_of_unit(unit)
        if self.strength != 1:
            weights = np.float32(self.strength) * weights
        return self._blend(unit, mapped.copy() if np.may_share_memory(mapped, array) else mapped, weights, side)

    def _blend(self, unit: Vectors, mapped: Vectors, weights: npt.NDArray[np.float32], side: Side) -> Vectors:
        """Lead mapped rows back to what is frozen, in place, by weights (n,); behind a gate most stay mapped."""
        rows = np.flatnonzero(weights < 1)
        if len(rows) == len(unit):
            frozen = self._frozen(unit, side)
            mapped -= frozen
            mapped *= weights[:, None]
            mapped += frozen
            return normalize(mapped, out=mapped)
        if len(rows):
            frozen = self._frozen(unit[rows], side)
            blend = mapped[rows] - frozen
            blend *= weights[rows, None]
            blend += frozen
            mapped[rows] = normalize(blend, out=blend)
        return mapped

    def scaled(self, strength: float) -> Self:
        """Give a copy that applies more or less of what was learned; the arrays are shared.

        Args:
            strength: 0 is the frozen encoder (of a `TruncationAdapter` the plain reduction, with which training began),
                1 is as trained. It is not relative: ``a.scaled(0.5).scaled(1)`` is as trained.

        Raises:
            ConfigError: Not a number from 0 to 1.

        Example:
            >>> from embertune.adapters.linear import LinearAdapter
            >>> adapter = LinearAdapter(pull=0.01).fit(np.eye(2), np.eye(2)[::-1])
            >>> bool(np.allclose(adapter.scaled(0).transform(np.eye(2)), np.eye(2)))
            True
        """
        if not 0 <= strength <= 1:
            raise ConfigError(
                f"strength must be from 0 (nothing of what was learned) to 1 (as trained), got {strength}"
            )
        return self._with(strength=float(strength))

    def gated(self, gate: Gate | None, *, documents: Gate | None = None) -> Self:
        """Give a copy with these gates, or with none; the arrays are shared.

        Args:
            gate: For queries, fitted on training queries.
            documents: For documents, fitted on the corpus. An adapter that maps both sides needs it beside the other:
                a query that stays as it was is to find documents that stayed, too. One that leaves documents alone
                makes no use of it.

        Raises:
            ConfigError: Both sides are mapped, and one of them would have a gate.
            DataError: A gate was fitted on embeddings of another dimension.

        Example:
            >>> from embertune.adapters.linear import LinearAdapter
            >>> mapped = LinearAdapter("both").fit(np.eye(3), np.eye(3)[::-1])
            >>> behind = mapped.gated(Gate.fit(np.eye(3)), documents=Gate.fit(np.eye(3)))
            >>> far = -np.ones((1, 3)) / np.sqrt(3)
            >>> bool(np.allclose(behind.transform(far, "document"), far))
            True
        """
        if self.changes("query") and self.changes("document") and (gate is None) != (documents is None):
            missing = "queries" if gate is None else "documents"
            raise ConfigError(
                f"This {type(self).__name__} maps both sides, and a gate was given without one for {missing}: those "
                "that the one leaves as they were would meet mapped ones on the other side. Give both: "
                "adapter.gated(Gate.fit(queries), documents=Gate.fit(documents))"
            )
        for name, each in (("queries", gate), ("documents", documents)):
            if each is not None and self.dimension not in (None, each.dimension):
                raise DataError(
                    f"This gate was fitted on {name} of {each.dimension} dimensions, and this adapter takes "
                    f"{self.dimension}. Fit it on the adapter's own {name}: Gate.fit({name})"
                )
        return self._with(gate=gate, document_gate=documents)

    def update(
        self, queries: Any, documents: Any, *, pairs: Any = None, pull: float = 0.1, gated: bool = True
    ) -> Adapter:
        """Go on from here with new pairs: a map of queries behind this adapter, pulled to it; see `updated`.

        `embertune.update` does the same for data sets, and refuses what loses earlier gains.

        Example:
            >>> from embertune.adapters.linear import LinearAdapter
            >>> shipped = LinearAdapter().fit(np.eye(3), np.eye(3)[::-1])
            >>> shipped.update(np.eye(3), np.eye(3)[[1, 2, 0]]).adapters[0] is shipped
            True
        """
        from embertune.adapters.updating import updated

        return updated(self, queries, documents, pairs=pairs, pull=pull, gated=gated)

    def _forget(self) -> None:
        """Drop what belongs to an earlier fit and is no parameter: every `fit` begins with it."""
        for name in ("strength", "gate", "document_gate", "encoder", "attachments", "canaries"):
            self.__dict__.pop(name, None)

    def _with(self, **changes: Any) -> Self:
        other = copy.copy(self)
        other.__dict__.update(changes)
        return other

    def save(self, folder: str | Path) -> Path:
        """Write the artefact: a folder with config.json, adapter.safetensors and its attachments.

        See `embertune.adapters.artifact.save`.
        """
        from embertune.adapters import artifact

        return artifact.save(self, folder)

    @classmethod
    def param_names(cls) -> list[str]:
        """Give the names of the constructor's arguments."""
        return list(_signature(cls))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Give the constructor's arguments, as scikit-learn expects."""
        return {name: getattr(self, name) for name in self.param_names()}

    def to_config(self) -> dict[str, Any]:
        """Give the constructor's arguments as JSON-able values, for config.json."""
        return self.get_params()

    def set_params(self, **params: Any) -> Self:
        """Change constructor arguments.

        Raises:
            ConfigError: A name is not one of them.
        """
        known = self.get_params()
        unknown = sorted(set(params) - set(known))
        if unknown:
            raise ConfigError(
                f"{type(self).__name__} has no parameter {', '.join(unknown)}. It has: {', '.join(known)}."
            )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """Show the constructor call."""
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_params().items())})"

    def _not_fitted(self) -> NotFittedError:
        return NotFittedError(f"This {type(self).__name__} is not fitted yet. Call fit(queries, documents) first.")


@cache
def _signature(cls: type[Adapter]) -> tuple[str, ...]:
    # Reading a signature takes a millisecond, as long as a step of a fit.
    return tuple(inspect.signature(cls).parameters)


ADAPTER_TYPES: dict[str, type[Adapter]] = {}
"""Every class of adapter that is imported, by its `type`."""
