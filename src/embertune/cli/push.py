"""``embertune push``: a saved adapter to the Hugging Face hub."""

from __future__ import annotations

import click

from embertune.cli.console import emit
from embertune.cli.options import json_option

__all__ = ["command"]


@click.command("push")
@click.option("--adapter", "-a", required=True, metavar="DIR", help="A saved adapter.")
@click.option("--repo", required=True, metavar="OWNER/NAME", help="Where to; made, and private, if it is not there.")
@click.option("--with-texts", is_flag=True, help="Upload files that may hold texts of your data, such as report.html.")
@click.option("--public", is_flag=True, help="Make a new repository one for everybody.")
@click.option("--message", help="Of the commit.")
@json_option
def command(adapter: str, repo: str, with_texts: bool, public: bool, message: str | None, as_json: bool) -> None:
    """Upload an adapter to the Hugging Face hub, in the format of its folder, without texts of your data.

    The key is read from HF_TOKEN.
    """
    from embertune.integrations.hub import push

    done = push(adapter, repo, with_texts=with_texts, public=public, message=message)
    emit(str(done), done.to_dict(), as_json=as_json)
