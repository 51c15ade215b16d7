"""What a record must hold, and every way in which one does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["VERDICTS", "problems"]

VERDICTS = ("ship", "no-gain", "too-little-data")

# Path of every entry that must be there, and what it is; "?" may be absent or null.
_ENTRIES = {
    "format": "count",
    "name": "text",
    "created": "text",
    "primary": "text",
    "metrics": "list",
    "base": "object",
    "tuned": "object",
    "baselines": "object?",
    "delta": "object",
    "groups": "object",
    "groups.seen": "object",
    "groups.unseen": "object",
    "foreign": "object?",
    "strength": "list?",
    "verdict": "object",
    "verdict.code": "text",
    "verdict.sentence": "text",
    "verdict.reason": "text",
    "verdict.numbers": "object?",
    "counts": "object",
    "counts.train": "count",
    "counts.dev": "count",
    "counts.test": "count",
    "counts.documents": "count",
    "seconds": "object",
    "encoder": "object",
    "encoder.provider": "text",
    "encoder.model": "text",
    "adapter": "object",
    "adapter.type": "text",
    "adapter.side": "text",
    "data": "object",
    "data.name": "text",
    "data.fingerprint": "text",
    "data.split": "object",
    "data.leakage": "object?",
    "data.synthetic": "object?",
    "data.notes": "list?",
    "seed": "count",
    "versions": "object",
    "test_opened": "count",
    "selection": "object?",
    "selection.candidates": "list?",
    "selection.reasons": "list?",
    "selection.curve": "list?",
    "selection.seeds": "list?",
    "cosines": "object?",
    "queries": "list?",
}

# Fields of the objects in these lists.
_ROWS = {
    "strength": {"strength": "number", "all": "number", "seen": "number?", "unseen": "number?", "foreign": "number?"},
    "selection.candidates": {"params": "object", "dev": "number", "weight": "number"},
    "selection.curve": {"step": "number", "loss": "number?", "dev": "number?"},
    "selection.seeds": {"seed": "count", "delta": "number"},
    "queries": {"id": "text", "group": "text", "base": "number", "tuned": "number"},
}

_DELTA = {
    "mean": "number",
    "low": "number?",
    "high": "number?",
    "p": "number?",
    "wins": "count?",
    "ties": "count?",
    "losses": "count?",
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "text": ("text", lambda value: isinstance(value, str)),
    "count": ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0),
    "number": ("a number", _is_number),
    "flag": ("true or false", lambda value: isinstance(value, bool)),
    "object": ("an object", lambda value: isinstance(value, dict)),
    "list": ("a list", lambda value: isinstance(value, list)),
}
_ABSENT = object()


def problems(record: Mapping[str, Any]) -> list[str]:
    """Name everything that is missing or wrong in a record.

    Args:
        record: The record as plain JSON values.

    Returns:
        One phrase per problem, in the order of the record's shape; empty for a good record.

    Example:
        >>> problems({"format": 1})[:2]
        ['name is missing', 'created is missing']
    """
    found = [text for path, kind in _ENTRIES.items() for text in _check(record, path, kind)]
    for path, fields in _ROWS.items():
        rows = _get(record, path)
        for at, row in enumerate(rows if isinstance(rows, list) else []):
            if isinstance(row, dict):
                found += _check_fields(row, f"{path}[{at}]", fields)
            else:
                found.append(f"{path}[{at}] must be an object, found {row!r}")
    found += _check_scores(record)
    found += _check_foreign(record)
    found += _check_cosines(record)
    found += [
        f"{path} is {value}; JSON keeps only finite numbers, texts, lists and objects" for path, value in _alien(record)
    ]
    return found


def _get(record: Any, path: str) -> Any:
    for key in path.split("."):
        if not isinstance(record, Mapping) or key not in record:
            return _ABSENT
        record = record[key]
    return record


def _check(record: Mapping[str, Any], path: str, kind: str) -> Iterator[str]:
    parent, _, _ = path.rpartition(".")
    if parent and not isinstance(_get(record, parent), dict):
        return  # the parent is named already
    value = _get(record, path)
    if value is _ABSENT or value is None:
        if not kind.endswith("?"):
            yield f"{path} is missing" if value is _ABSENT else f"{path} must be {_KINDS[kind][0]}, found null"
        return
    expected, is_right = _KINDS[kind.rstrip("?")]
    if not is_right(value):
        yield f"{path} must be {expected}, found {_shown(value)}"


def _check_fields(row: dict[str, Any], path: str, fields: Mapping[str, str]) -> list[str]:
    return [f"{path}.{text}" for name, kind in fields.items() for text in _check(row, name, kind)]


def _check_scores(record: Mapping[str, Any]) -> Iterator[str]:
    metrics = [name for name in _listed(record, "metrics") if isinstance(name, str)]
    if isinstance(record.get("metrics"), list) and record.get("primary") not in metrics:
        yield f"metrics must name the primary metric {record.get('primary')!r}, found {_shown(record['metrics'])}"
    verdict = _get(record, "verdict.code")
    if isinstance(verdict, str) and verdict not in VERDICTS:
        yield f"verdict.code must be one of {', '.join(VERDICTS)}, found {verdict!r}"
    yield from _check_system(record, "", metrics)
    for name in ("seen", "unseen"):
        group = _get(record, f"groups.{name}")
        if isinstance(group, dict):
            yield from (f"groups.{name}.{text}" for text in _check(group, "n", "count"))
            if group.get("n"):
                yield from _check_system(group, f"groups.{name}.", metrics)
    baselines = record.get("baselines")
    for name, means in (baselines if isinstance(baselines, dict) else {}).items():
        if isinstance(means, dict):
            yield from _check_fields(means, f"baselines.{name}", dict.fromkeys(metrics, "number?"))
        else:
            yield f"baselines.{name} must be an object, found {_shown(means)}"


def _check_foreign(record: Mapping[str, Any]) -> Iterator[str]:
    foreign, primary = record.get("foreign"), record.get("primary")
    if not isinstance(foreign, dict) or not isinstance(primary, str):
        return
    yield from _check_fields(foreign, "foreign", {"name": "text", "n": "count", "notes": "list?"})
    # What is known of other metrics is their means alone.
    yield from _check_system(foreign, "foreign.", [primary])


def _check_system(part: Mapping[str, Any], path: str, metrics: list[str]) -> Iterator[str]:
    """Check base, tuned and delta of all queries, or of a group."""
    for system in ("base", "tuned", "delta"):
        means = part.get(system)
        if not isinstance(means, dict):
            if path:
                yield f"{path}{system} is missing" if means is None else f"{path}{system} must be an object"
            continue
        for metric in metrics:
            kind = "object" if system == "delta" else "number"
            # A metric name may hold a dot ("rbp.8"), so it is looked up here and not by path.
            wrong = list(_check({"x": means[metric]} if metric in means else {}, "x", kind))
            yield from (f"{path}{system}.{metric}{text[1:]}" for text in wrong)
            if kind == "object" and not wrong:
                yield from _check_fields(means[metric], f"{path}delta.{metric}", _DELTA)


def _check_cosines(record: Mapping[str, Any]) -> Iterator[str]:
    cosines = record.get("cosines")
    if not isinstance(cosines, dict) or not cosines:
        return
    edges = cosines.get("edges")
    if not isinstance(edges, list) or len(edges) < 2 or not all(map(_is_number, edges)):
        yield "cosines.edges must be a list of at least 2 numbers"
        return
    for system in ("base", "tuned"):
        for kind in ("relevant", "irrelevant"):
            counts = _get(cosines, f"{system}.{kind}")
            if not isinstance(counts, list) or len(counts) != len(edges) - 1 or not all(map(_is_number, counts)):
                yield f"cosines.{system}.{kind} must be a list of {len(edges) - 1} counts, one less than edges"


def _listed(record: Mapping[str, Any], path: str) -> list[Any]:
    value = _get(record, path)
    return value if isinstance(value, list) else []


def _alien(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Find what JSON cannot hold: NaN, infinity, and objects of other types."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _alien(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _alien(inner, f"{path}[{at}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, str(value)
    elif not isinstance(value, str | int | float | None):
        yield path, f"a {type(value).__name__}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
