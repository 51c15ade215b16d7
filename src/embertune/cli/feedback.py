"""``embertune feedback``: thumbs up and down of a chat as a data set."""

from __future__ import annotations

import click

from embertune.cli.console import Console, emit
from embertune.cli.imported import columns_of, write_imported
from embertune.cli.options import column_options, json_option

__all__ = ["command"]


@click.command("feedback")
@click.argument("votes")
@click.option("--corpus", metavar="FILE", help="Ids and texts, where passages are named by id: a BEIR folder or a "
              "table.  [default: VOTES holds the texts]")  # fmt: skip
@click.option("--out", "-o", required=True, metavar="DIR", help="Folder for the data set.")
@click.option("--min-votes", type=float, default=0.0, show_default=True, help="Drop pairs with fewer thumbs.")
@column_options
@json_option
def command(
    votes: str, corpus: str | None, out: str, min_votes: float, columns: tuple[str, ...], as_json: bool
) -> None:
    """Make graded pairs of thumbs up and down on the answers of a chat, and write them as a data set.

    VOTES has a row for each thumb: query, passage or passages of the answer, thumb, and time and user if you have them.
    """
    from embertune.data.dataset import Dataset

    Console().progress(f"read {votes}", 0)
    dataset = Dataset.from_feedback(votes, corpus, columns=columns_of(columns), min_votes=min_votes)
    emit(dataset, write_imported(dataset, out), as_json=as_json)
