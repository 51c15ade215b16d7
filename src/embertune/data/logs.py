"""From a search log to graded pairs: clicks, corrected for where documents stood, with what they rest on counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from embertune.data.click_model import (
    Cells,
    Propensities,
    em_propensities,
    given_propensities,
    ratio_propensities,
    reciprocal_propensities,
    relevance,
)
from embertune.data.dataset import Dataset
from embertune.data.known_documents import KnownDocuments
from embertune.data.log_config import LogConfig
from embertune.data.log_rows import Search, read_searches
from embertune.data.sessions import group_sessions, reformulations, satisfied, without_duplicates, without_robots
from embertune.data.texts import counted, normalize_text
from embertune.errors import DataError

__all__ = ["dataset_of_log"]

# With fewer clicks than this at ranks that share documents, a ratio of click rates is off by a third or more.
_FEWEST_CLICKS = 50

Pair = tuple[int, str]


def dataset_of_log(
    source: Any,
    corpus: Any = None,
    *,
    columns: Mapping[str, str] | None = None,
    config: LogConfig | None = None,
    name: str = "log",
) -> Dataset:
    """Make a data set of a search log; see `Dataset.from_logs`.

    Raises:
        DataError: The log cannot be read, or no pair of it has enough clicks.
        ConfigError: Propensities are impossible.

    Example:
        >>> dataset_of_log([("red shoes", ["sandals", "red sneakers"], "red sneakers")] * 3).qrels
        {'q1': {'d2': 1.0}}
    """
    config = config or LogConfig()
    documents = KnownDocuments.of(corpus)
    searches, notes = read_searches(source, columns)
    sessions = _cleaned(searches, config, notes)
    asked = _Queries.of(sessions)
    table = _count(sessions, asked, config, documents)
    notes += documents.notes("The log")
    propensities = _propensities(table, config, notes)
    grades = _graded(table, propensities, config, notes)
    return _finish(grades, asked, documents, tuple(notes), name)


class _Queries(NamedTuple):
    """Queries by what makes them the same question."""

    numbers: dict[str, int]
    texts: list[str]

    @classmethod
    def of(cls, sessions: Sequence[Sequence[Search]]) -> _Queries:
        spellings: dict[str, Counter[str]] = defaultdict(Counter)
        for session in sessions:
            for search in session:
                spellings[normalize_text(search.query)][search.query] += 1
        numbers = {key: number for number, key in enumerate(spellings)}
        # Of several spellings the most frequent, which is the one that will be asked again.
        return cls(numbers, [max(found, key=lambda text: found[text]) for found in spellings.values()])

    def number(self, search: Search) -> int:
        return self.numbers[normalize_text(search.query)]


class _Table(NamedTuple):
    """What was shown and clicked; and, by pair, the ranks of clicks that credit a search which was asked again."""

    pairs: list[Pair]
    cells: Cells
    credits: dict[Pair, list[int]]
    searches: Counter[int]

    @property
    def is_clicks_alone(self) -> bool:
        """Whether the log tells only what was clicked: then nothing was ever shown without a click."""
        return bool((self.cells.clicked == self.cells.shown).all())


def _cleaned(searches: Sequence[Search], config: LogConfig, notes: list[str]) -> list[list[Search]]:
    asked = [search for search in searches if normalize_text(search.query)]
    single, repeated = without_duplicates(asked)
    sessions, robots, theirs = without_robots(group_sessions(single, config.session_gap), config.most_searches)
    cleaned = [
        [satisfied(one, min_dwell=config.min_dwell, last_only=config.last_click_only) for one in session]
        for session in sessions
    ]
    before, after = (sum(len(search.clicks) for one in many for search in one) for many in (sessions, cleaned))
    notes.append(f"{counted(len(searches), 'search', 'searches')}, {counted(after, 'click')} that count.")
    if empty := len(searches) - len(asked):
        notes.append(f"{counted(empty, 'search', 'searches')} without a query left out.")
    if repeated:
        notes.append(f"{counted(repeated, 'search that repeats', 'searches that repeat')} another left out.")
    if robots:
        notes.append(
            f"{counted(robots, 'session')} of more than {config.most_searches} searches, {theirs} in all, taken for "
            "robots and left out."
        )
    if lost := before - after:
        notes.append(f"{counted(lost, 'click')} do not count: the same document again, left too soon, or not the last.")
    return cleaned


def _count(
    sessions: Sequence[Sequence[Search]], asked: _Queries, config: LogConfig, documents: KnownDocuments
) -> _Table:
    pairs: dict[Pair, int] = {}
    rows: list[tuple[int, int, bool]] = []
    credits: dict[Pair, list[int]] = defaultdict(list)
    searches: Counter[int] = Counter()
    for session in sessions:
        for search in session:
            query = asked.number(search)
            searches[query] += 1
            clicked = {click.document for click in search.clicks}
            for document, rank in search.shown.items():
                if (identifier := documents.id_of(document)) is not None:
                    pair = pairs.setdefault((query, identifier), len(pairs))
                    rows.append((pair, rank, document in clicked))
        for before, after in reformulations(session, config.reformulation_seconds):
            for click in after.clicks:
                if config.reformulation_credit and (identifier := documents.id_of(click.document)) is not None:
                    credits[asked.number(before), identifier].append(after.shown[click.document])
    cells = Cells.count([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])
    return _Table(list(pairs), cells, credits, searches)


def _propensities(table: _Table, config: LogConfig, notes: list[str]) -> Propensities:
    """Take or estimate them, and say how and what they are."""
    method, cells = config.propensities, table.cells
    if not isinstance(method, str):
        found = given_propensities(method)
    elif table.is_clicks_alone:
        if method in ("ratio", "em"):
            raise DataError(
                f"propensities={method!r} needs what was shown and not clicked, and this log holds clicks alone. Give "
                "the shown documents, or the propensities: LogConfig(propensities=[1.0, 0.6, 0.4])"
            )
        found = reciprocal_propensities(int(cells.ranks.max(initial=1)))
        notes.append("The log holds clicks alone, without what was shown and not clicked: grades are shares of clicks.")
    else:
        found = _estimated(cells, method)
        if method == "auto" and (cells.clicked.sum() < _FEWEST_CLICKS or found.known.sum() < 2):
            found = reciprocal_propensities(len(found.values))
            notes.append(
                "Too few clicks on documents that were shown at several ranks to estimate how likely each rank is "
                "looked at: 1/rank is assumed."
            )
    shown = ", ".join(f"{value:.2f}" for value in found.values[:10])
    more = ", …" if len(found.values) > 10 else ""
    notes.append(f"Ranks are looked at with the propensities {shown}{more} ({found.method}).")
    if missing := int((~found.known).sum()):
        notes.append(f"{counted(missing, 'rank has', 'ranks have')} no document in common with the first: as 1/rank.")
    return found


def _estimated(cells: Cells, method: str) -> Propensities:
    if method == "reciprocal":
        return reciprocal_propensities(int(cells.ranks.max(initial=1)))
    return em_propensities(cells) if method == "em" else ratio_propensities(cells)


def _graded(table: _Table, propensities: Propensities, config: LogConfig, notes: list[str]) -> dict[Pair, float]:
    """Give the pairs that have support, with their grades."""
    if not len(table.cells.pairs):
        found = counted(table.searches.total(), "search", "searches")
        raise DataError(
            f"Found {found}, and no document in any. Expected what was shown, or at least what was clicked."
        )
    at, relevances, clicks, looks = relevance(table.cells, propensities, clip=config.clip)
    if table.is_clicks_alone:
        searched = np.array([table.searches[table.pairs[pair][0]] for pair in at], dtype=np.float64)
        relevances = np.minimum(clicks * clicks / (looks * searched), 1.0)
        looks = searched
    support = {
        table.pairs[pair]: (float(grade), float(clicked), float(looked))
        for pair, grade, clicked, looked in zip(at, relevances, clicks, looks, strict=True)
    }
    credited = _credit(support, table, propensities, config)
    if credited:
        notes.append(
            f"{counted(credited, 'click')} after asking again in other words also count for the earlier query, "
            f"at {config.reformulation_credit:g} of a click."
        )
    return _with_support(support, config, notes)


def _credit(
    found: dict[Pair, tuple[float, float, float]], table: _Table, propensities: Propensities, config: LogConfig
) -> int:
    """Add what was clicked after a search was asked again, over all searches for the first words."""
    for pair, ranks in table.credits.items():
        weights: npt.NDArray[np.float64] = 1 / np.maximum(propensities.of(ranks), config.clip)
        grade, clicks, looks = found.get(pair, (0.0, 0.0, 0.0))
        extra = config.reformulation_credit * float(weights.sum()) / table.searches[pair[0]]
        found[pair] = (min(grade + extra, 1.0), clicks + len(ranks), looks)
    return sum(map(len, table.credits.values()))


def _with_support(
    found: dict[Pair, tuple[float, float, float]], config: LogConfig, notes: list[str]
) -> dict[Pair, float]:
    kept: dict[Pair, float] = {}
    few = unclicked = 0
    for pair, (grade, clicks, looks) in found.items():
        if clicks >= config.min_clicks and grade >= config.min_grade:
            kept[pair] = round(grade, 4)
        elif looks >= config.min_looks and grade < config.min_grade:
            kept[pair] = 0.0
        elif clicks:
            few += 1
        else:
            unclicked += 1
    positives = sum(grade > 0 for grade in kept.values())
    if few:
        notes.append(f"{counted(few, 'pair')} with fewer than {config.min_clicks} clicks dropped.")
    if unclicked:
        notes.append(
            f"{counted(unclicked, 'pair')} without a click, looked at fewer than {config.min_looks:g} times, dropped."
        )
    notes.append(f"{counted(positives, 'pair')} relevant, {len(kept) - positives} looked at and not relevant.")
    if not positives:
        most = max(clicks for _, clicks, _ in found.values())
        raise DataError(
            f"No pair of a query and a document has {counted(config.min_clicks, 'click')} and a grade of "
            f"{config.min_grade:g}; the most clicked has {counted(int(most), 'click')}. Take more of the log, or ask "
            "for fewer: LogConfig(min_clicks=1), --min-clicks 1"
        )
    return kept


def _finish(
    grades: Mapping[Pair, float], asked: _Queries, documents: KnownDocuments, notes: tuple[str, ...], name: str
) -> Dataset:
    by_query: dict[int, dict[str, float]] = defaultdict(dict)
    for (query, document), grade in grades.items():
        by_query[query][document] = grade
    # A query without a relevant document teaches nothing and cannot be judged on.
    kept = [query for query in sorted(by_query) if max(by_query[query].values()) > 0]
    if left_out := len(asked.texts) - len(kept):
        notes = (*notes, f"{counted(left_out, 'query', 'queries')} without a relevant document left out.")
    ids = {query: f"q{number}" for number, query in enumerate(kept, start=1)}
    return Dataset(
        corpus=documents.documents(),
        queries={ids[query]: asked.texts[query] for query in kept},
        qrels={ids[query]: by_query[query] for query in kept},
        name=name,
        notes=notes,
    )
