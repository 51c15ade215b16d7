"""``embertune apply``: an adapter and a vector database, there and back."""

from __future__ import annotations

import click

from embertune.cli.console import Console, emit
from embertune.cli.options import json_option, store_options
from embertune.errors import ConfigError

__all__ = ["command"]


@click.command("apply")
@click.option("--adapter", "-a", metavar="DIR", help="A saved adapter that maps documents.")
@store_options
@click.option("--batch-size", type=click.IntRange(1), default=2048, show_default=True, help="Vectors at once.")
@click.option("--strength", type=float, metavar="0..1",
              help="How much is applied: 0 is nothing learned, 1 is as trained. Default: as saved.")  # fmt: skip
@click.option("--switch", is_flag=True, help="At the end lead applications to the new vectors.")
@click.option("--rollback", is_flag=True, help="Lead applications back to the old vectors, and do nothing else.")
@json_option
def command(
    adapter: str | None, store: str | None, out_name: str | None, batch_size: int, strength: float | None,
    switch: bool, rollback: bool, as_json: bool,
) -> None:  # fmt: skip
    """Write transformed vectors beside the stored ones, in batches; the same command goes on after a crash.

    Nothing is embedded again, no API is called, and the old vectors stay as they are.
    """
    from embertune.integrations.stores import open_store
    from embertune.recipes.apply_adapter import apply_adapter, roll_back

    if store is None or (adapter is None) != rollback or (switch and rollback):
        raise ConfigError("Expected one of: apply --adapter DIR --store URL [--switch], apply --store URL --rollback")
    opened = open_store(store, out=out_name)
    try:
        if adapter is None:
            back = roll_back(opened)
            emit(f"live: {back['address']} leads to the old vectors ({back['store']})", back, as_json=as_json)
            return
        done = apply_adapter(adapter, opened, batch_size=batch_size, strength=strength, switch=switch,
                             progress=Console().progress)  # fmt: skip
    finally:
        opened.close()
    emit(done, done.to_dict(), as_json=as_json)
