"""``embertune infer``: similarities of a few texts at a glance."""

from __future__ import annotations

import click

from embertune.cli.console import emit
from embertune.cli.options import json_option

__all__ = ["command"]


@click.command("infer")
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option("--model", "-m", required=True, metavar="DIR|ENCODER",
              help="A model's folder, an adapter's, or any encoder's name.")  # fmt: skip
@click.option("--query", "-q", "queries", multiple=True, metavar="TEXT", help="Compared with every --document.")
@click.option("--document", "-d", "documents", multiple=True, metavar="TEXT", help="Compared with every --query.")
@click.option("--query-prompt", help="Text put before every query. Default: the model's own.")
@click.option("--document-prompt", help="Text put before every document. Default: the model's own.")
@json_option
def command(
    texts: tuple[str, ...],
    model: str,
    queries: tuple[str, ...],
    documents: tuple[str, ...],
    as_json: bool,
    **prompts: str | None,
) -> None:
    """Give the cosines between TEXTs, all embedded as queries, or between queries and documents.

    An adapter stands behind the encoder that it was trained on.
    """
    from embertune.recipes.infer import infer

    given = {name: text for name, text in prompts.items() if text is not None}
    found = infer(model, texts, queries=queries, documents=documents, **given)
    emit(found, found.to_dict(), as_json=as_json)
