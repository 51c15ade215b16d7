"""Classes that need another project's base class: made when they are first asked for, and found again by their name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["lazy_class"]


def lazy_class(module: dict[str, Any], name: str, makers: Mapping[str, Callable[[], type]]) -> type:
    """Give a class of a module, for its ``__getattr__``; pickles and files of other projects find it by its path.

    Args:
        module: The module's ``globals()``.
        name: What was asked for.
        makers: What makes each class, by its name.

    Raises:
        AttributeError: The module has no such name.

    Example:
        >>> here = {"__name__": "somewhere"}
        >>> lazy_class(here, "Mine", {"Mine": lambda: type("Inner", (), {})}), "Mine" in here
        (<class 'somewhere.Mine'>, True)
    """
    if name not in makers:
        raise AttributeError(f"module {module['__name__']!r} has no attribute {name!r}", name=name)
    made = makers[name]()
    made.__module__, made.__name__, made.__qualname__ = module["__name__"], name, name
    module[name] = made
    return made
