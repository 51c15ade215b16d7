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

__all__ = ["class_of", "from_state", "gate_config", "to_state"]

Tensors = dict[str, npt.NDArray[Any]]

# Where the arrays of each gate stand, by the adapter's attribute: its examples, directions, and what it is not for.
_GATES = {
    "gate": ("gate.queries", "gate.directions", "gate.unlike_queries"),
    "document_gate": ("gate.documents", "gate.document_directions", "gate.unlike_documents"),
}


def to_state(adapter: Adapter) -> tuple[dict[str, Any], Tensors]:
    """Give the configuration of a fitted adapter, JSON-able, and its arrays, those of its gate among them.

    Raises:
        NotFittedError: The adapter is not fitted.

    Example:
        >>> from embertune.adapters.identity import IdentityAdapter
        >>> to_state(IdentityAdapter())
        ({'type': 'identity', 'dimension': None, 'strength': 1.0, 'gate': None, 'document_gate': None}, {})
    """
    tensors = {name: np.ascontiguousarray(array) for name, array in adapter.tensors().items()}
    config = {
        "type": adapter.type,
        **adapter.to_config(),
        "dimension": adapter.dimension,
        "strength": adapter.strength,
    }
    for name, arrays in _GATES.items():
        gate = getattr(adapter, name)
        config[name] = gate_config(gate)
        if gate is not None:
            kept = zip(arrays, (gate.examples, gate.directions, gate.unlike), strict=True)
            tensors |= {to: np.ascontiguousarray(array) for to, array in kept if array is not None}
    return config, tensors


def gate_config(gate: Gate | None) -> dict[str, Any] | None:
    """Give what a gate is beside its arrays, JSON-able.

    Example:
        >>> gate_config(Gate(np.eye(2, dtype=np.float32), 0.5, 1.0))
        {'low': 0.5, 'high': 1.0, 'neighbours': 3}
    """
    if gate is None:
        return None
    told = {"low": gate.low, "high": gate.high, "neighbours": gate.neighbours}
    return told if gate.lead is None else {**told, "lead": list(gate.lead)}


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
    own = {name: array for name, array in tensors.items() if not name.startswith("gate.")}
    adapter = adapter_class.from_tensors(own, {name: config[name] for name in adapter_class.param_names()})
    if adapter.dimension != config["dimension"]:
        raise DataError(f"config.json says {config['dimension']} dimensions, the weights have {adapter.dimension}")
    gates = {name: _gate(config.get(name), tensors, name, adapter.dimension) for name in _GATES}
    # Not by `gated`: what was saved before there were gates for documents had one for queries alone.
    return adapter.scaled(config.get("strength", 1.0))._with(**gates)


def _gate(
    config: Mapping[str, Any] | None, tensors: Mapping[str, Any], name: str, dimension: int | None
) -> Gate | None:
    examples, directions, unlike = (tensors.get(array) for array in _GATES[name])
    if config is None and examples is None and directions is None and unlike is None:
        return None
    if config is None or examples is None or (unlike is None) != ("lead" not in config):
        raise DataError(f"of the {name} there are thresholds without embeddings, or embeddings without thresholds")
    examples = as_vectors(examples, f"{name}'s embeddings")
    basis = None if directions is None else as_vectors(directions, f"{name}'s directions")
    others = None if unlike is None else as_vectors(unlike, f"embeddings that the {name} is closed for")
    for what, array in (("directions", basis), ("embeddings that it is closed for", others)):
        if array is not None and array.shape[1] != examples.shape[1]:
            raise DataError(f"the {name}'s embeddings have {examples.shape[1]} dimensions, its {what} {array.shape[1]}")
    lead = None if others is None else _lead(config["lead"], name)
    low, high, count = float(config["low"]), float(config["high"]), int(config["neighbours"])
    gate = Gate(examples, low, high, count, basis, others, lead)
    if dimension not in (None, gate.dimension):
        raise DataError(f"the {name} weighs embeddings of {gate.dimension} dimensions, the weights have {dimension}")
    return gate


def _lead(ends: Any, name: str) -> tuple[float, float]:
    if not isinstance(ends, list) or len(ends) != 2 or not -2 <= float(ends[0]) < float(ends[1]) <= 2:
        raise DataError(f"the {name}'s lead is {ends!r}, expected two numbers that rise")
    return float(ends[0]), float(ends[1])


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
