"""``embertune finetune``: fine-tune a whole model from one YAML file, and say whether it beats the adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from embertune.cli.console import Console, emit
from embertune.cli.options import json_option, progress_option
from embertune.errors import ConfigError

if TYPE_CHECKING:
    from embertune.training.finetune.config import FinetuneConfig

__all__ = ["command"]


@click.command("finetune")
@click.argument("config", nargs=-1, metavar="[CONFIG.yaml] [KEY=VALUE]...")
@click.option("--print-config", is_flag=True, help="Write the configuration, with a comment at every key, and stop.")
@progress_option
@json_option
def command(config: tuple[str, ...], print_config: bool, as_json: bool) -> None:
    """Fine-tune a sentence-transformers model as CONFIG.yaml says; KEY=VALUE changes single keys of it.

    Hard negatives are mined, a cross-encoder may label them, dev says which step is kept, and the test split is opened
    once, against the model as it was, BM25 and the best adapter on the same data. Interrupted, the same command goes on
    where it was. ``accelerate launch -m embertune finetune CONFIG.yaml`` trains on several GPUs.
    """
    from embertune.training.finetune.files import commented
    from embertune.training.finetune.processes import from_main, is_main

    settings = from_main(lambda: _read(config))
    if print_config:
        click.echo(commented(settings), nl=False)
        return
    from embertune.recipes.finetune_model import finetune

    if not is_main():  # the first process alone speaks, to the file for its progress, too
        finetune(config=settings)
        return
    console = Console()
    result = finetune(config=settings, progress=console.progress)
    emit(result, result.record, as_json=as_json)
    console.advise(f"\nModel:  {settings.output_dir}\nReport: {settings.output_dir}/report.html")
    if settings.push_to_hub:
        console.advise(f"Hub:    https://huggingface.co/{settings.push_to_hub}")


def _read(arguments: tuple[str, ...]) -> FinetuneConfig:
    from embertune.training.finetune.files import read_config

    files, overrides = [each for each in arguments if "=" not in each], [each for each in arguments if "=" in each]
    if len(files) > 1:
        raise ConfigError(f"Found {len(files)} configurations: {', '.join(files)}. Expected one, and KEY=VALUE.")
    return read_config(files[0] if files else None, overrides)
