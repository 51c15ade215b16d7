"""``embertune synthesize``: from documents to a data set that can be tuned on."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import click

from embertune.cli.console import Console, emit
from embertune.cli.llm import llm_options, take_llm_options
from embertune.cli.options import chunking_options, json_option, progress_option
from embertune.core.paths import as_path
from embertune.errors import StorageError

__all__ = ["command"]


@click.command("synthesize")
@click.argument("docs")
@click.option("--out", "-o", required=True, metavar="DIR", help="Folder for the data set, in BEIR's form.")
@click.option("--llm", metavar="MODEL", help="Who writes the queries: a model by LiteLLM's name, such as "
              "openai/gpt-4o-mini or ollama/llama3.1, or seq2seq:MODEL of transformers.  [default: they are cut "
              "out of the chunks, offline]")  # fmt: skip
@click.option("--per-chunk", "-n", type=click.IntRange(1), default=4, show_default=True, help="Queries for a chunk.")
@chunking_options
@click.option("--filter/--no-filter", "filter", default=None, help="Drop queries that nearly repeat others, are in "
              "another language than their chunk, or whose chunk BM25 does not find among its first 100.  "
              "[default: with --llm]")  # fmt: skip
@click.option("--styles", metavar="STYLE,…", help="Of --llm: question, keywords, vague, typo, multi-hop; cut out: "
              "keywords, crop, cloze, title, heading.  [default: all, but crop]")  # fmt: skip
@llm_options
@click.option("--estimate", is_flag=True, help="Of --llm: only say what it would cost; nobody is asked.")
@progress_option
@json_option
def command(docs: str, out: str, as_json: bool, estimate: bool, styles: str | None, **options: Any) -> None:
    """Read DOCS (.txt, .md, .html, .pdf, .docx, .jsonl, or a folder of them) and have queries written for its chunks.

    The result is marked as synthetic: nothing is judged on it where people's queries are, and a verdict on it alone
    says so.
    """
    from embertune.recipes.synthesize import estimate_synthesis, synthesize

    console = Console()
    filtered = options.pop("filter")
    options |= take_llm_options(options, estimate=estimate)
    if styles is not None:
        options["styles"] = [style.strip() for style in styles.split(",")]
    if estimate:
        expected = estimate_synthesis(docs, progress=console.progress, **options)
        emit(expected, asdict(expected), as_json=as_json)
        return
    _check_out(out)
    made = synthesize(docs, filter=filtered, progress=console.progress, **options)
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
