"""``embertune export``: an adapter, or a whole model, for other runtimes."""

from __future__ import annotations

from typing import Any

import click

from embertune.cli.console import Console, emit
from embertune.cli.options import json_option
from embertune.errors import ConfigError
from embertune.integrations.export import TARGETS

__all__ = ["command"]


@click.command("export")
@click.argument("model", required=False)
@click.option("--adapter", "-a", metavar="DIR", help="A saved adapter.")
@click.option("--to", required=True, type=click.Choice(list(TARGETS)), help="Which runtime.")
@click.option("--out", required=True, metavar="PATH",
              help="The file, or of a model and with sentence-transformers the folder.")  # fmt: skip
@click.option("--side", type=click.Choice(["query", "document"]),
              help="What a file of onnx, pgvector or safetensors maps. Default: queries, if mapped.")  # fmt: skip
@click.option("--strength", type=float, metavar="0..1",
              help="How much is applied: 0 is nothing learned, 1 is as trained. Default: as saved.")  # fmt: skip
@click.option("--encoder", "-e", metavar="MODEL",
              help="With sentence-transformers: the model. Default: the one that it was trained on.")  # fmt: skip
@click.option("--name", help="With pgvector: what the function's name begins with. Default: embertune.")
@click.option("--quantize", is_flag=True, help="Of a MODEL: write a second graph with weights of 8 bits.")
@json_option
def command(model: str | None, adapter: str | None, to: str, out: str, as_json: bool, **options: Any) -> None:
    """Write an adapter (--adapter) for another runtime, gate and strength included, or a whole MODEL as ONNX.

    MODEL is a sentence-transformers folder, such as finetune writes. What is written needs no Embertune, and it says
    what changes for an index, or how near the graph comes to the model.
    """
    from embertune.integrations.export import export, export_model

    if (model is None) == (adapter is None):
        raise ConfigError("Expected one of the two: a model's folder (embertune export DIR …), or --adapter DIR.")
    quantized = options.pop("quantize")
    if model is not None:
        if given := [f"--{name}" for name, value in options.items() if value is not None]:
            raise ConfigError(f"{', '.join(given)} is for adapters. Leave it out for a model.")
        done = export_model(model, to, out, quantized=quantized, progress=Console().progress)
    elif quantized:
        raise ConfigError("--quantize is for models: an adapter is a few matrices. Leave it out.")
    else:
        done = export(str(adapter), to, out, **options)
    emit(str(done), done.to_dict(), as_json=as_json)
