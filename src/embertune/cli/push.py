"""``embertune push``: a saved adapter, or a fine-tuned model, to the Hugging Face hub."""

from __future__ import annotations

from typing import Any

import click

from embertune.cli.console import emit
from embertune.cli.options import json_option
from embertune.errors import ConfigError

__all__ = ["command"]


@click.command("push")
@click.option("--adapter", "-a", metavar="DIR", help="A saved adapter.")
@click.option("--model", "-m", metavar="DIR", help="In its place: a fine-tuned model.")
@click.option("--repo", required=True, metavar="OWNER/NAME", help="Where to; made, and private, if it is not there.")
@click.option("--with-texts", is_flag=True, help="Upload files that may hold texts of your data, such as report.html.")
@click.option("--public", is_flag=True, help="Make a new repository one for everybody.")
@click.option("--message", help="Of the commit.")
@json_option
def command(adapter: str | None, model: str | None, repo: str, as_json: bool, **options: Any) -> None:
    """Upload an adapter, or a fine-tuned model, to the Hugging Face hub, without texts of your data.

    The format is that of the folder. The key is read from HF_TOKEN.
    """
    from embertune.integrations.hub import push
    from embertune.recipes.hub import push_model

    if (adapter is None) == (model is None):
        raise ConfigError("Expected one of the two: --adapter DIR or --model DIR.")
    done = push_model(model, repo, **options) if model is not None else push(str(adapter), repo, **options)
    emit(str(done), done.to_dict(), as_json=as_json)
