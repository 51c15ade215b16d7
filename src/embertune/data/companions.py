"""Synthetic queries beside those of people: they help to learn, and nothing is judged on them."""

from __future__ import annotations

from collections.abc import Iterable

from embertune.data.dataset import Dataset
from embertune.data.texts import counted, normalize_text

__all__ = ["asked_by_people", "companions", "companions_note"]


def asked_by_people(dataset: Dataset) -> Dataset:
    """Give what a data set may be judged on: the queries of people, or where there are none all of them.

    Example:
        >>> from dataclasses import replace
        >>> from embertune.data.origin import Origin
        >>> data = Dataset.from_pairs([("how old is it?", "It is old."), ("old", "It is old.")])
        >>> list(asked_by_people(replace(data, synthetic={"q2": Origin("extractive")})).queries)
        ['q1']
    """
    asked = [query_id for query_id in dataset.judged if query_id not in dataset.synthetic]
    return dataset.select(asked) if asked and dataset.synthetic else dataset


def companions(dataset: Dataset, held: Iterable[Dataset], *, by_document: bool) -> list[str]:
    """List the synthetic queries that may be trained on beside queries of people, some of which are held out.

    Args:
        dataset: Everything.
        held: What is judged on, dev and test.
        by_document: Whether documents that are judged on must not be trained on either.

    Returns:
        Ids of those that say nothing that is held out: no text of its queries, nor, by document, a document of theirs.
    """
    asked = asked_by_people(dataset).queries.keys()
    texts: set[str] = set()
    documents: set[str] = set()
    for part in held:
        texts.update(map(normalize_text, part.queries.values()))
        if by_document:
            documents |= _contents(part, part.queries)
    return [
        query_id
        for query_id in dataset.judged
        if query_id not in asked
        and normalize_text(dataset.queries[query_id]) not in texts
        and documents.isdisjoint(_contents(dataset, [query_id]))
    ]


def companions_note(dataset: Dataset, taken: int) -> tuple[str, ...]:
    """Tell what becomes of the synthetic queries; nothing where there are none, or only those.

    Example:
        >>> companions_note(Dataset.from_pairs([("a", "x")]), 0)
        ()
    """
    total = len(dataset.judged) - len(asked_by_people(dataset).judged)
    if not total:
        return ()
    left = f"; {total - taken} more say what is held out and are left out" if total > taken else ""
    found = counted(taken, "synthetic query is", "synthetic queries are")
    return (f"{found} trained on and none is judged on, as there are queries of people{left}.",)


def _contents(dataset: Dataset, query_ids: Iterable[str]) -> set[str]:
    """Texts, not ids, as a document may stand in the corpus twice."""
    return {dataset.corpus[document].content for query_id in query_ids for document in dataset.positives(query_id)}
