"""Serve the workbench: on this machine alone unless told otherwise, and then behind a password."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

from embertune.errors import ConfigError
from embertune.ui.app import create_app, look

__all__ = ["AUTH_VARIABLE", "read_auth", "serve"]

AUTH_VARIABLE = "EMBERTUNE_UI_AUTH"
_LOCAL = ("127.0.0.1", "localhost", "::1")


def read_auth(given: str | None, host: str) -> tuple[str, str] | None:
    """Give user and password: those given, else those of EMBERTUNE_UI_AUTH, else none, which is for this machine alone.

    Args:
        given: USER:PASSWORD.
        host: The address that is listened at.

    Raises:
        ConfigError: They are no USER:PASSWORD, or there are none and others can reach the address.

    Example:
        >>> read_auth("ann:s3cret", "0.0.0.0"), read_auth(None, "127.0.0.1")
        (('ann', 's3cret'), None)
    """
    told = given or os.environ.get(AUTH_VARIABLE, "")
    user, _, password = told.partition(":")
    if told and not (user and password):
        raise ConfigError(f"The password is not USER:PASSWORD. Type: export {AUTH_VARIABLE}=me:a-long-password")
    if not told and host not in _LOCAL:
        raise ConfigError(
            f"At {host} everyone who can reach this machine could read the data and start jobs. Set a user and a "
            f"password, export {AUTH_VARIABLE}=me:a-long-password, or listen at 127.0.0.1"
        )
    return (user, password) if told else None


def serve(
    folder: str | Path, *, host: str = "127.0.0.1", port: int = 7860, auth: tuple[str, str] | None = None
) -> None:
    """Serve the workbench of a folder until it is interrupted.

    Args:
        folder: Where data sets and runs are kept.
        host: The address to listen at.
        port: The port to listen at.
        auth: User and password; see `read_auth`.

    Raises:
        ConfigError: The port is taken.
        MissingExtraError: Gradio is not installed.
        StorageError: The folder cannot be made.
    """
    _check_port(host, port)
    app = create_app(folder)
    # Without Gradio's question whether the page answers within three seconds: where other work holds the cores, or a
    # proxy is set, it does not, and then nothing would be served.
    app.launch(
        _frontend=False, server_name=host, server_port=port, auth=_checker(auth), max_file_size="200mb", share=False,
        show_error=True, quiet=True, ssr_mode=False, mcp_server=False, enable_monitoring=False, **look(),
    )  # fmt: skip


def _checker(auth: tuple[str, str] | None) -> Callable[[str, str], bool] | None:
    if auth is None:
        return None

    def check(user: str, password: str) -> bool:
        """Compare in a time that does not tell how much of it was right."""
        right = [secrets.compare_digest(a.encode(), b.encode()) for a, b in zip(auth, (user, password), strict=True)]
        return all(right)

    return check


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"Nothing can listen at {host}, port {port}: {error.strerror or error}. "
                f"Name another port: embertune ui --port {port + 1}"
            ) from None
