"""``embertune evaluate``: judge an encoder, with or without an adapter."""

from __future__ import annotations

from typing import Any

import click

from embertune.cli.console import Console, emit
from embertune.cli.options import column_options, encoder_options, json_option, make_encoder, read_dataset

__all__ = ["command"]


@click.command("evaluate")
@click.argument("data")
@encoder_options
@click.option(
    "--adapter", "-a", multiple=True, metavar="DIR", help="A saved adapter, judged against the encoder alone."
)
@click.option("--part", type=click.Choice(["train", "dev", "test", "all"]),
              help="Which queries. Default: those that trained none of the adapters.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of intervals and tests.")
@column_options
@json_option
def command(data: str, adapter: tuple[str, ...], columns: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Judge an encoder on DATA, beside BM25, with every metric.

    An adapter that was tuned on DATA is judged on its test queries only; its record names them.
    """
    from embertune.recipes.evaluate_encoders import evaluate

    console = Console()
    encoder = make_encoder(options)
    judged = evaluate(
        read_dataset(data, columns, console.progress), encoder, adapter, progress=console.progress, **options
    )
    emit(judged, judged.to_dict(), as_json=as_json)
