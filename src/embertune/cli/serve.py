"""``embertune serve``: an OpenAI-compatible server with adapters behind any embedding model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from embertune.errors import ConfigError

__all__ = ["command"]


@click.command("serve")
@click.option("--adapter", "-a", multiple=True, required=True, metavar="[NAME=]DIR",
              help="A saved adapter, and what clients call it; else as its folder. May be repeated.")  # fmt: skip
@click.option("--upstream", "-u", metavar="ENCODER",
              help="Who embeds: openai/MODEL, or any other encoder. Default: that of the first adapter.")  # fmt: skip
@click.option("--query-prompt", help="Text put before every query.")
@click.option("--document-prompt", help="Text put before every document.")
@click.option("--dimensions", type=int, help="Shorter vectors of the upstream, where it offers them.")
@click.option("--api-base", help="Address of an upstream that speaks OpenAI's protocol, up to and with /v1.")
@click.option("--default", metavar="NAME/SIDE",
              help="What the upstream's own model name is answered with. Default: base vectors.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Address to listen at; one that others can reach needs EMBERTUNE_API_KEY.")  # fmt: skip
@click.option("--port", type=int, default=8000, show_default=True, help="Port to listen at.")
@click.option("--timeout", type=float, default=30.0, show_default=True, help="Seconds until a request is answered.")
@click.option("--concurrency", type=int, default=8, show_default=True, help="The most calls to the upstream at once.")
@click.option("--body-mib", type=int, default=16, show_default=True, help="The largest request, in MiB.")
@click.option("--cache-mib", type=int, default=256, show_default=True,
              help="Memory for vectors of texts that were asked for lately, in MiB; 0 for none.")  # fmt: skip
@click.option("--shadow", metavar="FILE",
              help="Answer with base vectors, and write base and adapted ones to this file.")  # fmt: skip
@click.option("--canaries", type=click.Choice(["refuse", "warn", "off"]), default="refuse", show_default=True,
              help="What to do where the upstream no longer gives the vectors of training.")  # fmt: skip
@click.option("--quiet", is_flag=True, help="Log no requests, only what is unusual.")
def command(adapter: tuple[str, ...], quiet: bool, **options: Any) -> None:
    """Serve adapters behind OpenAI's protocol, so that any client of it changes one address.

    Models are NAME/query and NAME/document. Keys of clients are in EMBERTUNE_API_KEY, that of the upstream where its
    client expects it, such as OPENAI_API_KEY.
    """
    import logging

    from embertune.serving.config import ServeConfig
    from embertune.serving.logs import log_to_stderr
    from embertune.serving.run import serve

    names = ("query_prompt", "document_prompt", "dimensions", "api_base")
    upstream = {name: value for name in names if (value := options.pop(name)) is not None}
    config = ServeConfig(_named(adapter), options=upstream, **options)
    log_to_stderr(logging.WARNING if quiet else logging.INFO)
    serve(config)


def _named(adapters: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for given in adapters:
        name, is_named, folder = given.partition("=")
        if not is_named or "/" in name:
            name, folder = Path(given).resolve().name, given
        if name in found:
            raise ConfigError(f"Two adapters are called {name!r}. Tell them apart: --adapter NAME={folder}")
        found[name] = folder
    return found
