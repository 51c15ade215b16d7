"""What the test split showed of every query: rankings before and after, near training queries, and a map; no texts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embertune.core.random import generator
from embertune.core.search import Positions, exact_products, top_k
from embertune.core.vectors import Vectors, normalize
from embertune.data.dataset import Dataset
from embertune.encoders.encoded import Encoded
from embertune.errors import ArtifactError
from embertune.recipes.plan import Trial
from embertune.recipes.ranking import Ranked

__all__ = ["FILES", "Details", "make_details", "principal_plane"]

FILES = ("rankings.jsonl", "map.json")
"""What `Details.write` writes."""

_SHOWN = 10
_NEAR = 5
# More points than this overlap on a screen, and a browser slows down.
_MAP_QUERIES, _MAP_DOCUMENTS = 300, 1000


@dataclass(frozen=True)
class Details:
    """What a record leaves out because most readers do not want it; ids alone, so it may travel with the adapter.

    Attributes:
        queries: Per test query {"id", "near": [[training query, cosine before tuning], …], "documents": [[id, grade or
            None, rank and cosine before, rank and cosine after], …]}: the ten best of both rankings and all that were
            judged. Ranks beyond the depth of the rankings are None.
        chart: "queries" and "documents", each with "ids", "base" and "tuned" (points of a plane); "shares", the part of
            all variance that each axis shows; "of", from how many they were drawn.
    """

    queries: Sequence[Mapping[str, Any]]
    chart: Mapping[str, Any]

    def write(self, folder: Path) -> None:
        """Write ``rankings.jsonl``, a line for each query, and ``map.json``.

        Raises:
            OSError: The disk refused.
        """
        with (folder / FILES[0]).open("w", encoding="utf-8", newline="") as file:
            file.writelines(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in self.queries)
        text = json.dumps(self.chart, ensure_ascii=False, allow_nan=False)
        (folder / FILES[1]).write_text(text + "\n", encoding="utf-8", newline="")

    @classmethod
    def read(cls, folder: Path) -> Details:
        """Read what `write` wrote.

        Raises:
            ArtifactError: It is not there, or damaged.
        """
        try:
            lines = (folder / FILES[0]).read_text(encoding="utf-8").splitlines()
            return cls([json.loads(line) for line in lines], json.loads((folder / FILES[1]).read_text("utf-8")))
        except FileNotFoundError:
            raise ArtifactError(
                f"{folder} has no {' and '.join(FILES)}, so what each query found is not known: it was made by an "
                "earlier version, or they were deleted. Tune again to have them."
            ) from None
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{folder}: what each query found cannot be read: {error}. Tune again.") from None


def make_details(
    trials: Sequence[Trial], encoded: Encoded, base: Ranked, tuned: Ranked, test: Dataset, *, seed: int
) -> Details:
    """Read rankings, near training queries and the map off an opened test split.

    Args:
        trials: Who was fitted on, who is judged.
        encoded: The vectors before.
        base: The rankings before.
        tuned: The rankings after.
        test: The test queries of all trials, for their judgements.
        seed: Of the draw of points where there are too many.
    """
    rows: list[Mapping[str, Any]] = []
    for at, trial in enumerate(trials):
        part = slice(len(rows), len(rows) + len(trial.test.queries))
        sides = [_Side.of(ranked, at, part) for ranked in (base, tuned)]
        near = _near(trial, encoded, sides[0].queries)
        rows += _rows(trial, encoded.document_ids, sides, near, test)
    first = slice(0, len(trials[0].test.queries))
    sides = [_Side.of(ranked, 0, first) for ranked in (base, tuned)]
    return Details(rows, _chart(trials[0], encoded.document_ids, sides, test, seed))


@dataclass(frozen=True)
class _Side:
    """The n queries of one trial, and what they found, before or after."""

    queries: Vectors
    documents: Vectors
    positions: Positions

    @classmethod
    def of(cls, ranked: Ranked, trial: int, part: slice) -> _Side:
        return cls(ranked.queries[part], ranked.documents[trial], ranked.positions[part])


def _near(trial: Trial, encoded: Encoded, queries: Vectors) -> list[list[tuple[str, float]]]:
    """Give the training queries nearest to each query, by the frozen encoder: what was learned, was learned there."""
    ids = list(trial.pool.queries)
    found, cosines = top_k(queries, encoded.queries[encoded.query_rows(ids)], _NEAR)
    return [
        [(ids[at], round(float(cosine), 4)) for at, cosine in zip(*pair, strict=True)]
        for pair in zip(found, cosines, strict=True)
    ]


def _rows(
    trial: Trial, document_ids: Sequence[str], sides: list[_Side], near: list[list[tuple[str, float]]], test: Dataset
) -> list[dict[str, Any]]:
    place = {document: at for at, document in enumerate(document_ids)}
    rows = []
    for at, query in enumerate(trial.test.queries):
        grades = test.qrels[query]
        shown = dict.fromkeys(int(position) for side in sides for position in side.positions[at, :_SHOWN])
        shown |= dict.fromkeys(place[document] for document in grades)
        columns = np.fromiter(shown, dtype=np.intp, count=len(shown))
        told = [column for side in sides for column in _standing(side, at, columns)]
        documents = [
            [document_ids[column], grades.get(document_ids[column]), *(each[n] for each in told)]
            for n, column in enumerate(columns)
        ]
        rows.append({"id": query, "near": near[at], "documents": documents})
    return rows


def _standing(side: _Side, row: int, columns: Positions) -> tuple[list[int | None], list[float]]:
    """Give rank and cosine of some documents for one query."""
    is_there = side.positions[row] == columns[:, None]
    ranks = [
        int(place) + 1 if found else None for place, found in zip(is_there.argmax(1), is_there.any(1), strict=True)
    ]
    scores = exact_products(side.queries, np.full(len(columns), row), side.documents.__getitem__, columns)
    return ranks, [round(float(score), 4) for score in scores]


def _chart(trial: Trial, document_ids: Sequence[str], sides: list[_Side], test: Dataset, seed: int) -> dict[str, Any]:
    """Put queries, what answers them, and some of the other documents on one plane, before and after."""
    random = generator(seed, "map")
    ids = list(trial.test.queries)
    rows = np.sort(random.permutation(len(ids))[:_MAP_QUERIES])
    place = {document: at for at, document in enumerate(document_ids)}
    answers = dict.fromkeys(place[document] for row in rows for document in test.positives(ids[row]))
    others = [at for at in random.permutation(len(document_ids)).tolist() if at not in answers]
    columns = np.sort(np.array([*answers, *others][:_MAP_DOCUMENTS], dtype=np.intp))
    points = [np.concatenate([side.queries[rows], side.documents[columns]]) for side in sides]
    placed, shares = _project(points)
    told = {}
    for name, part, names in (
        ("queries", slice(None, len(rows)), [ids[row] for row in rows]),
        ("documents", slice(len(rows), None), [document_ids[column] for column in columns]),
    ):
        told[name] = {"ids": names, **{key: placed[at][part].tolist() for at, key in enumerate(("base", "tuned"))}}
    return {**told, "shares": shares, "of": {"queries": len(ids), "documents": len(document_ids)}}


def _project(points: list[Vectors]) -> tuple[list[npt.NDArray[np.float64]], list[float]]:
    """Put both states on one plane, so that what moved on it has moved; on two where their dimensions differ."""
    if points[0].shape[1] == points[1].shape[1]:
        plane, shares = principal_plane(np.concatenate(points))
        return [plane[: len(points[0])].round(4), plane[len(points[0]) :].round(4)], shares
    planes = [principal_plane(each) for each in points]
    return [plane.round(4) for plane, _ in planes], planes[0][1]


def principal_plane(vectors: Vectors) -> tuple[npt.NDArray[np.float64], list[float]]:
    """Project vectors on their first two principal components (Pearson 1901), rows of length 1 first.

    Args:
        vectors: (n, d).

    Returns:
        (n, 2), of which each component's largest value is positive, and the share of the variance on each.

    Example:
        >>> plane, shares = principal_plane(np.array([[1, 0], [0, 1], [0, 1]], dtype=np.float32))
        >>> plane[:, 0].round(3).tolist(), [round(share, 3) for share in shares]
        ([0.943, -0.471, -0.471], [1.0, 0.0])
    """
    wide = np.asarray(normalize(vectors), dtype=np.float64)
    wide = wide - wide.mean(axis=0)
    # Of the two products the smaller tells the same: its eigenvectors are the components, or the points on them.
    by_rows = len(wide) <= wide.shape[1]
    values, directions = np.linalg.eigh(wide @ wide.T if by_rows else wide.T @ wide)
    values, directions = np.maximum(values[::-1][:2], 0), directions[:, ::-1][:, :2]
    plane = directions * np.sqrt(values) if by_rows else wide @ directions
    plane = np.pad(plane, ((0, 0), (0, 2 - plane.shape[1])))
    signs = np.sign(plane[np.abs(plane).argmax(axis=0), [0, 1]])
    total = max(float((wide**2).sum()), 1e-12)
    shares = [round(float(value) / total, 4) for value in values]
    return plane * np.where(signs == 0, 1, signs), [*shares, 0.0][:2]
