"""``embertune transform``: apply an adapter to a file of vectors."""

from __future__ import annotations

import click

from embertune.cli.console import Console, emit
from embertune.cli.options import json_option

__all__ = ["command"]


@click.command("transform")
@click.option("--adapter", "-a", required=True, metavar="DIR", help="A saved adapter.")
@click.option("--in", "source", required=True, metavar="X.npy", help="Vectors (n, d), of the adapter's encoder.")
@click.option("--out", "target", required=True, metavar="Y.npy", help="Where the adapted vectors go, float32.")
@click.option("--side", type=click.Choice(["query", "document"]), default="query", show_default=True,
              help="Whether they embed queries or documents.")  # fmt: skip
@click.option("--strength", type=float, metavar="0..1",
              help="How much is applied: 0 is nothing learned, 1 is as trained. Default: as saved.")  # fmt: skip
@json_option
def command(adapter: str, source: str, target: str, side: str, strength: float | None, as_json: bool) -> None:
    """Apply an adapter to the vectors of a .npy file, in blocks, so that the file may be larger than memory."""
    from embertune.recipes.transform_file import transform

    done = transform(adapter, source, target, side=side, strength=strength, progress=Console().progress)
    emit(f"{done['rows']:,} {side} vectors of {done['dimension']} dimensions → {target}", done, as_json=as_json)
