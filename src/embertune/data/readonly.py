"""Dictionaries that cannot be changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

__all__ = ["ReadOnlyDict"]

K = TypeVar("K")
V = TypeVar("V")


class ReadOnlyDict(dict[K, V]):
    """A copy of a mapping, of which nothing is set, replaced or removed; for the rest an ordinary dictionary.

    `types.MappingProxyType` would not do: it cannot be pickled (multiprocessing, copy), json and the C code of
    pytrec_eval refuse it, and behind it the mapping that it shows can still be changed.

    Raises:
        TypeError: On every attempt to change it, as with tuples.

    Example:
        >>> ReadOnlyDict({"q1": "why?"})
        {'q1': 'why?'}
        >>> ReadOnlyDict({"q1": "why?"})["q2"] = "how?"
        Traceback (most recent call last):
        ...
        TypeError: A data set is not changed once it is made. Make another: dataclasses.replace(data, queries={...})
    """

    __slots__ = ()

    @classmethod
    def of(cls, mapping: Mapping[K, V]) -> ReadOnlyDict[K, V]:
        """Copy a mapping, unless it is read-only already: parts of a data set share one corpus."""
        return mapping if isinstance(mapping, cls) else cls(mapping)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(
            "A data set is not changed once it is made. Make another: dataclasses.replace(data, queries={...})"
        )

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[ReadOnlyDict[K, V]], tuple[dict[K, V]]]:
        """Pickle it as a whole: a dictionary's own way sets its items one by one, which is refused here."""
        return type(self), (dict(self),)
