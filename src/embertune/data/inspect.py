"""Says what is in a data set, what can be learned from it and what is wrong with it, without any vectors."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from embertune.data.dataset import Dataset
from embertune.data.groups import group_by_document, group_by_query
from embertune.data.leakage import find_leakage
from embertune.data.splits import Split, SplitMethod, split_dataset
from embertune.data.texts import counted, normalize_text
from embertune.errors import SplitError

__all__ = ["Inspection", "SplitOutlook", "Spread", "inspect_dataset"]

_FEW_QUERIES = 100  # a 95 % interval of nDCG is then about ±.06 wide on the test fifth: only large gains show
_LONG = 2000  # characters; about 500 tokens, where most open models stop reading
_METHODS: tuple[SplitMethod, ...] = ("given", "by-query", "by-document")


@dataclass(frozen=True)
class Spread:
    """Smallest, middle, mean and largest of some counts.

    Example:
        >>> print(Spread.of([1, 2, 6]))
        mean 3, median 2, 1 to 6
    """

    mean: float
    median: float
    low: int
    high: int

    def __str__(self) -> str:
        """Say it in half a line."""
        return f"mean {self.mean:.3g}, median {self.median:g}, {self.low} to {self.high}"

    @classmethod
    def of(cls, counts: Sequence[int]) -> Spread:
        """Summarise counts; of none, all are 0."""
        if not counts:
            return cls(0.0, 0.0, 0, 0)
        return cls(float(np.mean(counts)), float(np.median(counts)), min(counts), max(counts))


@dataclass(frozen=True)
class SplitOutlook:
    """What one way of splitting would give.

    Example:
        >>> SplitOutlook("by-query", {"train": 6, "dev": 2, "test": 2}, seen=1, copies=0).is_possible
        True
    """

    method: SplitMethod
    sizes: dict[str, int]
    """Queries in each part; empty where it is not possible."""
    seen: int = 0
    """Test queries with a document that training queries have too."""
    copies: int = 0
    """Test queries whose normalised text is a training query's."""
    reason: str = ""
    """Why it is not possible."""

    @property
    def is_possible(self) -> bool:
        """Whether no part stays empty."""
        return not self.reason

    def __str__(self) -> str:
        """Say it in one line."""
        if self.reason:
            return f"{self.method}: not possible. {self.reason}"
        sizes = ", ".join(f"{part} {size}" for part, size in self.sizes.items())
        test = f"of the test queries {self.seen} on seen documents, {self.copies} copies of training"
        return f"{self.method}: {sizes}; {test}"


@dataclass(frozen=True)
class Inspection:
    """The facts about a data set.

    Example:
        >>> facts = inspect_dataset(Dataset.from_pairs([("how old?", "It is old."), ("How old", "It is old.")]))
        >>> facts.duplicate_queries, facts.queries_per_document.high
        (1, 2)
    """

    name: str
    fingerprint: str
    documents: int
    queries: int
    judged_queries: int
    """Queries with at least one relevant document."""
    positives: int
    """Pairs of a query and a relevant document."""
    negatives: int
    """Pairs that are judged not relevant."""
    grades: dict[str, int]
    """Grade -> how many judgements have it, the ten commonest."""
    positives_per_query: Spread
    queries_per_document: Spread
    """Over the documents that have a query."""
    documents_with_queries: int
    """Documents relevant to some query; with a split, to some training query."""
    query_length: Spread
    """Characters."""
    document_length: Spread
    """Characters."""
    long_documents: int
    """Documents above 2000 characters."""
    queries_without_text: int
    documents_without_text: int
    duplicate_queries: int
    """Queries whose normalised text an earlier query has."""
    duplicate_documents: int
    """Documents whose text an earlier document has."""
    queries_equal_to_document: int
    """Queries whose text is that of a document."""
    query_groups: int
    """Groups of judged queries of different text."""
    document_groups: int
    """Groups of judged queries that share no document."""
    splits: tuple[SplitOutlook, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    """What loading and splitting said."""

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON-like values."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        """Show all of it, the warnings last."""
        share = self.documents_with_queries / max(self.documents, 1)
        rows = [
            ("documents", f"{self.documents} ({self.documents_with_queries} of them, {share:.0%}, have a query)"),
            ("queries", f"{self.queries} ({self.judged_queries} with a relevant document)"),
            ("judgements", f"{self.positives} relevant, {self.negatives} not relevant"),
            ("positives per query", str(self.positives_per_query)),
            ("queries per document", str(self.queries_per_document)),
            ("query characters", str(self.query_length)),
            ("document characters", str(self.document_length)),
            ("equal texts", _both(self.duplicate_queries, self.duplicate_documents)),
            ("without text", _both(self.queries_without_text, self.documents_without_text)),
            ("independent groups", f"{self.query_groups} by query, {self.document_groups} by document"),
            *(("split " + str(outlook).partition(": ")[0], str(outlook).partition(": ")[2]) for outlook in self.splits),
        ]
        width = max(len(label) for label, _ in rows)
        lines = [self.name, *(f"  {label:<{width}}  {value}" for label, value in rows)]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join([*lines, *(f"  warning: {warning}" for warning in self.warnings)])


def inspect_dataset(dataset: Dataset, split: Split | None = None) -> Inspection:
    """Collect the facts about a data set.

    Args:
        dataset: The whole of it.
        split: The split that will be used; then only it is judged, and documents count as having a query when a
            training query has them. Without it the given, by-query and by-document splits of seed 0 are tried.

    Example:
        >>> data = Dataset.from_pairs([(f"question {n}", f"answer {n}") for n in range(20)])
        >>> print(inspect_dataset(data).splits[0])
        by-query: train 12, dev 4, test 4; of the test queries 0 on seen documents, 0 copies of training
    """
    positives = {query_id: dataset.positives(query_id) for query_id in dataset.judged}
    per_document = Counter(document_id for ids in positives.values() for document_id in ids)
    trained = per_document
    if split is not None:
        trained = Counter(key for query_id in split.train.queries for key in split.train.positives(query_id))
    grades = Counter(grade for given in dataset.qrels.values() for grade in given.values())
    contents = [document.content for document in dataset.corpus.values()]
    texts = {content for content in contents if content}
    normal = Counter(normalize_text(text) for text in dataset.queries.values() if text.strip())
    relevant = sum(per_document.values())
    facts = Inspection(
        name=dataset.name,
        fingerprint=dataset.fingerprint,
        documents=len(dataset.corpus),
        queries=len(dataset.queries),
        judged_queries=len(positives),
        positives=relevant,
        negatives=sum(grades.values()) - relevant,
        grades={f"{grade:g}": count for grade, count in grades.most_common(10)},
        positives_per_query=Spread.of([len(ids) for ids in positives.values()]),
        queries_per_document=Spread.of(list(per_document.values())),
        documents_with_queries=len(trained),
        query_length=Spread.of([len(text) for text in dataset.queries.values()]),
        document_length=Spread.of([len(content) for content in contents]),
        long_documents=sum(len(content) > _LONG for content in contents),
        queries_without_text=sum(not text.strip() for text in dataset.queries.values()),
        documents_without_text=sum(not content for content in contents),
        duplicate_queries=sum(normal.values()) - len(normal),
        duplicate_documents=sum(map(bool, contents)) - len(texts),
        queries_equal_to_document=sum(text.strip() in texts for text in dataset.queries.values()),
        query_groups=len(group_by_query(dataset)),
        document_groups=len(group_by_document(dataset)),
        splits=_outlooks(dataset, split),
        warnings=(),
        notes=(*dataset.notes, *(split.notes if split else ())),
    )
    return dataclasses.replace(facts, warnings=tuple(_warnings(facts)))


def _both(queries: int, documents: int) -> str:
    return f"{counted(queries, 'query', 'queries')}, {counted(documents, 'document')}"


def _outlooks(dataset: Dataset, split: Split | None) -> tuple[SplitOutlook, ...]:
    if split is not None:
        return (_outlook(split),)
    outlooks = []
    for method in _METHODS if dataset.parts else _METHODS[1:]:
        try:
            outlooks.append(_outlook(split_dataset(dataset, method)))
        except SplitError as error:
            outlooks.append(SplitOutlook(method, {}, reason=str(error)))
    return tuple(outlooks)


def _outlook(split: Split) -> SplitOutlook:
    return SplitOutlook(split.method, split.sizes, len(split.seen), find_leakage(split.train, split.test).exact)


def _warnings(facts: Inspection) -> Iterable[str]:
    yield from _text_warnings(facts)
    if facts.judged_queries < _FEW_QUERIES:
        found = counted(facts.judged_queries, "query has", "queries have")
        yield (
            f"Only {found} a relevant document. Below about {_FEW_QUERIES} only large gains can be told from chance: "
            "label more, or use folds."
        )
    if facts.documents > 1 and facts.documents_with_queries < facts.documents / 2:
        yield (
            f"{facts.documents - facts.documents_with_queries} of {facts.documents} documents have no query. "
            "What is learned must carry over to them; they are judged apart."
        )
    if facts.document_groups * 2 < facts.query_groups:
        groups = counted(facts.document_groups, "group that shares no document", "groups that share no document")
        yield (
            f"The {facts.judged_queries} queries form only {groups}: a split by query tests on documents that were "
            "trained on."
        )
    for outlook in facts.splits:
        if outlook.copies:
            yield (
                f"Split {outlook.method}, {outlook.copies} of {outlook.sizes['test']} test queries have an equal text "
                "in training: the gain on them is memory."
            )
    fractional = [grade for grade in facts.grades if not float(grade).is_integer()]
    if fractional:
        yield (
            f"Some grades are fractions (such as {fractional[0]}). Every pair above 0 counts as relevant: "
            "if low similarities mean not relevant, set them to 0."
        )


def _text_warnings(facts: Inspection) -> Iterable[str]:
    if facts.queries_without_text:
        found = counted(facts.queries_without_text, "query has", "queries have")
        yield f"{found} no text and cannot be answered: remove {_them(facts.queries_without_text)}."
    if facts.documents_without_text:
        found = counted(facts.documents_without_text, "document has", "documents have")
        yield f"{found} no text and cannot be found: remove {_them(facts.documents_without_text)}."
    if facts.documents > 1 and facts.duplicate_documents == facts.documents - 1:
        yield "All documents have the same text: there is nothing to tell apart."
    elif facts.duplicate_documents:
        found = counted(facts.duplicate_documents, "document repeats", "documents repeat")
        yield f"{found} the text of another: a search cannot tell which is right. Merge them."
    if facts.queries_equal_to_document:
        found = counted(facts.queries_equal_to_document, "query has", "queries have")
        yield f"{found} exactly the text of a document: any encoder finds it, and nothing is learned from that."
    if facts.long_documents:
        yield (
            f"{facts.long_documents} of {facts.documents} documents are longer than {_LONG} characters (about 500 "
            "tokens): many models read only the beginning. Cut them into passages."
        )


def _them(count: int) -> str:
    return "it" if count == 1 else "them"
