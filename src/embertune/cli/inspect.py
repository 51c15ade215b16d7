"""``embertune inspect``: what can be learned from a data set, and what is wrong with it."""

from __future__ import annotations

import click

from embertune.cli.console import Console, emit
from embertune.cli.options import column_options, json_option, read_dataset

__all__ = ["command"]


@click.command("inspect")
@click.argument("data")
@column_options
@json_option
def command(data: str, columns: tuple[str, ...], as_json: bool) -> None:
    """Count what DATA holds, what each split would give, and what looks wrong."""
    from embertune.recipes.inspect_data import inspect

    found = inspect(read_dataset(data, columns, Console().progress))
    emit(found, found.to_dict(), as_json=as_json)
