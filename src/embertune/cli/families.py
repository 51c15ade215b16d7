"""A family of adapters by its name on the command line, with parameters as options or as NAME=VALUE."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from embertune.adapters.base import ADAPTER_TYPES, Adapter
from embertune.adapters.solvers.sampling import LOSSES, NEGATIVES
from embertune.errors import ConfigError

__all__ = ["family_options", "make_adapter", "take_named"]

# Those that learn nothing, are made of others, or lead to another encoder.
_NOT_BY_NAME = ("bridge", "chain", "identity")


# Parameter, type, help: each is an option of its name.
_NAMED: tuple[tuple[str, Any, str], ...] = (
    ("loss", click.Choice(LOSSES), "Of --adapter linear and mlp: what is minimised."),
    ("learning_rate", float, "Of these: Adam's."),
    ("batch_size", int, "Of these: pairs in a step."),
    ("max_epochs", int, "Of these: the most passes over the pairs."),
    ("dropout", float, "Of these: the share of units left out while training."),
    ("margin", float, "Of these, with a triplet loss: how much further a negative is to be."),
    (
        "negatives",
        str,
        "Of these: what pairs are told apart from: all, in-batch, random, hard, judged, or a text file, whose passages "
        "are.",
    ),
    ("num_negatives", int, "Of these: how many for each pair."),
    ("hidden", int, "Of --adapter mlp: hidden units."),
    ("pull", float, "Of most families: strength of the pull to the start."),
    ("temperature", float, "Of most families: what cosines are divided by."),
)


def family_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that each set a parameter of --adapter."""
    for name, kind, said in reversed(_NAMED):
        metavar = "KIND|FILE" if name == "negatives" else None
        command = click.option(_option(name), name, type=kind, metavar=metavar, help=said)(command)
    return command


def take_named(options: dict[str, Any]) -> tuple[dict[str, Any], Path | None]:
    """Take the options of `family_options` that were given out of a command's, and the text file of --negatives.

    Raises:
        ConfigError: --negatives names neither a kind nor a file.

    Example:
        >>> options = {"seed": 0, **dict.fromkeys((name for name, *_ in _NAMED), None), "loss": "mse"}
        >>> take_named(options), options
        (({'loss': 'mse'}, None), {'seed': 0})
    """
    given = {name: options.pop(name) for name, *_ in _NAMED}
    named = {name: value for name, value in given.items() if value is not None}
    kind = named.get("negatives")
    if kind is None or (kind in NEGATIVES and kind != "passages"):
        return named, None
    if not Path(kind).is_file():
        kinds = ", ".join(name for name in NEGATIVES if name != "passages")
        raise ConfigError(f"--negatives {kind} is neither a kind of negatives ({kinds}) nor a text file that is there.")
    return {**named, "negatives": "passages"}, Path(kind)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def make_adapter(family: str | None, settings: Sequence[str], named: Mapping[str, Any] | None = None) -> Adapter | None:
    """Make an unfitted adapter of a family, with parameters that it can be fitted with.

    Args:
        family: Its `type`; None for none.
        settings: NAME=VALUE; a value is read as JSON where it is JSON, else as a word.
        named: Parameters by name, from options of their own.

    Raises:
        ConfigError: The family or a parameter is unknown, a value is impossible, or a setting is not NAME=VALUE.

    Example:
        >>> make_adapter("mlp", ["hidden=2048", "side=both"]).get_params()["hidden"]
        2048
    """
    from embertune.recipes.parameters import check_parameters

    if family is None:
        given = [*(_option(name) for name in named or {}), *(f"--set {setting}" for setting in settings)]
        if given:
            raise ConfigError(
                f"{given[0]} sets a parameter of --adapter, which was not given. Add --adapter TYPE, such as mlp."
            )
        return None
    known = sorted(name for name in ADAPTER_TYPES if name not in _NOT_BY_NAME)
    if family not in known:
        raise ConfigError(f"There is no adapter of type {family!r}. The types are: {', '.join(known)}.")
    adapter = ADAPTER_TYPES[family](**_parameters(family, settings, named or {}))
    check_parameters(adapter)
    return adapter


def _parameters(family: str, settings: Sequence[str], named: Mapping[str, Any]) -> dict[str, Any]:
    """Read NAME=VALUE, and refuse what the family does not have or what is given twice."""
    params = dict(named)
    for setting in settings:
        name, found, value = setting.partition("=")
        if not found:
            raise ConfigError(f"--set {setting} is not NAME=VALUE. Type it as: --set {setting}=VALUE")
        if name in named:
            raise ConfigError(f"{name} is set twice, by {_option(name)} and by --set {setting}. Give it once.")
        params[name] = _value(value)
    known = ADAPTER_TYPES[family].param_names()
    unknown = sorted(set(params) - set(known))
    if unknown:
        said = ", ".join(f"{name} ({_option(name)})" if name in named else name for name in unknown)
        raise ConfigError(f"An adapter of type {family} has no parameter {said}. It has: {', '.join(known)}.")
    return params


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
