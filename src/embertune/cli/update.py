"""``embertune update``: new labels for an adapter that is in use."""

from __future__ import annotations

from typing import Any

import click

from embertune.cli.console import Console, emit
from embertune.cli.options import column_options, encoder_options, json_option, progress_option, read_dataset

__all__ = ["command"]


@click.command("update")
@click.option("--adapter", "-a", required=True, metavar="DIR", help="The adapter in use.")
@click.option("--data", required=True, metavar="NEW", help="New labelled queries.")
@click.option("--old-data", metavar="OLD", help="What it was tuned on: learned from again, and judged on.")
@click.option("--out", "-o", required=True, metavar="DIR2", help="Folder for the updated adapter and its record.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything random.")
@encoder_options
@column_options
@progress_option
@json_option
def command(
    adapter: str, data: str, old_data: str | None, out: str, columns: tuple[str, ...], as_json: bool, **options: Any
) -> None:
    """Go on from an adapter with new labels, and refuse what loses its old gains.

    Stored vectors stay as they are. Where the update is refused, DIR2 holds the adapter in use.
    """
    from embertune.adapters.artifact import check_target, load_adapter
    from embertune.cli.options import make_encoder
    from embertune.recipes.update import update

    console = Console()
    check_target(out)
    loaded, encoder = load_adapter(adapter), make_encoder(options)
    new = read_dataset(data, columns, console.progress)
    old = None if old_data is None else read_dataset(old_data, columns, console.progress)
    console.expect(encoder, *(each for each in (new, old) if each is not None))
    found = update(loaded, new, encoder, old_data=old, progress=console.progress, **options)
    found.save(out)
    emit(found, found.to_dict(), as_json=as_json)
    console.paid(encoder)
