"""``embertune pseudo-label``: margins of a cross-encoder."""

from __future__ import annotations

from typing import Any

import click

from embertune.cli.console import Console, emit
from embertune.cli.options import check_out_file, column_options, json_option, read_dataset

__all__ = ["command"]


@click.command("pseudo-label")
@click.argument("data")
@click.option("--scorer", required=True, metavar="MODEL",
              help="A cross-encoder of sentence-transformers: name on the hub, or a folder.")  # fmt: skip
@click.option("--retriever", default="static", show_default=True, metavar="bm25|ENCODER",
              help="Who finds the documents that are scored.")  # fmt: skip
@click.option("--out", "-o", required=True, metavar="FILE", help="The JSONL file to write.")
@click.option("--top-k", type=click.IntRange(1), default=25, show_default=True, help="Documents scored for a query.")
@click.option("--min-margin", type=float, help="Leave out triplets of a lower margin.")
@click.option("--unlabelled", is_flag=True,
              help="Take queries without a relevant document, too: what scores highest counts as one.")  # fmt: skip
@click.option("--part", type=click.Choice(["train", "dev", "test", "all"]),
              help="Whose queries.  [default: train where the data has a split, else all]")  # fmt: skip
@click.option("--device", help="Where the cross-encoder runs: cpu, cuda, …")
@click.option("--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Pairs in a forward pass.")
@click.option("--max-length", type=click.IntRange(1), help="Tokens of a pair; the rest is cut off.")
@click.option("--no-cache", is_flag=True, help="Neither read nor write the cache of scores.")
@column_options
@json_option
def command(
    data: str, out: str, scorer: str, columns: tuple[str, ...], min_margin: float | None, as_json: bool, **options: Any
) -> None:
    """Pull the best documents for every query of DATA, score them, and write triplets with margins for MarginMSE.

    The same command goes on after an interruption: what was scored is in the cache.
    """
    from embertune.encoders.scorers import load_scorer
    from embertune.recipes.pseudo_label import pseudo_label

    console = Console()
    check_out_file(out)
    dataset = read_dataset(data, columns, console.progress)
    model = {name: options.pop(name) for name in ("device", "batch_size", "max_length")}
    judge = load_scorer(scorer, cache=not options.pop("no_cache"), **model)
    found = pseudo_label(dataset, judge, progress=console.progress, **options)
    path = found.save(out, min_margin=min_margin)
    emit(found, {**found.to_dict(), "out": str(path)}, as_json=as_json)
    console.advise(f"\nRows: {path}")
