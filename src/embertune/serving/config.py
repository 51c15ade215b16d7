"""What a server is told: adapters, upstream, limits."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, get_args

from embertune.encoders.base import Encoder
from embertune.errors import ConfigError

__all__ = ["KEYS_VARIABLE", "CanaryPolicy", "ServeConfig", "is_private", "keys_of_environment"]

CanaryPolicy = Literal["refuse", "warn", "off"]

KEYS_VARIABLE = "EMBERTUNE_API_KEY"
_SHORTEST_KEY = 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class ServeConfig:
    """Settings of a server; keys are not among them, they come from the environment.

    Attributes:
        adapters: Folders of saved adapters, by the name that clients use.
        upstream: Who embeds: a name that `load_encoder` knows, or an encoder; None: the adapters' own.
        options: Keywords for the upstream, such as api_base, dimensions, query_prompt.
        default: What the upstream's own model name is answered with, such as "faq/query"; None: base vectors.
        host: Address to listen at.
        port: Port to listen at; 0 takes a free one.
        timeout: Seconds until a request is answered, one way or the other.
        concurrency: The most calls to an API at once.
        most_waiting: Texts that may wait for the upstream; more are sent away with status 503.
        body_mib: The largest request.
        cache_mib: Memory for vectors of texts that were asked for lately; 0 keeps none.
        shadow: Answer with base vectors, and write base and adapted ones to this file.
        canaries: What to do where the upstream's vectors are no longer those of training.
        reload_seconds: How often to look for new versions of the adapters; 0 never.

    Raises:
        ConfigError: A setting is impossible.

    Example:
        >>> ServeConfig({"faq": "my-adapter"}).host
        '127.0.0.1'
        >>> ServeConfig({"a/b": "my-adapter"})
        Traceback (most recent call last):
            ...
        embertune.errors.ConfigError: Invalid configuration:
        - 'a/b' is no name for an adapter: letters, digits, ., _ and - alone. Type: --adapter NAME=DIR
    """

    adapters: Mapping[str, str | Path]
    upstream: str | Encoder | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    default: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    timeout: float = 30.0
    concurrency: int = 8
    most_waiting: int = 16_384
    body_mib: int = 16
    cache_mib: int = 256
    shadow: str | Path | None = None
    canaries: CanaryPolicy = "refuse"
    reload_seconds: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        problems = [
            f"{name!r} is no name for an adapter: letters, digits, ., _ and - alone. Type: --adapter NAME=DIR"
            for name in self.adapters
            if not _NAME.fullmatch(name)
        ]
        if not self.adapters:
            problems.append("there is no adapter to serve. Type: --adapter DIR")
        if self.canaries not in get_args(CanaryPolicy):
            problems.append(f"canaries must be refuse, warn or off, got {self.canaries!r}")
        least = {"port": 0, "concurrency": 1, "most_waiting": 1, "body_mib": 1, "cache_mib": 0, "reload_seconds": 0}
        problems += [
            f"{name} must be at least {low}, got {getattr(self, name)}"
            for name, low in least.items()
            if getattr(self, name) < low
        ]
        if not self.timeout > 0:
            problems.append(f"timeout must be positive, got {self.timeout}")
        if problems:
            raise ConfigError(problems)


def keys_of_environment() -> tuple[str, ...]:
    """Give the keys that clients may use: EMBERTUNE_API_KEY, several with commas between, so that they can be changed.

    Raises:
        ConfigError: One is too short to be a secret.
    """
    keys = tuple(key for part in os.environ.get(KEYS_VARIABLE, "").split(",") if (key := part.strip()))
    if any(len(key) < _SHORTEST_KEY for key in keys):
        raise ConfigError(
            f"{KEYS_VARIABLE} holds a key of fewer than {_SHORTEST_KEY} characters. Make one with: "
            'python -c "import secrets; print(secrets.token_urlsafe())"'
        )
    return keys


def is_private(host: str) -> bool:
    """Say whether an address can be reached from this machine alone.

    Example:
        >>> [is_private(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "", "10.0.0.5")]
        [True, True, True, False, False, False]
    """
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
