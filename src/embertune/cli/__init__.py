"""The command line: every command parses, calls one recipe and prints."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from embertune.errors import EmbertuneError

__all__ = ["main"]

COMMANDS = {
    "apply": "Write what an adapter makes of the vectors in a database beside them; switch, or go back.",
    "audit": "Find labels that look wrong or missing, and put verdicts on them in.",
    "compare": "Judge adapters side by side on the same queries.",
    "curve": "Forecast what more labels would bring, and when to stop.",
    "demo": "Tune on the Python documentation of this machine, offline.",
    "doctor": "Check this installation.",
    "evaluate": "Judge an encoder, with or without an adapter.",
    "export": "Write an adapter for another runtime (ONNX, SQL, LangChain, …), or a whole model as ONNX.",
    "feedback": "Make training data of thumbs up and down on the answers of a chat.",
    "filter": "Drop queries that teach nothing or the wrong thing, each with its reason.",
    "finetune": "Fine-tune a whole model, and say whether that beats the adapter.",
    "infer": "Show the cosines between a few texts.",
    "inspect": "Tell what can be learned from a data set, and what is wrong with it.",
    "logs": "Make training data of a search log.",
    "migrate": "Go over to another encoder without embedding the index again.",
    "mine": "Find hard negatives with any encoder.",
    "pseudo-label": "Let a cross-encoder say how far positives lead over negatives.",
    "pull": "Download an adapter from the Hugging Face hub.",
    "push": "Upload an adapter, or a fine-tuned model, to the Hugging Face hub.",
    "rag-dataset": "Make training data for an LLM: questions, retrieved passages, answers.",
    "serve": "Serve adapters behind OpenAI's protocol.",
    "synthesize": "Make a data set of documents that nobody asked about yet.",
    "transform": "Apply an adapter to a file of vectors.",
    "tune": "Train an adapter on your data and say whether to ship it.",
    "ui": "Open the workbench: the whole loop in a browser.",
    "update": "Go on from an adapter with new labels, and lose nothing it gave.",
}


class _Commands(click.Group):
    """Import a command only when it is called, so that --help and completion stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"embertune.cli.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="embertune")
def root() -> None:
    """Make retrieval better on your own data, with any embedding model, and prove it.

    Start with: embertune demo
    """


def main() -> None:
    """Run the command line and end the process: 0 done, 1 a mistake that is explained, 2 wrong usage, 130 Ctrl-C."""
    try:
        code = root(prog_name="embertune", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo(
            "\nInterrupted. What was embedded so far is in the cache, unless --no-cache was given: the same command "
            "goes on from there.",
            err=True,
        )
        # Leaving in the usual way would first wait for requests under way, up to a minute each and then again.
        os._exit(130)
    except EmbertuneError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # The reader (head, less) left; without this Python complains once more while it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
