"""Find hard negatives for a data set, with any encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from embertune.core.progress import Progress, silent
from embertune.core.search import Positions, Search, top_k
from embertune.core.vectors import normalize
from embertune.data.dataset import Dataset
from embertune.data.faiss_search import FaissSearch
from embertune.data.guard import Guard, false_negatives
from embertune.data.io import load_dataset
from embertune.data.mined import Mined
from embertune.data.negatives import MiningConfig, mine_hard_negatives
from embertune.data.text_pairs import TextPairs
from embertune.encoders.base import Encoder
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.registry import load_encoder
from embertune.errors import ConfigError
from embertune.recipes.training_queries import training_queries

__all__ = ["mine_negatives"]

Candidates = Literal["corpus", "positives"]


def mine_negatives(
    data: Dataset | str | Path | Any,
    encoder: Encoder | str | Any = "static",
    config: MiningConfig | None = None,
    *,
    candidates: Candidates = "corpus",
    guard: Guard | bool = True,
    part: str | None = None,
    search: str = "exact",
    progress: Progress = silent,
) -> Mined:
    """Find, for every query, documents that an encoder takes for answers and that no label calls one.

    Queries and documents of equal text are one. Scores are held for a block of queries and of documents at a time.

    Args:
        data: A data set, or what `load_dataset` reads.
        encoder: An encoder, or what `load_encoder` reads.
        config: How many, from where in the ranking, and how far below the positive; None takes the defaults.
        candidates: "corpus" takes negatives from all documents. "positives" takes them from the answers of other
            queries, so that no document is only ever pushed away.
        guard: What looks like an unlabelled answer and is never taken; True takes the defaults, False none.
        part: Whose queries: as in `training_queries`.
        search: "exact", "faiss" (exact, too), or "faiss:FACTORY" such as "faiss:HNSW32".
        progress: Told of the stages.

    Raises:
        ConfigError: A setting is impossible.
        DataError: The data cannot be read, or no query of the part has a relevant document.
        EncoderError: The encoder failed.
        MissingExtraError: The encoder or the search needs a package that is not installed.

    Example:
        >>> pairs = [("where is the cat", "the cat is here"), ("where is the dog", "the dog is there"), ("why", "so")]
        >>> mined = mine_negatives(Dataset.from_pairs(pairs), "hashing", MiningConfig(num_negatives=1), guard=False)
        >>> next(mined.rows())
        {'query': 'where is the cat', 'positive': 'the cat is here', 'negative': 'the dog is there'}
    """
    if candidates not in ("corpus", "positives"):
        raise ConfigError(f"candidates must be 'corpus' or 'positives', got {candidates!r}")
    finder = _search(search)
    chosen = training_queries(data if isinstance(data, Dataset) else load_dataset(data), part)
    if candidates == "positives":
        chosen = _without_others(chosen)
    loaded = load_encoder(encoder)
    encoded = encode_dataset(loaded, chosen, progress=progress)
    texts = TextPairs.of(chosen)
    queries, documents = encoded.queries[texts.query_rows], encoded.documents[texts.document_rows]
    ignored: Positions | None = None
    if guard is not False:
        settings = guard if isinstance(guard, Guard) else None
        progress("look for unlabelled answers", 0)
        ignored = false_negatives(
            queries, documents, texts.pairs, settings, query_texts=texts.queries, texts=texts.documents
        )
    negatives = mine_hard_negatives(
        queries, documents, texts.pairs, config, ignored=ignored, search=finder, progress=progress
    )
    left, right = normalize(queries[texts.pairs[:, 0]]), normalize(documents[texts.pairs[:, 1]])
    scores = np.einsum("ij,ij->i", left, right)
    return Mined(texts, negatives, scores, str(loaded.spec), 0 if ignored is None else len(ignored))


def _search(name: str) -> Search:
    kind, _, factory = name.partition(":")
    if name == "exact":
        return top_k
    if kind != "faiss":
        raise ConfigError(f"search must be 'exact', 'faiss' or 'faiss:FACTORY' (such as faiss:HNSW32), got {name!r}")
    return FaissSearch(factory or "Flat")


def _without_others(dataset: Dataset) -> Dataset:
    """Leave the documents out that answer none of the queries."""
    answers = {document for query_id in dataset.judged for document in dataset.positives(query_id)}
    qrels = {
        query_id: {document: grade for document, grade in grades.items() if document in answers}
        for query_id, grades in dataset.qrels.items()
    }
    corpus = {document: text for document, text in dataset.corpus.items() if document in answers}
    return Dataset(corpus=corpus, queries=dataset.queries, qrels=qrels, name=dataset.name, parts=dataset.parts)
