"""The page on the command line, written from the commands themselves.

``python -m embertune.cli.reference > docs/cli.md``
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from embertune.cli import root

__all__ = ["reference"]

_INTRODUCTION = """\
# The command line

Results go to stdout, progress and advice to stderr. `--json` prints one JSON document instead of text. The exit code is
0 when all went well, 1 for a mistake that the message explains, 2 for a command that cannot be read, 130 after Ctrl-C.
Every command explains itself with `--help`.

This page is generated: `make docs`."""


def reference() -> str:
    """Give the page as Markdown.

    Example:
        >>> print(reference().splitlines()[0])
        # The command line
    """
    with click.Context(root, info_name="embertune") as context:
        parts = [_INTRODUCTION, *(_section(context, name) for name in root.list_commands(context))]
    return "\n\n".join(parts) + "\n"


def _section(parent: click.Context, name: str) -> str:
    command = root.get_command(parent, name)
    assert command is not None
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    text = inspect.cleandoc(command.help or "")
    rows = list(_rows(command))
    table = "\n".join(["| option | meaning | default |", "|---|---|---|", *rows])
    return f"## embertune {name}\n\n```text\n{usage}\n```\n\n{text}\n\n{table}"


def _rows(command: click.Command) -> Iterator[str]:
    for option in command.params:
        if isinstance(option, click.Option):
            names = ", ".join(f"`{name}`" for name in sorted(option.opts, key=len))
            value = _value(option)
            meaning = " ".join((option.help or "").split()).replace("|", "\\|")
            yield f"| {names}{f' {value}' if value else ''} | {meaning} | {_default(option)} |"


def _value(option: click.Option) -> str:
    if option.is_flag:
        return ""
    choices = getattr(option.type, "choices", None)
    return " \\| ".join(f"`{choice}`" for choice in choices) if choices else f"`{option.metavar or _kind(option)}`"


def _kind(option: click.Option) -> str:
    return {"integer": "N", "integer range": "N"}.get(option.type.name, option.type.name.upper())


def _default(option: click.Option) -> str:
    if option.required:
        return "required"
    said = option.show_default  # in words, where the default depends on something
    shown = said if isinstance(said, str) else option.default if said else None
    repeated = "may be repeated" if option.multiple else ""
    return f"`{shown}`" if shown is not None else repeated


if __name__ == "__main__":
    click.echo(reference(), nl=False)
