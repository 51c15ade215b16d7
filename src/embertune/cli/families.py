"""A family of adapters by its name on the command line, with parameters as NAME=VALUE."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from embertune.adapters.base import ADAPTER_TYPES, Adapter
from embertune.errors import ConfigError

__all__ = ["make_adapter"]

# Those that learn nothing, or that are made of others.
_NOT_BY_NAME = ("identity", "chain")


def make_adapter(family: str | None, settings: Sequence[str]) -> Adapter | None:
    """Make an unfitted adapter of a family, with parameters that it can be fitted with.

    Args:
        family: Its `type`; None for none.
        settings: NAME=VALUE; a value is read as JSON where it is JSON, else as a word.

    Raises:
        ConfigError: The family or a parameter is unknown, a value is impossible, or a setting is not NAME=VALUE.

    Example:
        >>> make_adapter("mlp", ["hidden=2048", "side=both"]).get_params()["hidden"]
        2048
    """
    from embertune.recipes.parameters import check_parameters

    if family is None:
        if settings:
            raise ConfigError(
                f"--set {settings[0]} sets a parameter of --adapter, which was not given. Add --adapter TYPE."
            )
        return None
    known = sorted(name for name in ADAPTER_TYPES if name not in _NOT_BY_NAME)
    if family not in known:
        raise ConfigError(f"There is no adapter of type {family!r}. The types are: {', '.join(known)}.")
    params: dict[str, Any] = {}
    for setting in settings:
        name, found, value = setting.partition("=")
        if not found:
            raise ConfigError(f"--set {setting} is not NAME=VALUE. Type it as: --set {setting}=VALUE")
        params[name] = _value(value)
    adapter_class = ADAPTER_TYPES[family]
    unknown = sorted(set(params) - set(adapter_class.param_names()))
    if unknown:
        raise ConfigError(
            f"An adapter of type {family} has no parameter {', '.join(unknown)}. "
            f"It has: {', '.join(adapter_class.param_names())}."
        )
    adapter = adapter_class(**params)
    check_parameters(adapter)
    return adapter


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
