"""Options that several commands share, spelled and explained once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from embertune.cli.console import PROGRESS_FILE
from embertune.core.files import check_folder
from embertune.core.paths import as_path
from embertune.core.progress import Progress
from embertune.data.dataset import Dataset
from embertune.encoders.base import Encoder
from embertune.errors import ConfigError, DataError, StorageError

__all__ = [
    "check_out_file",
    "chunking_options",
    "column_options",
    "encoder_options",
    "json_option",
    "make_encoder",
    "progress_option",
    "read_dataset",
    "store_options",
    "together",
]

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def together(*options: Decorator) -> Decorator:
    """Give several options as one decorator; in the help they stand in this order."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


json_option: Decorator = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")


def _keep_progress_file(context: click.Context, _: click.Parameter, path: str | None) -> None:
    context.meta[PROGRESS_FILE] = path


progress_option: Decorator = click.option(
    "--progress-file", metavar="FILE", expose_value=False, callback=_keep_progress_file,
    help="Also write progress to FILE, as one JSON object on each line.",
)  # fmt: skip

# What `make_encoder` takes.
encoder_options = together(
    click.option(
        "--encoder", "-e", default="static", show_default=True,
        help="Who embeds: static, sentence-transformers/NAME, model2vec/NAME, fastembed/NAME, a model folder, "
        "PROVIDER/MODEL of any API, or precomputed:FILE.npz.",
    ),
    click.option("--encoder-name", help="Name of the model behind precomputed vectors, for the record."),
    click.option("--query-prompt", help="Text put before every query."),
    click.option("--document-prompt", help="Text put before every document."),
    click.option("--dimensions", type=int, help="Shorter vectors, where the API offers them."),
    click.option("--api-base", help="Address of an API that speaks another one's language, such as a local server."),
    click.option("--no-cache", is_flag=True, help="Neither read nor write the embedding cache."),
)  # fmt: skip

# What `read_dataset` takes.
column_options: Decorator = click.option(
    "--columns", multiple=True, metavar="ROLE=NAME",
    help='Where a column is not recognised: --columns "query=my question" --columns document=body.',
)  # fmt: skip

# What `embertune.integrations.stores.open_store` takes.
store_options = together(
    click.option("--store", metavar="URL", help="A vector database: postgresql://…?table=T, chroma:DIR#NAME, "
                 "qdrant:DIR#NAME, lancedb:DIR#NAME, weaviate:URL#NAME, faiss:FILE."),
    click.option("--out-name", metavar="NAME", help="What the place of the tuned vectors in the store is called."),
)  # fmt: skip

# What `embertune.recipes.synthesize.read_chunks` takes.
chunking_options = together(
    click.option("--chunk-by", type=click.Choice(["tokens", "sentences", "headings"]), default="sentences",
                 show_default=True, help="Where documents are cut."),
    click.option("--chunk-size", type=click.IntRange(1), default=200, show_default=True,
                 help="The most tokens in a chunk."),
    click.option("--overlap", type=click.IntRange(0), default=0, show_default=True,
                 help="The most tokens that a chunk shares with the one before."),
)  # fmt: skip


def make_encoder(options: dict[str, Any]) -> Encoder:
    """Take the encoder options out of a command's options and load the encoder."""
    from embertune.encoders.registry import load_encoder

    source = options.pop("encoder")
    named = {
        "name": options.pop("encoder_name"),
        "query_prompt": options.pop("query_prompt"),
        "document_prompt": options.pop("document_prompt"),
        "dimensions": options.pop("dimensions"),
        "api_base": options.pop("api_base"),
        "batch_size": options.pop("batch_size", None),
        # Vectors from a file are never cached, so --no-cache asks nothing of them.
        "cache": False if options.pop("no_cache") and not source.startswith("precomputed:") else None,
    }
    return load_encoder(source, **{key: value for key, value in named.items() if value is not None})


def read_dataset(path: str, columns: tuple[str, ...], progress: Progress, *, option: str = "--columns") -> Dataset:
    """Load the data set that a command was given.

    Args:
        path: A file or a folder.
        columns: ROLE=NAME of columns.
        progress: Told that it is read.
        option: The option that `columns` came from, for messages.

    Raises:
        ConfigError: A column is not ROLE=NAME.
        DataError: The data set cannot be read.
    """
    from embertune.data.io import load_dataset

    wrong = [column for column in columns if "=" not in column]
    if wrong:
        raise ConfigError(f"{option} takes ROLE=NAME, such as query=question; found {', '.join(map(repr, wrong))}.")
    progress(f"read {Path(path).name}", 0)
    named: dict[str, list[str]] = {}
    for column in columns:
        role, _, name = column.partition("=")
        named.setdefault(role, []).append(name)
    try:
        return load_dataset(path, columns=named or None)
    except DataError as error:
        if option == "--columns":
            raise
        raise DataError(str(error).replace("--columns ", f"{option} ")) from None


def check_out_file(path: str) -> None:
    """Refuse a file that cannot be written, before anything is computed for it.

    Raises:
        StorageError: It is a folder, or its folder is not there.
    """
    target = as_path(path)
    if target.is_dir():
        raise StorageError(f"{target} is a folder. Expected the name of a file, such as --out {target / 'rows.jsonl'}")
    check_folder(target)
