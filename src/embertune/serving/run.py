"""Run a server until it is told to stop, and then let it finish what it has begun."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from embertune._optional import require
from embertune.errors import ConfigError
from embertune.serving.app import create_app
from embertune.serving.config import ServeConfig, keys_of_environment
from embertune.serving.security import KeyCheck, refuse_public_without_key
from embertune.serving.service import Service

if TYPE_CHECKING:
    import uvicorn

__all__ = ["serve"]

_log = logging.getLogger("embertune.serving")

# Longer than clients keep a connection, or one would be closed here just as it is used again there.
_KEEP_ALIVE_SECONDS = 75


def serve(config: ServeConfig) -> None:
    """Serve until SIGINT or SIGTERM; requests under way are answered first.

    Args:
        config: What to serve, and where.

    Raises:
        ConfigError: Others could reach it and there is no key, or the port is taken.
        MissingExtraError: The extra `serve` is not installed.
        EmbertuneError: See `Service`.
    """
    refuse_public_without_key(config.host, KeyCheck(keys_of_environment()))
    require("uvicorn", extra="serve", purpose="Serving")
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(config))


async def _serve(config: ServeConfig) -> None:
    import uvicorn

    service = Service(config)
    # Before anything listens, so that what does not fit is one sentence and no traceback of a web server.
    try:
        await service.start()
        app = create_app(service)
        server = _server_class()(
            uvicorn.Config(
                app,
                host=config.host,
                port=config.port,
                log_config=None,
                ws="none",
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                # Whoever is under way gets the time that any request gets.
                timeout_graceful_shutdown=int(config.timeout) + 1,
            )
        )
        fields = {"address": f"http://{config.host}:{config.port}/v1", "upstream": service.upstream.name,
                  "models": [name for name, _ in service.catalogue.names()]}  # fmt: skip
        _log.info("starting", extra={"fields": fields})
        try:
            await server.serve()
        except SystemExit:
            raise ConfigError(
                f"Nobody can listen at {config.host}:{config.port}: the port is taken, or the address is not this "
                "machine's. Choose another: --port 8001"
            ) from None
        _log.info("stopped")
    finally:
        await service.close()


def _server_class() -> type[uvicorn.Server]:
    """Give uvicorn's server with another end: it raises the signal again when all is done, as if it had been killed."""
    import uvicorn

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            loop = asyncio.get_running_loop()
            try:
                for number in (signal.SIGINT, signal.SIGTERM):
                    loop.add_signal_handler(number, self.handle_exit, number, None)
            except NotImplementedError:  # Windows
                with super().capture_signals():
                    yield
                return
            yield

    return Server


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return None
    return uvloop.new_event_loop
