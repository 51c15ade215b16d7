"""``embertune mine``: find hard negatives."""

from __future__ import annotations

from typing import Any

import click

from embertune.cli.console import Console, emit
from embertune.cli.options import (
    check_out_file,
    column_options,
    encoder_options,
    json_option,
    make_encoder,
    read_dataset,
)

__all__ = ["command"]

_SETTINGS = (
    "num_negatives", "range_min", "range_max", "max_score", "min_score", "absolute_margin", "relative_margin",
    "sampling", "seed",
)  # fmt: skip


def _margin(context: click.Context, parameter: click.Parameter, value: str) -> float | None:
    if value == "none":
        return None
    try:
        return float(value)
    except ValueError:
        raise click.BadParameter(f"expected a share such as 0.05, or none; found {value!r}") from None


@click.command("mine")
@click.argument("data")
@encoder_options
@click.option("--batch-size", type=click.IntRange(1), help="Texts that the encoder takes at a time.")
@click.option("--out", "-o", required=True, metavar="FILE", help="The JSONL file to write.")
@click.option("--format", "row_format", type=click.Choice(["triplet", "n-tuple", "labeled-pair", "labeled-list"]),
              default="triplet", show_default=True, help="What a row is; see the guide on negatives.")  # fmt: skip
@click.option("--scores", is_flag=True, help="Write the cosines, too; the positive's first.")
@click.option("--num-negatives", "-n", type=int, default=3, show_default=True, help="Negatives of a query.")
@click.option("--range-min", type=int, default=0, show_default=True, help="Skip so many of the best candidates.")
@click.option("--range-max", type=int, help="Look at so many candidates at most.  [default: as many as are needed]")
@click.option("--max-score", type=float, help="Leave out candidates of a higher cosine: likely answers.")
@click.option("--min-score", type=float, help="Leave out candidates of a lower cosine: too easy.")
@click.option("--margin", "absolute_margin", type=float, help="How far below the positive's cosine they must lie.")
@click.option("--relative-margin", callback=_margin, default="0.05", show_default=True, metavar="SHARE|none",
              help="The same as a share of the positive's cosine.")  # fmt: skip
@click.option("--sampling", type=click.Choice(["top", "random"]), default="top", show_default=True,
              help="The highest candidates, or a draw.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of that draw.")
@click.option("--candidates", type=click.Choice(["corpus", "positives"]), default="corpus", show_default=True,
              help="Take negatives from all documents, or from the answers of other queries.")  # fmt: skip
@click.option("--no-guard", is_flag=True, help="Take also copies and overlapping chunks of an answer.")
@click.option("--part", type=click.Choice(["train", "dev", "test", "all"]),
              help="Whose queries.  [default: train where the data has a split, else all]")  # fmt: skip
@click.option("--search", default="exact", show_default=True, metavar="exact|faiss|faiss:FACTORY",
              help="Who searches; faiss:HNSW32 is approximate.")  # fmt: skip
@column_options
@json_option
def command(data: str, out: str, row_format: Any, columns: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Find documents that look like answers to the queries of DATA and are none, and write them as training rows."""
    from embertune.data.negatives import MiningConfig
    from embertune.recipes.mine_negatives import mine_negatives

    console = Console()
    check_out_file(out)
    config = MiningConfig(**{name: options.pop(name) for name in _SETTINGS})
    encoder = make_encoder(options)
    scores, guard = options.pop("scores"), not options.pop("no_guard")
    dataset = read_dataset(data, columns, console.progress)
    console.expect(encoder, dataset)
    mined = mine_negatives(dataset, encoder, config, guard=guard, progress=console.progress, **options)
    path = mined.save(out, row_format, scores=scores)
    emit(mined, {**mined.to_dict(), "format": row_format, "out": str(path)}, as_json=as_json)
    console.paid(encoder)
    console.advise(f"\nRows: {path}")
