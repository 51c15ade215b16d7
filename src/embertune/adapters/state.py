"""One fitted adapter as plain values and named arrays, and back: what the artefact and a chain both write."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import ADAPTER_TYPES, Adapter
from embertune.adapters.gate import Gate
from embertune.core.vectors import as_vectors
from embertune.errors import ArtifactError, DataError

__all__ = ["class_of", "from_state", "to_state"]

Tensors = dict[str, npt.NDArray[Any]]

_GATE = "gate.queries"


def to_state(adapter: Adapter) -> tuple[dict[str, Any], Tensors]:
    """Give the configuration of a fitted adapter, JSON-able, and its arrays, those of its gate among them.

    Raises:
        NotFittedError: The adapter is not fitted.

    Example:
        >>> from embertune.adapters.identity import IdentityAdapter
        >>> to_state(IdentityAdapter())
        ({'type': 'identity', 'dimension': None, 'strength': 1.0, 'gate': None}, {})
    """
    tensors = {name: np.ascontiguousarray(array) for name, array in adapter.tensors().items()}
    gate = adapter.gate
    if gate is not None:
        tensors[_GATE] = np.ascontiguousarray(gate.queries)
    config = {
        "type": adapter.type,
        **adapter.to_config(),
        "dimension": adapter.dimension,
        "strength": adapter.strength,
        "gate": None if gate is None else {"low": gate.low, "high": gate.high, "neighbours": gate.neighbours},
    }
    return config, tensors


def from_state(config: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> Adapter:
    """Build the adapter that `to_state` described; other keys of the configuration are passed over.

    Raises:
        ArtifactError: Its type is not known.
        DataError: Configuration and arrays contradict each other, or hold values that are not finite.
        ConfigError: A parameter is impossible.
        KeyError: A parameter or an array is missing.

    Example:
        >>> from embertune.adapters.linear import LinearAdapter
        >>> from_state(*to_state(LinearAdapter(pull=0.3).fit(np.eye(2), np.eye(2)))).pull
        0.3
    """
    adapter_class = class_of(config["type"])
    own = {name: array for name, array in tensors.items() if name != _GATE}
    adapter = adapter_class.from_tensors(own, {name: config[name] for name in adapter_class.param_names()})
    if adapter.dimension != config["dimension"]:
        raise DataError(f"config.json says {config['dimension']} dimensions, the weights have {adapter.dimension}")
    gate = _gate(config.get("gate"), tensors.get(_GATE), adapter.dimension)
    return adapter.scaled(config.get("strength", 1.0)).gated(gate)


def _gate(config: Mapping[str, Any] | None, queries: npt.NDArray[Any] | None, dimension: int | None) -> Gate | None:
    if config is None and queries is None:
        return None
    if config is None or queries is None:
        raise DataError("of the gate there are thresholds without queries, or queries without thresholds")
    queries = as_vectors(queries, "gate's queries")
    if dimension not in (None, queries.shape[1]):
        raise DataError(f"the gate's queries have {queries.shape[1]} dimensions, the weights {dimension}")
    return Gate(queries, float(config["low"]), float(config["high"]), int(config["neighbours"]))


def class_of(type_name: Any) -> type[Adapter]:
    """Find a class by its type, after importing what other packages offer under that name.

    Raises:
        ArtifactError: No such class is known; the text is the object of a sentence ("a folder holds …").

    Example:
        >>> import embertune.adapters
        >>> class_of("identity").__name__
        'IdentityAdapter'
    """
    if isinstance(type_name, str):
        if type_name not in ADAPTER_TYPES:
            for entry in entry_points(group="embertune.adapters", name=type_name):
                entry.load()
        if type_name in ADAPTER_TYPES:
            return ADAPTER_TYPES[type_name]
    raise ArtifactError(
        f"an adapter of type {type_name!r}; known are {', '.join(sorted(ADAPTER_TYPES))}. "
        "If the class is your own, import its module first; otherwise upgrade with: pip install -U embertune"
    )
