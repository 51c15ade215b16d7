"""Which id each text has: its own where a table brings ids, else q1, q2, … and d1, d2, … by first appearance."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from itertools import count
from typing import Generic, TypeVar

from embertune.data.texts import counted
from embertune.errors import DataError

__all__ = ["IdBook", "settle_ids", "unnamed"]

T = TypeVar("T", bound=Hashable)


class IdBook(Generic[T]):
    """Gives each text its id.

    Args:
        prefix: Of the ids that are made up; those that some text has as its own are passed over.
        own: Text -> its own id, for those that have one.

    Example:
        >>> book = IdBook("d", {"b": "d1"})
        >>> book.id_of("a"), book.id_of("b"), book.id_of("a")
        ('d2', 'd1', 'd2')
    """

    def __init__(self, prefix: str, own: Mapping[T, str]) -> None:
        self.ids: dict[T, str] = {}
        """Text -> id, by first appearance."""
        taken = set(own.values())
        self._own = own
        self._free = (name for number in count(1) if (name := f"{prefix}{number}") not in taken)

    def id_of(self, text: T) -> str:
        """Give the id of a text; the same text has the same id each time."""
        if text not in self.ids:
            self.ids[text] = self._own.get(text) or next(self._free)
        return self.ids[text]


def settle_ids(
    pairs: Iterable[tuple[T, str]], *, kind: tuple[str, str], is_told: bool, source: str
) -> tuple[dict[T, str], list[str]]:
    """Take the ids that stand beside texts, if they are ids: each must name one text only.

    A column called doc_id often names what the texts were cut from. Where one was only recognised by its name, ids
    beside several texts mean that, and it is not used. Of several ids of one text the first is kept.

    Args:
        pairs: Text and id, row by row; an empty id is none.
        kind: Singular and plural of what is named: ("query", "queries").
        is_told: Whether the user said that these are ids.
        source: The file, for the error.

    Returns:
        Text -> id, empty where the ids are not used; and notes.

    Raises:
        DataError: The user said that these are ids, and some name several texts.

    Example:
        >>> rows = [("Bridge", "7"), ("Tower", "8"), ("Bridge", "9")]
        >>> settle_ids(rows, kind=("document", "documents"), is_told=False, source="a.csv")[0]
        {'Bridge': '7', 'Tower': '8'}
    """
    ids: dict[T, str] = {}
    texts: dict[str, T] = {}
    shared: dict[str, None] = {}
    others: dict[T, str] = {}
    for text, identifier in pairs:
        if not text or not identifier:
            continue  # a row without either names nothing
        if texts.setdefault(identifier, text) != text:
            shared[identifier] = None
        if ids.setdefault(text, identifier) != identifier:
            others[text] = identifier
    if shared:
        first = next(iter(shared))
        found = f"{len(shared)} of {len(texts)} {kind[0]} ids stand beside more than one text"
        if is_told:
            raise DataError(
                f"{source}: {found} (such as {first!r}). Expected one text for each id. Leave the column out of "
                "columns=, and ids are made up."
            )
        return {}, [f"{found} (such as {first!r}), so they were not used and ids were made up."]
    if not others:
        return ids, []
    text, other = next(iter(others.items()))
    found = counted(len(others), f"{kind[0]} stands", f"{kind[1]} stand")
    return ids, [f"{found} under more than one id; the first was kept (such as {ids[text]!r}, not {other!r})."]


def unnamed(texts: Mapping[str, T], own: Mapping[T, str], kind: tuple[str, str]) -> list[str]:
    """Note which texts got an id that was made up, where others have one of their own.

    Example:
        >>> unnamed({"7": "Bridge", "d1": "Tower"}, {"Bridge": "7"}, ("document", "documents"))
        ["1 document has no id of its own and is called otherwise (such as 'd1')."]
    """
    made = [identifier for identifier, text in texts.items() if text not in own] if own else []
    if not made:
        return []
    one, many = f"{kind[0]} has no id of its own and is", f"{kind[1]} have no ids of their own and are"
    return [f"{counted(len(made), one, many)} called otherwise (such as {made[0]!r})."]
