"""``embertune doctor``: is this installation sound, and what could be added."""

from __future__ import annotations

import sys

import click

from embertune.cli.console import emit
from embertune.cli.options import json_option

__all__ = ["command"]


@click.command("doctor")
@click.option("--adapter", "-a", multiple=True, metavar="DIR",
              help="Also ask the encoder of this adapter whether it is still the same. May be repeated.")  # fmt: skip
@click.option("--encoder", "-e", help="Who embeds for those adapters. Default: whom each was trained on.")
@json_option
def command(adapter: tuple[str, ...], encoder: str | None, as_json: bool) -> None:
    """Check Python, packages, the embedding cache and the embedded encoder; exit code 1 if something is broken."""
    from embertune.recipes.doctor import doctor

    found = doctor(adapter, encoder=encoder)
    emit(found, found.to_dict(), as_json=as_json)
    sys.exit(0 if found.is_sound else 1)
