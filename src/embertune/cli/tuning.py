"""Settings of tuning as NAME=VALUE: the fields of `embertune.training.config.TuneConfig`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from embertune.adapters.base import ADAPTER_TYPES
from embertune.errors import ConfigError
from embertune.training.config import TuneConfig

__all__ = ["take_tuning"]

# The first has options of its own; the second is the family that is named by one.
_NOT_BY_NAME = ("side", "adapter")


def take_tuning(settings: Sequence[str], adapter: str | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Take the settings of tuning out of those of --set; the others are the adapter's.

    Args:
        settings: NAME=VALUE; lists as JSON.
        adapter: The family that is fitted; where it has a parameter of that name, the setting is its.

    Returns:
        Fields of a `TuneConfig`, and what is left.

    Raises:
        ConfigError: A value is of the wrong kind.

    Example:
        >>> take_tuning(["folds=10", "pulls=[1, 0.1]", "hidden=64"], "mlp")
        ({'folds': 10, 'pulls': (1.0, 0.1)}, ('hidden=64',))
    """
    known = {field.name: field.default for field in fields(TuneConfig) if field.name not in _NOT_BY_NAME}
    theirs = ADAPTER_TYPES[adapter].param_names() if adapter in ADAPTER_TYPES else ()
    found, problems, others = {}, [], []
    for setting in settings:
        name, given, text = setting.partition("=")
        if not given or name not in known or name in theirs:
            others.append(setting)
            continue
        try:
            found[name] = _as(known[name], _value(text), is_optional=name in ("rank", "search_rank"))
        except ValueError as error:
            problems.append(f"{name} must be {error}, got {text!r}")
    if problems:
        raise ConfigError(problems)
    return found, tuple(others)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _as(default: Any, value: Any, *, is_optional: bool) -> Any:
    """Give a value as the kind of thing that its default is."""
    if isinstance(default, tuple):
        return _listed(default, value)
    if isinstance(default, str):
        if not isinstance(value, str):
            raise ValueError("a word")
        return value
    if value is None and is_optional:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("a whole number or null" if is_optional else "a whole number")
    return value


def _listed(default: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    values = value if isinstance(value, list) else [value]
    if isinstance(default[0], str):
        if not all(isinstance(each, str) for each in values):
            raise ValueError('words, such as ["shared", "separate"]')
        return tuple(values)
    if not all(isinstance(each, int | float) and not isinstance(each, bool) for each in values):
        raise ValueError("numbers, such as [1, 0.1]")
    return tuple(map(float, values))
