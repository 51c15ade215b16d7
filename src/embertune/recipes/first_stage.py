"""Rank a corpus by BM25 or by any encoder: the first stage, from which filters, labels and audits start."""

from __future__ import annotations

from typing import Any

from embertune.core.progress import Progress, silent
from embertune.data.dataset import Dataset
from embertune.encoders.base import Encoder
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.registry import load_encoder
from embertune.evaluation.baselines import bm25_run
from embertune.evaluation.retrieve import retrieve
from embertune.evaluation.run import Run

__all__ = ["first_stage"]


def first_stage(
    dataset: Dataset, retriever: Encoder | Run | str | Any, top_k: int, *, progress: Progress = silent
) -> Run:
    """Rank the corpus for every query.

    Args:
        dataset: Queries and corpus.
        retriever: "bm25", an encoder, what `load_encoder` reads, or a `Run`, which is given back.
        top_k: How many documents to keep per query.
        progress: Told of the stages.

    Raises:
        ConfigError: `top_k` is below 1.
        EncoderError: The encoder failed, or there is none of that name.

    Example:
        >>> data = Dataset.from_pairs([("where is the cat", "the cat is here"), ("where is the dog", "a dog ran")])
        >>> first_stage(data, "bm25", 1).ranking("q2")[0][0]
        'd2'
    """
    if isinstance(retriever, Run):
        return retriever
    if isinstance(retriever, str) and retriever == "bm25":
        progress("rank by BM25", 0)
        return bm25_run(dataset.corpus, dataset.queries, top_k=top_k)
    encoder = load_encoder(retriever)
    return retrieve(encode_dataset(encoder, dataset, progress=progress), top_k, name=str(encoder.spec))
