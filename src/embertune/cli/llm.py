"""How a language model is asked, as options of a command."""

from __future__ import annotations

from typing import Any

import click

from embertune.cli.options import together
from embertune.errors import ConfigError

__all__ = ["chat_options", "llm_options", "take_chat_options", "take_llm_options"]

_queries = together(
    click.option("--language", help="Of --llm: the language of the queries, such as German.  [default: each chunk's]"),
    click.option("--chunks-per-request", type=click.IntRange(1),
                 help="Of --llm.  [default: as many as ask for 40 queries, at most 8]"),
    click.option("--max-copied", type=click.IntRange(1),
                 help="Of --llm: words in a row that a query may share with its chunk.  [default: 4]"),
)  # fmt: skip
# What `take_chat_options` takes: the options of a language model, whatever it writes.
chat_options = together(
    click.option("--api-base", metavar="URL", help="Of --llm: a server of your own in the provider's place."),
    click.option("--temperature", type=float, help="Of --llm.  [default: the provider's]"),
    click.option("--concurrency", type=click.IntRange(1), help="Of --llm: requests under way at once.  [default: 8]"),
    click.option("--requests-per-minute", type=click.FloatRange(0, min_open=True),
                 help="Of --llm: the account's limit."),
    click.option("--tokens-per-minute", type=click.FloatRange(0, min_open=True),
                 help="Of --llm: the account's limit, of prompts and answers."),
    click.option("--timeout", type=click.FloatRange(0, min_open=True),
                 help="Of --llm: seconds to wait for one answer.  [default: 120]"),
    click.option("--max-retries", type=click.IntRange(0),
                 help="Of --llm: how often a request that failed for now is repeated.  [default: 6]"),
    click.option("--budget", "budget_usd", type=click.FloatRange(0, min_open=True), metavar="USD",
                 help="Of --llm: stop before so many dollars are spent, with what is paid for."),
    click.option("--budget-tokens", type=click.IntRange(1), help="Of --llm: stop before so many tokens are spent."),
    click.option("--journal", metavar="FILE", help="Of --llm: the file that keeps every answer; the same command goes "
                 "on from it.  [default: answers.sqlite3 beside the cache]"),
)  # fmt: skip
# What `take_llm_options` takes.
llm_options = together(_queries, chat_options)
_CHAT_NAMES = ("api_base", "temperature", "concurrency", "requests_per_minute", "tokens_per_minute", "timeout",
               "max_retries", "budget_usd", "budget_tokens", "journal")  # fmt: skip
_NAMES = ("language", "chunks_per_request", "max_copied", *_CHAT_NAMES)


def take_chat_options(options: dict[str, Any]) -> dict[str, Any]:
    """Take the options of `chat_options` that were given out of a command's options.

    Raises:
        ConfigError: Some were given, and no language model that they are of.
    """
    given = {name: value for name in _CHAT_NAMES if (value := options.pop(name)) is not None}
    if given and options["llm"] is None:
        told = " and ".join(map(_told, given))
        verb = "is" if len(given) == 1 else "are"
        raise ConfigError(f"{told} {verb} of --llm, which was not given. Name a model: --llm openai/gpt-4o-mini")
    return given


def _told(name: str) -> str:
    return f"--{'budget' if name == 'budget_usd' else name.replace('_', '-')}"


def take_llm_options(options: dict[str, Any], *, estimate: bool = False) -> dict[str, Any]:
    """Take the options of a language model out of a command's options; those that were not given are left to it.

    Raises:
        ConfigError: Some were given, and no language model that they are of.
    """
    given = {name: value for name in _NAMES if (value := options.pop(name)) is not None}
    llm = options["llm"]
    told = [_told(name) for name in given]
    if llm is None and (told or estimate):
        told += ["--estimate"] if estimate else []
        raise ConfigError(
            f"{' and '.join(told)} {'is' if len(told) == 1 else 'are'} of --llm, which was not given: cutting queries "
            "out is free and asks nobody. Name a model: --llm openai/gpt-4o-mini"
        )
    if llm is not None and llm.startswith("seq2seq:") and (wrong := [name for name in told if name != "--journal"]):
        raise ConfigError(f"{' and '.join(wrong)} means nothing to {llm}, which runs on this machine. Leave it out.")
    return given
