"""``embertune filter``: drop queries that teach nothing or the wrong thing."""

from __future__ import annotations

from typing import Any

import click

from embertune.cli.console import Console, emit
from embertune.cli.options import column_options, json_option, read_dataset
from embertune.core.paths import as_path
from embertune.errors import ConfigError

__all__ = ["command"]

_MARKS = ["language", "near-duplicate", "too-hard", "round-trip", "too-easy"]


@click.command("filter")
@click.argument("data")
@click.option("--out", "-o", required=True, metavar="DIR", help="Folder for what is left, in BEIR's layout.")
@click.option("--round-trip", default="bm25", show_default=True, metavar="bm25|ENCODER|none",
              help="Who must find a query's document: bm25, or an encoder other than the one to tune.")  # fmt: skip
@click.option("--top-k", type=int, default=10, show_default=True, help="Among how many.")
@click.option("--hard-rank", type=int, default=100, show_default=True, help="Beyond this rank a query is too-hard.")
@click.option("--easy-lead", type=float, default=0.5, show_default=True,
              help="A first document whose score leads by this share makes a query too-easy.")  # fmt: skip
@click.option("--easy-words", type=int, default=8, show_default=True,
              help="So many words in a row from its document make it too-easy, too.")  # fmt: skip
@click.option(
    "--near-documents", type=float, help="Jaccard index from which documents are merged.  [default: none are]"
)
@click.option("--language", default="documents", show_default=True, metavar="documents|CODE|none",
              help="The language that queries must have: their document's, one such as de, or any.")  # fmt: skip
@click.option("--drop", multiple=True, type=click.Choice(_MARKS), default=["language", "near-duplicate", "round-trip"],
              show_default=True, help="Marks that drop a query; repeatable. Others are only written down.")  # fmt: skip
@column_options
@json_option
def command(
    data: str, out: str, round_trip: str, language: str, columns: tuple[str, ...], as_json: bool, **options: Any
) -> None:
    """Drop queries of DATA that nearly repeat others, or whose document another retriever does not find.

    DIR/dropped.jsonl names every dropped query and its reason, DIR/remarks.jsonl what was seen at each. Queries in dev
    and test stay as they are.
    """
    from embertune.data.quality import FilterConfig
    from embertune.encoders.registry import load_encoder
    from embertune.recipes.filter_data import filter_queries

    if as_path(out).resolve() == as_path(data).resolve():
        raise ConfigError(f"--out is {out}, the data itself. Name another folder, so that what is dropped stays there.")
    console = Console()
    config = FilterConfig(language=None if language == "none" else language, **options)
    dataset = read_dataset(data, columns, console.progress)
    retriever: Any = None if round_trip == "none" else round_trip
    if round_trip not in ("bm25", "none"):
        retriever = load_encoder(round_trip)
        console.expect(retriever, dataset)
    found = filter_queries(dataset, retriever, config, progress=console.progress)
    folder = found.save(out)
    emit(found, {**found.to_dict(), "out": str(folder)}, as_json=as_json)
    console.advise(f"\nData:    {folder}\nDropped: {folder / 'dropped.jsonl'}")
