"""``embertune evaluate``: judge an encoder, with or without an adapter, in memory or inside a vector database."""

from __future__ import annotations

from typing import Any

import click

from embertune.cli.console import Console, emit
from embertune.cli.judging import judge, judging_options
from embertune.cli.options import make_encoder, read_dataset, store_options

__all__ = ["command"]


@click.command("evaluate")
@judging_options(adapter="A saved adapter, judged against the encoder alone.")
@store_options
def command(store: str | None, out_name: str | None, **options: Any) -> None:
    """Judge an encoder on DATA, beside BM25, with every metric.

    An adapter that was tuned on DATA is judged on its test queries only; its record names them. With --store the
    search is that of a vector database: approximate against exact, base against tuned.
    """
    from embertune.recipes.evaluate_encoders import evaluate

    if store is None:
        judge(evaluate, **options)
    else:
        _judge_store(store, out_name, **options)


def _judge_store(
    store: str, out: str | None, *, data: str, adapter: tuple[str, ...], columns: tuple[str, ...], as_json: bool,
    **options: Any,
) -> None:  # fmt: skip
    from embertune.integrations.stores import open_store
    from embertune.recipes.evaluate_store import evaluate_store

    console, encoder = Console(), make_encoder(options)
    dataset = read_dataset(data, columns, console.progress)
    opened = open_store(store, out=out)
    try:
        report = evaluate_store(dataset, encoder, opened, adapter, progress=console.progress, **options)
    finally:
        opened.close()
    emit(report, report.to_dict(), as_json=as_json)
    console.paid(encoder)
