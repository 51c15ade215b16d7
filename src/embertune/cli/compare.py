"""``embertune compare``: judge adapters side by side."""

from __future__ import annotations

from typing import Any

import click

from embertune.cli.judging import judge, judging_options

__all__ = ["command"]


@click.command("compare")
@judging_options(adapter="A saved adapter; repeat it for more.", required=True)
def command(**options: Any) -> None:
    """Judge several adapters against the encoder alone, on the same queries, with intervals and tests.

    Adapters that were tuned on DATA are judged on the test queries that their records share.
    """
    from embertune.recipes.evaluate_encoders import compare

    judge(compare, **options)
