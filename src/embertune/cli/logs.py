"""``embertune logs``: a search log as a data set."""

from __future__ import annotations

import re
from typing import Any

import click

from embertune.cli.console import Console, emit
from embertune.cli.imported import columns_of, write_imported
from embertune.cli.options import column_options, json_option
from embertune.errors import ConfigError

__all__ = ["command"]


@click.command("logs")
@click.argument("log")
@click.option("--corpus", metavar="FILE", help="Ids and texts, where the log names documents by id: a BEIR folder or a "
              "table.  [default: the log holds the texts]")  # fmt: skip
@click.option("--out", "-o", required=True, metavar="DIR", help="Folder for the data set.")
@click.option("--propensities", default="auto", show_default=True, metavar="auto|ratio|em|reciprocal|P1,P2,…",
              help="How likely each rank is looked at: how to estimate it, or the numbers.")  # fmt: skip
@click.option("--min-clicks", type=int, default=2, show_default=True, help="Clicks that a relevant pair must have.")
@click.option("--min-looks", type=float, default=5.0, show_default=True,
              help="Looks, as expected, that a pair without clicks must have to be not relevant.")  # fmt: skip
@click.option("--min-dwell", type=float, default=0.0, show_default=True, help="Seconds that a click must last.")
@click.option("--last-click-only", is_flag=True, help="Count only the last click of a search.")
@click.option("--credit", "reformulation_credit", type=float, default=0.5, show_default=True,
              help="What a click counts for the words before, if it was asked again in others.")  # fmt: skip
@column_options
@json_option
def command(log: str, corpus: str | None, out: str, columns: tuple[str, ...], as_json: bool, **settings: Any) -> None:
    """Make graded pairs of a search LOG, corrected for where documents stood, and write them as a data set.

    LOG has a row for each search (query, shown documents, clicked document, rank, time, session), or one for each
    result or click.
    """
    from embertune.data.dataset import Dataset
    from embertune.data.log_config import LogConfig

    Console().progress(f"read {log}", 0)
    settings["propensities"] = _propensities(settings["propensities"])
    dataset = Dataset.from_logs(log, corpus, columns=columns_of(columns), config=LogConfig(**settings))
    emit(dataset, write_imported(dataset, out), as_json=as_json)


def _propensities(value: str) -> str | list[float]:
    if not re.match(r"[\d.]", value):
        return value
    try:
        return [float(number) for number in value.split(",")]
    except ValueError:
        raise ConfigError(f"--propensities takes numbers such as 1,0.6,0.4; found {value!r}.") from None
