"""Where a vector database is: one line of text, taken apart; and its errors, told without passwords."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlencode

from embertune.core.secrets import scrub
from embertune.errors import ConfigError, EmbertuneError, StoreError

__all__ = ["KINDS", "Address", "guarded", "parse"]

KINDS = {
    "chroma": "chroma:FOLDER#COLLECTION, or chroma:http://HOST:PORT#COLLECTION",
    "faiss": "faiss:FILE.faiss?ids=FILE.txt",
    "lancedb": "lancedb:FOLDER#TABLE?id=COLUMN&column=COLUMN",
    "postgresql": "postgresql://USER@HOST/DATABASE?table=TABLE&id=COLUMN&column=COLUMN",
    "qdrant": "qdrant:FOLDER#COLLECTION?id=FIELD, or qdrant:http://HOST:6333#COLLECTION?id=FIELD",
    "weaviate": "weaviate:http://HOST:8080#COLLECTION?id=PROPERTY",
}
_OPTIONS = {
    "chroma": {"out"},
    "faiss": {"ids", "vectors", "out"},
    "lancedb": {"id", "column", "out"},
    "postgresql": {"table", "id", "column", "metric", "view", "out"},
    "qdrant": {"id", "vector", "alias", "out"},
    "weaviate": {"id", "vector", "alias", "grpc", "out"},
}

_Class = TypeVar("_Class", bound=type)


@dataclass(frozen=True)
class Address:
    """One vector database.

    Attributes:
        kind: Which one: a key of `KINDS`.
        place: The folder, file or server, with its password; never shown.
        name: Of the collection or table; "" for a file.
        options: What else was said.
    """

    kind: str
    place: str = field(repr=False)
    name: str
    options: dict[str, str]

    @property
    def label(self) -> str:
        """What people see: no password, and no parameters among which one may hide."""
        # Up to the last @: a password may hold any sign.
        place = scrub(re.sub("://.*@", "://***@", self.place.rpartition("?")[0] or self.place))
        return f"{self.kind}:{place}" if self.kind != "postgresql" else place

    @property
    def secrets(self) -> set[str]:
        """Give every password in the place, as it stands there and as it is meant."""
        found = {self.place.partition("://")[2].rpartition("@")[0].partition(":")[2]}
        found |= {value for key, value in parse_qsl(self.place.rpartition("?")[2]) if "pass" in key or "key" in key}
        meant = {each for secret in found if secret for each in (secret, unquote(secret))}
        return meant | {form for each in meant for form in (quote(each), quote(each, safe=""), quote_plus(each))}


def parse(url: str, out: str | None = None) -> Address:
    """Take the address of a vector database apart.

    Args:
        url: See `KINDS`.
        out: What the place of the tuned vectors is to be called.

    Raises:
        ConfigError: It is none of a known form.

    Example:
        >>> parse("qdrant:./db#docs?id=key", out="docs_v2")
        Address(kind='qdrant', name='docs', options={'id': 'key', 'out': 'docs_v2'})
        >>> parse("postgresql://me:secret@host/shop?table=items").label
        'postgresql://***@host/shop'
    """
    kind, _, rest = url.partition(":")
    kind = "postgresql" if kind == "postgres" else kind
    if kind not in KINDS:
        raise ConfigError(
            f"{scrub(url.partition('?')[0])!r} begins with no known vector database. Expected one of:\n"
            + "\n".join(f"  {form}" for form in KINDS.values())
        )
    if kind == "postgresql":
        place, name, options = _postgresql(f"{kind}:{rest}")
    else:
        place, _, named = rest.partition("#")
        name, _, query = named.partition("?")
        if kind == "faiss":
            place, _, query = place.partition("?")
        options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(set(options) - _OPTIONS[kind])
    if unknown or not place or (not name and kind != "faiss"):
        said = f"knows no {', '.join(unknown)}" if unknown else "misses a part"
        raise ConfigError(f"The address of a {kind} store {said}. Expected: {KINDS[kind]}")
    return Address(kind, place, name, options if out is None else {**options, "out": out})


def _postgresql(url: str) -> tuple[str, str, dict[str, str]]:
    """Keep libpq's parameters in the place, and take ours out."""
    server, _, query = url.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    ours = {key: value for key, value in pairs if key in _OPTIONS["postgresql"]}
    theirs = urlencode([(key, value) for key, value in pairs if key not in ours])
    return server + (f"?{theirs}" if theirs else ""), ours.pop("table", ""), ours


def guarded(kind: str) -> Callable[[_Class], _Class]:
    """Make every public method of a store tell a client's error as a `StoreError`, without a password.

    Args:
        kind: Which database, for messages.
    """

    def add(cls: _Class) -> _Class:
        for name, method in list(vars(cls).items()):
            if inspect.isfunction(method) and (name == "__init__" or not name.startswith("_")):
                setattr(cls, name, _told(kind, method))
        return cls

    return add


def _told(kind: str, method: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.isgeneratorfunction(method):

        @functools.wraps(method)
        def walk(self: Any, *args: Any, **named: Any) -> Iterator[Any]:
            try:
                yield from method(self, *args, **named)
            except Exception as error:
                raise _translated(kind, self, args, error) from None

        return walk

    @functools.wraps(method)
    def call(self: Any, *args: Any, **named: Any) -> Any:
        try:
            return method(self, *args, **named)
        except Exception as error:
            raise _translated(kind, self, args, error) from None

    return call


def _translated(kind: str, store: Any, args: tuple[Any, ...], error: Exception) -> Exception:
    if isinstance(error, EmbertuneError):
        return error
    address = next((each for each in args if isinstance(each, Address)), getattr(store, "_address", None))
    text = " ".join(str(error).split())[:500] or type(error).__name__
    for secret in sorted(address.secrets if address else (), key=len, reverse=True):
        text = text.replace(secret, "***")
    at = f" ({address.label})" if address else ""
    return StoreError(f"{kind} refused{at}: {scrub(text)}")
