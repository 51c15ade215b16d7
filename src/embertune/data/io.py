"""Loads a data set from whatever a user has: the one function that knows all the formats."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from embertune.core.paths import as_path
from embertune.data.beir import is_beir, part_of, read_beir
from embertune.data.builder import PARTS
from embertune.data.dataset import Dataset
from embertune.data.lines import read_json
from embertune.data.llama_index import is_llama_index, read_llama_index
from embertune.data.tables import SUFFIXES, build, is_frame, read_table
from embertune.errors import DataError

__all__ = ["load_dataset"]

_KINDS = (
    "Expected a BEIR folder, a folder of train/dev/test files, or a file that ends in .jsonl, .csv, .tsv, .parquet or "
    ".json (LlamaIndex's, or a list of objects)."
)


def load_dataset(
    source: Any, *, columns: Mapping[str, str | Sequence[str]] | None = None, name: str | None = None
) -> Dataset:
    r"""Load a data set from a file, a folder or a DataFrame.

    Read are: BEIR folders (corpus.jsonl, queries.jsonl, qrels/ or qrels.tsv, TREC qrels too); JSONL, CSV, TSV and
    Parquet tables; a folder with such tables called train, dev (or validation) and test; LlamaIndex's JSON;
    FlagEmbedding's JSONL (its pos_scores and neg_scores are a teacher's scores, not judgements, and are not used);
    pandas and polars DataFrames and Hugging Face data sets.

    A column is recognised by its name, whatever its case: query, question, anchor, …; document, chunk, passage,
    positive, context, answer, text, …; negative, negatives, hard_negative, negative_1, …; similarity, score, label;
    doc1 and doc2; query_id, document_id. What was recognised, merged and skipped is told in the `notes` of the data
    set.

    Args:
        source: A path, or a DataFrame.
        columns: Role -> column, where a name is not recognised: ``{"query": "my question"}``. Roles are query,
            document, negative, score, title, query_id and document_id.
        name: What reports call the data set; the name of the file or folder if not given.

    Raises:
        DataError: What was found is not readable as a data set; the text says where and how to mend it.
        MissingExtraError: Parquet without pyarrow.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "faq.csv")
        ...     _ = path.write_text("Question,Answer\nhow old is it?,It was built in 1900.\n")
        ...     data = load_dataset(path)
        >>> data.name, data.queries, data.corpus["d1"].text
        ('faq', {'q1': 'how old is it?'}, 'It was built in 1900.')
    """
    if isinstance(source, Dataset):
        return source
    if not isinstance(source, (str, os.PathLike)):
        if is_frame(source):
            return Dataset.from_frame(source, columns, name=name or "dataset")
        raise DataError(f"Found a {type(source).__name__}. {_KINDS} For lists type: Dataset.from_pairs(pairs)")
    path = as_path(source)
    try:
        resolved = path.resolve()
        if path.is_dir():
            return _load_folder(path, columns, name or resolved.name)
        if not path.exists():
            raise DataError(_missing_text(path))
        return _load_file(path, columns, name or resolved.stem)
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{str(path)[:200]!r} cannot be read: {reason}. {_KINDS}") from None


def _load_folder(folder: Path, columns: Mapping[str, str | Sequence[str]] | None, name: str) -> Dataset:
    if is_beir(folder):
        if columns:
            raise DataError(f"columns= maps the columns of a table, and {folder} is a BEIR folder. Leave columns out.")
        return read_beir(folder, name)
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    tables = [(part_of(entry.stem), entry) for entry in entries if entry.suffix.lower() in SUFFIXES]
    tables = sorted((pair for pair in tables if pair[0]), key=lambda pair: PARTS.index(pair[0]))
    if not tables:
        found = ", ".join(entry.name for entry in entries[:8]) or "nothing"
        raise DataError(f"{folder} is a folder that holds {found}{', …' if len(entries) > 8 else ''}. {_KINDS}")
    return build([(part, read_table(file)) for part, file in tables], columns, name)


def _load_file(path: Path, columns: Mapping[str, str | Sequence[str]] | None, name: str) -> Dataset:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"{path} ends in {suffix or 'nothing'!r}, which is not a kind of file that is read. {_KINDS}")
    if path.name in ("corpus.jsonl", "queries.jsonl") and is_beir(path.parent) and not columns:
        raise DataError(f"{path} is one file of a BEIR folder. Load the folder: load_dataset({str(path.parent)!r})")
    if suffix == ".json" and is_llama_index(value := read_json(path)):
        if columns:
            raise DataError(
                f"columns= maps the columns of a table, and {path} is LlamaIndex's object. Leave columns out."
            )
        return read_llama_index(value, path, name)
    return build([("", read_table(path))], columns, name)


def _missing_text(path: Path) -> str:
    parent = path.resolve().parent
    if not parent.is_dir():
        return f"There is no file or folder {path}, nor a folder {parent}. {_KINDS}"
    near = get_close_matches(path.name, [entry.name for entry in parent.iterdir()], n=1)
    hint = f" Did you mean {path.parent / near[0]}?" if near else ""
    return f"There is no file or folder {path}.{hint} {_KINDS}"
