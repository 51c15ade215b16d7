"""``embertune compare``: judge adapters side by side."""

from __future__ import annotations

from typing import Any

import click

from embertune.cli.console import Console, emit
from embertune.cli.options import column_options, encoder_options, json_option, make_encoder, read_dataset

__all__ = ["command"]


@click.command("compare")
@click.argument("data")
@encoder_options
@click.option(
    "--adapter", "-a", multiple=True, required=True, metavar="DIR", help="A saved adapter; repeat it for more."
)
@click.option("--part", type=click.Choice(["train", "dev", "test", "all"]),
              help="Which queries. Default: those that trained none of the adapters.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of intervals and tests.")
@column_options
@json_option
def command(data: str, adapter: tuple[str, ...], columns: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Judge several adapters against the encoder alone, on the same queries, with intervals and tests.

    Adapters that were tuned on DATA are judged on the test queries that their records share.
    """
    from embertune.recipes.evaluate_encoders import compare

    console = Console()
    encoder = make_encoder(options)
    judged = compare(
        read_dataset(data, columns, console.progress), encoder, adapter, progress=console.progress, **options
    )
    emit(judged, judged.to_dict(), as_json=as_json)
