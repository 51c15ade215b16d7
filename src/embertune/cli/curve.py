"""``embertune curve``: what more labels would bring."""

from __future__ import annotations

from typing import Any

import click

from embertune.cli.console import Console, emit
from embertune.cli.options import column_options, encoder_options, json_option, make_encoder, read_dataset
from embertune.core.paths import as_path
from embertune.errors import ConfigError, StorageError

__all__ = ["command"]


@click.command("curve")
@click.argument("data")
@encoder_options
@click.option("--out", "-o", required=True, metavar="DIR", help="Folder for curve.html, curve.json and curve.jsonl.")
@click.option("--sizes", metavar="N1,N2,…", help="Numbers of labelled queries.  [default: all, halved down to 16]")
@click.option("--draws", type=click.IntRange(1), default=3, show_default=True, help="Subsets of each size.")
@click.option("--split", type=click.Choice(["by-query", "by-document", "given"]),
              help="Who is judged.  [default: given where the data has a test split, else by-query]")  # fmt: skip
@click.option("--effort", type=click.Choice(["fast", "normal", "thorough"]), default="fast", show_default=True,
              help="How hard tuning tries on each subset.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything random.")
@column_options
@json_option
def command(data: str, out: str, sizes: str | None, columns: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Tune on more and more of the labels of DATA, and say what the next 100, 1 000 and 10 000 would bring.

    The same command goes on after an interruption: what was measured is in DIR/curve.jsonl.
    """
    from embertune.recipes.learning_curve import learning_curve

    console, folder = Console(), as_path(out)
    options["sizes"] = _numbers(sizes)
    encoder = make_encoder(options)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be made: {error.strerror or error}. Name another folder.") from None
    curve = learning_curve(
        read_dataset(data, columns, console.progress), encoder, journal=folder / "curve.jsonl",
        progress=console.progress, before_embedding=console.expect, **options,
    )  # fmt: skip
    page = curve.save(folder)
    emit(curve, curve.to_dict(), as_json=as_json)
    console.paid(encoder)
    console.advise(f"\nPage: {page}")


def _numbers(given: str | None) -> list[int] | None:
    if given is None:
        return None
    try:
        return [int(number) for number in given.split(",")]
    except ValueError:
        raise ConfigError(f"--sizes takes numbers such as 50,100,200; found {given!r}.") from None
