"""Look at a run query by query: what was found before and after, what moved, and which training queries are near."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from embertune.data.dataset import Dataset
from embertune.errors import DataError
from embertune.recipes.details import Details
from embertune.reports.record import Record

__all__ = ["Hit", "Look", "Near", "QueryRow", "QueryView"]

_SHOWN = 10


class QueryRow(NamedTuple):
    """A test query in a list."""

    id: str
    text: str
    group: str
    """"seen" if one of its answers has training queries, else "unseen"."""
    base: float
    tuned: float

    @property
    def gain(self) -> float:
        """The change of the metric that decides."""
        return self.tuned - self.base


class Hit(NamedTuple):
    """A document in one of the two rankings."""

    id: str
    text: str
    """Its id where the data is not at hand."""
    grade: float | None
    """None: nobody judged it for this query."""
    rank: int
    score: float
    other_rank: int | None
    """In the other ranking; None where that did not reach so deep."""
    other_score: float

    @property
    def is_relevant(self) -> bool:
        """Whether it was judged to answer the query."""
        return (self.grade or 0) > 0


class Near(NamedTuple):
    """A training query near the one that is looked at."""

    id: str
    text: str
    cosine: float
    """By the frozen encoder."""
    answers: tuple[str, ...]
    """Ids of what answers it, where that is in one of the two rankings: what it pulled."""


class QueryView(NamedTuple):
    """All that is known of one test query."""

    row: QueryRow
    base: tuple[Hit, ...]
    tuned: tuple[Hit, ...]
    answers: tuple[Hit, ...]
    """What was judged relevant, wherever it stands after tuning; rank 0 for beyond the depth of the ranking."""
    near: tuple[Near, ...]
    why: str
    """In a sentence: what gained or lost, and what that is due to as far as can be told."""


@dataclass(frozen=True)
class Look:
    """A saved run, and the data that gives its ids their texts.

    Attributes:
        record: Of the run.
        details: What its queries found.
        dataset: What it was tuned on; None shows ids in place of texts.

    Example:
        >>> import tempfile
        >>> from embertune.recipes.tune import tune
        >>> data = Dataset.from_pairs([(f"where is cat {n}?", f"cat {n} is at home") for n in range(25)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     look = Look.open(tune(data, "hashing", effort="fast").save(f"{folder}/mine"), data)
        >>> len(look.rows), len(look.view(look.rows[0].id).base)
        (25, 10)
    """

    record: Mapping[str, Any]
    details: Details
    dataset: Dataset | None = None

    @classmethod
    def open(cls, folder: str | Path, dataset: Dataset | None = None) -> Look:
        """Read a folder that `embertune tune` wrote.

        Args:
            folder: Of the adapter, or of the fine-tuned model.
            dataset: What it was tuned on.

        Raises:
            ArtifactError: The folder has no record, or not what its queries found, or they are damaged.
        """
        return cls(Record.read(folder), Details.read(Path(folder)), dataset)

    @cached_property
    def rows(self) -> tuple[QueryRow, ...]:
        """The test queries, those that gained most first and those that lost most last."""
        found = [
            QueryRow(row["id"], self._query(row["id"]), row["group"], row["base"], row["tuned"])
            for row in self.record["queries"]
        ]
        return tuple(sorted(found, key=lambda row: -row.gain))

    def view(self, query: str) -> QueryView:
        """Give all that is known of a test query.

        Raises:
            DataError: It is none.
        """
        row = next((row for row in self.rows if row.id == query), None)
        told = self._told.get(query)
        if row is None or told is None:
            raise DataError(f"{query[:80]!r} is no test query of this run. Choose one from its list.")
        base, tuned, answers = [], [], []
        for document, grade, rank, score, new_rank, new_score in told["documents"]:
            text = self._document(document)
            before = Hit(document, text, grade, rank or 0, score, new_rank, new_score)
            after = Hit(document, text, grade, new_rank or 0, new_score, rank, score)
            base += [before] if 0 < before.rank <= _SHOWN else []
            tuned += [after] if 0 < after.rank <= _SHOWN else []
            answers += [after] if after.is_relevant else []
        base, tuned = (sorted(hits, key=lambda hit: hit.rank) for hits in (base, tuned))
        shown = {hit.id for hit in [*base, *tuned, *answers]}
        near = tuple(Near(name, self._query(name), cosine, self._answers(name, shown)) for name, cosine in told["near"])
        return QueryView(row, tuple(base), tuple(tuned), tuple(answers), near, _why(row, answers, near))

    @cached_property
    def _told(self) -> dict[str, Mapping[str, Any]]:
        return {row["id"]: row for row in self.details.queries}

    def _query(self, name: str) -> str:
        return name if self.dataset is None else self.dataset.queries.get(name, name)

    def _document(self, name: str) -> str:
        document = None if self.dataset is None else self.dataset.corpus.get(name)
        return name if document is None else document.content

    def _answers(self, query: str, shown: set[str]) -> tuple[str, ...]:
        if self.dataset is None or query not in self.dataset.qrels:
            return ()
        return tuple(document for document in self.dataset.positives(query) if document in shown)


def _why(row: QueryRow, answers: list[Hit], near: tuple[Near, ...]) -> str:
    """Say what moved and what pulled it, without guessing at more than the vectors show."""
    if not answers:
        return "Nothing that answers it is known."
    best = min(answers, key=lambda hit: (hit.rank or 10**9, hit.other_rank or 10**9))
    moved = f"The best answer went from {_place(best.other_rank)} to {_place(best.rank)}"
    change = f"its cosine changed by {best.score - best.other_score:+.3f}"
    answered = {document for each in near for document in each.answers}
    right = sum(bool(set(each.answers) & {hit.id for hit in answers}) for each in near)
    if right:
        learned = f"{right} of the {len(near)} nearest training queries have an answer of this query's"
    elif answered:
        learned = (
            f"the nearest training queries are answered by other documents of these lists ({len(answered)}), which rise"
            " with what was learned from them"
        )
    else:
        learned = "no near training query has an answer in these lists, so what moved is what they taught in general"
    group = "has training queries" if row.group == "seen" else "has none of its own"
    return f"{moved}; {change}. Its document {group}; {learned}."


def _place(rank: int | None) -> str:
    return f"rank {rank}" if rank else "beyond what was ranked"
