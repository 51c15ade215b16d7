"""``embertune pull``: an adapter from the Hugging Face hub."""

from __future__ import annotations

import click

from embertune.cli.console import emit
from embertune.cli.options import json_option

__all__ = ["command"]


@click.command("pull")
@click.option("--repo", required=True, metavar="OWNER/NAME", help="Where from.")
@click.option("--out", required=True, metavar="DIR", help="Where to; a saved adapter there is replaced.")
@click.option("--revision", help="A branch, tag or commit. Default: the latest.")
@json_option
def command(repo: str, out: str, revision: str | None, as_json: bool) -> None:
    """Download an adapter from the Hugging Face hub; nothing in it is executed.

    The key for what is private is read from HF_TOKEN.
    """
    from embertune.integrations.hub import pull

    done = pull(repo, out, revision=revision)
    emit(str(done), done.to_dict(), as_json=as_json)
