"""Parameters of an adapter that is to be tuned, checked before anything is embedded."""

from __future__ import annotations

import inspect
import numbers
from typing import Any, get_args, get_type_hints

from embertune.adapters.base import Adapter
from embertune.adapters.chain import Chain
from embertune.errors import ConfigError

__all__ = ["check_parameters"]

_WORDS = {int: "a whole number", float: "a number", str: "a word", bool: "true or false", type(None): "None"}
_TYPES: dict[type, type] = {int: numbers.Integral, float: numbers.Real}
# Those that fit a path check all of its strengths at once.
_PATHS = {"pulls": "pull", "reaches": "reach"}


def check_parameters(adapter: Any) -> None:
    """Refuse what is no adapter, and one of ours whose parameters are impossible; `fit` would do so too, but late.

    A class of your own checks itself, in `fit`.

    Args:
        adapter: What was given.

    Raises:
        ConfigError: It is not an adapter, or a parameter is impossible.

    Example:
        >>> from embertune.adapters.mlp import MLPAdapter
        >>> try:
        ...     check_parameters(MLPAdapter(hidden="abc"))
        ... except ConfigError as error:
        ...     print(error)
        Invalid configuration:
        - hidden must be a whole number, got 'abc'
    """
    if not isinstance(adapter, Adapter):
        raise ConfigError(f"adapter must be an adapter, such as embertune.MLPAdapter(), got {adapter!r}")
    if not type(adapter).__module__.startswith("embertune."):
        return
    if problems := _wrong_types(adapter):
        raise ConfigError(problems)
    check = getattr(adapter, "_check", None)
    names = [] if check is None else list(inspect.signature(check).parameters)
    if check is not None and set(names) <= set(_PATHS):
        check(*([getattr(adapter, _PATHS[name])] for name in names))
    if isinstance(adapter, Chain):
        for link in adapter.adapters:
            check_parameters(link)


def _wrong_types(adapter: Adapter) -> list[str]:
    hints = get_type_hints(type(adapter).__init__)
    problems = []
    for name, value in adapter.get_params().items():
        # Words of a fixed choice, and what is not a single value, are for the adapter's own check.
        kinds = [kind for kind in get_args(hints[name]) or (hints[name],) if isinstance(kind, type)]
        if not kinds or not set(kinds) <= set(_WORDS) or any(_is(value, kind) for kind in kinds):
            continue
        problems.append(f"{name} must be {' or '.join(_WORDS[kind] for kind in kinds)}, got {value!r}")
    return problems


def _is(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, _TYPES.get(kind, kind))
