"""Marks on the queries of a data set: what speaks against training on one; nothing is dropped here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from embertune.data.dataset import Dataset
from embertune.data.language import LANGUAGES, detect_language
from embertune.data.near_texts import CopyMeter, near_documents, near_queries
from embertune.data.texts import counted
from embertune.errors import ConfigError

__all__ = ["MARKS", "FilterConfig", "Mark", "Ranked", "Remark", "merge_documents", "remarks"]

Mark = Literal["language", "near-duplicate", "too-hard", "round-trip", "too-easy"]
MARKS: tuple[str, ...] = get_args(Mark)
"""In the order in which a dropped query's reason is named."""


@dataclass(frozen=True)
class FilterConfig:
    """What is marked, and which marks drop a query.

    Raises:
        ConfigError: With every problem at once.

    Example:
        >>> FilterConfig(top_k=5).drop
        ('language', 'near-duplicate', 'round-trip')
    """

    top_k: int = 10
    """"round-trip": the retriever does not find a relevant document of the query among so many."""
    hard_rank: int = 100
    """"too-hard": nor among so many, so that the label is likely wrong or the question has no answer."""
    easy_lead: float = 0.5
    """"too-easy": the relevant document is first, and the next one's score is lower by this share of its own, …"""
    easy_words: int = 8
    """… or the query has so many words in a row from it."""
    near_queries: bool = True
    """"near-duplicate": a query has the words of an earlier one, but for articles, auxiliaries and endings."""
    near_documents: float | None = None
    """Jaccard index of word trigrams from which documents are merged into the earlier one; None leaves the corpus."""
    language: str | None = "documents"
    """"language": the language that queries must have, such as "de"; "documents" is that of their relevant document;
    None: not looked at. Queries of no certain language pass."""
    drop: tuple[str, ...] = ("language", "near-duplicate", "round-trip")
    """The marks that drop a query; the others are only kept in the record."""

    def __post_init__(self) -> None:
        """Refuse what is impossible."""
        least = (("top_k", 1), ("hard_rank", 1), ("easy_lead", 0), ("easy_words", 1))
        problems = [
            f"{name} must be at least {low}, got {getattr(self, name)}"
            for name, low in least
            if getattr(self, name) < low
        ]
        if self.near_documents is not None and not 0 < self.near_documents <= 1:
            problems.append(f"near_documents must be a Jaccard index above 0 and at most 1, got {self.near_documents}")
        if self.language not in (None, "documents", *LANGUAGES):
            problems.append(
                f"language must be 'documents' or one of {', '.join(sorted(LANGUAGES))}; got {self.language!r}"
            )
        if unknown := [mark for mark in self.drop if mark not in MARKS]:
            problems.append(f"drop takes {', '.join(MARKS)}; got {', '.join(map(repr, unknown))}")
        if problems:
            raise ConfigError(problems)


class Ranked(NamedTuple):
    """What a retriever says about a query.

    Example:
        >>> Ranked(1, 0.25).rank
        1
    """

    rank: int | None
    """Of the best relevant document, from 1; None where it was not found."""
    lead: float | None
    """How far the best other document's score is below that one's, as a share of it; None where it was not found."""


class Remark(NamedTuple):
    """What was seen at a query.

    Example:
        >>> Remark(("too-easy",), rank=1, lead=0.8).marks
        ('too-easy',)
    """

    marks: tuple[str, ...] = ()
    """In the order of `MARKS`."""
    rank: int | None = None
    """As in `Ranked`."""
    lead: float | None = None
    """As in `Ranked`."""
    copied: int = 0
    """Words in a row that it shares with a relevant document."""
    language: str = ""
    """Of the query, where it is certain."""
    repeats: str = ""
    """Id of the earlier query that it nearly repeats."""


def remarks(
    dataset: Dataset, query_ids: Iterable[str], config: FilterConfig, ranked: Mapping[str, Ranked] | None
) -> tuple[dict[str, Remark], tuple[str, ...]]:
    """Look at queries.

    Args:
        dataset: Where they are from. What other queries stand in it counts for repetitions: those that are not looked
            at, such as test queries, come first.
        query_ids: Which to look at; each has a relevant document.
        config: What is marked.
        ranked: What a retriever says about each; None leaves out the marks that need it.

    Returns:
        Query id -> remark, and notes on what was not looked at.

    Example:
        >>> data = Dataset.from_pairs([("where is it", "it is here"), ("Where is it?", "there"), ("wo ist das", "no")])
        >>> found, _ = remarks(data, data.queries, FilterConfig(language="en"), None)
        >>> [remark.marks for remark in found.values()]
        [(), ('near-duplicate',), ('language',)]
    """
    ids = list(query_ids)
    repeats = _repeats(dataset, ids) if config.near_queries else {}
    languages = {query_id: detect_language(dataset.queries[query_id]) for query_id in ids} if config.language else {}
    foreign, notes = _foreign(dataset, languages, config.language)
    found: dict[str, Remark] = {}
    for query_id in ids:
        place = ranked.get(query_id, Ranked(None, None)) if ranked is not None else None
        texts = [dataset.corpus[document].content for document in dataset.positives(query_id)]
        copied = max((CopyMeter(text).longest_run(dataset.queries[query_id]) for text in texts), default=0)
        there = {
            "language": query_id in foreign,
            "near-duplicate": query_id in repeats,
            "too-hard": place is not None and _beyond(place, config.hard_rank),
            "round-trip": place is not None and _beyond(place, config.top_k),
            "too-easy": copied >= config.easy_words or (place is not None and _easy(place, config.easy_lead)),
        }
        marks = tuple(mark for mark in MARKS if there[mark])
        rank, lead = place or Ranked(None, None)
        found[query_id] = Remark(marks, rank, lead, copied, languages.get(query_id, ""), repeats.get(query_id, ""))
    return found, notes


def merge_documents(dataset: Dataset, threshold: float) -> tuple[dict[str, str], dict[str, dict[str, float]]]:
    """Find documents that nearly repeat an earlier one, and judge that one in their place.

    Args:
        dataset: Any.
        threshold: Jaccard index of word trigrams.

    Returns:
        Document id -> id of the one that stays; and the judgements by those, the highest grade of each.

    Example:
        >>> text = "Call me Ishmael. Some years ago, never mind how long precisely"
        >>> data = Dataset.from_pairs([("who", text), ("when", text + "!")])
        >>> merge_documents(data, 0.9)
        ({'d2': 'd1'}, {'q1': {'d1': 1.0}, 'q2': {'d1': 1.0}})
    """
    ids = list(dataset.corpus)
    copies = near_documents([document.content for document in dataset.corpus.values()], threshold=threshold)
    stays = {ids[copy]: ids[kept] for copy, kept in copies.items()}
    qrels: dict[str, dict[str, float]] = {}
    for query_id, grades in dataset.qrels.items():
        merged = qrels.setdefault(query_id, {})
        for document, grade in grades.items():
            kept = stays.get(document, document)
            merged[kept] = max(grade, merged.get(kept, grade))
    return stays, qrels


def _repeats(dataset: Dataset, ids: Sequence[str]) -> dict[str, str]:
    looked_at = set(ids)
    order = [*(query_id for query_id in dataset.judged if query_id not in looked_at), *ids]
    first = len(order) - len(ids)
    copies = near_queries([dataset.queries[query_id] for query_id in order])
    return {order[copy]: order[kept] for copy, kept in copies.items() if copy >= first}


def _foreign(dataset: Dataset, languages: Mapping[str, str], wanted: str | None) -> tuple[set[str], tuple[str, ...]]:
    """The queries of another language than is wanted, unless that is how the data is."""
    certain = {query_id: language for query_id, language in languages.items() if language}
    if wanted is None:
        return set(), ()
    if wanted != "documents":
        return {query_id for query_id, language in certain.items() if language != wanted}, ()
    answers = {query_id: dataset.positives(query_id) for query_id in certain}
    known = {document for documents in answers.values() for document in documents}
    spoken = {document: detect_language(dataset.corpus[document].content) for document in known}
    foreign = set()
    for query_id, language in certain.items():
        theirs = {spoken[document] for document in answers[query_id]}
        if "" not in theirs and language not in theirs:
            foreign.add(query_id)
    if 2 * len(foreign) <= len(certain):
        return foreign, ()
    most = Counter(certain[query_id] for query_id in foreign).most_common(1)[0][0]
    note = (
        f"{counted(len(foreign), 'query is', 'queries are')} of {len(certain)} in another language than their "
        f"documents: that is taken for how the data is, and none is marked. Name the language they must "
        f"have: language={most!r}, --language {most}."
    )
    return set(), (note,)


def _beyond(place: Ranked, rank: int) -> bool:
    return place.rank is None or place.rank > rank


def _easy(place: Ranked, lead: float) -> bool:
    return place.rank == 1 and place.lead is not None and place.lead >= lead
