"""``embertune rag-dataset``: training data for an LLM that answers from retrieved passages."""

from __future__ import annotations

from typing import Any

import click

from embertune.cli.console import Console, emit
from embertune.cli.llm import chat_options, take_chat_options
from embertune.cli.options import check_out_file, chunking_options, json_option, progress_option

__all__ = ["command"]


@click.command("rag-dataset")
@click.option("--encoder", "-e", default="static", show_default=True, metavar="DIR|ENCODER",
              help="Who retrieves: a model's folder, an adapter's, or any encoder's name.")  # fmt: skip
@click.option("--documents", required=True, metavar="FILE|FOLDER",
              help=".txt, .md, .html, .pdf, .docx, .jsonl, or a folder of them.")  # fmt: skip
@click.option("--questions", required=True, metavar="FILE", help="A question on each line of a .txt, or a table with a "
              "column question, and perhaps answer and id.")  # fmt: skip
@click.option("--output", "-o", required=True, metavar="FILE.jsonl", help="The file to write.")
@click.option("--llm", metavar="MODEL", help="Who answers: a model by LiteLLM's name, such as openai/gpt-4o-mini or "
              "ollama/llama3.1.  [default: nobody; answers in the questions' file are taken]")  # fmt: skip
@click.option("--top-k", "k", type=click.IntRange(1), default=5, show_default=True, help="Passages for a question.")
@click.option("--system", metavar="TEXT", help="What the LLM to be trained is told first.  [default: to answer from "
              "the passages alone]")  # fmt: skip
@chunking_options
@chat_options
@progress_option
@json_option
def command(output: str, system: str | None, as_json: bool, **options: Any) -> None:
    """Retrieve passages for questions, have them answered, and write it all in the chat format of TRL's SFTTrainer.

    Every answer is in the journal as soon as it arrives: the same command goes on from there, and pays for nothing
    twice.
    """
    from embertune.recipes.rag_dataset import rag_dataset

    console = Console()
    options |= take_chat_options(options)
    check_out_file(output)
    if system is not None:
        options["system"] = system
    made = rag_dataset(progress=console.progress, **options)
    path = made.save(output)
    emit(made, {**made.to_dict(), "file": str(path)}, as_json=as_json)
    console.advise(f"\nRows: {path}")
