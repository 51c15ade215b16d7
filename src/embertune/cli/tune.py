"""``embertune tune``: train an adapter and say whether to ship it."""

from __future__ import annotations

from typing import Any

import click

from embertune.adapters.base import Adapter
from embertune.cli.console import Console, emit
from embertune.cli.families import family_options, make_adapter, take_named
from embertune.cli.options import (
    column_options,
    encoder_options,
    json_option,
    make_encoder,
    progress_option,
    read_dataset,
)
from embertune.cli.tuning import take_tuning
from embertune.data.dataset import Dataset
from embertune.data.margins import Margins
from embertune.encoders.base import Encoder
from embertune.errors import ConfigError

__all__ = ["command"]


@click.command("tune")
@click.argument("data")
@encoder_options
@click.option("--out", "-o", required=True, metavar="DIR", help="Folder for the adapter, its record and the report.")
@click.option(
    "--split", type=click.Choice(["by-query", "by-document", "given"]),
    help="by-query: new queries on known documents; by-document: documents never seen; given: the data's own. "
    "Default: given where the data has one, else by-query.",
)  # fmt: skip
@click.option("--side", type=click.Choice(["query", "both", "auto"]), show_default="auto; query with --effort fast",
              help="Adapt queries alone (stored vectors stay), stored documents too, or these if it pays.")  # fmt: skip
@click.option(
    "--adapter", metavar="TYPE",
    help="Fit this family in place of searching linear maps: document, linear, mlp, orthogonal, truncation, whitening.",
)  # fmt: skip
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE",
              help="A setting of tuning, such as folds=10 or metric=recall@10, or a parameter of --adapter, such as "
              "hidden=2048; repeatable.")  # fmt: skip
@family_options
@click.option("--scores", metavar="FILE", help="Margins of DATA, as pseudo-label writes them, for an --adapter "
              "whose --loss learns from them, such as margin_mse.")  # fmt: skip
@click.option("--effort", type=click.Choice(["fast", "normal", "thorough"]), default="normal", show_default=True,
              help="How hard to search.")  # fmt: skip
@click.option("--device", metavar="NAME", show_default="cpu",
              help="Where maps are fitted: cpu (numpy), cuda, cuda:1, mps (torch), auto (cuda or cpu).")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="One seed for everything random.")
@click.option("--strict", is_flag=True, help="Refuse data with near-copies of queries across train and test.")
@click.option("--foreign", metavar="DATA",
              help="Another data set, whose queries it is not for: what do they lose?"
              " Of 60 or more half are kept apart to spare such.")  # fmt: skip
@click.option("--foreign-encoder", metavar="ENCODER",
              help="Whose vectors --foreign has, if --encoder cannot embed it: precomputed:FILE.npz.")  # fmt: skip
@click.option("--foreign-columns", multiple=True, metavar="ROLE=NAME", help="As --columns, of --foreign.")
@column_options
@progress_option
@json_option
def command(
    data: str,
    out: str,
    foreign: str | None,
    foreign_encoder: str | None,
    columns: tuple[str, ...],
    adapter: str | None,
    settings: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Train an adapter on DATA (a BEIR folder, or JSONL, CSV, TSV or Parquet) and prove or disprove its gain.

    Everything is chosen on dev; the test split is opened once. Where no gain is proven, the saved adapter is the
    identity, and what was trained lies in DIR/candidate.
    """
    from embertune.encoders.canaries import canary_dataset
    from embertune.recipes.foreign import load_foreign
    from embertune.recipes.tune import check_output, tune
    from embertune.training.config import TuneConfig

    console = Console()
    check_output(out)
    foreign_columns = options.pop("foreign_columns")
    if foreign_columns and foreign is None:
        raise ConfigError("--foreign-columns was given without foreign data. Name it, too: --foreign DATA")
    named, passages = take_named(options)
    tuning, settings = take_tuning(settings, adapter)
    family = make_adapter(adapter, settings, named)
    if tuning:
        options["effort"] = TuneConfig.of_effort(options["effort"], **tuning, **_side(options, family))
    other = _foreign_encoder(foreign_encoder, options["encoder_name"])
    encoder = make_encoder(options)
    dataset = read_dataset(data, columns, console.progress)
    theirs = None
    if foreign is not None:
        theirs = read_dataset(foreign, foreign_columns, console.progress, option="--foreign-columns")
    away = load_foreign(theirs, other, dataset, encoder, seed=options["seed"])
    work = [(encoder, [dataset, canary_dataset()])]
    if away:
        work = (
            [(encoder, [*work[0][1], away.dataset])]
            if away.encoder is encoder
            else [*work, (away.encoder, [away.dataset])]
        )
    scores = _scores(options.pop("scores"), dataset, family)
    for one, datasets in work:
        console.expect(one, *datasets)
    taught: dict[str, Any] = {"passages": passages, "scores": scores}
    result = tune(dataset, encoder, adapter=family, foreign=away, progress=console.progress, **taught, **options)
    folder = result.save(out)
    emit(result, result.record, as_json=as_json)
    for one, _ in work:
        console.paid(one)
    console.advise(f"\nAdapter: {folder}\nReport:  {folder / 'report.html'}")


def _side(options: dict[str, Any], family: Adapter | None) -> dict[str, Any]:
    """Take the side to where the other settings of tuning stand, unless the family has its own."""
    side = None if family is not None else options.pop("side")
    return {} if side is None else {"side": side}


def _scores(path: str | None, dataset: Dataset, family: Adapter | None) -> dict[str, dict[str, float]] | None:
    """Read a teacher's scores, by the ids of the data."""
    if path is None:
        return None
    if family is None or "labels" not in family.wants:
        who = "The search of linear maps" if family is None else "This loss"
        raise ConfigError(f"{who} makes no use of --scores. Add a family and a loss that do: "
                          "--adapter linear --loss margin_mse")  # fmt: skip
    return Margins.read(path).scores_of(dataset)


def _foreign_encoder(source: str | None, name: str | None) -> Encoder | None:
    """Load it; --encoder-name names the vectors of both data sets, which must come from one model."""
    from embertune.encoders.registry import load_encoder

    if source is None:
        return None
    return load_encoder(source, **({"name": name} if name and source.startswith("precomputed:") else {}))
