"""``embertune demo``: the main job on data that every Python has."""

from __future__ import annotations

import click

from embertune.cli.console import Console, emit
from embertune.cli.options import json_option, progress_option

__all__ = ["command"]


@click.command("demo")
@click.option("--out", "-o", default="embertune-demo", show_default=True, metavar="DIR", help="Folder for the result.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="One seed for everything random.")
@progress_option
@json_option
def command(out: str, seed: int, as_json: bool) -> None:
    """Tune on the documentation of this machine's Python: its docstrings, and questions as programmers ask them.

    Offline, without a key, in under a minute. A third of the answers appear in the test split alone.
    """
    from embertune.data.demo import demo_dataset
    from embertune.recipes.tune import check_output, tune

    console = Console()
    check_output(out)
    console.progress("read the documentation of this Python", 0)
    dataset = demo_dataset()
    result = tune(dataset, "static", split="given", side="both", seed=seed, progress=console.progress)
    folder = result.save(out)
    emit(result, result.record, as_json=as_json)
    console.advise(f"\nAdapter: {folder}\nReport:  {folder / 'report.html'}")
