"""What commands have in common that make a data set of something else: columns in, a folder out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from embertune.core.paths import as_path
from embertune.data.dataset import Dataset
from embertune.errors import ConfigError

__all__ = ["columns_of", "write_imported"]


def columns_of(given: tuple[str, ...]) -> dict[str, str]:
    """Read ROLE=NAME of columns, one for each role.

    Raises:
        ConfigError: One is not ROLE=NAME.

    Example:
        >>> columns_of(("query=my question",))
        {'query': 'my question'}
    """
    if wrong := [column for column in given if "=" not in column]:
        raise ConfigError(f"--columns takes ROLE=NAME, such as query=question; found {', '.join(map(repr, wrong))}.")
    return {role: name for role, _, name in (column.partition("=") for column in given)}


def write_imported(dataset: Dataset, out: str | Path) -> dict[str, Any]:
    """Write a data set to a folder, and give what the command says of it as JSON.

    Raises:
        StorageError: The disk or the folder refused.
    """
    folder = as_path(out)
    replace(dataset, name=folder.resolve().name).save(folder)
    relevant = sum(len(dataset.positives(query)) for query in dataset.qrels)
    return {
        "out": str(folder),
        "queries": len(dataset.queries),
        "documents": len(dataset.corpus),
        "relevant": relevant,
        "not_relevant": sum(map(len, dataset.qrels.values())) - relevant,
        "notes": list(dataset.notes),
    }
