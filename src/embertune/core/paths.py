"""Paths as users type them."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["as_path", "cache_folder"]


def as_path(path: str | os.PathLike[str]) -> Path:
    """Give a path with its ``~`` replaced by the home folder.

    Where that home is not known the path stays as it is, as in a shell; `Path.expanduser` raises a RuntimeError.

    Example:
        >>> as_path("~no-such-user/data").name, as_path("~") == Path.home()
        ('data', True)
    """
    return Path(os.path.expanduser(path))


def cache_folder() -> Path | None:
    """Give the folder in which everything that was paid for is kept, or None where that is switched off.

    ``EMBERTUNE_CACHE`` names another folder than the system's; "off" disables it.
    """
    value = os.environ.get("EMBERTUNE_CACHE", "").strip()
    if value.lower() == "off":
        return None
    if value:
        return as_path(value)
    import platformdirs

    return Path(platformdirs.user_cache_dir("embertune", appauthor=False))
