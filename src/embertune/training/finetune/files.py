"""A configuration as YAML: read, with overrides of single keys, and written with a comment at every key."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from embertune._optional import require
from embertune.core.paths import as_path
from embertune.errors import ConfigError
from embertune.training.finetune.config import FinetuneConfig

__all__ = ["commented", "make_config", "read_config"]

# A value in the place of one of these is the field of the dataclass that stands behind the colon.
_SHORT = {"loss": "name"}
_WIDTH = 100


def read_config(path: str | Path | None, overrides: Iterable[str] = ()) -> FinetuneConfig:
    """Read a YAML file and change single keys of it.

    Args:
        path: The file; None starts from the defaults.
        overrides: ``key=value`` each, such as ``num_epochs=6`` or ``mining.num_negatives=3``; values are YAML.

    Raises:
        ConfigError: The file is not there, is no YAML, or something in it is wrong: everything at once.
        MissingExtraError: PyYAML is not installed.

    Example:
        >>> read_config(None, ["num_epochs=2", "mining.num_negatives=3", "loss=triplet"]).mining.num_negatives
        3
    """
    values = {} if path is None else _mapping(as_path(path))
    problems: list[str] = []
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            problems.append(f"{override!r} is no key=value, such as num_epochs=6")
            continue
        _put(values, key.strip(), _value(text, override, problems), problems)
    return make_config(values, problems=problems)


def make_config(values: Mapping[str, Any], *, problems: Iterable[str] = ()) -> FinetuneConfig:
    """Make a configuration of values by name, groups as mappings.

    Args:
        values: As a YAML file holds them.
        problems: Found before, to be told with the others.

    Raises:
        ConfigError: Unknown keys, with the nearest name, and impossible values: everything at once.

    Example:
        >>> make_config({"num_epoch": 2})
        Traceback (most recent call last):
            ...
        embertune.errors.ConfigError: Invalid configuration:
        - There is no key num_epoch. Did you mean num_epochs?
    """
    found = list(problems)
    arguments = _arguments(FinetuneConfig, values, "", found)
    try:
        config = FinetuneConfig(**arguments)
    except ConfigError as error:
        raise ConfigError([*found, *error.problems]) from None
    if found:
        raise ConfigError(found)
    return config


def commented(config: FinetuneConfig | None = None) -> str:
    """Write a configuration as YAML with a comment at every key, from the same texts as the documentation.

    Args:
        config: Whose values; None writes the defaults.

    Example:
        >>> print(commented(make_config({"seed": 7})).splitlines()[28])
        seed: 7
    """
    head = "# Settings of embertune finetune. What is left out has the value that stands here."
    return "\n".join([head, "", *_lines(config or FinetuneConfig(), "")]) + "\n"


def field_docs(kind: type) -> dict[str, str]:
    """Give the string under each field of a dataclass."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for line, text in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(line, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            assert isinstance(line.target, ast.Name)
            found[line.target.id] = " ".join(str(text.value.value).split())
    return found


def _lines(config: Any, indent: str) -> Iterator[str]:
    docs = field_docs(type(config))
    for each in fields(config):
        value = getattr(config, each.name)
        yield from textwrap.wrap(docs[each.name], _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
        if is_dataclass(value):
            yield f"{indent}{each.name}:"
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{each.name}: {_yaml(value)}"
        if not indent:
            yield ""


def _yaml(value: Any) -> str:
    yaml = _library()
    plain = list(value) if isinstance(value, tuple) else value
    text: str = yaml.safe_dump(plain, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...").removesuffix("\n")


def _library() -> Any:
    return require("yaml", extra="finetune", purpose="A configuration file of YAML")


def _mapping(path: Path) -> dict[str, Any]:
    yaml = _library()
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"{path} cannot be read: {reason}. Write one with: embertune finetune --print-config > config.yaml"
        ) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds a {type(values).__name__}. Expected keys and values, such as num_epochs: 4")
    return values


def _value(text: str, override: str, problems: list[str]) -> Any:
    yaml = _library()
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        problems.append(f"{override!r} has no value that YAML knows; put it in quotes")
        return None


def _put(values: dict[str, Any], key: str, value: Any, problems: list[str]) -> None:
    *groups, last = key.split(".")
    place = values
    for group in groups:
        inner = place.get(group)
        if group in _SHORT and isinstance(inner, str):
            inner = {_SHORT[group]: inner}
        if inner is not None and not isinstance(inner, dict):
            problems.append(f"{key} cannot be set: {group} is {inner!r}")
            return
        place[group] = place = dict(inner or {})
    place[last] = value


def _arguments(kind: type, values: Mapping[str, Any], place: str, problems: list[str]) -> dict[str, Any]:
    known = {each.name: each for each in fields(kind)}
    arguments = {}
    for name, value in values.items():
        if name not in known:
            near = get_close_matches(str(name), known, n=1, cutoff=0.5)
            hint = f"Did you mean {place}{near[0]}?" if near else f"There are: {', '.join(known)}."
            problems.append(f"There is no key {place}{name}. {hint}")
            continue
        inner = _group(known[name])
        if inner is None:
            arguments[name] = _plain(value, known[name])
        elif name in _SHORT and isinstance(value, str):
            arguments[name] = inner(**{_SHORT[name]: value})
        elif isinstance(value, Mapping):
            arguments[name] = inner(**_arguments(inner, value, f"{place}{name}.", problems))
        elif value is not None:
            problems.append(f"{place}{name} must be a group of keys ({', '.join(f.name for f in fields(inner))}), "
                            f"got {value!r}")  # fmt: skip
    return arguments


def _group(each: Field[Any]) -> Any:
    """Give the dataclass of a group of keys, None for a single key."""
    if each.default_factory is MISSING:
        return None
    kind = each.default_factory
    return kind if isinstance(kind, type) and is_dataclass(kind) else None


def _plain(value: Any, each: Field[Any]) -> Any:
    """Give a YAML value as the field has it: lists as tuples, one name as a list of it, null as none of a list."""
    if isinstance(each.default, tuple):
        if value is None or value == "none":
            return ()
        return tuple(value) if isinstance(value, list) else (value,)
    if isinstance(each.default, float) and isinstance(value, str):
        # YAML 1.1 takes 2e-5 for a text: it wants a dot and a sign.
        try:
            return float(value)
        except ValueError:
            return value
    return {} if value is None and each.default_factory is dict else value
