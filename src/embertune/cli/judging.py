"""What ``embertune evaluate`` and ``embertune compare`` have in common: their options, and what they do with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from embertune.cli.console import Console, emit
from embertune.cli.options import Decorator, column_options, encoder_options, json_option, make_encoder, read_dataset

__all__ = ["judge", "judging_options"]


def judging_options(*, adapter: str, required: bool = False) -> Decorator:
    """Add DATA and the options that `judge` takes.

    Args:
        adapter: What --adapter means to this command.
        required: Whether there must be one.
    """
    options: list[Decorator] = [
        click.argument("data"),
        encoder_options,
        click.option("--adapter", "-a", multiple=True, required=required, metavar="DIR", help=adapter),
        click.option("--part", type=click.Choice(["train", "dev", "test", "all"]),
                     help="Which queries. Default: those that trained none of the adapters."),
        click.option("--strength", type=float, metavar="0..1",
                     help="How much is applied: 0 is nothing learned, 1 is as trained. Default: as saved."),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of intervals and tests."),
        column_options,
        json_option,
    ]  # fmt: skip

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def judge(
    recipe: Callable[..., Any],
    *,
    data: str,
    adapter: tuple[str, ...],
    columns: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Load what was named, let a recipe judge it, and print what it found.

    Args:
        recipe: `embertune.recipes.evaluate_encoders.evaluate` or `compare`.
        data: What `read_dataset` reads.
        adapter: Folders of adapters.
        columns: For `read_dataset`.
        as_json: For `emit`.
        options: Those of the encoder, which `make_encoder` takes out, and the recipe's.
    """
    console = Console()
    encoder = make_encoder(options)
    judged = recipe(
        read_dataset(data, columns, console.progress),
        encoder,
        adapter,
        progress=console.progress,
        before_embedding=console.expect,
        **options,
    )
    emit(judged, judged.to_dict(), as_json=as_json)
    console.paid(encoder)
