"""A ranking of documents per query, in the sense of TREC; reads and writes TREC run files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embertune.core.files import write_whole
from embertune.core.search import Positions
from embertune.data.lines import read_lines
from embertune.data.texts import counted, is_broken
from embertune.errors import DataError

__all__ = ["Run"]


@dataclass(frozen=True, eq=False)
class Run:
    """What a system answered: per query its documents and scores, best first; nothing in it can be changed.

    The stored order is the ranking. Runs from `retrieve` break ties of the score by the position of the document
    in the corpus; runs that are read break them by the rank column, then by line.

    Attributes:
        name: Of the system.
        query_ids: The n queries.
        document_ids: The documents that `positions` count in; each once.
        positions: (n, k) positions in `document_ids`, best first; -1 behind the end of a shorter ranking.
        scores: (n, k), not rising along a row; 0 where nothing stands.

    Raises:
        DataError: The parts do not fit together, or a query answers with a document twice.

    Example:
        >>> run = Run.from_scores({"q": {"a": 0.5, "b": 0.9}}, name="mine")
        >>> run.ranking("q")
        [('b', 0.9), ('a', 0.5)]
    """

    name: str
    query_ids: tuple[str, ...]
    document_ids: tuple[str, ...]
    positions: Positions
    scores: npt.NDArray[np.floating[Any]]

    def __post_init__(self) -> None:
        """Refuse what does not fit, and lock the arrays."""
        for name in ("positions", "scores"):
            # A view of its own is locked, so that the caller's array stays as it was.
            view = np.asarray(getattr(self, name)).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)
        for name in ("query_ids", "document_ids"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        problems = list(_problems(self))
        if problems:
            raise DataError(f"The run {self.name!r} does not fit together:\n" + "\n".join(f"- {p}" for p in problems))

    def __len__(self) -> int:
        """How many queries it answers."""
        return len(self.query_ids)

    def __repr__(self) -> str:
        """Name it, with its size."""
        queries, depth = counted(len(self), "query", "queries"), counted(self.positions.shape[1], "document")
        return f"Run({self.name!r}: {queries}, up to {depth} each)"

    def ranking(self, query_id: str) -> list[tuple[str, float]]:
        """List the documents of a query with their scores, best first; empty for a query that was not answered."""
        if query_id not in self.query_ids:
            return []
        return self._ranking(self.query_ids.index(query_id))

    def to_dict(self) -> dict[str, dict[str, float]]:
        """Give query id -> document id -> score, as BEIR, ranx and pytrec_eval take it; documents in rank order.

        Example:
            >>> Run.from_scores({"q": {"a": 0.5, "b": 0.9}}).to_dict()
            {'q': {'b': 0.9, 'a': 0.5}}
        """
        return {query: dict(self._ranking(row)) for row, query in enumerate(self.query_ids)}

    @classmethod
    def from_scores(cls, results: Mapping[str, Mapping[str, float]], *, name: str = "run") -> Run:
        """Make a run of query id -> document id -> score; of equal scores the one that stands first goes first.

        Raises:
            DataError: A score is not a number.

        Example:
            >>> Run.from_scores({"q": {"b": 1, "a": 1, "c": 2}}).ranking("q")
            [('c', 2.0), ('b', 1.0), ('a', 1.0)]
        """
        for query, documents in results.items():
            for document, score in documents.items():
                if math.isnan(score):
                    raise DataError(f"The score of document {document!r} for query {query!r} is not a number.")
        return cls._from_rankings(
            {q: sorted(documents.items(), key=lambda item: -item[1]) for q, documents in results.items()}, name
        )

    @classmethod
    def read(cls, path: str | Path) -> Run:
        r"""Read a TREC run file: query, "Q0", document, rank, score, name, separated by white space.

        Documents are ordered by falling score, as trec_eval orders them; equal scores by the rank column, then by line.

        Raises:
            DataError: The file cannot be read, or a line is not of that form; it names file and line.

        Example:
            >>> from tempfile import TemporaryDirectory
            >>> with TemporaryDirectory() as folder:
            ...     path = Path(folder, "run.txt")
            ...     _ = path.write_text("q1 Q0 d2 1 0.9 mine\nq1 Q0 d7 2 0.4 mine\n")
            ...     Run.read(path).ranking("q1")
            [('d2', 0.9), ('d7', 0.4)]
        """
        path = Path(path)
        found: dict[str, dict[str, tuple[float, float, int]]] = {}
        name = ""
        for number, columns in _rows(path):
            query, _, document, rank, score, tag = columns
            documents = found.setdefault(query, {})
            if document in documents:
                raise DataError(
                    f"{path}:{number}: document {document!r} was already ranked for query {query!r} on line "
                    f"{documents[document][2]}. Expected each document once per query; remove one of the lines."
                )
            documents[document] = (
                -_number(score, f"{path}:{number}: the score (column 5)"),
                _number(rank, f"{path}:{number}: the rank (column 4)"),
                number,
            )
            name = name or tag
        if not found:
            raise DataError(f"{path} holds no ranking. Expected lines such as: q1 Q0 d7 1 0.93 my-system")
        rankings = {
            query: [(document, -key[0]) for document, key in sorted(documents.items(), key=lambda item: item[1])]
            for query, documents in found.items()
        }
        return cls._from_rankings(rankings, name)

    def write(self, path: str | Path) -> Path:
        r"""Write a TREC run file, whole or not at all; ranks count from 1.

        A query that is answered with nothing has no line, so it is not among the queries when the file is read.

        Returns:
            The path.

        Raises:
            DataError: An id or the name is empty, or holds white space or half a surrogate pair, which the format
                cannot carry.
            StorageError: The disk or the folder refused; what stood there before is unharmed.

        Example:
            >>> from tempfile import TemporaryDirectory
            >>> with TemporaryDirectory() as folder:
            ...     path = Run.from_scores({"q": {"a": 0.5}}, name="mine").write(Path(folder, "run.txt"))
            ...     path.read_text()
            'q Q0 a 1 0.5 mine\n'
        """
        for kind, ids in (("query id", self.query_ids), ("document id", self.document_ids), ("name", (self.name,))):
            if wrong := [text for text in ids if text.split() != [text] or is_broken(text)]:
                raise DataError(
                    f"{len(wrong)} of {len(ids)} {kind}s are empty or hold white space or broken characters (such as "
                    f"{', '.join(map(repr, wrong[:3]))}), which a TREC run file cannot carry. Rename them first."
                )
        return write_whole(path, self._lines())

    def _lines(self) -> Iterator[str]:
        for row, query in enumerate(self.query_ids):
            for rank, (at, score) in enumerate(zip(self.positions[row], self.scores[row], strict=True), start=1):
                if at >= 0:
                    # str of a numpy number is the shortest text that reads back as the same number.
                    yield f"{query} Q0 {self.document_ids[at]} {rank} {score!s} {self.name}\n"

    def _ranking(self, row: int) -> list[tuple[str, float]]:
        pairs = zip(self.positions[row].tolist(), self.scores[row].tolist(), strict=True)
        return [(self.document_ids[at], score) for at, score in pairs if at >= 0]

    @classmethod
    def _from_rankings(cls, rankings: Mapping[str, list[tuple[str, float]]], name: str) -> Run:
        place: dict[str, int] = {}
        depth = max((len(ranking) for ranking in rankings.values()), default=0)
        positions = np.full((len(rankings), depth), -1, dtype=np.intp)
        scores = np.zeros((len(rankings), depth))
        for row, ranking in enumerate(rankings.values()):
            for column, (document, score) in enumerate(ranking):
                positions[row, column] = place.setdefault(document, len(place))
                scores[row, column] = score
        return cls(name, tuple(rankings), tuple(place), positions, scores)


def _problems(run: Run) -> Iterator[str]:
    shape = run.positions.shape
    if run.positions.ndim != 2 or len(run.positions) != len(run.query_ids) or run.scores.shape != shape:
        yield (
            f"{counted(len(run.query_ids), 'query id')}, positions of shape {shape} and scores of shape "
            f"{run.scores.shape}; expected (n, k) twice, one row per query"
        )
        return
    for kind, ids in (("query", run.query_ids), ("document", run.document_ids)):
        if len(set(ids)) < len(ids):
            yield f"{len(ids) - len(set(ids))} of {len(ids)} {kind} ids occur twice"
    if run.positions.size == 0:
        return
    if run.positions.max() >= len(run.document_ids) or run.positions.min() < -1:
        documents = counted(len(run.document_ids), "document")
        yield f"positions from {run.positions.min()} to {run.positions.max()} for {documents}"
    ordered = np.sort(run.positions, axis=1)
    twice = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1)
    if twice.any():
        found = counted(int(twice.sum()), "query answers", "queries answer")
        yield f"{found} with a document twice (such as {run.query_ids[int(twice.argmax())]!r})"
    stands = run.positions >= 0
    if (stands[:, 1:] & ~stands[:, :-1]).any():
        yield "a ranking has a gap: -1 may only stand at its end"
    if np.isnan(run.scores).any() or ((run.scores[:, 1:] > run.scores[:, :-1]) & stands[:, 1:]).any():
        yield "scores are NaN, or rise along a ranking; expected the best first"


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(read_lines(path), start=1):
        columns = line.split()
        if columns and len(columns) != 6:
            raise DataError(
                f"{path}:{number}: found {len(columns)} columns. Expected the 6 of a TREC run: query, Q0, document, "
                "rank, score, name."
            )
        if columns:
            yield number, columns


def _number(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise DataError(f"{what} is {text!r}. Expected a number.")
    return value
