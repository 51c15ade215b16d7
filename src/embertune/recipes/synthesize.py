"""From documents to a data set: read, cut into chunks, have queries written for them, and keep who wrote which."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from embertune.core.files import write_whole
from embertune.core.paths import as_path
from embertune.core.progress import Progress, silent
from embertune.data.chunking import ChunkBy, check_chunking, chunk_documents
from embertune.data.dataset import Dataset, Document
from embertune.data.origin import count_generators
from embertune.data.quality import FilterConfig
from embertune.data.sources.reader import read_documents
from embertune.data.synthesis.base import Chunk, QueryGenerator
from embertune.data.synthesis.estimate import Estimate
from embertune.errors import ConfigError, DataError
from embertune.recipes.filter_data import Filtered, filter_queries

__all__ = ["Synthesis", "estimate_synthesis", "read_chunks", "synthesize"]


@dataclass(frozen=True)
class Synthesis:
    """A data set whose queries were written for chunks, and where the chunks come from.

    Attributes:
        dataset: Chunks as documents, and the queries.
        chunks: Where they stand: id -> {"source", "position", "start"}.
        settings: What was asked for.
        filtered: What the filter saw and dropped; None where it was not asked.

    Example:
        >>> from embertune.data.sources.base import SourceText
        >>> synthesize([SourceText("Tokens expire after an hour.", source="faq.md")]).chunks
        {'faq.md#0': {'source': 'faq.md', 'position': 0, 'start': 0}}
    """

    dataset: Dataset
    chunks: dict[str, dict[str, Any]]
    settings: dict[str, Any]
    filtered: Filtered | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give what `save` writes beside the data set, without the chunks; no text is in it."""
        made = self.dataset.synthetic
        return {
            "name": self.dataset.name,
            "documents": len({place["source"] for place in self.chunks.values()}),
            "chunks": len(self.dataset.corpus),
            "queries": len(self.dataset.queries),
            "generators": count_generators(made, made),
            "styles": dict(Counter(origin.style for origin in made.values())),
            "settings": self.settings,
            "filter": None if self.filtered is None else self.filtered.to_dict(),
            "notes": list(self.dataset.notes),
            "fingerprint": self.dataset.fingerprint,
            "version": version("embertune"),
        }

    def save(self, folder: str | Path) -> Path:
        """Write a BEIR folder, and in it synthesis.json and chunks.jsonl: who made it how, and where each chunk stands.

        Where queries were filtered, dropped.jsonl, remarks.jsonl and filter.json stand there as well.

        Returns:
            The folder.

        Raises:
            StorageError: The disk or the folder refused.
        """
        folder = as_path(folder)
        self.dataset.save(folder)
        for name in ("dropped.jsonl", "remarks.jsonl", "filter.json"):  # of an earlier run
            (folder / name).unlink(missing_ok=True)
        if self.filtered is not None:
            self.filtered.save(folder)
        rows = ({"_id": key, **place} for key, place in self.chunks.items())
        write_whole(folder / "chunks.jsonl", (json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        write_whole(folder / "synthesis.json", json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n")
        return folder

    def __str__(self) -> str:
        """Show the data set and some of its queries."""
        shown = list(self.dataset.queries.items())[:: max(1, len(self.dataset.queries) // _SHOWN)][:_SHOWN]
        lines = [f"  {self.dataset.synthetic[query_id].style:9} {text}" for query_id, text in shown]
        return "\n".join([str(self.dataset), "", "Some of its queries:", *lines])


_SHOWN = 8
# Beyond rank 100 and not 10: on finance10k-lyft the first 50 of BM25 tell .875 of the wrong labels and lose .019 of the
# true ones, the first 10 lose .066 (docs/experiments.md); a model is asked for queries in other words than the chunk's.
_DROP = ("language", "near-duplicate", "too-hard")


def synthesize(  # noqa: PLR0913 - what is read, how it is cut, who writes, what is dropped
    documents: str | os.PathLike[str] | Iterable[Any],
    llm: str | QueryGenerator | None = None,
    *,
    per_chunk: int = 4,
    chunk_by: ChunkBy = "sentences",
    chunk_size: int = 200,
    overlap: int = 0,
    name: str | None = None,
    filter: bool | None = None,
    progress: Progress = silent,
    **options: Any,
) -> Synthesis:
    """Make a data set of documents that nobody asked about yet.

    Args:
        documents: A file or a folder (see `read_documents`), or texts, (title, text) pairs, documents.
        llm: Who writes the queries: a language model by LiteLLM's name, an object with a `name` and a method
            `generate`, or None, which cuts them out of the chunks, offline and free.
        per_chunk: The most queries for each chunk.
        chunk_by: "tokens", "sentences" or "headings"; see `chunk_documents`.
        chunk_size: The most tokens in a chunk.
        overlap: The most tokens that it shares with the one before.
        name: What reports call the data set; of the file or folder if not given.
        filter: Drop queries that nearly repeat others, are in another language than their chunk (unless that was asked
            for), or whose chunk is not among the first 100 of BM25; see `filter_queries` for more. None does so where
            a model wrote them, as nobody checked them. What is cut out of a chunk is its own words.
        progress: Told of files and queries.
        options: Of the generator; see `Dataset.from_chunks`.

    Returns:
        The data set and where its chunks come from; `save` it.

    Raises:
        DataError: There is no text, or no query could be written.
        ConfigError: A setting is impossible.
        MissingExtraError: A library that reads such documents, or LiteLLM, is not installed.

    Example:
        >>> made = synthesize([("Limits", "Uploads may have 20 MB at most. Tokens expire after an hour.")], per_chunk=2)
        >>> list(made.dataset.queries.values())[0]
        'Limits'
    """
    if name is None and isinstance(documents, (str, os.PathLike)):
        name = as_path(documents).resolve().stem
    chunks, notes = read_chunks(documents, chunk_by, chunk_size, overlap, progress)
    made = Dataset.from_chunks(chunks, llm, per_chunk, name=name or "chunks", progress=progress, **options)
    dataset = Dataset(
        made.corpus, made.queries, made.qrels, made.name, notes=(*notes, *made.notes), synthetic=made.synthetic
    )
    settings = {"per_chunk": per_chunk, "chunk_by": chunk_by, "chunk_size": chunk_size, "overlap": overlap}
    if filter is None:
        filter = llm is not None
    filtered = _filter(dataset, options.get("language"), progress) if filter else None
    kept = dataset if filtered is None else filtered.dataset
    return Synthesis(kept, _places(chunks, dataset), settings, filtered)


def estimate_synthesis(
    documents: str | os.PathLike[str] | Iterable[Any],
    llm: str,
    *,
    per_chunk: int = 4,
    chunk_by: ChunkBy = "sentences",
    chunk_size: int = 200,
    overlap: int = 0,
    progress: Progress = silent,
    **options: Any,
) -> Estimate:
    """Say what `synthesize` with a language model would cost; nobody is asked.

    Args:
        documents: As in `synthesize`, and so are the others.
        llm: A language model by LiteLLM's name.
        per_chunk: The most queries for each chunk.
        chunk_by: Where documents are cut.
        chunk_size: The most tokens in a chunk.
        overlap: The most tokens that it shares with the one before.
        progress: Told of files.
        options: Of the generator.

    Returns:
        Chunks, requests, tokens, and dollars where LiteLLM knows the price.

    Raises:
        DataError: There is no text.
        ConfigError: A setting is impossible, or the model runs here and costs nothing.
        LLMError: The provider is unknown, or its key is not in the environment.
        MissingExtraError: A library that reads such documents, or LiteLLM, is not installed.

    Example:
        >>> estimate_synthesis(["Tokens expire after an hour."], "seq2seq:t5")
        Traceback (most recent call last):
            ...
        embertune.errors.ConfigError: seq2seq:t5 runs on this machine and costs nothing. Leave the estimate out.
    """
    if llm.startswith("seq2seq:"):
        raise ConfigError(f"{llm} runs on this machine and costs nothing. Leave the estimate out.")
    from embertune.data.synthesis.llm import LLMQueryGenerator

    chunks, _ = read_chunks(documents, chunk_by, chunk_size, overlap, progress)
    return LLMQueryGenerator(llm, **options).estimate(chunks, per_chunk=per_chunk)


def _filter(dataset: Dataset, asked_language: str | None, progress: Progress) -> Filtered:
    """Drop what teaches nothing. BM25 has no say on queries in another language than the chunks."""
    config = FilterConfig(language=None if asked_language else "documents", drop=_DROP)
    try:
        return filter_queries(dataset, None if asked_language else "bm25", config, progress=progress)
    except DataError as error:
        advice = "Or keep them all: --no-filter (filter=False). Answers in the journal are not paid for again."
        raise DataError(f"{error} {advice}") from None


def read_chunks(
    documents: Any, chunk_by: ChunkBy, chunk_size: int, overlap: int, progress: Progress
) -> tuple[list[Chunk], tuple[str, ...]]:
    """Give the chunks of documents, and what is to be said of the reading.

    Raises:
        DataError: There is no text.
        ConfigError: A setting is impossible.
        MissingExtraError: A library that reads such documents is not installed.
    """
    check_chunking(chunk_by, chunk_size, overlap)
    notes: tuple[str, ...] = ()
    if isinstance(documents, (str, os.PathLike)):
        documents, notes = read_documents(documents, progress=progress)
    chunks = chunk_documents(documents, by=chunk_by, size=chunk_size, overlap=overlap)
    if not chunks:
        raise DataError("The documents hold no text. Expected at least one passage.")
    return chunks, notes


def _places(chunks: Iterable[Chunk], dataset: Dataset) -> dict[str, dict[str, Any]]:
    """Say where each document of a data set stands; of equal chunks the first."""
    ids = {document: key for key, document in dataset.corpus.items()}
    places: dict[str, dict[str, Any]] = {}
    for chunk in chunks:
        key = ids[Document(chunk.text.strip(), chunk.title.strip())]
        places.setdefault(key, {"source": chunk.source, "position": chunk.position, "start": chunk.start})
    return places
