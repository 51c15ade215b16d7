"""Thumbs up and down on the answers of a RAG chat as judgements of the passages that the answers rest on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

from embertune.data.builder import as_text, examples
from embertune.data.dataset import Dataset
from embertune.data.known_documents import KnownDocuments
from embertune.data.log_columns import FEEDBACK, recognise_roles
from embertune.data.log_rows import as_flag, as_seconds, listed, rows_of
from embertune.data.texts import counted, normalize_text
from embertune.errors import ConfigError, DataError

__all__ = ["dataset_of_feedback"]

# Thirds of a thumb do not add up to one.
_ROUNDING = 1e-9
_TUPLE = ("query", "passages", "vote", "time", "user")
_EXPECTED = (
    "Expected rows of a query, the passage or passages of the answer, and a thumb: 1 or 0, up or down, 👍 or 👎."
)


class _Vote(NamedTuple):
    query: str
    passages: tuple[str, ...]
    is_up: bool


def dataset_of_feedback(
    source: Any,
    corpus: Any = None,
    *,
    columns: Mapping[str, str] | None = None,
    min_votes: float = 0.0,
    name: str = "feedback",
) -> Dataset:
    """Make a data set of thumbs; see `Dataset.from_feedback`.

    Raises:
        ConfigError: `min_votes` is negative.
        DataError: The rows cannot be read, or no passage is left with more ups than downs.

    Example:
        >>> dataset_of_feedback([("how old is it?", "Built in 1900.", "up"), ("how old is it?", "80 m", "down")]).qrels
        {'q1': {'d1': 1.0, 'd2': 0.0}}
    """
    if min_votes < 0:
        raise ConfigError(f"min_votes must be at least 0, got {min_votes}")
    documents = KnownDocuments.of(corpus)
    votes, notes = _read(source, columns)
    shares = _shares(votes, documents)
    notes += documents.notes("The feedback")
    kept: dict[str, dict[str, float]] = defaultdict(dict)
    few = tied = 0
    for (query, document), (up, down) in shares.items():
        if up + down < min_votes:
            few += 1
        elif up - down > _ROUNDING:
            kept[query][document] = round(up / (up + down), 4)
        elif down > 1 - _ROUNDING:
            kept[query][document] = 0.0
        else:
            tied += 1
    if few:
        notes.append(f"{counted(few, 'pair')} with fewer than {min_votes:g} votes dropped.")
    if tied:
        notes.append(
            f"{counted(tied, 'pair')} dropped: no more ups than downs, and the downs were for answers of several "
            "passages, which does not tell whose fault it was."
        )
    return _finish(votes, kept, documents, notes, name)


def _read(source: Any, columns: Mapping[str, str] | None) -> tuple[list[_Vote], list[str]]:
    table = rows_of(source, _TUPLE, 3, _EXPECTED)
    roles = recognise_roles(
        table.columns, columns, FEEDBACK, required=["query", "passages", "vote"], source=table.source
    )
    votes: list[tuple[float, tuple[Any, ...], _Vote]] = []
    empty = 0
    for number, row in table.rows:
        at = f"{table.source} {table.unit} {number}"
        query = as_text(row.get(roles["query"]), f"{at}: the query").strip()
        # A passage may hold any character, so only lists and JSON are several.
        cell = row.get(roles["passages"])
        is_text = isinstance(cell, str) and not cell.lstrip().startswith("[")
        passages = tuple(dict.fromkeys(listed(cell, f"{at}: the passages", is_one=is_text)))
        is_up = as_flag(row.get(roles["vote"]), f"{at}: the column {roles['vote']!r}")
        if not normalize_text(query) or not passages or is_up is None:
            empty += 1
            continue
        time = as_seconds(row.get(roles.get("time", "")), f"{at}: the time") or 0.0
        user = as_text(row.get(roles.get("user", "")), f"{at}: the user").strip()
        # Without a user nothing tells two people apart from one who changed their mind.
        key = (user, normalize_text(query), passages) if user else (number,)
        votes.append((time, key, _Vote(query, passages, is_up)))
    found = {key: vote for _, key, vote in sorted(votes, key=lambda one: one[0])}
    used = ", ".join(f"{role} = {column!r}" for role, column in roles.items())
    ups = sum(vote.is_up for vote in found.values())
    notes = [f"Columns: {used}.", f"{counted(len(found), 'thumb')}: {ups} up, {len(found) - ups} down."]
    if changed := len(votes) - len(found):
        notes.append(f"{counted(changed, 'thumb was', 'thumbs were')} given again by the same user; the last counts.")
    if empty:
        notes.append(f"{counted(empty, 'row')} without a query, a passage or a thumb left out.")
    return list(found.values()), notes


def _shares(votes: list[_Vote], documents: KnownDocuments) -> dict[tuple[str, str], list[float]]:
    """Share every thumb among the passages of its answer: (query, document) -> [ups, downs]."""
    shares: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for vote in votes:
        for passage in vote.passages:
            if (document := documents.id_of(passage)) is not None:
                shares[normalize_text(vote.query), document][0 if vote.is_up else 1] += 1 / len(vote.passages)
    return shares


def _finish(
    votes: list[_Vote],
    kept: Mapping[str, Mapping[str, float]],
    documents: KnownDocuments,
    notes: list[str],
    name: str,
) -> Dataset:
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for vote in votes:
        spellings[normalize_text(vote.query)][vote.query] += 1
    good = [key for key in spellings if any(grade > 0 for grade in kept.get(key, {}).values())]
    if not good:
        raise DataError(
            f"Found {counted(len(votes), 'thumb')} on {counted(len(spellings), 'query', 'queries')}, and no passage "
            f"with more ups than downs. {_EXPECTED}"
        )
    if left_out := [key for key in spellings if key not in good]:
        found = f"{counted(len(left_out), 'query', 'queries')} without a passage that has more ups than downs"
        notes = [*notes, f"{found} left out (such as {examples(left_out)})."]
    ids = {key: f"q{number}" for number, key in enumerate(good, start=1)}
    return Dataset(
        corpus=documents.documents(),
        queries={ids[key]: max(spellings[key], key=lambda text: spellings[key][text]) for key in good},
        qrels={ids[key]: dict(kept[key]) for key in good},
        name=name,
        notes=tuple(notes),
    )
