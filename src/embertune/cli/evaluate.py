"""``embertune evaluate``: judge an encoder, with or without an adapter."""

from __future__ import annotations

from typing import Any

import click

from embertune.cli.judging import judge, judging_options

__all__ = ["command"]


@click.command("evaluate")
@judging_options(adapter="A saved adapter, judged against the encoder alone.")
def command(**options: Any) -> None:
    """Judge an encoder on DATA, beside BM25, with every metric.

    An adapter that was tuned on DATA is judged on its test queries only; its record names them.
    """
    from embertune.recipes.evaluate_encoders import evaluate

    judge(evaluate, **options)
