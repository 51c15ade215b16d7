"""Paths as users type them."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["as_path"]


def as_path(path: str | os.PathLike[str]) -> Path:
    """Give a path with its ``~`` replaced by the home folder.

    Where that home is not known the path stays as it is, as in a shell; `Path.expanduser` raises a RuntimeError.

    Example:
        >>> as_path("~no-such-user/data").name, as_path("~") == Path.home()
        ('data', True)
    """
    return Path(os.path.expanduser(path))
