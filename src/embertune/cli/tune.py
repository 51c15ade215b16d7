"""``embertune tune``: train an adapter and say whether to ship it."""

from __future__ import annotations

from typing import Any

import click

from embertune.cli.console import Console, emit
from embertune.cli.options import column_options, encoder_options, json_option, make_encoder, read_dataset

__all__ = ["command"]


@click.command("tune")
@click.argument("data")
@encoder_options
@click.option("--out", "-o", required=True, metavar="DIR", help="Folder for the adapter, its record and the report.")
@click.option(
    "--split", type=click.Choice(["by-query", "by-document", "given"]),
    help="by-query: new queries on known documents; by-document: documents never seen; given: the data's own. "
    "Default: given where the data has one, else by-query.",
)  # fmt: skip
@click.option("--side", type=click.Choice(["query", "both", "auto"]), default="query", show_default=True,
              help="Adapt queries alone (stored vectors stay), stored documents too, or these if it pays.")  # fmt: skip
@click.option("--effort", type=click.Choice(["fast", "normal", "thorough"]), default="normal", show_default=True,
              help="How hard to search.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="One seed for everything random.")
@click.option("--strict", is_flag=True, help="Refuse data with near-copies of queries across train and test.")
@column_options
@json_option
def command(data: str, out: str, columns: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Train an adapter on DATA (a BEIR folder, or JSONL, CSV, TSV or Parquet) and prove or disprove its gain.

    Everything is chosen on dev; the test split is opened once. Where no gain is proven, the saved adapter is the
    identity, and what was trained lies in DIR/candidate.
    """
    from embertune.recipes.tune import check_output, tune

    console = Console()
    check_output(out)
    encoder = make_encoder(options)
    dataset = read_dataset(data, columns, console.progress)
    console.expect(encoder, dataset)
    result = tune(dataset, encoder, progress=console.progress, **options)
    folder = result.save(out)
    emit(result, result.record, as_json=as_json)
    console.paid(encoder)
    console.advise(f"\nAdapter: {folder}\nReport:  {folder / 'report.html'}")
