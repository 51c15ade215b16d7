"""LlamaIndex's evaluation data set: one JSON object with queries, corpus and relevant_docs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embertune.data.builder import as_id, as_text, without_text
from embertune.data.document import Document
from embertune.data.texts import counted
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
    corpus, empty_documents = _texts(value["corpus"], path, "corpus", notes)
    queries, empty_queries = _texts(value["queries"], path, "queries", notes)
    qrels: dict[str, dict[str, float]] = {}
    lost = 0
    for key, ids in value["relevant_docs"].items():
        place = f"{path}: relevant_docs[{key!r}]"
        if not isinstance(ids, list):
            raise DataError(f"{place} is a {type(ids).__name__}. Expected a list of ids.")
        query_id = as_id(key, f"{path}: a key of relevant_docs")
        kept = {as_id(identifier, f"{place}: an id"): 1.0 for identifier in ids}
        kept = {identifier: grade for identifier, grade in kept.items() if identifier not in empty_documents}
        if kept and query_id not in empty_queries:
            qrels[query_id] = kept
        lost += len(ids) - len(qrels.get(query_id, {}))
    if lost:
        one = "entry of relevant_docs repeats another or names a text that is empty, and was"
        many = "entries of relevant_docs repeat another or name a text that is empty, and were"
        notes.append(f"{counted(lost, one, many)} left out.")
    if not qrels:
        raise DataError(f"{path}: relevant_docs names no document at all. Expected {{query id: [document ids]}}.")
    documents = {identifier: Document(text) for identifier, text in corpus.items()}
    return Dataset(corpus=documents, queries=queries, qrels=qrels, name=name, notes=tuple(notes))


def _texts(values: Mapping[str, Any], path: Path, field: str, notes: list[str]) -> tuple[dict[str, str], set[str]]:
    """The texts by id; and the ids of those that were left out because they are empty."""
    texts: dict[str, str] = {}
    for key, value in values.items():
        identifier = as_id(key, f"{path}: a key of {field}")
        if identifier in texts:
            raise DataError(
                f"{path}: {field} has more than one id {identifier!r} once broken characters (half an emoji) are "
                "replaced. Expected each id once: rename one of them, also in relevant_docs."
            )
        texts[identifier] = as_text(value, f"{path}: {field}[{key!r}]")
    empty = [identifier for identifier, text in texts.items() if not text.strip()]
    if empty:
        notes.append(without_text(empty, field == "queries"))
    return {identifier: text for identifier, text in texts.items() if text.strip()}, set(empty)
