"""One experiment as plain JSON: what was measured, on what, with what, and what follows from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from embertune.core.files import write_whole
from embertune.core.paths import as_path
from embertune.errors import ArtifactError
from embertune.reports.schema import problems

__all__ = ["FORMAT", "Record", "example_record"]

FORMAT = 1
"""The format that this version writes, and the newest it reads."""

_SHOWN = 20


class Record(Mapping[str, Any]):
    """A checked, read-only record of one experiment; a mapping of the same shape as its JSON.

    Nothing in it can be changed: inner mappings are read-only, and lists are tuples. `to_dict`
    gives plain lists and dictionaries. Keys that this version does not know are kept.

    Args:
        values: The record as JSON-able values; numpy numbers are taken too. Not modified.

    Raises:
        ArtifactError: Keys are missing or wrong (all are named), or the format is newer.

    Example:
        >>> Record({"format": 2})
        Traceback (most recent call last):
            ...
        embertune.errors.ArtifactError: This record has format 2; this version reads up to 1. Upgrade with: \
pip install -U embertune
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        given = values.get("format")
        if isinstance(given, int) and given > FORMAT:
            raise ArtifactError(
                f"This record has format {given}; this version reads up to {FORMAT}. "
                "Upgrade with: pip install -U embertune"
            )
        plain = _plain(values)
        found = problems(plain)
        if found:
            more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
            listed = "\n".join(f"- {problem}" for problem in [*found[:_SHOWN], *more])
            raise ArtifactError(
                f"This is not a complete record, {len(found)} {'entry is' if len(found) == 1 else 'entries are'} "
                f"missing or wrong:\n{listed}\nWrite a new one with: embertune tune DATA --encoder E --out DIR"
            )
        self._values = _frozen(plain)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Record:
        """Give a record as it is, and check anything else.

        Raises:
            ArtifactError: As the constructor.
        """
        return values if isinstance(values, Record) else cls(values)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a record from its file, or from the folder that holds a ``record.json``.

        Raises:
            ArtifactError: There is none, it is damaged, or its format is newer.
        """
        source = as_path(path)
        source = source / "record.json" if source.is_dir() else source
        try:
            values = json.loads(source.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ArtifactError(
                f"There is no record at {source}. Write one with: embertune tune DATA --encoder E --out DIR"
            ) from None
        except OSError as error:
            raise ArtifactError(f"{source} could not be read: {error.strerror or error}.") from None
        except ValueError as error:
            raise ArtifactError(
                f"{source} is not valid JSON ({error}). Expected the record.json that `embertune tune` writes; "
                "write a new one with: embertune tune DATA --encoder E --out DIR"
            ) from None
        if not isinstance(values, dict):
            raise ArtifactError(
                f"{source} holds a JSON {type(values).__name__}; expected an object as `embertune tune` writes it. "
                "Write a new one with: embertune tune DATA --encoder E --out DIR"
            )
        try:
            return cls(values)
        except ArtifactError as error:
            raise ArtifactError(f"{source}: {error}") from None

    def write(self, path: str | Path) -> Path:
        """Write the record as JSON, whole or not at all.

        Args:
            path: The file; its folder must exist.

        Raises:
            StorageError: The disk refused; what stood there is unchanged.
        """
        return write_whole(path, self.to_json())

    def to_json(self) -> str:
        """Give the JSON text; numbers in it are always finite."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Give a new copy of plain dictionaries and lists."""
        copy: dict[str, Any] = _plain(self._values)
        return copy

    def __getitem__(self, key: str) -> Any:
        """Give one top-level entry, read-only."""
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        """Run over the top-level keys."""
        return iter(self._values)

    def __len__(self) -> int:
        """Count the top-level keys."""
        return len(self._values)

    def __str__(self) -> str:
        """Give the comparison table and the verdict as text."""
        from embertune.reports.tables import text_table

        return text_table(self)

    def __repr__(self) -> str:
        """Show name and verdict."""
        return f"<Record {self['name']!r}: {self['verdict']['code']}>"


def example_record() -> Record:
    """Give a small made-up record, to see what reports look like.

    Example:
        >>> example_record()
        <Record 'toy on hashing/trigrams-64 (64 dimensions)': too-little-data>
        >>> example_record()["counts"]["test"]
        6
    """
    text = files("embertune.reports").joinpath("example.json").read_text(encoding="utf-8")
    return Record(json.loads(text))


def _plain(value: Any) -> Any:
    """Copy to what JSON knows; anything else is left for `problems` to name."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return MappingProxyType({key: _frozen(inner) for key, inner in value.items()})
    if isinstance(value, list):
        return tuple(_frozen(inner) for inner in value)
    return value
