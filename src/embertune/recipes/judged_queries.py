"""Which queries of a data set may be judged: those that trained none of the adapters, as far as their records tell."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from embertune.adapters.base import Adapter
from embertune.data.builder import PARTS
from embertune.data.dataset import Dataset
from embertune.errors import ArtifactError, ConfigError, DataError
from embertune.reports.record import Record

__all__ = ["JudgedQueries", "check_part", "choose_queries"]


class JudgedQueries(NamedTuple):
    """What is judged.

    Attributes:
        ids: Of the queries, in the order of the data set.
        groups: "seen" and "unseen" -> their ids; None where nobody can tell.
        notes: Why these, and what cannot be told, in sentences.
    """

    ids: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]] | None
    notes: tuple[str, ...]


def check_part(part: str | None) -> None:
    """Refuse a part that no data set has.

    Raises:
        ConfigError: It is none of "train", "dev", "test", "all" and None.
    """
    if part not in (None, "all", *PARTS):
        raise ConfigError(f"part must be 'train', 'dev', 'test' or 'all', got {part!r}")


def choose_queries(dataset: Dataset, adapters: Mapping[str, Adapter], part: str | None) -> JudgedQueries:
    """Choose the queries to judge encoders and adapters on.

    Args:
        dataset: Everything.
        adapters: Name -> adapter.
        part: "train", "dev", "test" or "all" where it was asked for; None for those that trained none of the adapters.

    Raises:
        ArtifactError: A record is damaged.
        DataError: No judged query is left.

    Example:
        >>> data = Dataset.from_pairs([("where is the cat", "the cat sits here"), ("where is the dog", "a dog ran")])
        >>> choose_queries(data, {}, None)
        JudgedQueries(ids=('q1', 'q2'), groups=None, notes=())
    """
    records = {name: record for name, adapter in adapters.items() if (record := _record_of(name, adapter)) is not None}
    trained = {n: record for n, record in records.items() if record["data"]["fingerprint"] == dataset.fingerprint}
    ids, notes = _untrained(dataset, trained) if part is None else _of_part(dataset, trained, part)
    if not ids:
        shared = (
            f", none of them a test query in the records of {' and '.join(trained)}" if trained and part is None else ""
        )
        raise DataError(
            f"No query of {dataset.name} is left to judge ({len(dataset.queries)} queries in all{shared}). "
            "Expected queries with a relevant document; choose others with --part all."
        )
    notes += [
        f"{name} was tuned on another data set, or on another state of this one ({record['data']['name']}): if its "
        "training queries are among these, its figures here flatter it."
        for name, record in records.items()
        if name not in trained
    ]
    groups, why = _groups(dataset, ids, records, trained)
    return JudgedQueries(tuple(ids), groups, (*notes, *why))


def _record_of(name: str, adapter: Adapter) -> Record | None:
    """Give an adapter's record, where it has one."""
    text = adapter.attachments.get("record.json")
    if text is None:
        return None
    try:
        values = json.loads(text)
        # Of a migration or an update; those say themselves what they were judged on.
        return None if isinstance(values, dict) and "kind" in values else Record(values)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactError(
            f"{name} has a damaged record.json, so it cannot be told which queries trained it: {error}"
        ) from None


def _of_part(dataset: Dataset, trained: Mapping[str, Record], part: str) -> tuple[list[str], list[str]]:
    counts = Counter(dataset.parts.values())
    if part != "all" and not counts[part]:
        listed = ", ".join(f"{name} {counts[name]}" for name in PARTS if counts[name])
        found = f"its parts are {listed}" if counts else "it is not divided into parts"
        rest = " or leave it out to judge the test queries that the adapters' records name" if trained else ""
        raise DataError(f"{dataset.name} has no part {part!r}: {found}. Judge all its queries with --part all{rest}.")
    notes = [f"The queries of part {part!r}, as was asked."]
    notes += [f"{name} was tuned on this data: its own training queries may be among them." for name in trained]
    return [query for query in dataset.judged if part in ("all", dataset.parts.get(query))], notes


def _untrained(dataset: Dataset, trained: Mapping[str, Record]) -> tuple[list[str], list[str]]:
    ids, notes = list(dataset.judged), []
    for name, record in trained.items():
        if not _in_three_parts(record):
            notes.append(f"{name} was fitted on every query of this data, so its figures here flatter it.")
            continue
        tested = _group_of(record)
        ids = [query for query in ids if query in tested]
        notes.append(f"{name} was tuned on this data: only the {len(tested)} test queries of its record are judged.")
    if not trained and "test" in dataset.parts.values():
        ids = [query for query in ids if dataset.parts.get(query) == "test"]
        notes.append("The test part of the data.")
    return ids, notes


def _in_three_parts(record: Record) -> bool:
    return bool(record["data"]["split"].get("kind", "three parts") == "three parts")


def _group_of(record: Record) -> dict[str, str]:
    """Test query -> "seen" or "unseen"."""
    return {row["id"]: row["group"] for row in record.get("queries") or ()}


def _groups(
    dataset: Dataset, ids: list[str], records: Mapping[str, Record], trained: Mapping[str, Record]
) -> tuple[dict[str, tuple[str, ...]] | None, list[str]]:
    """Keep seen and unseen apart where the records, or else the data's parts, tell of every query which it is."""
    told = {name: _group_of(record) for name, record in trained.items() if _in_three_parts(record)}
    if not told and not dataset.parts:
        return None, []
    group = next(iter(told.values()), {}) if records else _group_by_parts(dataset, ids)
    silent = [name for name in records if not told.get(name, {}).keys() >= set(ids)]
    if silent:
        why = f"the record of {silent[0]} does not tell them of all these queries"
    elif any(other[query] != group[query] for other in told.values() for query in ids):
        why = f"the records of {' and '.join(told)} do not agree, for their splits or seeds differ"
    else:
        return {name: tuple(query for query in ids if group[query] == name) for name in ("seen", "unseen")}, []
    return None, [f"Seen and unseen are not judged apart: {why}."]


def _group_by_parts(dataset: Dataset, ids: list[str]) -> dict[str, str]:
    fitted = [query for query, part in dataset.parts.items() if part in ("train", "dev")]
    known = {document for query in fitted for document in dataset.positives(query)}
    return {query: "seen" if known.intersection(dataset.positives(query)) else "unseen" for query in ids}
