"""One command for every runtime that an adapter or a model can be written for, and what each of them needs to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from embertune.adapters.artifact import load_adapter
from embertune.adapters.base import Adapter, Side
from embertune.core.files import check_folder
from embertune.core.paths import as_path
from embertune.core.progress import Progress, silent
from embertune.encoders.base import Encoder
from embertune.errors import ConfigError

__all__ = ["TARGETS", "Exported", "Target", "export", "export_model"]


class Target(NamedTuple):
    """What an adapter can be written as."""

    writes: str
    """What comes out, in words."""
    ending: str
    """What a file's name has to end with; empty for a folder."""
    one_side: bool
    """Whether a file holds one side, so that an adapter of both needs two."""


TARGETS = {
    "langchain": Target("a Python file for LangChain, and its weights; needs langchain-core and numpy", ".py", False),
    "onnx": Target("an ONNX model", ".onnx", True),
    "pgvector": Target("a SQL function from vector to vector, and a table of weights", ".sql", True),
    "safetensors": Target("one file of matrices, with the steps that apply them", ".safetensors", True),
    "sentence-transformers": Target("model and adapter as one folder that SentenceTransformer loads", "", False),
}
"""By the name that `export` takes."""


@dataclass(frozen=True)
class Exported:
    """What was written; printing it says so, and what is to be done with an index.

    Attributes:
        target: One of `TARGETS`.
        side: "query", "document" or "both".
        files: What was written.
        changes_documents: Whether the adapter changes documents, so that an index of base vectors does not fit.
        needs_code: Whether loading it executes code that lies in the folder.
        parity: Of a whole model: how near each graph comes to it, in sentences.
    """

    target: str
    side: str
    files: tuple[str, ...]
    changes_documents: bool
    needs_code: bool = False
    parity: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON-able values."""
        return asdict(self)

    def __str__(self) -> str:
        """Say what was written and what comes next."""
        lines = [f"{self.target}, {self.side} side{'s' * (self.side == 'both')} → {', '.join(self.files)}"]
        if self.parity:
            return "\n".join([*lines, *self.parity])
        if not self.changes_documents:
            lines.append("The adapter changes queries alone: the index stays as it is.")
        else:
            lines.append(
                "The adapter changes documents, too: write the index once more before you search it with this, with "
                "embertune apply, or embertune transform --side document."
            )
            if self.side == "query":
                lines.append("Documents that come later need their side: the same command with --side document.")
        if self.needs_code:
            lines.append("It holds a module of its own: SentenceTransformer(FOLDER, trust_remote_code=True).")
        return "\n".join(lines)


def export(
    adapter: Adapter | str | Path,
    to: str,
    out: str | Path,
    *,
    side: str | None = None,
    strength: float | None = None,
    encoder: Encoder | str | None = None,
    name: str | None = None,
) -> Exported:
    """Write an adapter for another runtime, gate and strength included.

    Args:
        adapter: An adapter, or the folder of one.
        to: One of `TARGETS`.
        out: The file, or with "sentence-transformers" the folder.
        side: Of targets that hold one side: "query" or "document"; None: queries, or documents where the adapter
            changes those alone.
        strength: How much is applied, from 0 (nothing learned) to 1 (as trained); None: as saved.
        encoder: With "sentence-transformers": the model, where the adapter does not know where to find it.
        name: With "pgvector": what the function's name begins with; None: "embertune".

    Raises:
        ArtifactError: The adapter cannot be read, or belongs to another encoder.
        ConfigError: There is no such target, an option is not for it, or the adapter cannot be written for it.
        MissingExtraError: Writing it needs a package that is not installed.
        StorageError: The disk refused.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from embertune.adapters.linear import LinearAdapter
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     done = export(LinearAdapter().fit(np.eye(2), np.eye(2)[::-1]), "pgvector", f"{folder}/tuned.sql")
        ...     done.side, done.changes_documents
        ('query', False)
    """
    _check(to, out, side, encoder, name)
    loaded = adapter if isinstance(adapter, Adapter) else load_adapter(adapter)
    loaded = loaded if strength is None else loaded.scaled(strength)
    moved = loaded.changes("document")
    if not (moved or loaded.changes("query")):
        raise ConfigError(
            f"This {type(loaded).__name__} changes nothing: there is nothing to write. Where a verdict was not "
            "ship, what was trained lies in the folder's candidate/."
        )
    needs_code = False
    if to == "sentence-transformers":
        folder, needs_code = _writer("sentence_transformers", "write_sentence_transformer")(
            loaded, out, encoder=encoder
        )
        return Exported(to, "both", (str(folder),), moved, needs_code)
    if to == "langchain":
        files = _writer("langchain_retriever", "write_retriever")(loaded, out)
        return Exported(to, "both", tuple(map(str, files)), moved)
    chosen: Side = "document" if side == "document" or (side is None and not loaded.changes("query")) else "query"
    if to == "pgvector":
        written = _writer("pgvector_sql", "write_sql")(loaded, out, chosen, name=name or "embertune")
    elif to == "onnx":
        written = _writer("onnx", "write_onnx")(loaded, out, chosen)
    else:
        written = _writer("safetensors_file", "write_safetensors")(loaded, out, chosen)
    return Exported(to, chosen, (str(written),), moved)


def export_model(
    model: str | Path, to: str, out: str | Path, *, quantized: bool = False, progress: Progress = silent
) -> Exported:
    """Write a whole sentence-transformers model for another runtime, and compare what was written with the model.

    Args:
        model: A folder that ``SentenceTransformer`` loads, such as `embertune.finetune` writes.
        to: "onnx".
        out: The folder: a graph from tokens to embeddings, with pooling and normalisation in it, and its tokenizer.
        quantized: Write a second graph with weights of 8 bits, a quarter as large.
        progress: Told of each step.

    Returns:
        What was written, and how near it comes to the model.

    Raises:
        ConfigError: There is no such target for a model, or the model cannot be written for it.
        EncoderError: The model cannot be loaded, or its graph gives other embeddings.
        MissingExtraError: Writing it needs a package that is not installed.
        StorageError: The folder holds something, or the disk refused.

    Example:
        >>> export_model("my-model", "pgvector", "out")
        Traceback (most recent call last):
            ...
        embertune.errors.ConfigError: A whole model cannot be written for 'pgvector'. Expected onnx; the others are for\
 adapters (--adapter DIR).
    """
    if to != "onnx":
        raise ConfigError(
            f"A whole model cannot be written for {to!r}. Expected onnx; the others are for adapters (--adapter DIR)."
        )
    from embertune.integrations.onnx_model import write_onnx_model

    folder, parity = write_onnx_model(model, out, quantized=quantized, progress=progress)
    return Exported(to, "both", (str(folder),), True, parity=tuple(map(str, parity)))


def _writer(module: str, function: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(import_module(f"embertune.integrations.{module}"), function)
    return found


def _check(to: str, out: str | Path, side: str | None, encoder: Encoder | str | None, name: str | None) -> None:
    """Refuse what cannot be before anything is loaded."""
    if to not in TARGETS:
        raise ConfigError(f"There is no target {to!r}. Known: {', '.join(TARGETS)}.")
    target, problems = TARGETS[to], []
    if side not in (None, "query", "document"):
        problems.append(f"side must be 'query' or 'document', got {side!r}")
    elif side is not None and not target.one_side:
        problems.append(f"side is not for {to}, which holds both sides")
    if encoder is not None and to != "sentence-transformers":
        problems.append(f"encoder is not for {to}, but for sentence-transformers")
    if name is not None and to != "pgvector":
        problems.append(f"name is not for {to}, but for pgvector")
    path = as_path(out)
    if target.ending and path.suffix != target.ending:
        problems.append(f"out must end with {target.ending} for {to}, got {str(out)!r}")
    if problems:
        raise ConfigError(problems)
    if target.ending:
        check_folder(path)
