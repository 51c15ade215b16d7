"""``embertune export``: an adapter for other runtimes."""

from __future__ import annotations

from typing import Any

import click

from embertune.cli.console import emit
from embertune.cli.options import json_option
from embertune.integrations.export import TARGETS

__all__ = ["command"]


@click.command("export")
@click.option("--adapter", "-a", required=True, metavar="DIR", help="A saved adapter.")
@click.option("--to", required=True, type=click.Choice(list(TARGETS)), help="Which runtime.")
@click.option("--out", required=True, metavar="PATH", help="The file, or with sentence-transformers the folder.")
@click.option("--side", type=click.Choice(["query", "document"]),
              help="What a file of onnx, pgvector or safetensors maps. Default: queries, if mapped.")  # fmt: skip
@click.option("--strength", type=float, metavar="0..1",
              help="How much is applied: 0 is nothing learned, 1 is as trained. Default: as saved.")  # fmt: skip
@click.option("--encoder", "-e", metavar="MODEL",
              help="With sentence-transformers: the model. Default: the one that it was trained on.")  # fmt: skip
@click.option("--name", help="With pgvector: what the function's name begins with. Default: embertune.")
@json_option
def command(adapter: str, to: str, out: str, as_json: bool, **options: Any) -> None:
    """Write an adapter for another runtime, gate and strength included.

    What is written needs no Embertune. It says, too, whether an index has to be written once more.
    """
    from embertune.integrations.export import export

    done = export(adapter, to, out, **options)
    emit(str(done), done.to_dict(), as_json=as_json)
