"""LlamaIndex's evaluation data set: one JSON object with queries, corpus and relevant_docs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embertune.data.builder import as_text, examples
from embertune.data.document import Document
from embertune.errors import DataError

if TYPE_CHECKING:
    from embertune.data.dataset import Dataset

__all__ = ["is_llama_index", "read_llama_index"]


def is_llama_index(value: Any) -> bool:
    """Tell whether a JSON value is what ``EmbeddingQAFinetuneDataset.save_json`` writes.

    Example:
        >>> is_llama_index({"queries": {}, "corpus": {}, "relevant_docs": {}, "mode": "text"})
        True
    """
    return isinstance(value, dict) and {"queries", "corpus", "relevant_docs"} <= value.keys()


def read_llama_index(value: Mapping[str, Any], path: Path, name: str) -> Dataset:
    """Read LlamaIndex's object; its ids are kept.

    Args:
        value: The JSON value.
        path: Where it stands, for errors.
        name: What reports call the data set.

    Raises:
        DataError: A field has another shape, the mode is not "text", or relevant_docs names unknown ids.

    Example:
        >>> value = {"queries": {"a": "why?"}, "corpus": {"n": "because"}, "relevant_docs": {"a": ["n"]}}
        >>> read_llama_index(value, Path("qa.json"), "qa").qrels
        {'a': {'n': 1.0}}
    """
    from embertune.data.dataset import Dataset

    if (mode := value.get("mode", "text")) != "text":
        raise DataError(f"{path}: mode is {mode!r}. Expected 'text'; images have no text to embed.")
    for key in ("queries", "corpus", "relevant_docs"):
        if not isinstance(value[key], Mapping):
            raise DataError(f"{path}: {key} is a {type(value[key]).__name__}. Expected an object from ids.")
    notes: list[str] = []
    corpus = _texts(value["corpus"], path, "corpus", notes)
    queries = _texts(value["queries"], path, "queries", notes)
    qrels: dict[str, dict[str, float]] = {}
    lost = 0
    for query_id, ids in value["relevant_docs"].items():
        if not isinstance(ids, list):
            raise DataError(f"{path}: relevant_docs[{query_id!r}] is a {type(ids).__name__}. Expected a list of ids.")
        if wrong := [identifier for identifier in ids if isinstance(identifier, (list, dict))]:
            raise DataError(f"{path}: relevant_docs[{query_id!r}] holds {examples(wrong, 1)}. Expected a list of ids.")
        unusable = [identifier for identifier in ids if identifier in value["corpus"] and identifier not in corpus]
        kept = {str(identifier): 1.0 for identifier in ids if identifier not in unusable}
        if kept and not (query_id in value["queries"] and query_id not in queries):
            qrels[query_id] = kept
        lost += len(ids) - len(qrels.get(query_id, {}))
    if lost:
        notes.append(f"{lost} entries of relevant_docs repeat another or name a text that is empty, and were left out.")
    if not qrels:
        raise DataError(f"{path}: relevant_docs names no document at all. Expected {{query id: [document ids]}}.")
    documents = {identifier: Document(text) for identifier, text in corpus.items()}
    return Dataset(corpus=documents, queries=queries, qrels=qrels, name=name, notes=tuple(notes))


def _texts(values: Mapping[str, Any], path: Path, field: str, notes: list[str]) -> dict[str, str]:
    texts = {identifier: as_text(text, f"{path}: {field}[{identifier!r}]") for identifier, text in values.items()}
    if empty := [identifier for identifier, text in texts.items() if not text.strip()]:
        notes.append(f"{len(empty)} of {field} have no text and were left out (such as {examples(empty)}).")
    return {identifier: text for identifier, text in texts.items() if text.strip()}
