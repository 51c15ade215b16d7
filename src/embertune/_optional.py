"""The only door for optional dependencies."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from embertune.errors import MissingExtraError

__all__ = ["require"]


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional dependency, or say which extra brings it.

    A module that is installed but broken must not be reported as missing, so only the
    absence of `module` itself is translated.

    Args:
        module: Dotted name to import.
        extra: The extra of Embertune that brings it.
        purpose: What it is needed for, as the start of a sentence ("Reading Parquet files").

    Raises:
        MissingExtraError: The module is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise MissingExtraError(module, extra, purpose) from None
