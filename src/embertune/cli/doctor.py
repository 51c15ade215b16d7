"""``embertune doctor``: is this installation sound, and what could be added."""

from __future__ import annotations

import sys

import click

from embertune.cli.console import emit
from embertune.cli.options import json_option

__all__ = ["command"]


@click.command("doctor")
@json_option
def command(as_json: bool) -> None:
    """Check Python, packages, the embedding cache and the embedded encoder; exit code 1 if something is broken."""
    from embertune.recipes.doctor import doctor

    found = doctor()
    emit(found, found.to_dict(), as_json=as_json)
    sys.exit(0 if found.is_sound else 1)
