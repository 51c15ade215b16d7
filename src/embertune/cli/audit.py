"""``embertune audit``: find labels that look wrong or missing, and put verdicts on them into the data."""

from __future__ import annotations

from contextlib import nullcontext
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
from embertune.errors import ConfigError

__all__ = ["command"]


@click.command("audit")
@click.argument("data")
@encoder_options
@click.option("--out", "-o", required=True, metavar="FILE|DIR",
              help="The file to fill in (.csv, .jsonl); with --apply or --judge, the folder for the data.")  # fmt: skip
@click.option("--apply", "sheet", metavar="FILE", help="Put the verdicts of this file into the data.")
@click.option("--judge", metavar="llm:MODEL|cross-encoder:MODEL",
              help="Who judges; without one the file is for a person.")  # fmt: skip
@click.option("--judge-base", metavar="URL", help="Address of an API of one's own that --judge llm:MODEL asks.")
@click.option("--limit", "-n", type=click.IntRange(1), default=200, show_default=True, help="Suspects to name.")
@click.option("--per-query", type=click.IntRange(1), default=3, show_default=True, help="Missing labels of one query.")
@click.option("--part", type=click.Choice(["train", "dev", "test", "all"]), help="Whose queries.  [default: all]")
@click.option(
    "--budget", "budget_usd", type=float, metavar="DOLLARS", help="The most that --judge llm:MODEL may spend."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of intervals and tests.")
@column_options
@json_option
def command(data: str, out: str, columns: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Name the labels of DATA that are likeliest wrong or missing, in a file to fill in; or judge them at once.

    Then: embertune audit DATA --apply FILE --out FOLDER
    """
    console = Console()
    sheet, judge, seed = options.pop("sheet"), options.pop("judge"), options.pop("seed")
    if sheet and judge:
        raise ConfigError("--apply takes the verdicts of a file, and --judge makes new ones. Give one of them.")
    api_base, budget = options.pop("judge_base"), options.pop("budget_usd")
    encoder = make_encoder(options)
    if not sheet and not judge:
        check_out_file(out)
    dataset = read_dataset(data, columns, console.progress)
    told = {"progress": console.progress, "before_embedding": console.expect}
    if sheet:
        _apply(dataset, sheet, encoder, out, seed=seed, as_json=as_json, **told)
    else:
        with _judge(judge, api_base, budget) as asked:
            _audit(dataset, encoder, out, judge=asked, seed=seed, as_json=as_json, **options, **told)
    console.paid(encoder)


def _audit(dataset: Any, encoder: Any, out: str, *, judge: Any, seed: int, as_json: bool, **options: Any) -> None:
    from embertune.recipes.audit import audit

    found = audit(dataset, encoder, judge=judge, **options)
    if judge is not None and found.verdicts:
        told = {name: options[name] for name in ("progress", "before_embedding")}
        Console().advise(str(found))
        _apply(dataset, found.verdicts, encoder, out, seed=seed, as_json=as_json, **told)
        return
    path = found.save(out)
    emit(found, {**found.to_dict(), "out": str(path)}, as_json=as_json)
    Console().advise(
        f"\nFill in the column verdict of {path} with yes or no, then type:\n"
        f"embertune audit DATA --apply {path} --out FOLDER"
    )


def _apply(dataset: Any, verdicts: Any, encoder: Any, out: str, *, seed: int, as_json: bool, **told: Any) -> None:
    from embertune.recipes.audit import apply_audit

    done = apply_audit(dataset, verdicts, encoder, seed=seed, **told)
    done.applied.dataset.save(out)
    emit(done, {**done.to_dict(), "out": out}, as_json=as_json)
    Console().advise(f"\nData: {out}")


def _judge(name: str | None, api_base: str | None, budget: float | None) -> Any:
    """Load who judges, as a context."""
    kind, _, model = (name or "").partition(":")
    if kind == "llm" and model:
        from embertune.data.synthesis.judge import LLMJudge

        return LLMJudge(model, api_base=api_base, budget_usd=budget)
    if kind == "cross-encoder" and model:
        from embertune.encoders.scorers import load_scorer

        return nullcontext(load_scorer(model))
    if name is not None:
        raise ConfigError(
            f"--judge is {name!r}. Expected llm:MODEL, such as llm:openai/gpt-4o-mini, or cross-encoder:MODEL, such as "
            "cross-encoder:cross-encoder/ms-marco-MiniLM-L6-v2."
        )
    return nullcontext()
