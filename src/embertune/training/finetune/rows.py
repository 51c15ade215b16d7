"""Training rows: pairs, triplets and scored pairs of a data set as the columns that each loss reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from embertune.core.hashing import fingerprint_texts
from embertune.core.random import generator
from embertune.data.dataset import Dataset
from embertune.data.texts import counted
from embertune.errors import DataError
from embertune.training.finetune.config import FinetuneConfig

__all__ = ["Negatives", "Teacher", "TrainingRows", "make_rows"]

Negatives = Mapping[str, Sequence[str]]
"""Text of a query -> texts of its hard negatives, hardest first."""

Teacher = Callable[[list[tuple[str, str]]], Any]
"""Pairs of a query and a document in, a score for each out."""


@dataclass(frozen=True)
class TrainingRows:
    """What the trainer reads.

    Attributes:
        columns: "query", "positive" and "negative_1" … (or "query" and "document"): as many texts each.
        labels: A number for each row, or one for each of its negatives; None where the loss takes none.
        query_ids: Which query each row is of.
        notes: What had to be filled or left out, in sentences.
    """

    columns: dict[str, list[str]]
    labels: list[Any] | None
    query_ids: list[str]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.query_ids)

    @property
    def fingerprint(self) -> str:
        """Hash of texts and labels, in their order."""
        texts = [text for name, column in self.columns.items() for text in (name, *column)]
        return fingerprint_texts([*texts, repr(self.labels)])


@dataclass(frozen=True)
class _Pair:
    query_id: str
    query: str
    positive: str
    negatives: tuple[str, ...]


def make_rows(
    train: Dataset, negatives: Negatives, config: FinetuneConfig, *, teacher: Teacher | None = None
) -> TrainingRows:
    """Make the rows of a loss.

    Negatives that the data names (grade 0 or below) come before mined ones. Where a query has too few, answers of other
    training queries, drawn at random, take their places, so that no pair is lost.

    Args:
        train: The training queries.
        negatives: What was mined.
        config: Loss, number of negatives, seed.
        teacher: Scores pairs, for the losses that are taught.

    Raises:
        DataError: There is nothing for this loss to learn from.

    Example:
        >>> data = Dataset.from_triplets([("why", "so", "no"), ("who", "Anna", "Bert")])
        >>> make_rows(data, {}, FinetuneConfig()).columns["negative_1"]
        ['no', 'Bert']
    """
    if config.loss.name == "cosent":
        return _graded(train, negatives, config)
    pairs = _pairs(train, negatives)
    if config.loss.name == "triplet":
        return _triplets(pairs, config)
    width = config.mining.num_negatives or int(any(pair.negatives for pair in pairs))
    if config.taught:
        width = max(width, 1)
    filled, notes = _filled(pairs, width, config.seed)
    columns = {"query": [pair.query for pair in filled], "positive": [pair.positive for pair in filled]}
    columns |= {f"negative_{at + 1}": [pair.negatives[at] for pair in filled] for at in range(width)}
    labels = _margins(filled, teacher, mean=config.loss.name == "mean_margin") if config.taught else None
    return TrainingRows(columns, labels, [pair.query_id for pair in filled], notes)


def _pairs(train: Dataset, negatives: Negatives) -> list[_Pair]:
    """Every query with each of its positives, and all negatives there are: those of the data first."""
    content = {document_id: document.content for document_id, document in train.corpus.items()}
    positives: dict[str, set[str]] = {}
    for query_id in train.judged:
        own = {content[document] for document in train.positives(query_id)}
        positives.setdefault(train.queries[query_id], set()).update(own)
    pairs = []
    for query_id in train.judged:
        text = train.queries[query_id]
        named = [content[document] for document, grade in train.qrels[query_id].items() if grade <= 0]
        found = tuple(each for each in dict.fromkeys([*named, *negatives.get(text, ())]) if each not in positives[text])
        pairs += [_Pair(query_id, text, content[document], found) for document in train.positives(query_id)]
    if not pairs:
        raise DataError(f"{train.name} has no pair of a query and a relevant document to train on.")
    return pairs


def _filled(pairs: list[_Pair], width: int, seed: int) -> tuple[list[_Pair], tuple[str, ...]]:
    """Give every pair as many negatives, answers of other queries where there are too few."""
    rng, answers = generator(seed, "fill negatives"), list(dict.fromkeys(pair.positive for pair in pairs))
    own: dict[str, set[str]] = {}
    for pair in pairs:
        own.setdefault(pair.query, set()).add(pair.positive)
    done, drawn = [], 0
    for pair in pairs:
        chosen = list(pair.negatives[:width])
        taken = own[pair.query] | set(chosen)
        if len(chosen) < width:
            left = [each for each in rng.permutation(len(answers)).tolist() if answers[each] not in taken]
            extra = [answers[each] for each in left[: width - len(chosen)]]
            chosen, drawn = chosen + extra, drawn + len(extra)
        if len(chosen) < width:
            raise DataError(
                f"There are too few different documents for {counted(width, 'negative')} of the query {pair.query_id!r}"
                f" (found {len(chosen)}). Ask for fewer: mining.num_negatives={len(chosen)}"
            )
        done.append(_Pair(pair.query_id, pair.query, pair.positive, tuple(chosen)))
    note = f"{drawn} of {width * len(pairs)} hard negatives were not to be had; answers of other queries, drawn at "
    return done, (note + "random, took their places.",) if drawn else ()


def _triplets(pairs: list[_Pair], config: FinetuneConfig) -> TrainingRows:
    most = config.mining.num_negatives or None
    width = 1 if most is None else most
    full = [pair if pair.negatives else None for pair in pairs]
    missing = [pair for pair in pairs if not pair.negatives]
    notes: tuple[str, ...] = ()
    if missing:
        drawn, _ = _filled(pairs, width, config.seed)
        full = [pair or other for pair, other in zip(full, drawn, strict=True)]
        notes = (
            f"{counted(len(missing), 'pair')} without a hard negative got answers of other queries, drawn at random.",
        )
    rows = [(pair, each) for pair in full if pair for each in pair.negatives[:most]]
    columns = {
        "query": [pair.query for pair, _ in rows],
        "positive": [pair.positive for pair, _ in rows],
        "negative": [each for _, each in rows],
    }
    return TrainingRows(columns, None, [pair.query_id for pair, _ in rows], notes)


def _graded(train: Dataset, negatives: Negatives, config: FinetuneConfig) -> TrainingRows:
    """Every judged pair with its grade, and mined negatives with 0."""
    content = {document_id: document.content for document_id, document in train.corpus.items()}
    rows: dict[tuple[str, str], tuple[str, float]] = {}
    for query_id in train.judged:
        for document, grade in train.qrels[query_id].items():
            rows.setdefault((train.queries[query_id], content[document]), (query_id, float(grade)))
    for query_id in train.judged:
        text = train.queries[query_id]
        for each in negatives.get(text, ())[: config.mining.num_negatives]:
            rows.setdefault((text, each), (query_id, 0.0))
    grades = [grade for _, grade in rows.values()]
    if len(set(grades)) < 2:
        raise DataError(
            f"{counted(len(grades), 'judged pair')} of {train.name} all have the grade {grades[0]:g}; cosent learns "
            "from their order. Mine negatives (mining.num_negatives=3), or take another loss: loss=mnrl"
        )
    texts = {"query": [query for query, _ in rows], "document": [document for _, document in rows]}
    return TrainingRows(texts, grades, [query_id for query_id, _ in rows.values()])


def _margins(pairs: list[_Pair], teacher: Teacher | None, *, mean: bool) -> list[Any]:
    """By how much the teacher has each positive ahead of its negatives, or of their mean."""
    assert teacher is not None
    asked = [(pair.query, text) for pair in pairs for text in (pair.positive, *pair.negatives)]
    scores = np.asarray(teacher(asked), dtype=np.float64).reshape(len(pairs), -1)
    margins = scores[:, :1] - scores[:, 1:]
    told: list[Any] = (margins.mean(axis=1) if mean else margins).tolist()
    return told
