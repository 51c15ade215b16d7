"""Refused connections: at which address nobody listens, and whether that is this machine."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import urlsplit

__all__ = ["is_loopback", "refused_address"]


def refused_address(error: BaseException, default: str) -> str | None:
    """Give the address that refused a connection, or None where the error is another.

    Args:
        error: What a client raised; the refusal is often several causes deep, under classes of several libraries.
        default: What to give where no cause knows the address.

    Example:
        >>> refused_address(ConnectionRefusedError(111, "Connection refused"), "http://localhost:8080")
        'http://localhost:8080'
        >>> refused_address(TimeoutError(), "http://localhost:8080") is None
        True
    """
    address, refused = default, False
    link: BaseException | None = error
    while link is not None:
        refused = refused or isinstance(link, ConnectionRefusedError)
        with suppress(RuntimeError):  # httpx's way to say that it has none
            # The deepest is the one that was sent; LiteLLM's own exceptions carry an invented one.
            url = getattr(getattr(link, "request", None), "url", None)
            # Without path and query, which may hold a key.
            address = address if url is None else f"{url.scheme}://{url.netloc.decode()}"
        link = link.__cause__ or link.__context__
    return address if refused else None


def is_loopback(address: str) -> bool:
    """Say whether an address is this machine's own.

    Example:
        >>> [is_loopback(a) for a in ("http://localhost:8080/v1", "http://[::1]:80", "https://api.openai.com")]
        [True, True, False]
    """
    with suppress(ValueError):
        host = urlsplit(address).hostname or ""
        if host == "localhost" or host.endswith(".localhost"):
            return True
        number = ip_address(host)
        return number.is_loopback or number.is_unspecified
    return False
