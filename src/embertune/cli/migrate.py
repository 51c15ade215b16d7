"""``embertune migrate``: go over to another encoder without embedding the index again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from embertune.cli.console import Console, emit
from embertune.cli.options import column_options, json_option, progress_option, read_dataset
from embertune.encoders.base import Encoder

__all__ = ["command"]


@click.command("migrate")
@click.option("--from", "old", required=True, metavar="OLD", help="The encoder that the index was embedded with.")
@click.option("--to", "new", required=True, metavar="NEW", help="The encoder to go over to.")
@click.option("--sample", required=True, metavar="FILE",
              help='Texts like those of the index: JSONL with "text", or plain text, one a line.')  # fmt: skip
@click.option("--data", metavar="DATA", help="Labelled queries to judge by; without, the new encoder's own neighbours.")
@click.option("--out", "-o", metavar="DIR", help="Folder for the bridge and its record.")
@click.option("--direction", type=click.Choice(["queries", "index"]), default="queries", show_default=True,
              help="Keep the index and map new queries, or map the index, once.")  # fmt: skip
@click.option("--effort", type=click.Choice(["fast", "normal", "thorough"]), default="normal", show_default=True,
              help="fast: rotations and affine maps; normal: a network too; thorough: several.")  # fmt: skip
@click.option("--index-size", type=click.IntRange(1), metavar="N", help="Documents in the index, for the cost.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything random.")
@column_options
@progress_option
@json_option
def command(
    old: str, new: str, data: str | None, out: str | None, columns: tuple[str, ...], as_json: bool, **options: Any
) -> None:
    """Fit a bridge between two encoders on sample texts, and say how much of a full re-embedding's recall it keeps.

    Nothing in the index is embedded again. DIR is an adapter like any other: serve it in front of the new encoder
    (queries), or write it over the index with embertune apply (index).
    """
    from embertune.adapters.artifact import check_target
    from embertune.encoders.registry import load_encoder
    from embertune.recipes.migrate import migrate

    console = Console()
    if out is not None:
        check_target(out)
    encoders = load_encoder(old), load_encoder(new)
    dataset = None if data is None else read_dataset(data, columns, console.progress)
    found = migrate(
        *encoders, options.pop("sample"), data=dataset, progress=console.progress,
        before_embedding=lambda encoder, texts: _expect(console, encoder, texts), **options,
    )  # fmt: skip
    if out is not None:
        found.save(out)
    emit(found, found.to_dict(), as_json=as_json)
    for encoder in encoders:
        console.paid(encoder)
    if out is not None:
        console.advise(f"\nBridge: {out}")


def _expect(console: Console, encoder: Encoder, texts: Sequence[str]) -> None:
    from embertune.encoders.cost import Priced

    if isinstance(encoder, Priced):
        console.advise(
            f"Embedding the sample with {encoder.spec} will take about {encoder.estimate(texts, 'document')}; what is "
            "in the cache is not paid again."
        )
