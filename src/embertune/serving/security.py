"""Who may ask, and how much: keys, and the size and form of a request's body."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Sequence
from typing import TYPE_CHECKING

from embertune.errors import ConfigError
from embertune.serving.config import KEYS_VARIABLE, is_private
from embertune.serving.problems import ApiError, bad_request

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["KeyCheck", "read_body", "refuse_public_without_key"]

# A client that sends a byte now and then would hold its connection for ever.
_BODY_SECONDS = 30.0


class KeyCheck:
    """Compares keys in constant time, whatever their length and however many there are.

    Args:
        keys: Any of them opens; with none, nobody is asked.

    Example:
        >>> KeyCheck(["a-secret-of-some-length"]).accepts("Bearer a-secret-of-some-length")
        True
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._digests = [_digest(key) for key in keys]

    @property
    def is_needed(self) -> bool:
        """Whether there are keys at all."""
        return bool(self._digests)

    def accepts(self, header: str | None) -> bool:
        """Whether an Authorization header opens."""
        if not self._digests:
            return True
        scheme, _, given = (header or "").partition(" ")
        digest = _digest(given.strip())
        # All are compared, so that the time does not tell which one it was.
        equal = [hmac.compare_digest(digest, key) for key in self._digests]
        return any(equal) and scheme.lower() == "bearer"

    def check(self, header: str | None) -> None:
        """Refuse a request without a key that opens.

        Raises:
            ApiError: 401.
        """
        if not self.accepts(header):
            given = "is not one of this server's" if header else "is missing"
            raise ApiError(401, f"The key {given}. Send the header Authorization: Bearer KEY.", code="invalid_api_key",
                           headers={"www-authenticate": "Bearer"})  # fmt: skip


def refuse_public_without_key(host: str, keys: KeyCheck) -> None:
    """Refuse an address that others can reach where anybody could ask, at this account's cost.

    Raises:
        ConfigError: There is no key.

    Example:
        >>> refuse_public_without_key("127.0.0.1", KeyCheck([]))
    """
    if not is_private(host) and not keys.is_needed:
        raise ConfigError(
            f"Others can reach {host or 'every address of this machine'}, and there is no key, so anybody could embed "
            f"at your cost. Set one with: export {KEYS_VARIABLE}=$(python -c 'import secrets; "
            "print(secrets.token_urlsafe())')"
        )


async def read_body(request: Request, most: int) -> bytes:
    """Read a JSON body, up to a size and within half a minute.

    Raises:
        ApiError: 413, 415 or 408.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # A page in a browser may send other types to any address without asking; this one it may not.
    if kind != "application/json":
        raise ApiError(415, "The body must come with content-type: application/json.")
    too_large = ApiError(413, f"The body is larger than {most // 2**20} MiB. Send fewer texts at once.")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise too_large
    pieces, size = [], 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for piece in request.stream():
                size += len(piece)
                if size > most:
                    raise too_large
                pieces.append(piece)
    except TimeoutError:
        raise ApiError(408, f"The body did not come within {_BODY_SECONDS:g} s.") from None
    if not size:
        raise bad_request("The body is empty: expected a JSON object with model and input.")
    return b"".join(pieces)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
