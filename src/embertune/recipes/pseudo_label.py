"""Let a cross-encoder, or any function, say by how much positives lead over what a retriever finds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from embertune.core.files import write_whole
from embertune.core.progress import Progress, silent
from embertune.data.dataset import Dataset
from embertune.data.io import load_dataset
from embertune.data.margins import Margins
from embertune.data.texts import counted
from embertune.encoders.base import Encoder
from embertune.encoders.scorers import PairScorer, load_scorer
from embertune.errors import DataError
from embertune.evaluation.run import Run
from embertune.recipes.first_stage import first_stage
from embertune.recipes.training_queries import training_queries

__all__ = ["PseudoLabel", "PseudoLabels", "pseudo_label"]

# Some 400 pairs with 25 candidates: what a CPU scores in seconds, so progress moves and little is lost on Ctrl-C.
_BLOCK = 16


class PseudoLabel(NamedTuple):
    """A triplet and what the scorer says of both documents.

    Example:
        >>> PseudoLabel("why", "so", "no", 9.0, 2.0).margin
        7.0
    """

    query: str
    positive: str
    negative: str
    positive_score: float
    negative_score: float

    @property
    def margin(self) -> float:
        """By how much the positive leads."""
        return self.positive_score - self.negative_score


@dataclass(frozen=True)
class PseudoLabels:
    """What a scorer says about triplets; printing it gives the counts.

    Attributes:
        labels: The triplets, by query.
        scorer: Who scored.
        retriever: Who found the negatives.
        queries: How many queries gave triplets.
        unlabelled: How many of these had no relevant document, so that the highest score was taken for one.
        empty: How many queries gave none.
        scored: How many pairs were scored now; the others were in the cache.
        scores: Query id -> document id -> score, of the data set that was labelled: what ``tune(scores=...)`` takes.
    """

    labels: tuple[PseudoLabel, ...]
    scorer: str
    retriever: str
    queries: int
    unlabelled: int
    empty: int
    scored: int
    scores: Mapping[str, Mapping[str, float]]

    def margins(self) -> Margins:
        """Give texts, positions and margins, as margin losses take them."""
        return Margins.from_rows(((*label[:3], label.margin) for label in self.labels), name="pseudo-labels")

    def rows(self, *, min_margin: float | None = None) -> Iterator[dict[str, Any]]:
        """Give one row after the other: query, positive, negative, scores (the positive's first) and margin.

        Args:
            min_margin: Leave out triplets of a lower margin, whose negative may well be an answer: for losses that take
                triplets without margins.
        """
        for label in self.labels:
            if min_margin is None or label.margin >= min_margin:
                texts = {"query": label.query, "positive": label.positive, "negative": label.negative}
                yield {**texts, "scores": [label.positive_score, label.negative_score], "margin": label.margin}

    def save(self, path: str | Path, *, min_margin: float | None = None) -> Path:
        """Write the rows as JSONL, which `Margins.read` and `embertune.load_dataset` read.

        Args:
            path: Where to.
            min_margin: As in `rows`.

        Raises:
            StorageError: The disk refused; an earlier file of that name is unchanged.
        """
        rows = self.rows(min_margin=min_margin)
        return write_whole(path, (json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    def to_dict(self) -> dict[str, Any]:
        """Give the counts and the spread of the margins as JSON-able values."""
        margins = np.array([label.margin for label in self.labels])
        spread = np.quantile(margins, [0.05, 0.5, 0.95]).round(4).tolist() if len(margins) else [None] * 3
        return {
            "scorer": self.scorer,
            "retriever": self.retriever,
            "queries": self.queries,
            "unlabelled": self.unlabelled,
            "empty": self.empty,
            "triplets": len(self.labels),
            "negatives_ahead": int((margins < 0).sum()),
            "margin": dict(zip(("5%", "median", "95%"), spread, strict=True)),
            "scored": self.scored,
        }

    def __str__(self) -> str:
        """Say how many there are, and how often the scorer disagrees with the labels."""
        facts = self.to_dict()
        lines = [
            f"{counted(len(self.labels), 'triplet')} of {counted(self.queries, 'query', 'queries')}; "
            f"{self.retriever} found the negatives, {self.scorer} scored ({counted(self.scored, 'pair')} now, the rest "
            "from the cache)."
        ]
        if self.labels:
            ahead, margin = facts["negatives_ahead"], facts["margin"]
            lines.append(
                f"Margins: median {margin['median']:.3g}, 5 % below {margin['5%']:.3g}, 5 % above {margin['95%']:.3g}. "
                f"{ahead} ({ahead / len(self.labels):.1%}) are below 0: the scorer prefers the unlabelled document."
            )
        if self.unlabelled:
            one, many = "query had no relevant document", "queries had no relevant document"
            lines.append(f"{counted(self.unlabelled, one, many)}: the highest score was taken for one.")
        if self.empty:
            lines.append(f"{counted(self.empty, 'query gave', 'queries gave')} no triplet.")
        return "\n".join(lines)


def pseudo_label(
    data: Dataset | str | Path | Any,
    scorer: PairScorer | Callable[[list[tuple[str, str]]], Any] | str,
    retriever: Encoder | Run | str | Any = "static",
    *,
    top_k: int = 25,
    part: str | None = None,
    unlabelled: bool = False,
    progress: Progress = silent,
) -> PseudoLabels:
    """Pull the best documents of every query and let a scorer say how far its positives lead over them.

    What was scored is kept in the cache of this user batch by batch, under the model and the texts, so that a run that
    was stopped scores nothing twice; a function is cached if it has a name: ``load_scorer(function, name="mine-1")``.

    Source: Wang et al., GPL: Generative Pseudo Labeling for Unsupervised Domain Adaptation of Dense Retrieval (2022).

    Args:
        data: A data set, or what `load_dataset` reads.
        scorer: A cross-encoder by its name, or any function of pairs (query, document).
        retriever: "bm25", an encoder, what `load_encoder` reads, or a `Run`.
        top_k: How many documents to pull.
        part: Whose queries: as in `training_queries`.
        unlabelled: Take queries without a relevant document, too; what scores highest counts as their positive.
        progress: Told of the stages.

    Raises:
        ConfigError: A setting is impossible.
        DataError: The data cannot be read, or there is no query to label.
        EncoderError: The retriever or the scorer failed.
        MissingExtraError: A model needs a package that is not installed.

    Example:
        >>> pairs = [("where is the cat", "the cat is here"), ("where is the dog", "the dog is there")]
        >>> common = lambda pairs: [len(set(query.split()) & set(text.split())) for query, text in pairs]
        >>> found = pseudo_label(Dataset.from_pairs(pairs), common, "hashing")
        >>> next(found.rows())["margin"], found.margins().triplets.tolist()
        (1.0, [[0, 0, 1], [1, 1, 0]])
    """
    judge = load_scorer(scorer)
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    chosen = _chosen(dataset, part, unlabelled)
    before = judge.scored
    run = first_stage(chosen, retriever, top_k, progress=progress)
    row_of = {query_id: row for row, query_id in enumerate(run.query_ids)}
    ids = [query_id for query_id in chosen.queries if query_id in row_of]
    labels: list[PseudoLabel] = []
    told: dict[str, dict[str, float]] = {}
    empty = len(chosen.queries) - len(ids)
    for start in range(0, len(ids), _BLOCK):
        block = ids[start : start + _BLOCK]
        tasks = [_task(chosen, query_id, run, row_of[query_id], top_k) for query_id in block]
        scores = iter(judge.score([(task.query, text) for task in tasks for text in task.texts]).tolist())
        for query_id, task in zip(block, tasks, strict=True):
            own = [next(scores) for _ in task.texts]
            told[query_id] = dict(zip(task.texts.values(), own, strict=True))
            found = _label(task, own)
            labels += found
            empty += not found
        progress("score", start + len(block), len(ids), f"{judge.scored - before:,} pairs scored")
    without = sum(1 for query_id in chosen.queries if not chosen.positives(query_id))
    gave = len(chosen.queries) - empty
    who = judge.name or "the given function"
    return PseudoLabels(tuple(labels), who, run.name, gave, without, empty, judge.scored - before, told)


class _Task(NamedTuple):
    query: str
    texts: dict[str, str]
    """The positives, then what was pulled, each with its document's id."""
    positives: int


def _chosen(dataset: Dataset, part: str | None, unlabelled: bool) -> Dataset:
    if not unlabelled:
        return training_queries(dataset, part)
    ids = list(training_queries(dataset, part).queries) if dataset.judged else []
    relevant = set(dataset.judged)
    ids += [query_id for query_id in dataset.queries if query_id not in relevant and query_id not in dataset.parts]
    if not ids:
        raise DataError(f"{dataset.name} has no query to label. Expected at least one.")
    return dataset.select(ids)


def _task(dataset: Dataset, query_id: str, run: Run, row: int, top_k: int) -> _Task:
    found = [run.document_ids[at] for at in run.positions[row, :top_k] if at >= 0]
    texts: dict[str, str] = {}
    for document in dataset.positives(query_id):
        texts.setdefault(dataset.corpus[document].content, document)
    positives = len(texts)
    for document in found:
        texts.setdefault(dataset.corpus[document].content, document)
    return _Task(dataset.queries[query_id], texts, positives)


def _label(task: _Task, scores: list[float]) -> list[PseudoLabel]:
    positives = task.positives
    texts, order = list(task.texts), list(range(len(task.texts)))
    if not positives and order:
        order.sort(key=lambda at: -scores[at])
        positives = 1
    return [
        PseudoLabel(task.query, texts[own], texts[other], scores[own], scores[other])
        for own in order[:positives]
        for other in order[positives:]
    ]
