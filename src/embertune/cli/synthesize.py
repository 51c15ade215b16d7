"""``embertune synthesize``: from documents to a data set that can be tuned on."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import click

from embertune.cli.console import Console, emit
from embertune.cli.options import json_option, progress_option
from embertune.core.paths import as_path
from embertune.errors import ConfigError, StorageError

__all__ = ["command"]


@click.command("synthesize")
@click.argument("docs")
@click.option("--out", "-o", required=True, metavar="DIR", help="Folder for the data set, in BEIR's form.")
@click.option("--llm", metavar="MODEL", help="Who writes the queries: a model by LiteLLM's name, such as "
              "openai/gpt-4o-mini or ollama/llama3.1, or seq2seq:MODEL of transformers.  [default: they are cut "
              "out of the chunks, offline]")  # fmt: skip
@click.option("--per-chunk", "-n", type=click.IntRange(1), default=4, show_default=True, help="Queries for a chunk.")
@click.option("--chunk-by", type=click.Choice(["tokens", "sentences", "headings"]), default="sentences",
              show_default=True, help="Where documents are cut.")  # fmt: skip
@click.option(
    "--chunk-size", type=click.IntRange(1), default=200, show_default=True, help="The most tokens in a chunk."
)
@click.option("--overlap", type=click.IntRange(0), default=0, show_default=True,
              help="The most tokens that a chunk shares with the one before.")  # fmt: skip
@click.option("--budget", type=click.FloatRange(0, min_open=True), metavar="USD",
              help="Of --llm: stop before so many dollars are spent, with what is paid for.")  # fmt: skip
@click.option("--estimate", is_flag=True, help="Of --llm: only say what it would cost; nobody is asked.")
@progress_option
@json_option
def command(docs: str, out: str, as_json: bool, budget: float | None, estimate: bool, **options: Any) -> None:
    """Read DOCS (.txt, .md, .html, .pdf, .docx, .jsonl, or a folder of them) and have queries written for its chunks.

    The result is marked as synthetic: nothing is judged on it where people's queries are, and a verdict on it alone
    says so.
    """
    from embertune.recipes.synthesize import estimate_synthesis, synthesize

    console = Console()
    if options["llm"] is None and (estimate or budget):
        raise ConfigError("--estimate and --budget are of --llm, which was not given: cutting queries out is free.")
    if estimate:
        expected = estimate_synthesis(docs, progress=console.progress, **options)
        emit(expected, asdict(expected), as_json=as_json)
        return
    _check_out(out)
    if budget:
        options["budget_usd"] = budget
    made = synthesize(docs, progress=console.progress, **options)
    folder = made.save(out)
    emit(made, made.to_dict(), as_json=as_json)
    console.advise(f"\nData set: {folder}\nNext:     embertune tune {folder} --out adapter")


def _check_out(folder: str) -> None:
    """Refuse, before anything is read or paid for, a folder that cannot be written to."""
    target = as_path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{target} cannot be made: {error.strerror or error}. Name another folder.") from None
    if not os.access(target, os.W_OK):
        raise StorageError(f"{target} cannot be written to. Name another folder.")
